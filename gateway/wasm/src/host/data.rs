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

    pub(crate) fn get(&self, key: &[u8]) -> Option<(Bytes, u32)> {
        let mut table = self.table.lock();
        let table = &mut *table;
        let (name, entry) = table.entries.get_key_value(key)?;
        let (name, used) = (Arc::clone(name), entry.used);
        table.clock += 1;
        table.by_use.remove(&used);
        table.by_use.insert(table.clock, name);
        let entry = table.entries.get_mut(key)?;
        entry.used = table.clock;
        Some((entry.value.clone(), entry.cas))
    }

    /// `cas` 0 writes whatever is there; a missing key is made with any `cas`.
    pub(crate) fn set(&self, key: &[u8], value: &[u8], cas: u32) -> Result<(), SetError> {
        if cost(key, value) > self.max_bytes {
            return Err(SetError::TooLarge);
        }
        let mut table = self.table.lock();
        let known = table.entries.get(key);
        if cas != 0 && known.is_some_and(|entry| entry.cas != cas) {
            return Err(SetError::CasMismatch);
        }
        table.remove(key);
        while table.bytes + cost(key, value) > self.max_bytes {
            let Some((_, oldest)) = table.by_use.first_key_value() else {
                break;
            };
            let oldest = Arc::clone(oldest);
            table.remove(&oldest);
        }
        table.insert(key, value);
        Ok(())
    }
}

impl Table {
    fn insert(&mut self, key: &[u8], value: &[u8]) {
        self.clock += 1;
        self.bytes += cost(key, value);
        let name: Arc<[u8]> = key.into();
        self.by_use.insert(self.clock, Arc::clone(&name));
        let entry = Entry {
            value: Bytes::copy_from_slice(value),
            cas: next_cas(),
            used: self.clock,
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
        assert_eq!(data.get(b"k"), None);
        data.set(b"k", b"1", 7)
            .expect("a missing key is made with any cas");
        let (value, cas) = data.get(b"k").expect("a value");
        assert_eq!(&value[..], b"1");
        assert_ne!(cas, 0, "0 is never issued");
        data.set(b"k", b"2", cas).expect("nobody wrote meanwhile");
        assert_eq!(data.set(b"k", b"3", cas), Err(SetError::CasMismatch));
        data.set(b"k", b"4", 0).expect("unconditional");
        assert_eq!(
            data.get(b"k").map(|(value, _)| value),
            Some(Bytes::from_static(b"4"))
        );
    }

    #[test]
    fn the_least_recently_used_gives_way_and_the_budget_holds() {
        let data = SharedData::new(3 * (ENTRY_OVERHEAD + 11));
        for key in [b"a", b"b", b"c"] {
            data.set(key, &[0; 10], 0).expect("it fits");
        }
        data.get(b"a").expect("used again");
        data.set(b"d", &[0; 10], 0).expect("it fits");
        assert!(data.get(b"b").is_none(), "the oldest went");
        assert!(data.get(b"a").is_some() && data.get(b"c").is_some() && data.get(b"d").is_some());
        assert_eq!(data.set(b"e", &[0; 10_000], 0), Err(SetError::TooLarge));
        assert_eq!(data.table.lock().bytes, 3 * (ENTRY_OVERHEAD + 11));
    }
}
