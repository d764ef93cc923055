//! Requests counted by status and by who answered, in little memory: most routes answer with a handful of codes.

use super::cell::Counter;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Codes that fit without a further allocation.
const INLINE: usize = 6;
/// Codes beyond those; what comes after is counted as `other`.
const OVERFLOW: usize = 58;

/// Who made the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AnsweredBy {
    /// The upstream service.
    Service,
    /// The gateway: a plugin, a refusal or an error page.
    Gateway,
}

impl AnsweredBy {
    /// The value of the label `source`.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Gateway => "kong",
        }
    }
}

/// Status and answerer as one number that is never zero, zero being a free entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CodeKey(u32);

impl CodeKey {
    fn new(status: u16, by: AnsweredBy) -> Self {
        Self((u32::from(status) << 2) | if by == AnsweredBy::Service { 1 } else { 2 })
    }

    fn other(by: AnsweredBy) -> Self {
        Self::new(u16::MAX, by)
    }

    /// The value of the label `code`.
    pub(super) fn code(self) -> String {
        match self.0 >> 2 {
            status if status == u32::from(u16::MAX) => "other".to_owned(),
            status => status.to_string(),
        }
    }

    /// Who answered.
    pub(super) fn by(self) -> AnsweredBy {
        if self.0 & 1 == 1 {
            AnsweredBy::Service
        } else {
            AnsweredBy::Gateway
        }
    }
}

#[derive(Debug, Default)]
struct Entry {
    key: AtomicU32,
    count: Counter,
}

/// Counts per code. One writer.
#[derive(Debug, Default)]
pub(super) struct CodeTable {
    inline: [Entry; INLINE],
    overflow: OnceLock<Box<[Entry]>>,
    other: [Counter; 2],
}

impl CodeTable {
    /// Counts one answer. Only the owning worker may call it.
    pub(super) fn count(&self, status: u16, by: AnsweredBy) {
        let key = CodeKey::new(status, by).0;
        if claim(&self.inline, key) {
            return;
        }
        let overflow = self
            .overflow
            .get_or_init(|| (0..OVERFLOW).map(|_| Entry::default()).collect());
        if !claim(overflow, key) {
            let [service, gateway] = &self.other;
            if by == AnsweredBy::Service {
                service.increment()
            } else {
                gateway.increment()
            }
        }
    }

    /// Calls back with each code that was counted.
    pub(super) fn for_each(&self, mut each: impl FnMut(CodeKey, u64)) {
        let overflow = self
            .overflow
            .get()
            .map(|entries| &entries[..])
            .unwrap_or_default();
        for entry in self.inline.iter().chain(overflow) {
            let key = entry.key.load(Ordering::Acquire);
            if key != 0 {
                each(CodeKey(key), entry.count.value());
            }
        }
        let [service, gateway] = &self.other;
        for (counter, by) in [(service, AnsweredBy::Service), (gateway, AnsweredBy::Gateway)] {
            if counter.value() != 0 {
                each(CodeKey::other(by), counter.value());
            }
        }
    }
}

/// Counts in the entry of `key`, taking a free one on its first use; false when there is none.
fn claim(entries: &[Entry], key: u32) -> bool {
    for entry in entries {
        match entry.key.load(Ordering::Relaxed) {
            found if found == key => {
                entry.count.increment();
                return true;
            }
            0 => {
                entry.count.increment();
                // A scrape that sees the key sees the count.
                entry.key.store(key, Ordering::Release);
                return true;
            }
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn counted(table: &CodeTable) -> BTreeMap<(String, &'static str), u64> {
        let mut all = BTreeMap::new();
        table.for_each(|key, count| {
            assert!(
                all.insert((key.code(), key.by().label()), count).is_none(),
                "a code appears once"
            );
        });
        all
    }

    #[test]
    fn the_same_status_from_service_and_gateway_counts_apart() {
        let table = CodeTable::default();
        table.count(401, AnsweredBy::Service);
        table.count(401, AnsweredBy::Gateway);
        table.count(401, AnsweredBy::Gateway);
        assert_eq!(
            counted(&table),
            BTreeMap::from([
                (("401".to_owned(), "kong"), 2),
                (("401".to_owned(), "service"), 1)
            ])
        );
    }

    #[test]
    fn an_upstream_that_answers_every_code_takes_bounded_memory_and_loses_no_request() {
        let table = CodeTable::default();
        for status in 100..1_000 {
            table.count(status, AnsweredBy::Service);
        }
        let all = counted(&table);
        assert_eq!(all.len(), INLINE + OVERFLOW + 1);
        assert_eq!(all.values().sum::<u64>(), 900);
        assert_eq!(
            all[&("other".to_owned(), "service")],
            900 - (INLINE + OVERFLOW) as u64
        );
    }
}
