//! Candidates, best first, in one vector.

/// One way in which a part of a route can match: by one host and one path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) weight: u64,
    /// Number of the route in the router.
    pub(crate) slot: u32,
    pub(crate) part: u16,
    /// Number of the path in the part.
    pub(crate) path: u16,
    /// Port that the host names, when a port flag is set.
    pub(crate) port: u16,
    /// What the place in the index does not prove yet.
    pub(crate) flags: u8,
}

impl Item {
    /// The path is a regex that must be tested.
    pub(crate) const REGEX: u8 = 1;
    /// Predicates besides host and path must be tested.
    pub(crate) const CHECKS: u8 = 2;
    /// The hosts must be tested.
    pub(crate) const HOST_OPEN: u8 = 4;
    /// An expression decides, and tells how much of the path it matched.
    pub(crate) const EXPRESSION: u8 = 64;
    /// The port must be tested, by one of three rules.
    pub(crate) const PORT_LISTENER: u8 = 8;
    pub(crate) const PORT_EXPLICIT: u8 = 16;
    pub(crate) const PORT_SCHEME: u8 = 32;
    pub(crate) const PORT: u8 = Self::PORT_LISTENER | Self::PORT_EXPLICIT | Self::PORT_SCHEME;

    pub(crate) fn with(mut self, flag: u8) -> Self {
        self.flags |= flag;
        self
    }

    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// A span of the vector of items.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct List {
    pub(crate) start: u32,
    pub(crate) length: u32,
    capacity: u32,
}

/// All lists.
#[derive(Clone, Default)]
pub(crate) struct Lists {
    items: Vec<Item>,
    waste: usize,
}

impl Lists {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self {
            items: Vec::with_capacity(capacity),
            waste: 0,
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.items.capacity() * size_of::<Item>()
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn get(&self, list: List) -> &[Item] {
        let start = list.start as usize;
        self.items
            .get(start..start + list.length as usize)
            .unwrap_or_default()
    }

    pub(crate) fn get_mut(&mut self, list: List) -> &mut [Item] {
        let start = list.start as usize;
        self.items
            .get_mut(start..start + list.length as usize)
            .unwrap_or_default()
    }

    /// Appends a whole list.
    pub(crate) fn append(&mut self, items: &[Item]) -> List {
        let start = self.items.len() as u32;
        self.items.extend_from_slice(items);
        List {
            start,
            length: items.len() as u32,
            capacity: items.len() as u32,
        }
    }

    /// Puts an item at `position` of a list.
    pub(crate) fn insert(&mut self, list: &mut List, position: usize, item: Item) {
        if list.length == list.capacity {
            self.grow(list);
        }
        let (start, length) = (list.start as usize, list.length as usize);
        if let Some(space) = self.items.get_mut(start + position..=start + length) {
            space.rotate_right(1);
            if let Some(first) = space.first_mut() {
                *first = item;
            }
            list.length += 1;
        }
    }

    /// Drops the items of a list for which `is_gone`.
    pub(crate) fn remove(&mut self, list: &mut List, is_gone: impl Fn(&Item) -> bool) {
        let kept: Vec<Item> = self
            .get(*list)
            .iter()
            .filter(|item| !is_gone(item))
            .copied()
            .collect();
        list.length = kept.len() as u32;
        self.get_mut(*list).copy_from_slice(&kept);
    }

    pub(crate) fn is_mostly_waste(&self) -> bool {
        self.waste > self.items.len() / 2 + 256
    }

    /// Moves the list to the end, with room for as many again.
    fn grow(&mut self, list: &mut List) {
        let capacity = (list.capacity * 2).max(1);
        let old = list.start as usize..(list.start + list.length) as usize;
        let start = self.items.len();
        if old.end == start && old.start + list.capacity as usize == start && list.capacity > 0 {
            self.items.resize(old.start + capacity as usize, Item::default());
        } else {
            self.waste += list.capacity as usize;
            self.items.extend_from_within(old);
            self.items.resize(start + capacity as usize, Item::default());
            list.start = start as u32;
        }
        list.capacity = capacity;
    }
}
