//! Where each value stands: one entry per value and per key, in the order of the tree.
//!
//! Recorded only when a document is read a second time to report faults; a faultless load never pays for it.

use serde_json::Value;
use tidegate_model::schema::PathSegment;

const PLAIN: u32 = 1 << 31;

/// One value or key.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Byte offset; the top bit says that it is an unquoted scalar.
    offset: u32,
    /// Index of the first entry after this value's own entries.
    end: u32,
}

/// Entries of a document, or of a part of it (indices then count from the part's start).
#[derive(Debug, Clone, Default)]
pub(super) struct Positions {
    entries: Vec<Entry>,
}

impl Positions {
    pub(super) const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Appends a value or key that starts at a byte offset. A container is closed later with [`Self::close`].
    pub(super) fn push(&mut self, offset: usize, is_plain: bool) {
        let flag = if is_plain { PLAIN } else { 0 };
        let end = narrow(self.entries.len() + 1);
        self.entries.push(Entry {
            offset: narrow(offset) & !PLAIN | flag,
            end,
        });
    }

    /// The container at `index` ends with the last entry pushed.
    pub(super) fn close(&mut self, index: usize) {
        let end = narrow(self.entries.len());
        if let Some(entry) = self.entries.get_mut(index) {
            entry.end = end;
        }
    }

    /// A copy of everything from `start` on, counting from 0.
    pub(super) fn copy_from(&self, start: usize) -> Self {
        let shift = narrow(start);
        let part = self.entries.get(start..).unwrap_or_default();
        Self {
            entries: part
                .iter()
                .map(|e| Entry {
                    offset: e.offset,
                    end: e.end.saturating_sub(shift),
                })
                .collect(),
        }
    }

    /// Drops everything from `start` on.
    pub(super) fn truncate(&mut self, start: usize) {
        self.entries.truncate(start);
    }

    /// Appends a part that was taken by [`Self::copy_from`].
    pub(super) fn append(&mut self, part: &Self) {
        self.append_range(part, 0, part.entries.len());
    }

    fn append_range(&mut self, part: &Self, from: usize, to: usize) {
        let (base, from_narrow) = (narrow(self.entries.len()), narrow(from));
        let range = part.entries.get(from..to).unwrap_or_default();
        self.entries.extend(range.iter().map(|e| Entry {
            offset: e.offset,
            end: e.end.saturating_sub(from_narrow) + base,
        }));
    }

    /// Appends the key and the value of the `ordinal`th member of the map that `part` starts with.
    pub(super) fn append_member(&mut self, part: &Self, map_index: usize, ordinal: usize) {
        if let Some(key) = part.member(map_index, ordinal) {
            let end = part.end_of(key + 1);
            self.append_range(part, key, end);
        }
    }

    /// Index of the key of the `ordinal`th member of the map at `index`.
    fn member(&self, index: usize, ordinal: usize) -> Option<usize> {
        let mut at = index + 1;
        for _ in 0..ordinal {
            at = self.end_of(at + 1);
        }
        (at < self.entries.len()).then_some(at)
    }

    /// Index of the `ordinal`th element of the list at `index`.
    pub(super) fn element(&self, index: usize, ordinal: usize) -> Option<usize> {
        let mut at = index + 1;
        for _ in 0..ordinal {
            at = self.end_of(at);
        }
        (at < self.entries.len()).then_some(at)
    }

    /// Byte offset of the key of the `ordinal`th member of the map at `index`.
    pub(super) fn key_offset(&self, index: usize, ordinal: usize) -> Option<usize> {
        self.member(index, ordinal).and_then(|key| self.offset(key))
    }

    fn end_of(&self, index: usize) -> usize {
        self.entries
            .get(index)
            .map_or(self.entries.len(), |entry| entry.end as usize)
    }

    fn offset(&self, index: usize) -> Option<usize> {
        self.entries
            .get(index)
            .map(|entry| (entry.offset & !PLAIN) as usize)
    }

    /// The value at a path, or the nearest existing ancestor of it.
    pub(super) fn locate(&self, root: &Value, path: &[PathSegment]) -> Found {
        let mut found = Found {
            key: None,
            value: self.offset(0).unwrap_or(0),
            is_plain: false,
            depth: 0,
        };
        let (mut value, mut index) = (root, 0);
        for segment in path {
            let (next, key_index, next_index) = match (segment, value) {
                (PathSegment::Key(key) | PathSegment::Entry(key), Value::Object(map)) => {
                    let Some((ordinal, _, next)) = map
                        .iter()
                        .enumerate()
                        .find_map(|(i, (k, v))| (k == key).then_some((i, k, v)))
                    else {
                        break;
                    };
                    let Some(key_index) = self.member(index, ordinal) else {
                        break;
                    };
                    (next, Some(key_index), key_index + 1)
                }
                (PathSegment::Index(ordinal), Value::Array(list)) => {
                    let Some(next) = list.get(*ordinal) else { break };
                    let Some(next_index) = self.element(index, *ordinal) else {
                        break;
                    };
                    (next, None, next_index)
                }
                _ => break,
            };
            (value, index) = (next, next_index);
            found.depth += 1;
            found.key = key_index.and_then(|index| self.offset(index));
            found.value = self.offset(index).unwrap_or(found.value);
            found.is_plain = self
                .entries
                .get(index)
                .is_some_and(|entry| entry.offset & PLAIN != 0);
        }
        found
    }
}

/// Where a path led.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::declarative) struct Found {
    /// Byte offset of the key, for a member of a map.
    pub(in crate::declarative) key: Option<usize>,
    /// Byte offset of the value.
    pub(in crate::declarative) value: usize,
    /// The value is an unquoted scalar.
    pub(in crate::declarative) is_plain: bool,
    /// How many steps of the path exist.
    pub(in crate::declarative) depth: usize,
}

/// Documents are far below 2 GiB (see the byte limit), and entries are fewer than bytes plus alias copies.
fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
