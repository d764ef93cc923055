//! Values that instances of one VM id share, with compare and swap, within a budget.

use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// One VM id's values. The least recently used go when the budget is spent.
pub(crate) struct SharedData {
    max_bytes: usize,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    entries: HashMap<Arc<[u8]>, Entry>,
    by_use: BTreeMap<u64, Arc<[u8]>>,
    bytes: usize,
    clock: u64,
}

struct Entry {
    value: Bytes,
    cas: u32,
    used: u64,
    /// Milliseconds since the Unix epoch.
    expires_at: Option<u64>,
}

/// A value that is there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) value: Bytes,
    pub(crate) version: u32,
    pub(crate) expires_at: Option<u64>,
}

/// What must be there for a write to take place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    Anything,
    Nothing,
    Version(u32),
}

/// Why a number was not incremented.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum IncrementError {
    /// What is there is no number.
    NotANumber,
    /// The sum is none of 64 bits.
    Overflow,
    /// See [`SetError::TooLarge`].
    TooLarge,
}

/// Why a value was not set.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SetError {
    /// It changed meanwhile.
    CasMismatch,
    /// It alone is larger than the budget.
    TooLarge,
}

/// What an entry costs beside key and value.
const ENTRY_OVERHEAD: usize = 128;

static NEXT_CAS: AtomicU32 = AtomicU32::new(1);

fn next_cas() -> u32 {
    loop {
        let cas = NEXT_CAS.fetch_add(1, Ordering::Relaxed);
        if cas != 0 {
            return cas;
        }
    }
}

impl SharedData {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            table: Mutex::default(),
        }
    }

    pub(crate) fn get(&self, key: &[u8], now: u64) -> Option<Found> {
        let mut table = self.table.lock();
        let table = &mut *table;
        table.expire(key, now);
        let (name, entry) = table.entries.get_key_value(key)?;
        let (name, used) = (Arc::clone(name), entry.used);
        table.clock += 1;
        table.by_use.remove(&used);
        table.by_use.insert(table.clock, name);
        let entry = table.entries.get_mut(key)?;
        entry.used = table.clock;
        Some(entry.found())
    }

    /// `cas` 0 writes whatever is there; a missing key is made with any `cas`.
    pub(crate) fn set(&self, key: &[u8], value: &[u8], cas: u32, now: u64) -> Result<(), SetError> {
        let mut table = self.table.lock();
        table.expire(key, now);
        let known = table.entries.get(key);
        if cas != 0 && known.is_some_and(|entry| entry.cas != cas) {
            return Err(SetError::CasMismatch);
        }
        self.put(&mut table, key, value, None)
    }

    /// Writes if what is expected is there. Times are milliseconds since the Unix epoch.
    pub(crate) fn swap(
        &self,
        key: &[u8],
        expected: Expected,
        value: &[u8],
        (now, expires_at): (u64, Option<u64>),
    ) -> Result<(), SetError> {
        let mut table = self.table.lock();
        table.expire(key, now);
        let version = table.entries.get(key).map(|entry| entry.cas);
        let is_expected = match expected {
            Expected::Anything => true,
            Expected::Nothing => version.is_none(),
            Expected::Version(expected) => version == Some(expected),
        };
        if !is_expected {
            return Err(SetError::CasMismatch);
        }
        self.put(&mut table, key, value, expires_at)
    }

    /// Adds to a decimal number. A missing one is 0, and then `expires_at` holds; otherwise it expires as before.
    pub(crate) fn increment(
        &self,
        key: &[u8],
        by: i64,
        (now, expires_at): (u64, Option<u64>),
    ) -> Result<i64, IncrementError> {
        let mut table = self.table.lock();
        table.expire(key, now);
        let known = table.entries.get(key).map(Entry::found);
        let (before, expires_at) = match known {
            Some(found) => {
                let text = std::str::from_utf8(&found.value).map_err(|_| IncrementError::NotANumber)?;
                let number = text.parse::<i64>().map_err(|_| IncrementError::NotANumber)?;
                (number, found.expires_at)
            }
            None => (0, expires_at),
        };
        let sum = before.checked_add(by).ok_or(IncrementError::Overflow)?;
        self.put(&mut table, key, sum.to_string().as_bytes(), expires_at)
            .map_err(|_| IncrementError::TooLarge)?;
        Ok(sum)
    }

    pub(crate) fn delete(&self, key: &[u8]) {
        self.table.lock().remove(key);
    }

    fn put(
        &self,
        table: &mut Table,
        key: &[u8],
        value: &[u8],
        expires_at: Option<u64>,
    ) -> Result<(), SetError> {
        if cost(key, value) > self.max_bytes {
            return Err(SetError::TooLarge);
        }
        table.remove(key);
        while table.bytes + cost(key, value) > self.max_bytes {
            let Some((_, oldest)) = table.by_use.first_key_value() else {
                break;
            };
            let oldest = Arc::clone(oldest);
            table.remove(&oldest);
        }
        table.insert(key, value, expires_at);
        Ok(())
    }
}

