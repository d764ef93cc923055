//! Values by a number that they keep from snapshot to snapshot.
//!
//! What refers to a neighbour by number stays valid as long as the neighbour stays, whatever comes and goes around it.
//! That is what lets an unchanged route, service or chain be shared with the snapshot before.

use hashbrown::HashMap;
use std::hash::Hash;

/// Free numbers beyond half of all and these are worth a new numbering.
const MAX_FREE: usize = 256;

/// Values by number and by key.
#[derive(Clone)]
pub(crate) struct Slots<K, V> {
    places: Vec<Option<V>>,
    numbers: HashMap<K, u32, foldhash::fast::RandomState>,
    free: Vec<u32>,
}

impl<K, V> Default for Slots<K, V> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            numbers: HashMap::default(),
            free: Vec::new(),
        }
    }
}

impl<K, V> Slots<K, V> {
    /// The value of a number.
    pub(crate) fn get(&self, number: u32) -> Option<&V> {
        self.places.get(number as usize)?.as_ref()
    }

    /// Every value with its number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &V)> {
        (0..)
            .zip(&self.places)
            .filter_map(|(number, value)| Some((number, value.as_ref()?)))
    }
}

impl<K: Hash + Eq, V> Slots<K, V> {
    fn close_gaps(&mut self) {
        let mut next = 0;
        let renumbered: Vec<Option<u32>> = self
            .places
            .iter()
            .map(|place| {
                place.as_ref()?;
                next += 1;
                Some(next - 1)
            })
            .collect();
        self.numbers.retain(
            |_, number| match renumbered.get(*number as usize).copied().flatten() {
                Some(now) => {
                    *number = now;
                    true
                }
                None => false,
            },
        );
        self.places.retain(Option::is_some);
        self.free = Vec::new();
    }
}

/// The next generation of slots. What nobody puts into it is gone.
pub(crate) struct Renewal<K, V> {
    slots: Slots<K, V>,
    is_kept: Vec<bool>,
    /// Values have other numbers than in the generation before.
    pub(crate) is_renumbered: bool,
}

impl<K: Hash + Eq + Copy, V: Clone> Renewal<K, V> {
    pub(crate) fn of(previous: Option<&Slots<K, V>>) -> Self {
        let mut slots = previous.cloned().unwrap_or_default();
        let is_renumbered = slots.free.len() > slots.places.len() / 2 + MAX_FREE;
        if is_renumbered {
            slots.close_gaps();
        }
        Self {
            is_kept: vec![false; slots.places.len()],
            slots,
            is_renumbered,
        }
    }

    /// The value of a key, of this generation or the one before.
    pub(crate) fn known(&self, key: &K) -> Option<(u32, &V)> {
        let number = *self.slots.numbers.get(key)?;
        Some((number, self.slots.get(number)?))
    }

    /// Whether a number belongs to this generation already.
    pub(crate) fn is_kept(&self, number: u32) -> bool {
        self.is_kept.get(number as usize).copied().unwrap_or(false)
    }

    /// Takes a value of the generation before over as it is.
    pub(crate) fn keep(&mut self, number: u32) {
        if let Some(is_kept) = self.is_kept.get_mut(number as usize) {
            *is_kept = true;
        }
    }

    /// Puts a value in, at the number that its key already has.
    pub(crate) fn put(&mut self, key: K, value: V) -> u32 {
        let known = self.slots.numbers.get(&key).copied();
        let number = known.or_else(|| self.slots.free.pop()).unwrap_or_else(|| {
            self.slots.places.push(None);
            self.is_kept.push(false);
            u32::try_from(self.slots.places.len() - 1).unwrap_or(u32::MAX)
        });
        self.slots.numbers.insert(key, number);
        if let Some(place) = self.slots.places.get_mut(number as usize) {
            *place = Some(value);
        }
        self.keep(number);
        number
    }

    /// The new generation, and the values that did not make it.
    pub(crate) fn finish(mut self) -> (Slots<K, V>, Vec<V>) {
        let mut gone = Vec::new();
        let free = &mut self.slots.free;
        for (number, (place, is_kept)) in (0..).zip(self.slots.places.iter_mut().zip(&self.is_kept)) {
            if !is_kept && let Some(value) = place.take() {
                gone.push(value);
                free.push(number);
            }
        }
        if !gone.is_empty() {
            let is_kept = &self.is_kept;
            self.slots
                .numbers
                .retain(|_, number| is_kept.get(*number as usize).copied().unwrap_or(false));
        }
        (self.slots, gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generation(previous: Option<&Slots<u64, u64>>, wanted: &[u64]) -> Slots<u64, u64> {
        let mut renewal = Renewal::of(previous);
        for key in wanted {
            match renewal.known(key) {
                Some((number, _)) => renewal.keep(number),
                None => drop(renewal.put(*key, key * 10)),
            }
        }
        renewal.finish().0
    }

    fn number(slots: &Slots<u64, u64>, key: u64) -> Option<u32> {
        slots
            .iter()
            .find(|(_, value)| **value == key * 10)
            .map(|(number, _)| number)
    }

    #[test]
    fn a_value_keeps_its_number_while_others_come_and_go() {
        let first = generation(None, &[1, 2, 3]);
        let second = generation(Some(&first), &[3]);
        assert_eq!(number(&second, 3), number(&first, 3));
        assert_eq!(number(&second, 1), None);
        let third = generation(Some(&second), &[4, 3]);
        assert_eq!(number(&third, 3), number(&first, 3));
        assert!(number(&third, 4) < Some(2), "a free number is used again");
        assert_eq!(third.get(number(&third, 4).unwrap()), Some(&40));
    }

    #[test]
    fn what_is_gone_is_handed_back() {
        let first = generation(None, &[1, 2, 3]);
        let mut renewal = Renewal::of(Some(&first));
        renewal.keep(1);
        let (second, mut gone) = renewal.finish();
        gone.sort_unstable();
        assert_eq!(gone, [10, 30]);
        assert_eq!(second.iter().count(), 1);
    }

    #[test]
    fn numbers_are_given_anew_once_most_of_them_are_free() {
        let all: Vec<u64> = (0..2_000).collect();
        let crowd = generation(None, &all);
        let few = generation(Some(&crowd), &[1_999]);
        assert_eq!(number(&few, 1_999), Some(1_999));
        let renumbered = generation(Some(&few), &[1_999]);
        assert_eq!(number(&renumbered, 1_999), Some(0));
        assert_eq!(Renewal::of(Some(&renumbered)).known(&1_999), Some((0, &19_990)));
    }
}
