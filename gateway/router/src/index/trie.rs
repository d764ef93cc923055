//! A radix trie over bytes with any number of roots, in plain vectors.

use super::lists::{Item, List, Lists};
use smallvec::SmallVec;
use std::cmp::Ordering;

const NONE: u32 = u32::MAX;

/// One node. Its label is the text between its parent and itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node {
    label: u32,
    label_length: u32,
    children: u32,
    child_count: u16,
    child_capacity: u16,
    list: List,
    fan: u32,
}

/// A node with candidates that the walk has passed: its number and its depth in bytes.
pub(crate) type Visited = SmallVec<[(u32, u32); 24]>;

/// All nodes of all roots.
#[derive(Clone, Default)]
pub(crate) struct Trie {
    nodes: Vec<Node>,
    labels: Vec<u8>,
    /// First bytes of the labels of children, in blocks.
    child_keys: Vec<u8>,
    /// Nodes of children, in the same blocks.
    child_nodes: Vec<u32>,
    waste: usize,
}

impl Trie {
    pub(crate) fn memory_bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
            + self.labels.capacity()
            + self.child_keys.capacity()
            + self.child_nodes.capacity() * size_of::<u32>()
    }

    pub(crate) fn len(&self) -> u32 {
        self.nodes.len() as u32
    }

    /// A node without label, parent and content.
    pub(crate) fn new_root(&mut self) -> u32 {
        self.new_node(0, 0)
    }

    /// The node of exactly this text below `root`, made when it is missing. Roots have labels too, so that a host
    /// with one path is one node; a root whose label must be cut gets another number.
    pub(crate) fn insert(&mut self, root: &mut u32, text: &[u8]) -> u32 {
        if self.is_blank(*root) {
            self.set_label(*root, text);
            return *root;
        }
        let common = common_prefix(self.label(*root), text);
        if common < self.label(*root).len() {
            *root = self.split(None, *root, common as u32);
        }
        let mut node = *root;
        let mut rest = text.get(common..).unwrap_or_default();
        loop {
            let Some(first) = rest.first() else { return node };
            let Some((place, child)) = self.child(node, *first) else {
                let leaf = self.new_root();
                self.set_label(leaf, rest);
                self.add_child(node, *first, leaf);
                return leaf;
            };
            let label = self.label(child);
            let common = common_prefix(label, rest);
            node = if common == label.len() {
                child
            } else {
                self.split(Some(place), child, common as u32)
            };
            rest = rest.get(common..).unwrap_or_default();
        }
    }

    /// The node of exactly this text below `root`.
    pub(crate) fn exact(&self, root: u32, text: &[u8]) -> Option<u32> {
        let mut node = root;
        let mut rest = text.strip_prefix(self.label(root))?;
        while let Some(first) = rest.first() {
            let (_, child) = self.child(node, *first)?;
            rest = rest.strip_prefix(self.label(child))?;
            node = child;
        }
        Some(node)
    }

    /// Collects the nodes with candidates on the way that `text` takes from `root`, shallow first.
    pub(crate) fn walk(&self, root: u32, text: &[u8], visited: &mut Visited) {
        let mut number = root;
        let mut at = 0;
        while let Some(node) = self.nodes.get(number as usize) {
            let label = self.label_of(node);
            if !text.get(at..).is_some_and(|rest| rest.starts_with(label)) {
                return;
            }
            at += label.len();
            if node.list.length > 0 {
                visited.push((number, at as u32));
            }
            let Some(first) = text.get(at) else { return };
            let Some(child) = self.child_of(node, *first) else {
                return;
            };
            number = child;
        }
    }

    pub(crate) fn items<'l>(&self, node: u32, lists: &'l Lists) -> &'l [Item] {
        self.nodes
            .get(node as usize)
            .map_or(&[], |node| lists.get(node.list))
    }

    /// Number of the node's fan.
    pub(crate) fn fan(&self, node: u32) -> Option<u32> {
        self.nodes
            .get(node as usize)
            .map(|node| node.fan)
            .filter(|fan| *fan != NONE)
    }

    pub(crate) fn set_fan(&mut self, node: u32, fan: u32) {
        if let Some(node) = self.nodes.get_mut(node as usize) {
            node.fan = fan;
        }
    }

    /// Adds an item at the end; lists are sorted later.
    pub(crate) fn push_item(&mut self, node: u32, item: Item, lists: &mut Lists) {
        if let Some(node) = self.nodes.get_mut(node as usize) {
            let end = node.list.length as usize;
            lists.insert(&mut node.list, end, item);
        }
    }

    /// Adds an item at its place in a sorted list.
    pub(crate) fn insert_item(
        &mut self,
        node: u32,
        item: Item,
        lists: &mut Lists,
        order: impl Fn(&Item, &Item) -> Ordering,
    ) {
        if let Some(node) = self.nodes.get_mut(node as usize) {
            let place = lists
                .get(node.list)
                .partition_point(|other| order(other, &item).is_lt());
            lists.insert(&mut node.list, place, item);
        }
    }

    pub(crate) fn remove_items(&mut self, node: u32, lists: &mut Lists, is_gone: impl Fn(&Item) -> bool) {
        if let Some(node) = self.nodes.get_mut(node as usize) {
            lists.remove(&mut node.list, is_gone);
            self.waste += 1;
        }
    }

    /// Sorts every list and lays them out without gaps.
    pub(crate) fn sort_lists(&mut self, lists: &Lists, order: impl Fn(&Item, &Item) -> Ordering) -> Lists {
        let mut sorted = Lists::with_capacity(lists.len());
        for node in &mut self.nodes {
            node.list = sorted.append(lists.get(node.list));
            sorted.get_mut(node.list).sort_by(&order);
        }
        sorted
    }

    pub(crate) fn shrink(&mut self) {
        self.nodes.shrink_to_fit();
        self.labels.shrink_to_fit();
        self.child_keys.shrink_to_fit();
        self.child_nodes.shrink_to_fit();
    }

    pub(crate) fn is_mostly_waste(&self) -> bool {
        self.waste > self.nodes.len() / 2 + 256
    }

    fn new_node(&mut self, label: u32, label_length: u32) -> u32 {
        let number = self.nodes.len() as u32;
        self.nodes.push(Node {
            label,
            label_length,
            children: 0,
            child_count: 0,
            child_capacity: 0,
            list: List::default(),
            fan: NONE,
        });
        number
    }

    fn is_blank(&self, node: u32) -> bool {
        self.nodes
            .get(node as usize)
            .is_some_and(|node| node.label_length == 0 && node.child_count == 0 && node.list.length == 0)
    }

    fn set_label(&mut self, node: u32, text: &[u8]) {
        let label = self.labels.len() as u32;
        self.labels.extend_from_slice(text);
        if let Some(node) = self.nodes.get_mut(node as usize) {
            node.label = label;
            node.label_length = text.len() as u32;
        }
    }

    fn label(&self, node: u32) -> &[u8] {
        self.nodes
            .get(node as usize)
            .map_or(&[], |node| self.label_of(node))
    }

    fn label_of(&self, node: &Node) -> &[u8] {
        let start = node.label as usize;
        self.labels
            .get(start..start + node.label_length as usize)
            .unwrap_or_default()
    }

    fn child_of(&self, node: &Node, first: u8) -> Option<u32> {
        let start = node.children as usize;
        let keys = self
            .child_keys
            .get(start..start + usize::from(node.child_count))?;
        let place = memchr::memchr(first, keys)?;
        self.child_nodes.get(start + place).copied()
    }

    /// Place and node of the child that starts with `first`.
    fn child(&self, node: u32, first: u8) -> Option<(usize, u32)> {
        let node = self.nodes.get(node as usize)?;
        let start = node.children as usize;
        let keys = self
            .child_keys
            .get(start..start + usize::from(node.child_count))?;
        let place = start + memchr::memchr(first, keys)?;
        Some((place, *self.child_nodes.get(place)?))
    }

    /// Cuts the label of a node after `common` bytes; returns the new node above it. `place` is where its parent, if
    /// any, holds it.
    fn split(&mut self, place: Option<usize>, child: u32, common: u32) -> u32 {
        let Some(lower) = self.nodes.get_mut(child as usize) else {
            return child;
        };
        let label = lower.label;
        lower.label += common;
        lower.label_length -= common;
        let key = self.label(child).first().copied().unwrap_or_default();
        let middle = self.new_node(label, common);
        if let Some(slot) = place.and_then(|place| self.child_nodes.get_mut(place)) {
            *slot = middle;
        }
        self.add_child(middle, key, child);
        middle
    }

    fn add_child(&mut self, parent: u32, key: u8, child: u32) {
        let Some(node) = self.nodes.get_mut(parent as usize) else {
            return;
        };
        if node.child_count == node.child_capacity {
            // Blocks move to the end and double; what they leave behind is at most what they take.
            let capacity = (node.child_capacity * 2).clamp(1, 256);
            let old = node.children as usize..node.children as usize + usize::from(node.child_count);
            let start = self.child_keys.len();
            self.child_keys.extend_from_within(old.clone());
            self.child_keys.resize(start + usize::from(capacity), 0);
            self.child_nodes.extend_from_within(old);
            self.child_nodes.resize(start + usize::from(capacity), NONE);
            node.children = start as u32;
            node.child_capacity = capacity;
        }
        let place = node.children as usize + usize::from(node.child_count);
        if let (Some(key_slot), Some(node_slot)) =
            (self.child_keys.get_mut(place), self.child_nodes.get_mut(place))
        {
            *key_slot = key;
            *node_slot = child;
            node.child_count += 1;
        }
    }
}

fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