impl Entry {
    fn found(&self) -> Found {
        Found {
            value: self.value.clone(),
            version: self.cas,
            expires_at: self.expires_at,
        }
    }
}

impl Table {
    fn expire(&mut self, key: &[u8], now: u64) {
        let expires_at = self.entries.get(key).and_then(|entry| entry.expires_at);
        if expires_at.is_some_and(|expires_at| expires_at <= now) {
            self.remove(key);
        }
    }

    fn insert(&mut self, key: &[u8], value: &[u8], expires_at: Option<u64>) {
        self.clock += 1;
        self.bytes += cost(key, value);
        let name: Arc<[u8]> = key.into();
        self.by_use.insert(self.clock, Arc::clone(&name));
        let entry = Entry {
            value: Bytes::copy_from_slice(value),
            cas: next_cas(),
            used: self.clock,
            expires_at,
        };
        self.entries.insert(name, entry);
    }

    fn remove(&mut self, key: &[u8]) {
        if let Some(entry) = self.entries.remove(key) {
            self.by_use.remove(&entry.used);
            self.bytes -= cost(key, &entry.value);
        }
    }
}

const fn cost(key: &[u8], value: &[u8]) -> usize {
    key.len() + value.len() + ENTRY_OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_with_a_stale_cas_is_refused_and_zero_writes_always() {
        let data = SharedData::new(1 << 20);
        assert_eq!(data.get(b"k", 0), None);
        data.set(b"k", b"1", 7, 0)
            .expect("a missing key is made with any cas");
        let Found {
            value, version: cas, ..
        } = data.get(b"k", 0).expect("a value");
        assert_eq!(&value[..], b"1");
        assert_ne!(cas, 0, "0 is never issued");
        data.set(b"k", b"2", cas, 0).expect("nobody wrote meanwhile");
        assert_eq!(data.set(b"k", b"3", cas, 0), Err(SetError::CasMismatch));
        data.set(b"k", b"4", 0, 0).expect("unconditional");
        assert_eq!(
            data.get(b"k", 0).map(|found| found.value),
            Some(Bytes::from_static(b"4"))
        );
    }

    #[test]
    fn the_least_recently_used_gives_way_and_the_budget_holds() {
        let data = SharedData::new(3 * (ENTRY_OVERHEAD + 11));
        for key in [b"a", b"b", b"c"] {
            data.set(key, &[0; 10], 0, 0).expect("it fits");
        }
        data.get(b"a", 0).expect("used again");
        data.set(b"d", &[0; 10], 0, 0).expect("it fits");
        assert!(data.get(b"b", 0).is_none(), "the oldest went");
        assert!(data.get(b"a", 0).is_some() && data.get(b"c", 0).is_some() && data.get(b"d", 0).is_some());
        assert_eq!(data.set(b"e", &[0; 10_000], 0, 0), Err(SetError::TooLarge));
        assert_eq!(data.table.lock().bytes, 3 * (ENTRY_OVERHEAD + 11));
    }

    #[test]
    fn a_swap_needs_what_it_expects_and_values_expire() {
        let data = SharedData::new(1 << 20);
        let at = (1_000, Some(2_000));
        data.swap(b"k", Expected::Nothing, b"1", at)
            .expect("there was nothing");
        assert_eq!(
            data.swap(b"k", Expected::Nothing, b"2", at),
            Err(SetError::CasMismatch)
        );
        let found = data.get(b"k", 1_999).expect("it has not expired");
        assert_eq!(found.expires_at, Some(2_000));
        data.swap(b"k", Expected::Version(found.version), b"2", at)
            .expect("nobody wrote meanwhile");
        assert_eq!(
            data.swap(b"k", Expected::Version(found.version), b"3", at),
            Err(SetError::CasMismatch)
        );
        assert!(data.get(b"k", 2_000).is_none(), "it has expired");
        data.delete(b"k");
    }

    #[test]
    fn numbers_count_within_the_time_of_their_first_increment() {
        let data = SharedData::new(1 << 20);
        assert_eq!(data.increment(b"n", 2, (0, Some(10))), Ok(2));
        assert_eq!(data.increment(b"n", -5, (9, Some(100))), Ok(-3));
        assert_eq!(
            data.increment(b"n", 1, (10, None)),
            Ok(1),
            "the first one expired"
        );
        assert_eq!(
            data.increment(b"n", i64::MAX, (10, None)),
            Err(IncrementError::Overflow)
        );
        data.set(b"t", b"text", 0, 0).expect("it fits");
        assert_eq!(
            data.increment(b"t", 1, (0, None)),
            Err(IncrementError::NotANumber)
        );
    }
}
