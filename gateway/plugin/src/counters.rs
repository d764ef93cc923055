//! Counters of fixed windows, shared by all workers of the process (rate-limiting policy `local`).
//!
//! [`Counters::take`] checks several windows of one identity and counts in all of them or in none, in one step: a
//! limit is never exceeded, however many threads ask. The table is cut into 256 shards by the hash of the
//! identity, each behind its own mutex that is held for a few memory accesses; nothing is allocated for an identity
//! that has a counter.
//!
//! Identities are 128-bit keyed hashes, so a counter costs 32 bytes whatever was counted. Two of `n` live identities
//! share a counter with a chance of about `n² / 2^126`: 2^-86 when the table is full. The key of the hash is drawn
//! when the process starts, so nobody can aim for a collision.
//!
//! An entry is dead once its window has ended. Dead entries are swept when their shard is about to grow. Each shard
//! holds at most [`MAX_ENTRIES_PER_SHARD`] entries; beyond that a new one takes the place of a dead or else the least
//! used one of a small sample. Whoever floods the table with fresh identities thus mostly pushes out other fresh ones, and counters
//! near their limit stay.

use foldhash::SharedSeed;
use foldhash::quality::SeedableRandomState;
use futures_util::future::{LocalBoxFuture, ready};
use hashbrown::HashTable;
use parking_lot::Mutex;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::net::IpAddr;
use uuid::Uuid;

#[cfg(test)]
mod tests;

/// Shards of the table. Far more than workers, so that two rarely meet.
const SHARDS: usize = 256;
/// Entries of one shard: half of what 8,192 buckets can hold, so that the table never grows past them.
pub const MAX_ENTRIES_PER_SHARD: usize = 3_584;
/// Entries of all shards: 917,504, at most 68 MiB.
pub const MAX_ENTRIES: usize = SHARDS * MAX_ENTRIES_PER_SHARD;
/// Windows that one identity may have, by [`Window::slot`].
pub const MAX_SLOTS: u8 = 8;
/// Entries looked at to find one that may go.
const EVICTION_SAMPLE: usize = 16;

/// Who or what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject<'a> {
    /// Route of the scope in which it is counted; nil when the scope has none.
    pub route: Uuid,
    /// Service of the scope; nil when the scope has none.
    pub service: Uuid,
    /// Identity within the scope.
    pub identifier: Identifier<'a>,
}

/// Identity of a caller. Values of different variants never share a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identifier<'a> {
    /// Id of a consumer, credential or service.
    Entity(Uuid),
    /// Client address.
    Address(IpAddr),
    /// Value of a header.
    Header(&'a [u8]),
    /// Request path.
    Path(&'a [u8]),
    /// Everybody that cannot be told apart, e.g. clients of a unix socket.
    Anyone,
}

/// One window to count in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Tells the windows of one identity apart: below [`MAX_SLOTS`].
    pub slot: u8,
    /// Start in milliseconds since the Unix epoch.
    pub starts_at_millis: u64,
    /// End in milliseconds since the Unix epoch; the counter is forgotten then.
    pub ends_at_millis: u64,
    /// Requests admitted within the window.
    pub limit: u64,
    /// Out: requests counted before this one.
    pub used: u64,
}

/// A store of counters did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot count the request: {0}")]
pub struct StoreError(pub String);

/// Counters that may live outside of the process (policies `redis` and `cluster`).
pub trait CounterStore: Send + Sync + 'static {
    /// Counts one request in every window and fills [`Window::used`]; false: it is over a limit. Whether a request
    /// over a limit is counted is up to the store.
    fn increment<'a>(
        &'a self,
        subject: Subject<'a>,
        windows: &'a mut [Window],
        now_millis: u64,
    ) -> LocalBoxFuture<'a, Result<bool, StoreError>>;
}

/// Sharded counters of this process.
pub struct Counters {
    shards: Box<[Shard]>,
    /// Two keyed hash functions: one half of the key each.
    hashers: [SeedableRandomState; 2],
}

/// On its own cache lines, so that neighbours do not slow each other down.
#[repr(align(128))]
#[derive(Default)]
struct Shard(Mutex<HashTable<Counter>>);

