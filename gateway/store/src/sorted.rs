//! A sorted map that is cheap to copy: chunks are shared between copies until one of them writes.
//!
//! A copy costs one reference per chunk, a write after it one copy of a chunk. So a transaction works on a copy of the
//! catalog, a refused one drops it, and readers keep the one they have.

use std::ops::Bound;
use std::sync::Arc;

/// Entries per chunk at most.
const FULL: usize = 256;
/// A chunk with fewer joins its neighbour where both fit.
const SPARSE: usize = 64;

type Chunk<K, V> = Arc<Vec<(K, V)>>;

/// A map ordered by key.
#[derive(Debug, Clone)]
pub(crate) struct Sorted<K, V> {
    /// None is empty.
    chunks: Vec<Chunk<K, V>>,
    len: usize,
}

impl<K, V> Default for Sorted<K, V> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            len: 0,
        }
    }
}

impl<K: Ord + Clone, V: Clone> Sorted<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        let chunk = self.chunks.get(self.chunk_of(key))?;
        let at = chunk.binary_search_by(|(known, _)| known.cmp(key)).ok()?;
        chunk.get(at).map(|(_, value)| value)
    }

    /// Returns what stood there before.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let at = self.chunk_of(&key);
        let is_last = at + 1 >= self.chunks.len();
        let Some(chunk) = self.chunks.get_mut(at) else {
            self.chunks.push(Arc::new(vec![(key, value)]));
            self.len += 1;
            return None;
        };
        let place = match chunk.binary_search_by(|(known, _)| known.cmp(&key)) {
            Ok(found) => {
                let entry = Arc::make_mut(chunk).get_mut(found)?;
                return Some(std::mem::replace(&mut entry.1, value));
            }
            Err(place) => place,
        };
        self.len += 1;
        // Keys that come in order leave full chunks behind.
        if is_last && place == FULL {
            self.chunks.push(Arc::new(vec![(key, value)]));
            return None;
        }
        let entries = Arc::make_mut(chunk);
        entries.insert(place, (key, value));
        if entries.len() > FULL {
            let upper = entries.split_off(FULL / 2);
            self.chunks.insert(at + 1, Arc::new(upper));
        }
        None
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.chunk_of(key);
        let chunk = self.chunks.get_mut(at)?;
        let place = chunk.binary_search_by(|(known, _)| known.cmp(key)).ok()?;
        let entries = Arc::make_mut(chunk);
        let (_, value) = entries.remove(place);
        let left = entries.len();
        self.len -= 1;
        if left == 0 {
            self.chunks.remove(at);
        } else if left < SPARSE {
            self.join(at);
        }
        Some(value)
    }

    /// The entries from a key on, in order.
    pub(crate) fn range(&self, from: Bound<&K>) -> impl Iterator<Item = &(K, V)> + use<'_, K, V> {
        let is_before = |key: &K| match from {
            Bound::Included(low) => key < low,
            Bound::Excluded(low) => key <= low,
            Bound::Unbounded => false,
        };
        let first = match from {
            Bound::Included(low) | Bound::Excluded(low) => self.chunk_of(low),
            Bound::Unbounded => 0,
        };
        let chunks = self.chunks.get(first..).unwrap_or_default();
        let skipped = chunks
            .first()
            .map_or(0, |chunk| chunk.partition_point(|(key, _)| is_before(key)));
        chunks.iter().flat_map(|chunk| chunk.iter()).skip(skipped)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(K, V)> + use<'_, K, V> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// The chunk that holds the key or would take it.
    fn chunk_of(&self, key: &K) -> usize {
        let starts_up_to = |chunk: &Chunk<K, V>| chunk.first().is_some_and(|(first, _)| first <= key);
        self.chunks.partition_point(starts_up_to).saturating_sub(1)
    }

    /// Moves a sparse chunk into a neighbour that has room.
    fn join(&mut self, at: usize) {
        let length = |at: usize| self.chunks.get(at).map_or(FULL, |chunk| chunk.len());
        let before = at.saturating_sub(1);
        let left = [before, at]
            .into_iter()
            .find(|&left| length(left) + length(left + 1) <= FULL - SPARSE);
        let Some(left) = left else {
            return;
        };
        let moved = self.chunks.remove(left + 1);
        if let Some(chunk) = self.chunks.get_mut(left) {
            Arc::make_mut(chunk).extend(moved.iter().cloned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FULL, Sorted};
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::ops::Bound;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn it_holds_what_a_tree_holds_and_copies_keep_what_they_had(
            steps in prop::collection::vec((any::<bool>(), 0_u16..2_000, any::<u8>()), 1..3_000),
            from in 0_u16..2_000,
        ) {
            let mut map = Sorted::default();
            let mut model = BTreeMap::new();
            let mut copies = Vec::new();
            for (number, (is_insert, key, value)) in steps.into_iter().enumerate() {
                if number % 500 == 250 {
                    copies.push((map.clone(), model.clone()));
                }
                if is_insert {
                    prop_assert_eq!(map.insert(key, value), model.insert(key, value));
                } else {
                    prop_assert_eq!(map.remove(&key), model.remove(&key));
                }
                prop_assert_eq!(map.get(&key), model.get(&key));
            }
            copies.push((map, model));
            for (map, model) in copies {
                prop_assert_eq!(map.len(), model.len());
                prop_assert!(map.iter().map(|(key, value)| (key, value)).eq(model.iter()));
                for bound in [Bound::Included(&from), Bound::Excluded(&from), Bound::Unbounded] {
                    let expected = model.range::<u16, _>((bound, Bound::Unbounded));
                    prop_assert!(map.range(bound).map(|(key, value)| (key, value)).eq(expected));
                }
            }
        }
    }

    #[test]
    fn keys_in_order_fill_chunks_and_removals_leave_few() {
        let mut map = Sorted::default();
        for key in 0..10_000_u32 {
            map.insert(key, ());
        }
        assert_eq!(map.chunks.len(), 10_000_usize.div_ceil(FULL));
        for key in (0..10_000).filter(|key| key % 100 != 0) {
            map.remove(&key);
        }
        assert_eq!(map.len(), 100);
        assert!(map.chunks.len() <= 4, "{} chunks", map.chunks.len());
    }
}
