//! Host names to roots: exact by hash, wildcards by hash of each of the request's own endings and beginnings.

use crate::expression::HostAnchor;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

/// Roots by host.
#[derive(Clone, Default)]
pub(crate) struct Hosts {
    exact: Names,
    /// `.example` of `*.example`.
    suffixes: Names,
    /// `example.` of `example.*`.
    prefixes: Names,
}

impl Hosts {
    pub(crate) fn exact(&self, host: &[u8]) -> Option<u32> {
        self.exact.get(host)
    }

    /// Calls `each` with the roots of the wildcards that cover the host, the longest first.
    pub(crate) fn wildcards(&self, host: &[u8], each: &mut dyn FnMut(u32)) {
        if !self.suffixes.is_empty() {
            // Longer endings than any configured one cannot match: keeps hostile names cheap.
            let start = host.len().saturating_sub(self.suffixes.longest);
            for at in memchr::memchr_iter(b'.', host.get(start..).unwrap_or_default()) {
                let root = host
                    .get(start + at..)
                    .and_then(|suffix| self.suffixes.get(suffix));
                root.into_iter().for_each(&mut *each);
            }
        }
        if !self.prefixes.is_empty() {
            let end = host.len().min(self.prefixes.longest);
            for at in memchr::memrchr_iter(b'.', host.get(..end).unwrap_or_default()) {
                let root = host.get(..=at).and_then(|prefix| self.prefixes.get(prefix));
                root.into_iter().for_each(&mut *each);
            }
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        [&self.exact, &self.suffixes, &self.prefixes]
            .iter()
            .map(|names| names.memory_bytes())
            .sum()
    }

    pub(crate) fn get(&self, anchor: &HostAnchor) -> Option<u32> {
        match anchor {
            HostAnchor::Exact(name) => self.exact.get(name.as_bytes()),
            HostAnchor::Suffix(name) => self.suffixes.get(name.as_bytes()),
            HostAnchor::Prefix(name) => self.prefixes.get(name.as_bytes()),
        }
    }

    /// The root of a host, made when it is missing; it may be replaced.
    pub(crate) fn root_mut(
        &mut self,
        anchor: &HostAnchor,
        new_root: impl FnOnce() -> u32,
    ) -> Option<&mut u32> {
        let (names, name) = match anchor {
            HostAnchor::Exact(name) => (&mut self.exact, name),
            HostAnchor::Suffix(name) => (&mut self.suffixes, name),
            HostAnchor::Prefix(name) => (&mut self.prefixes, name),
        };
        names.root_mut(name.as_bytes(), new_root)
    }
}

/// A map from names to roots that copies as plain memory.
#[derive(Clone, Default)]
struct Names {
    bytes: Vec<u8>,
    table: HashTable<Name>,
    hasher: RandomState,
    longest: usize,
}

#[derive(Clone, Copy)]
struct Name {
    start: u32,
    length: u32,
    root: u32,
}

impl Names {
    fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.table.capacity() * (size_of::<Name>() + 1)
    }

    fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    fn get(&self, name: &[u8]) -> Option<u32> {
        if self.table.is_empty() || name.len() > self.longest {
            return None;
        }
        let hash = self.hasher.hash_one(name);
        self.table
            .find(hash, |own| text(&self.bytes, own) == name)
            .map(|own| own.root)
    }

    fn root_mut(&mut self, name: &[u8], new_root: impl FnOnce() -> u32) -> Option<&mut u32> {
        if self.get(name).is_none() {
            let own = Name {
                start: offset(self.bytes.len()),
                length: offset(name.len()),
                root: new_root(),
            };
            self.bytes.extend_from_slice(name);
            self.longest = self.longest.max(name.len());
            let (bytes, hasher) = (&self.bytes, &self.hasher);
            self.table.insert_unique(hasher.hash_one(name), own, |other| {
                hasher.hash_one(text(bytes, other))
            });
        }
        let hash = self.hasher.hash_one(name);
        let bytes = &self.bytes;
        self.table
            .find_mut(hash, |own| text(bytes, own) == name)
            .map(|own| &mut own.root)
    }
}

fn text<'b>(bytes: &'b [u8], name: &Name) -> &'b [u8] {
    let start = name.start as usize;
    bytes.get(start..start + name.length as usize).unwrap_or_default()
}

fn offset(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
