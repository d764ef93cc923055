//! Where candidates are found: host -> path -> sorted list.
//!
//! A route is filed under each of its hosts (exact, wildcard, or "any") and there in a byte trie under each of its
//! path prefixes; a regex under the literal it starts with. A request visits the few hosts that cover its own and in
//! each the nodes on its path: the cost follows the length of the request. Lists are sorted best first, so that the
//! first hit in a list is its best; lists that grow long are fanned out by further attributes.
//!
//! Everything is plain data in a few vectors: a changed copy is a memory copy and a local edit.

mod fan;
mod hosts;
mod lists;
mod patched;
mod trie;

pub(crate) use fan::{Fan, FanKey, Leaf, Table};
pub(crate) use hosts::Hosts;
pub(crate) use lists::{Item, Lists};
pub(crate) use patched::Edit;
pub(crate) use trie::{Trie, Visited};

use crate::check::{Check, PortRule};
use crate::compile::{CompiledRoute, Part, PathKind};
use crate::expression::HostAnchor;
use crate::routes::Routes;
use patched::Patched;
use std::cmp::Ordering;

/// A part with more host and path combinations is filed by path alone.
const MAX_COMBINATIONS: usize = 4_096;

/// The whole index. Roots and nodes are numbers into its vectors.
#[derive(Clone)]
pub(crate) struct Index {
    pub(crate) hosts: Hosts,
    pub(crate) trie: Trie,
    pub(crate) lists: Lists,
    pub(crate) fans: Vec<Option<Patched>>,
    /// Root of what is filed under no host.
    pub(crate) any_host: u32,
    /// Upper bound of the weights under `any_host`.
    pub(crate) any_host_top: u64,
}

/// Where one item goes.
struct Place<'r> {
    host: Option<&'r HostAnchor>,
    path: &'r [u8],
    item: Item,
}

impl Index {
    /// Files every route.
    pub(crate) fn build(routes: &Routes) -> Self {
        let mut trie = Trie::default();
        let any_host = trie.new_root();
        let mut index = Self {
            hosts: Hosts::default(),
            trie,
            lists: Lists::default(),
            fans: Vec::new(),
            any_host,
            any_host_top: 0,
        };
        for (slot, route) in routes.iter() {
            each_place(slot, route, &mut |place| {
                let node = index.node_for(&place);
                index.trie.push_item(node, place.item, &mut index.lists);
            });
        }
        index.lists = index.trie.sort_lists(&index.lists, |a, b| order(routes, a, b));
        for node in 0..index.trie.len() {
            index.fan_out(node, routes);
        }
        index.trie.shrink();
        index
    }

    /// Files one more route. The nodes concerned go to `edits`, for [`Index::refresh`].
    pub(crate) fn insert(
        &mut self,
        slot: u32,
        route: &CompiledRoute,
        routes: &Routes,
        edits: &mut Vec<(u32, Edit)>,
    ) {
        each_place(slot, route, &mut |place| {
            let node = self.node_for(&place);
            self.trie
                .insert_item(node, place.item, &mut self.lists, |a, b| order(routes, a, b));
            edits.push((node, Edit::Late(place.item)));
        });
    }

    /// Takes a route out. The nodes concerned go to `edits`.
    pub(crate) fn remove(&mut self, slot: u32, route: &CompiledRoute, edits: &mut Vec<(u32, Edit)>) {
        each_place(slot, route, &mut |place| {
            let root = match place.host {
                Some(anchor) => self.hosts.get(anchor),
                None => Some(self.any_host),
            };
            if let Some(node) = root.and_then(|root| self.trie.exact(root, place.path)) {
                self.trie
                    .remove_items(node, &mut self.lists, |item| item.slot == slot);
                edits.push((node, Edit::Gone(slot)));
            }
        });
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let fans = self
            .fans
            .iter()
            .flatten()
            .map(|fan| fan.memory_bytes())
            .sum::<usize>();
        self.hosts.memory_bytes() + self.trie.memory_bytes() + self.lists.memory_bytes() + fans
    }

    /// Space that removed and moved things still take, against all space.
    pub(crate) fn is_mostly_waste(&self) -> bool {
        self.lists.is_mostly_waste() || self.trie.is_mostly_waste()
    }

    /// Renews what is derived from the lists of the nodes.
    pub(crate) fn refresh(&mut self, mut edits: Vec<(u32, Edit)>, routes: &Routes) {
        edits.sort_by_key(|(node, _)| *node);
        for group in edits.chunk_by(|(one, _), (other, _)| one == other) {
            let Some((node, _)) = group.first() else { continue };
            let own: Vec<Edit> = group.iter().map(|(_, edit)| *edit).collect();
            if !self.patch(*node, &own, routes) {
                self.fan_out(*node, routes);
            }
        }
    }

    /// Notes edits beside the fan of a node. Returns false when the fan must be built anew, or for the first time.
    fn patch(&mut self, node: u32, edits: &[Edit], routes: &Routes) -> bool {
        let Some(place) = self
            .trie
            .fan(node)
            .and_then(|fan| self.fans.get_mut(fan as usize))
        else {
            return false;
        };
        let patched = place
            .as_ref()
            .and_then(|known| known.with(edits, |a, b| order(routes, a, b)));
        let is_patched = patched.is_some();
        *place = patched;
        is_patched
    }

