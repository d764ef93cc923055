//! The addresses of a name, and whose turn it is.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One address of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// The port of an SRV record; it overrides the configured one. `None`: the record has port 0, or is no SRV record.
    pub port: Option<u16>,
    /// The weight of an SRV record, at least 1; 1 for other records.
    pub weight: u16,
    /// Addresses that share this weight, because the SRV record's target has as many.
    pub shared_by: u16,
    /// The target of the SRV record, without a final dot.
    pub target: Option<Arc<str>>,
}

/// The addresses of a name, never none.
#[derive(Debug)]
pub struct Addresses {
    list: Box<[Address]>,
    expires: Instant,
    turns: RefCell<Turns>,
}

/// Whose turn it is.
#[derive(Clone, Debug)]
enum Turns {
    /// All have the same share: the index of the next one.
    Equal(usize),
    /// Smooth weighted round robin: shares, and the credit of each. The greatest credit is next and pays the total.
    Weighted { shares: Box<[i64]>, credits: Box<[i64]> },
}

/// An address that needs no lookup holds for good.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 86_400);

impl Address {
    /// The address of an A or AAAA record.
    #[must_use]
    pub const fn plain(ip: IpAddr) -> Self {
        Self {
            ip,
            port: None,
            weight: 1,
            shared_by: 1,
            target: None,
        }
    }
}

impl Addresses {
    /// The given addresses, which hold until `expires`; `None` when there are none.
    #[must_use]
    pub fn new(list: Vec<Address>, expires: Instant) -> Option<Self> {
        let shares = shares(&list);
        let first = *shares.first()?;
        let turns = if shares.iter().all(|share| *share == first) {
            Turns::Equal(0)
        } else {
            let credits = vec![0; shares.len()].into();
            Turns::Weighted { shares, credits }
        };
        Some(Self {
            list: list.into(),
            expires,
            turns: RefCell::new(turns),
        })
    }

    /// A name that spells its address.
    #[must_use]
    pub(super) fn literal(ip: IpAddr) -> Self {
        Self {
            list: Box::new([Address::plain(ip)]),
            expires: super::now() + FOREVER,
            turns: RefCell::new(Turns::Equal(0)),
        }
    }

    /// Goes on where the same addresses left off before they were asked for again, so that a short TTL does not favour
    /// the first.
    pub(super) fn follow(&self, before: &Self) {
        if self == before {
            *self.turns.borrow_mut() = before.turns.borrow().clone();
        }
    }

    /// All of them, in the order of the servers.
    #[must_use]
    pub fn list(&self) -> &[Address] {
        &self.list
    }

    /// Until when the records hold: the moment to ask again.
    #[must_use]
    pub const fn expires(&self) -> Instant {
        self.expires
    }

    /// The next one in turn, by weight; `port` is used where the record gives none. The first call gives the first
    /// address unless a later one weighs more.
    #[must_use]
    pub fn next(&self, port: u16) -> Option<SocketAddr> {
        let address = self.list.get(self.turns.borrow_mut().next(self.list.len()))?;
        Some(SocketAddr::new(address.ip, address.port.unwrap_or(port)))
    }
}

impl Turns {
    fn next(&mut self, len: usize) -> usize {
        match self {
            Self::Equal(turn) => {
                let this = *turn % len.max(1);
                *turn = this + 1;
                this
            }
            Self::Weighted { shares, credits } => {
                let mut best = (0, i64::MIN);
                for (index, (share, credit)) in shares.iter().zip(credits.iter_mut()).enumerate() {
                    *credit += share;
                    if *credit > best.1 {
                        best = (index, *credit);
                    }
                }
                if let Some(credit) = credits.get_mut(best.0) {
                    *credit -= shares.iter().sum::<i64>();
                }
                best.0
            }
        }
    }
}

impl PartialEq for Addresses {
    /// Whose turn it is, and until when the records hold, make no difference.
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list
    }
}

impl Eq for Addresses {}

/// Weights as whole numbers with a common denominator: a record's addresses divide its weight among them.
fn shares(list: &[Address]) -> Box<[i64]> {
    let denominator = list
        .iter()
        .map(|address| i64::from(address.shared_by.max(1)))
        .try_fold(1_i64, |all, one| {
            let common = all / gcd(all, one) * one;
            (common <= 1 << 32).then_some(common)
        });
    let share = |address: &Address| {
        let weight = i64::from(address.weight.max(1));
        // With absurdly many addresses the split is left out: every share stays at least 1.
        denominator.map_or(weight, |all| weight * (all / i64::from(address.shared_by.max(1))))
    };
    list.iter().map(share).collect()
}

const fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8, weight: u16, shared_by: u16) -> Address {
        Address {
            weight,
            shared_by,
            ..Address::plain(IpAddr::from([10, 0, 0, last]))
        }
    }

    fn order(list: Vec<Address>, turns: usize) -> Vec<u8> {
        let addresses = Addresses::new(list, Instant::now()).unwrap();
        let last = |next: SocketAddr| match next.ip() {
            IpAddr::V4(ip) => ip.octets()[3],
            IpAddr::V6(_) => panic!("IPv4 only"),
        };
        (0..turns).map(|_| last(addresses.next(80).unwrap())).collect()
    }

    #[test]
    fn equal_addresses_take_turns_in_the_order_of_the_server() {
        let list = vec![address(3, 1, 1), address(1, 1, 1), address(2, 1, 1)];
        assert_eq!(order(list, 5), [3, 1, 2, 3, 1]);
        assert_eq!(Addresses::new(Vec::new(), Instant::now()), None);
    }

    #[test]
    fn weights_are_kept_over_a_full_turn_without_long_runs() {
        let turns = order(vec![address(1, 50, 1), address(2, 100, 1), address(3, 10, 1)], 16);
        let count = |last: u8| turns.iter().filter(|turn| **turn == last).count();
        assert_eq!((count(1), count(2), count(3)), (5, 10, 1));
        assert!(
            !turns.windows(4).any(|run| run.iter().all(|turn| *turn == 2)),
            "{turns:?} is spread out"
        );
    }

    #[test]
    fn the_addresses_of_one_srv_target_divide_its_weight() {
        let turns = order(vec![address(1, 10, 1), address(2, 10, 2), address(3, 10, 2)], 8);
        let count = |last: u8| turns.iter().filter(|turn| **turn == last).count();
        assert_eq!((count(1), count(2), count(3)), (4, 2, 2));
    }

    #[test]
    fn a_renewed_answer_with_the_same_addresses_goes_on_where_it_was() {
        let list = || vec![address(1, 1, 1), address(2, 1, 1)];
        let new = |list| Addresses::new(list, Instant::now()).unwrap();
        let (first, second, other) = (
            new(list()),
            new(list()),
            new(vec![address(3, 1, 1), address(4, 1, 1)]),
        );
        assert!(first.next(80).is_some());
        second.follow(&first);
        assert_eq!(second.next(80).unwrap().ip(), IpAddr::from([10, 0, 0, 2]));
        other.follow(&first);
        assert_eq!(other.next(80).unwrap().ip(), IpAddr::from([10, 0, 0, 3]));
    }

    #[test]
    fn the_port_of_a_record_overrides_the_configured_one() {
        let with_port = Address {
            port: Some(81),
            ..address(1, 1, 1)
        };
        let addresses = Addresses::new(vec![with_port, address(2, 1, 1)], Instant::now()).unwrap();
        let ports: Vec<u16> = (0..2).map(|_| addresses.next(80).unwrap().port()).collect();
        assert_eq!(ports, [81, 80]);
    }
}
