//! Caps on client connections: in all, and for each client address.

use hashbrown::HashMap;
use parking_lot::Mutex;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Parts of the table of addresses, each with its own lock: workers rarely meet.
const SHARDS: usize = 64;

/// Counts of open client connections, shared by all workers.
#[derive(Debug)]
pub struct ConnectionLimits {
    max_total: usize,
    max_per_address: usize,
    total: AtomicUsize,
    shards: Box<[Mutex<HashMap<IpAddr, usize>>]>,
    hasher: foldhash::fast::RandomState,
}

/// Which cap is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooMany {
    /// The cap on all connections.
    #[error("too many connections")]
    Total,
    /// The cap on the connections of one address.
    #[error("too many connections from one address")]
    Address,
}

/// A counted connection; it stops counting when this is dropped.
#[derive(Debug)]
pub struct ConnectionPermit {
    limits: Arc<ConnectionLimits>,
    address: Option<IpAddr>,
}

impl ConnectionLimits {
    /// Caps; `None` is no cap.
    #[must_use]
    pub fn new(max_total: Option<usize>, max_per_address: Option<usize>) -> Arc<Self> {
        Arc::new(Self {
            max_total: max_total.unwrap_or(usize::MAX),
            max_per_address: max_per_address.unwrap_or(usize::MAX),
            total: AtomicUsize::new(0),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: foldhash::fast::RandomState::default(),
        })
    }

    /// Counts a connection. `address` is the peer of the socket; `None` for unix sockets, which only the total counts.
    /// An IPv6 client counts by its /64 network, because one machine holds all of it.
    ///
    /// # Errors
    /// Fails when a cap is reached; nothing is counted then.
    pub fn admit(self: &Arc<Self>, address: Option<IpAddr>) -> Result<ConnectionPermit, TooMany> {
        if self.total.fetch_add(1, Ordering::Relaxed) >= self.max_total {
            self.total.fetch_sub(1, Ordering::Relaxed);
            return Err(TooMany::Total);
        }
        // From here on the permit undoes the counting.
        let mut permit = ConnectionPermit {
            limits: Arc::clone(self),
            address: None,
        };
        if let Some(address) = address
            .filter(|_| self.max_per_address != usize::MAX)
            .map(network_of)
            && let Some(shard) = self.shard(&address)
        {
            let mut shard = shard.lock();
            let count = shard.entry(address).or_insert(0);
            if *count >= self.max_per_address {
                return Err(TooMany::Address);
            }
            *count += 1;
            permit.address = Some(address);
        }
        Ok(permit)
    }

    /// Open connections.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total.load(Ordering::Relaxed)
    }

    fn shard(&self, address: &IpAddr) -> Option<&Mutex<HashMap<IpAddr, usize>>> {
        use std::hash::BuildHasher;
        let hash = self.hasher.hash_one(address);
        self.shards
            .get(usize::try_from(hash % SHARDS as u64).unwrap_or(0))
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.limits.total.fetch_sub(1, Ordering::Relaxed);
        let Some(address) = self.address else { return };
        let Some(shard) = self.limits.shard(&address) else {
            return;
        };
        let mut shard = shard.lock();
        if let Some(count) = shard.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                shard.remove(&address);
            }
        }
    }
}

fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_holds_at_the_bound_and_not_one_past_it() {
        let limits = ConnectionLimits::new(Some(2), None);
        let first = limits.admit(None).unwrap();
        let _second = limits.admit(Some(IpAddr::from([1, 2, 3, 4]))).unwrap();
        assert_eq!(limits.admit(None).unwrap_err(), TooMany::Total);
        drop(first);
        assert!(limits.admit(None).is_ok());
        assert_eq!(limits.total(), 1);
    }

    #[test]
    fn one_address_cannot_take_the_share_of_another() {
        let limits = ConnectionLimits::new(None, Some(1));
        let (a, b) = (IpAddr::from([1, 2, 3, 4]), IpAddr::from([1, 2, 3, 5]));
        let first = limits.admit(Some(a)).unwrap();
        assert_eq!(limits.admit(Some(a)).unwrap_err(), TooMany::Address);
        assert!(limits.admit(Some(b)).is_ok());
        drop(first);
        assert!(limits.admit(Some(a)).is_ok());
        assert!(
            limits.shards.iter().all(|shard| shard.lock().is_empty()),
            "no address is kept without a connection"
        );
        assert_eq!(limits.total(), 0);
    }

    #[test]
    fn ipv6_clients_count_by_network_and_mapped_ones_as_ipv4() {
        let limits = ConnectionLimits::new(None, Some(1));
        let admit = |address: &str| limits.admit(Some(address.parse().unwrap()));
        let _one = admit("2001:db8::1").unwrap();
        assert!(admit("2001:db8::ffff:1").is_err());
        assert!(admit("2001:db8:0:1::1").is_ok());
        let _mapped = admit("::ffff:1.2.3.4").unwrap();
        assert!(admit("1.2.3.4").is_err());
    }
}