    fn node_for(&mut self, place: &Place<'_>) -> u32 {
        let Some(anchor) = place.host else {
            self.any_host_top = self.any_host_top.max(place.item.weight);
            return self.trie.insert(&mut self.any_host, place.path);
        };
        match self.hosts.root_mut(anchor, || self.trie.new_root()) {
            Some(root) => self.trie.insert(root, place.path),
            None => self.any_host,
        }
    }

    fn fan_out(&mut self, node: u32, routes: &Routes) {
        let fan = Fan::build(self.trie.items(node, &self.lists), routes).map(Patched::new);
        let known = self.trie.fan(node);
        match (known.and_then(|known| self.fans.get_mut(known as usize)), fan) {
            (Some(place), fan) => *place = fan,
            (None, Some(fan)) => {
                let number = u32::try_from(self.fans.len()).unwrap_or(u32::MAX);
                self.fans.push(Some(fan));
                self.trie.set_fan(node, number);
            }
            (None, None) => {}
        }
    }
}

/// The order of items in every list: best first.
pub(crate) fn order(routes: &Routes, a: &Item, b: &Item) -> Ordering {
    b.weight.cmp(&a.weight).then_with(|| {
        let tie = |item: &Item| routes.part(item).map_or(0, |part| part.tie);
        tie(b)
            .cmp(&tie(a))
            .then_with(|| routes.position(a.slot).cmp(&routes.position(b.slot)))
            .then_with(|| (a.part, a.path).cmp(&(b.part, b.path)))
    })
}

/// Calls `each` with every place where a route is filed.
fn each_place(slot: u32, route: &CompiledRoute, each: &mut dyn FnMut(Place<'_>)) {
    for (number, part) in route.parts.iter().enumerate() {
        let item = Item {
            weight: part.weight,
            slot,
            part: u16::try_from(number).unwrap_or(u16::MAX),
            ..Item::default()
        };
        match route.checks.last() {
            Some(Check::Expression(expression)) => {
                let hosts = expression.hosts();
                let paths = expression.path_prefixes();
                let item = item.with(Item::CHECKS).with(Item::EXPRESSION);
                expression_places(item, hosts.as_deref(), paths.as_deref(), each);
            }
            _ => classic_places(item, route, part, each),
        }
    }
}

fn expression_places(
    item: Item,
    hosts: Option<&[HostAnchor]>,
    paths: Option<&[Box<[u8]>]>,
    each: &mut dyn FnMut(Place<'_>),
) {
    let combinations = hosts
        .map_or(1, <[_]>::len)
        .saturating_mul(paths.map_or(1, <[_]>::len));
    let hosts = hosts.filter(|_| combinations <= MAX_COMBINATIONS);
    let hosts: Vec<Option<&HostAnchor>> =
        hosts.map_or_else(|| vec![None], |hosts| hosts.iter().map(Some).collect());
    let paths: Vec<&[u8]> = paths.map_or_else(
        || vec![&[][..]],
        |paths| paths.iter().map(|path| &**path).collect(),
    );
    for host in &hosts {
        for path in &paths {
            each(Place {
                host: *host,
                path,
                item,
            });
        }
    }
}

fn classic_places(item: Item, route: &CompiledRoute, part: &Part, each: &mut dyn FnMut(Place<'_>)) {
    let item = if route.checks.is_empty() {
        item
    } else {
        item.with(Item::CHECKS)
    };
    let combinations = route.hosts.len().saturating_mul(part.paths.len());
    if route.hosts.is_empty() {
        path_places(None, item, part, each);
    } else if combinations > MAX_COMBINATIONS {
        path_places(None, item.with(Item::HOST_OPEN), part, each);
    } else {
        for host in &route.hosts {
            let Some(anchor) = host.anchor() else {
                path_places(None, item.with(Item::HOST_OPEN), part, each);
                continue;
            };
            let mut item = item;
            if let Some((port, rule)) = host.port {
                item.port = port;
                item.flags |= match rule {
                    PortRule::Listener => Item::PORT_LISTENER,
                    PortRule::Explicit => Item::PORT_EXPLICIT,
                    PortRule::Scheme => Item::PORT_SCHEME,
                };
            }
            path_places(Some(&anchor), item, part, each);
        }
    }
}

fn path_places(host: Option<&HostAnchor>, item: Item, part: &Part, each: &mut dyn FnMut(Place<'_>)) {
    if part.paths.is_empty() {
        each(Place {
            host,
            path: &[],
            item,
        });
    }
    for (number, path) in part.paths.iter().enumerate() {
        let item = Item {
            path: u16::try_from(number).unwrap_or(u16::MAX),
            ..item
        };
        match path {
            PathKind::Prefix(prefix) => each(Place {
                host,
                path: prefix,
                item,
            }),
            PathKind::Regex(pattern) => {
                each(Place {
                    host,
                    path: pattern.prefix(),
                    item: item.with(Item::REGEX),
                });
            }
        }
    }
}
