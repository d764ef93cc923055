//! Long lists, split by one more attribute: header, method, server name, port, literal inside a regex.
//!
//! Ten thousand routes on one path that differ by a header would be ten thousand tests. A fan looks the request's
//! value up instead and tests the few routes that ask for it. It only narrows: every test is still made.

use super::lists::Item;
use crate::check::{Check, NameShape};
use crate::compile::PathKind;
use crate::expression::{Field, fold_case, required_values};
use crate::routes::Routes;
use aho_corasick::{AhoCorasick, AhoCorasickKind};
use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use smallvec::SmallVec;

/// Lists up to this length are walked.
const MIN_LENGTH: usize = 16;
/// Attributes one after another.
const MAX_DEPTH: usize = 4;
/// Attributes side by side.
const MAX_BRANCHES: usize = 32;
/// Routes that an attribute must spare on average to be worth a look-up.
const MIN_GAIN: usize = 4;

/// What a branch is split by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum FanKey {
    /// A field of the request, compared without case; the port as two bytes, high one first.
    Field(Field),
    /// A literal that the path must contain.
    Literal,
}

/// A long list, split.
#[derive(Debug)]
pub(crate) struct Fan {
    /// What no attribute splits.
    pub(crate) loose: Box<[Item]>,
    pub(crate) branches: Box<[Branch]>,
}

/// Routes that ask for one attribute.
#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) key: FanKey,
    /// Greatest weight below.
    pub(crate) top: u64,
    pub(crate) table: Table,
    /// All of them, for requests to which the attribute does not apply (server names without TLS).
    pub(crate) all: Box<[Item]>,
}

#[derive(Debug)]
pub(crate) enum Table {
    Values(HashMap<Box<[u8]>, Leaf, RandomState>),
    Literals {
        finder: AhoCorasick,
        leaves: Box<[Leaf]>,
    },
}

#[derive(Debug)]
pub(crate) enum Leaf {
    List(Box<[Item]>),
    Fan(Box<Fan>),
}

type Values = SmallVec<[Box<[u8]>; 1]>;
/// An item with the attributes that could split it.
type Keyed = (Item, Vec<(FanKey, Values)>);

impl Fan {
    /// `None` when the list is short or nothing splits it.
    pub(crate) fn build(items: &[Item], routes: &Routes) -> Option<Self> {
        if items.len() <= MIN_LENGTH {
            return None;
        }
        let keyed: Vec<Keyed> = items.iter().map(|item| (*item, keys(item, routes))).collect();
        Self::split(keyed.iter().collect(), 0)
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let branches = self.branches.iter().map(|branch| {
            let table = match &branch.table {
                Table::Values(values) => {
                    let leaves = values
                        .iter()
                        .map(|(value, leaf)| value.len() + leaf.memory_bytes());
                    leaves.sum::<usize>() + values.capacity() * (size_of::<(Box<[u8]>, Leaf)>() + 1)
                }
                Table::Literals { finder, leaves } => {
                    finder.memory_usage()
                        + leaves
                            .iter()
                            .map(|leaf| size_of_val(leaf) + leaf.memory_bytes())
                            .sum::<usize>()
                }
            };
            size_of_val(branch) + size_of_val(&*branch.all) + table
        });
        size_of_val(&*self.loose) + branches.sum::<usize>()
    }

    fn split(mut items: Vec<&Keyed>, depth: usize) -> Option<Self> {
        if items.len() <= MIN_LENGTH || depth >= MAX_DEPTH {
            return None;
        }
        let mut branches = Vec::new();
        while branches.len() < MAX_BRANCHES {
            let Some(key) = best_key(&items) else { break };
            let (inside, outside): (Vec<_>, Vec<_>) = items
                .into_iter()
                .partition(|(_, keys)| keys.iter().any(|(own, _)| *own == key));
            branches.push(Branch::build(key, &inside, depth));
            items = outside;
        }
        if branches.is_empty() {
            return None;
        }
        let loose = items.into_iter().map(|(item, _)| *item).collect();
        Some(Self {
            loose,
            branches: branches.into(),
        })
    }
}

impl Branch {
    fn build(key: FanKey, items: &[&Keyed], depth: usize) -> Self {
        let mut groups: HashMap<&[u8], Vec<&Keyed>, RandomState> = HashMap::default();
        for keyed in items {
            let values = keyed
                .1
                .iter()
                .filter(|(own, _)| *own == key)
                .flat_map(|(_, values)| values);
            for value in values {
                groups.entry(value).or_default().push(keyed);
            }
        }
        let top = items.iter().map(|(item, _)| item.weight).max().unwrap_or(0);
        let leaf = |group: Vec<&Keyed>| Leaf::build(group, depth + 1);
        let table = match key {
            FanKey::Field(_) => Table::Values(
                groups
                    .into_iter()
                    .map(|(value, group)| (value.into(), leaf(group)))
                    .collect(),
            ),
            FanKey::Literal => literals(groups, items, leaf),
        };
        let all = if key == FanKey::Field(Field::Sni) {
            plain(items)
        } else {
            Box::default()
        };
        Self { key, top, table, all }
    }
}

