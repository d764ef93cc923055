//! One look-up.

use crate::check::PortRule;
use crate::compile::PathKind;
use crate::expression::{Field, Notes, fold_case, visit_field};
use crate::facts::RequestFacts;
use crate::index::{Fan, FanKey, Index, Item, Leaf, Table, Visited, order};
use crate::matched::Match;
use crate::pattern::Pattern;
use crate::routes::Routes;
use smallvec::SmallVec;

/// The state of a look-up: the request and the best route so far.
pub(crate) struct Search<'r, 'f> {
    routes: &'r Routes,
    index: &'r Index,
    facts: &'f RequestFacts<'f>,
    /// Routes whose items in the fan at hand do not count, in order.
    gone: &'r [u32],
    best: Option<Found<'r>>,
}

/// An item that matches.
struct Found<'r> {
    item: Item,
    matched_prefix: usize,
    pattern: Option<&'r Pattern>,
}

impl<'r, 'f> Search<'r, 'f> {
    pub(crate) fn run(routes: &'r Routes, index: &'r Index, facts: &'f RequestFacts<'f>) -> Option<Match> {
        let mut search = Self {
            routes,
            index,
            facts,
            gone: &[],
            best: None,
        };
        let host = facts.host.as_bytes();
        if let Some(root) = index.hosts.exact(host) {
            search.below(root);
        }
        index.hosts.wildcards(host, &mut |root| search.below(root));
        if search.could_win(index.any_host_top) {
            search.below(index.any_host);
        }
        let found = search.best?;
        Some(Match {
            route: routes.position(found.item.slot),
            matched_prefix: found.matched_prefix,
            captures: found.pattern.and_then(|pattern| pattern.captures(facts.path)),
        })
    }

    /// Looks at everything filed under one host.
    fn below(&mut self, root: u32) {
        let index = self.index;
        let mut visited = Visited::new();
        index.trie.walk(root, self.facts.path, &mut visited);
        // Deeper nodes mostly hold the better routes.
        for (node, depth) in visited.into_iter().rev() {
            let items = index.trie.items(node, &index.lists);
            if !items.first().is_some_and(|best| self.could_win(best.weight)) {
                continue;
            }
            let fan = index
                .trie
                .fan(node)
                .and_then(|fan| index.fans.get(fan as usize)?.as_ref());
            match fan {
                Some(patched) => {
                    self.list(&patched.late, depth as usize);
                    self.gone = &patched.gone;
                    self.fan(&patched.fan, depth as usize);
                    self.gone = &[];
                }
                None => self.list(items, depth as usize),
            }
        }
    }

    fn could_win(&self, weight: u64) -> bool {
        self.best.as_ref().is_none_or(|best| weight >= best.item.weight)
    }

    /// Takes the first hit of a sorted list, unless the best so far stands before it.
    fn list(&mut self, items: &[Item], depth: usize) {
        for item in items {
            if !self.gone.is_empty() && self.gone.binary_search(&item.slot).is_ok() {
                continue;
            }
            if let Some(best) = &self.best
                && (item.weight < best.item.weight
                    || item.weight == best.item.weight && order(self.routes, item, &best.item).is_ge())
            {
                return;
            }
            if let Some(found) = self.test(item, depth) {
                self.best = Some(found);
                return;
            }
        }
    }

    fn fan(&mut self, fan: &Fan, depth: usize) {
        self.list(&fan.loose, depth);
        let facts = self.facts;
        for branch in &fan.branches {
            if !self.could_win(branch.top) {
                continue;
            }
            match (&branch.key, &branch.table) {
                (FanKey::Field(Field::Sni), _) if !facts.is_https() => self.list(&branch.all, depth),
                (FanKey::Field(Field::DestinationPort), Table::Values(values)) => {
                    let leaf = facts.port().and_then(|port| values.get(&port.to_be_bytes()[..]));
                    if let Some(leaf) = leaf {
                        self.leaf(leaf, depth);
                    }
                }
                (FanKey::Field(field), Table::Values(values)) => {
                    let mut folded = SmallVec::new();
                    visit_field(field, facts, &mut |value| {
                        fold_case(value, &mut folded);
                        if let Some(leaf) = values.get(&*folded) {
                            self.leaf(leaf, depth);
                        }
                    });
                }
                (_, Table::Literals { finder, leaves }) => {
                    for hit in finder.find_overlapping_iter(facts.path) {
                        if let Some(leaf) = leaves.get(hit.pattern().as_usize()) {
                            self.leaf(leaf, depth);
                        }
                    }
                }
                (FanKey::Literal, Table::Values(values)) => {
                    for leaf in values.values() {
                        self.leaf(leaf, depth);
                    }
                }
            }
        }
    }

    fn leaf(&mut self, leaf: &Leaf, depth: usize) {
        match leaf {
            Leaf::List(items) => self.list(items, depth),
            Leaf::Fan(fan) => self.fan(fan, depth),
        }
    }

    /// Tests what the place of the item in the index has not proven.
    fn test(&self, item: &Item, depth: usize) -> Option<Found<'r>> {
        let mut found = Found {
            item: *item,
            matched_prefix: depth,
            pattern: None,
        };
        if item.flags == 0 {
            return Some(found);
        }
        let routes = self.routes;
        let route = routes.get(item.slot)?;
        if item.has(Item::PORT) && !port_rule(item).accepts(item.port, self.facts) {
            return None;
        }
        if item.has(Item::HOST_OPEN) && !route.hosts.iter().any(|host| host.matches(self.facts)) {
            return None;
        }
        if item.has(Item::CHECKS) {
            let mut notes = Notes::default();
            if !route
                .checks
                .iter()
                .all(|check| check.holds(self.facts, &mut notes))
            {
                return None;
            }
            if item.has(Item::EXPRESSION) {
                found.matched_prefix = notes.matched_prefix;
                found.pattern = notes.pattern;
            }
        }
        if item.has(Item::REGEX) {
            let PathKind::Regex(pattern) = routes.path(item)? else {
                return None;
            };
            found.matched_prefix = pattern.find(self.facts.path)?;
            found.pattern = Some(pattern);
        }
        Some(found)
    }
}

fn port_rule(item: &Item) -> PortRule {
    if item.has(Item::PORT_LISTENER) {
        PortRule::Listener
    } else if item.has(Item::PORT_EXPLICIT) {
        PortRule::Explicit
    } else {
        PortRule::Scheme
    }
}