/// 32 bytes.
#[derive(Clone, Copy)]
struct Counter {
    /// Hash of the identity; the low bits name the slot.
    key: u128,
    ends_at_millis: u64,
    count: u64,
}

impl Default for Counters {
    fn default() -> Self {
        // The standard library draws its keys from the system's random source.
        let hasher =
            |()| SeedableRandomState::with_seed(RandomState::new().hash_one(()), SharedSeed::global_random());
        Self {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            hashers: [(), ()].map(hasher),
        }
    }
}

impl Counters {
    /// Counts one request in all windows when every one of them still has room; else counts nothing and returns
    /// false. Fills [`Window::used`] either way.
    pub fn take(&self, subject: &Subject<'_>, windows: &mut [Window], now_millis: u64) -> bool {
        let key = self.key(subject);
        let Some(shard) = self.shards.get(shard_of(key)) else {
            return true;
        };
        let mut table = shard.0.lock();
        let mut has_room = true;
        for window in &mut *windows {
            window.used = find(&mut table, key, window).map_or(0, |counter| counter.count);
            has_room &= window.used < window.limit;
        }
        if has_room {
            for window in &*windows {
                count(&mut table, key, window, now_millis);
            }
        }
        has_room
    }

    /// Reads and replaces one number under the table's lock: for limiters that keep something else than a count, with
    /// the same bound and sweep. `change` gets the number, unless it has ended, and returns its answer, the new number
    /// and its end.
    ///
    /// # Errors
    /// Those of `change`; the number then stays as it was.
    pub fn replace<T, E>(
        &self,
        key: u128,
        slot: u8,
        now_millis: u64,
        change: impl FnOnce(Option<u64>) -> Result<(T, u64, u64), E>,
    ) -> Result<T, E> {
        let key = with_slot(key, slot);
        let Some(shard) = self.shards.get(shard_of(key)) else {
            return change(None).map(|(answer, ..)| answer);
        };
        let mut table = shard.0.lock();
        let known = table.find_mut(bucket_hash(key), |counter| counter.key == key);
        let current = known
            .as_ref()
            .filter(|counter| counter.ends_at_millis > now_millis)
            .map(|counter| counter.count);
        let (answer, count, ends_at_millis) = change(current)?;
        let counter = Counter {
            key,
            ends_at_millis,
            count,
        };
        match known {
            Some(known) => *known = counter,
            None => insert(&mut table, counter, now_millis),
        }
        Ok(answer)
    }

    /// Entries held, dead ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.0.lock().len()).sum()
    }

    /// Whether nothing was ever counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The keyed hash of a subject, for other limiters that keep state by identity.
    #[must_use]
    pub fn key(&self, subject: &Subject<'_>) -> u128 {
        let [low, high] = self.hashers.each_ref().map(|hasher| hasher.hash_one(subject));
        u128::from(high) << 64 | u128::from(low)
    }
}

impl CounterStore for Counters {
    fn increment<'a>(
        &'a self,
        subject: Subject<'a>,
        windows: &'a mut [Window],
        now_millis: u64,
    ) -> LocalBoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(ready(Ok(self.take(&subject, windows, now_millis))))
    }
}

impl std::fmt::Debug for Counters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Counters").field("entries", &self.len()).finish()
    }
}

impl Hash for Subject<'_> {
    /// One write of fixed layout where that is possible: cheaper than hashing field by field.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (tag, fixed, free): (u8, u128, &[u8]) = match self.identifier {
            Identifier::Entity(id) => (0, id.as_u128(), &[]),
            Identifier::Address(IpAddr::V4(address)) => (1, u128::from(address.to_bits()), &[]),
            Identifier::Address(IpAddr::V6(address)) => (2, address.to_bits(), &[]),
            Identifier::Header(value) => (3, 0, value),
            Identifier::Path(value) => (4, 0, value),
            Identifier::Anyone => (5, 0, &[]),
        };
        let mut bytes = [tag; 49];
        for (target, part) in
            bytes
                .chunks_exact_mut(16)
                .zip([self.route.as_u128(), self.service.as_u128(), fixed])
        {
            target.copy_from_slice(&part.to_ne_bytes());
        }
        state.write(&bytes);
        state.write(free);
    }
}