impl Leaf {
    fn memory_bytes(&self) -> usize {
        match self {
            Self::List(items) => size_of_val(&**items),
            Self::Fan(fan) => size_of_val(&**fan) + fan.memory_bytes(),
        }
    }

    fn build(items: Vec<&Keyed>, depth: usize) -> Self {
        let list = plain(&items);
        match Fan::split(items, depth) {
            Some(fan) => Self::Fan(Box::new(fan)),
            None => Self::List(list),
        }
    }
}

fn plain(items: &[&Keyed]) -> Box<[Item]> {
    items.iter().map(|(item, _)| *item).collect()
}

fn literals<'k>(
    groups: HashMap<&[u8], Vec<&'k Keyed>, RandomState>,
    items: &[&'k Keyed],
    leaf: impl Fn(Vec<&'k Keyed>) -> Leaf,
) -> Table {
    let (texts, groups): (Vec<&[u8]>, Vec<Vec<&Keyed>>) = groups.into_iter().unzip();
    match AhoCorasick::builder()
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .build(&texts)
    {
        Ok(finder) => Table::Literals {
            finder,
            leaves: groups.into_iter().map(leaf).collect(),
        },
        // Too many bytes for one automaton: an empty literal is found everywhere.
        Err(_) => match AhoCorasick::new([""]) {
            Ok(finder) => Table::Literals {
                finder,
                leaves: [Leaf::List(plain(items))].into(),
            },
            Err(_) => Table::Values([(Box::default(), Leaf::List(plain(items)))].into_iter().collect()),
        },
    }
}

/// How many items have an attribute, and which values of it.
type Tally<'k> = (usize, HashSet<&'k [u8], RandomState>);

/// The attribute that leaves the fewest routes to test.
fn best_key(items: &[&Keyed]) -> Option<FanKey> {
    let mut tally: HashMap<&FanKey, Tally<'_>, RandomState> = HashMap::default();
    for (_, keys) in items {
        for (key, values) in keys {
            let (count, distinct) = tally.entry(key).or_default();
            *count += 1;
            distinct.extend(values.iter().map(|value| &**value));
        }
    }
    let gains = tally
        .into_iter()
        .map(|(key, (count, distinct))| (count - count.div_ceil(distinct.len().max(1)), key));
    let (gain, key) = gains.max_by_key(|(gain, _)| *gain)?;
    (gain >= MIN_GAIN).then(|| key.clone())
}

/// The attributes that a request must have for this item to match, with the accepted values in lower case.
fn keys(item: &Item, routes: &Routes) -> Vec<(FanKey, Values)> {
    let mut keys = Vec::new();
    let Some(route) = routes.get(item.slot) else {
        return keys;
    };
    if item.has(Item::PORT_LISTENER) {
        let port = Box::from(item.port.to_be_bytes());
        keys.push((
            FanKey::Field(Field::DestinationPort),
            SmallVec::from_elem(port, 1),
        ));
    }
    if item.has(Item::REGEX)
        && let Some(PathKind::Regex(pattern)) = routes.path(item)
        && let Some(inner) = pattern.inner()
    {
        keys.push((FanKey::Literal, SmallVec::from_elem(inner.into(), 1)));
    }
    for check in &route.checks {
        match check {
            Check::Header(header) if header.patterns.is_empty() => {
                let values = header.exact.iter().cloned().collect();
                keys.push((FanKey::Field(Field::Header(header.name.clone())), values));
            }
            Check::Methods(methods) => {
                let values = methods.iter().map(|method| folded(method.as_bytes())).collect();
                keys.push((FanKey::Field(Field::Method), values));
            }
            Check::Snis(names) if names.iter().all(|name| name.shape == NameShape::Exact) => {
                let values = names.iter().map(|name| folded(name.text.as_bytes())).collect();
                keys.push((FanKey::Field(Field::Sni), values));
            }
            Check::Expression(expression) => {
                let required = required_values(expression.root());
                keys.extend(
                    required
                        .into_iter()
                        .map(|(field, values)| (FanKey::Field(field), values.into())),
                );
            }
            Check::Header(_)
            | Check::Snis(_)
            | Check::Schemes(_)
            | Check::Sources(_)
            | Check::Destinations(_) => {}
        }
    }
    keys
}

fn folded(value: &[u8]) -> Box<[u8]> {
    let mut folded = SmallVec::new();
    fold_case(value, &mut folded);
    folded.as_slice().into()
}