fn shard_of(key: u128) -> usize {
    // The high half feeds the table's own buckets; the shard comes from the other half, above the slot's bits.
    (key as u64 >> 8) as usize % SHARDS
}

fn bucket_hash(key: u128) -> u64 {
    (key >> 64) as u64 ^ u64::from(slot_of(key)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn slot_of(key: u128) -> u8 {
    key as u8 & (MAX_SLOTS - 1)
}

fn with_slot(key: u128, slot: u8) -> u128 {
    debug_assert!(slot < MAX_SLOTS, "slot {slot} does not fit");
    key & !u128::from(MAX_SLOTS - 1) | u128::from(slot & (MAX_SLOTS - 1))
}

/// The counter of this very window. One of a later window counts too: clocks of two workers may differ by the time
/// between reading them, and the window that began last is the one in force. One that lies further ahead than a
/// window's length comes from a clock that was wrong and is ignored.
fn find<'t>(table: &'t mut HashTable<Counter>, key: u128, window: &Window) -> Option<&'t mut Counter> {
    let key = with_slot(key, window.slot);
    table
        .find_mut(bucket_hash(key), |counter| counter.key == key)
        .filter(|counter| is_current(counter, window))
}

fn is_current(counter: &Counter, window: &Window) -> bool {
    let length = window.ends_at_millis.saturating_sub(window.starts_at_millis);
    counter.ends_at_millis >= window.ends_at_millis
        && counter.ends_at_millis <= window.ends_at_millis.saturating_add(length)
}

fn count(table: &mut HashTable<Counter>, key: u128, window: &Window, now_millis: u64) {
    let key = with_slot(key, window.slot);
    let hash = bucket_hash(key);
    if let Some(counter) = table.find_mut(hash, |counter| counter.key == key) {
        if is_current(counter, window) {
            counter.count += 1;
        } else {
            *counter = Counter {
                key,
                ends_at_millis: window.ends_at_millis,
                count: 1,
            };
        }
        return;
    }
    insert(
        table,
        Counter {
            key,
            ends_at_millis: window.ends_at_millis,
            count: 1,
        },
        now_millis,
    );
}

fn insert(table: &mut HashTable<Counter>, counter: Counter, now_millis: u64) {
    if table.len() >= MAX_ENTRIES_PER_SHARD {
        evict_one(table, now_millis);
    } else if table.len() == table.capacity() {
        sweep(table, now_millis);
    }
    table.insert_unique(bucket_hash(counter.key), counter, |counter| {
        bucket_hash(counter.key)
    });
}

/// Removes dead entries of a full table. When most are alive the table doubles, so that the next sweep is far away:
/// sweeping costs little per entry ever made.
fn sweep(table: &mut HashTable<Counter>, now_millis: u64) {
    let before = table.len();
    table.retain(|counter| counter.ends_at_millis > now_millis);
    let after = table.len();
    if after > before / 2 {
        table.reserve(after, |counter| bucket_hash(counter.key));
    } else if after < before / 8 {
        table.shrink_to(after * 2, |counter| bucket_hash(counter.key));
    }
}

/// Removes one entry of a sample: a dead one, else the least counted, of equals the one whose window ends first.
fn evict_one(table: &mut HashTable<Counter>, now_millis: u64) {
    let buckets = table.num_buckets();
    let start = fastrand::usize(..buckets.max(1));
    let victim = (0..buckets)
        .filter_map(|step| table.get_bucket((start + step) % buckets))
        .take(EVICTION_SAMPLE)
        .min_by_key(|counter| {
            (
                counter.ends_at_millis > now_millis,
                counter.count,
                counter.ends_at_millis,
            )
        })
        .map(|counter| counter.key);
    if let Some(key) = victim
        && let Ok(entry) = table.find_entry(bucket_hash(key), |counter| counter.key == key)
    {
        entry.remove();
    }
}
