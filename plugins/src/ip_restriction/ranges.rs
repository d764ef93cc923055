//! A set of addresses as sorted ranges: looking up one of 10,000 takes 14 comparisons.

use ipnet::{IpNet, Ipv4Net};
use std::net::IpAddr;

/// Addresses of both families. An IPv4 address in its IPv6 form counts as IPv4.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ranges {
    /// First and last address of each range, sorted and apart from each other.
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl Ranges {
    pub(super) fn new(networks: &[IpNet]) -> Self {
        let mut ranges = Self::default();
        for network in networks {
            match canonical(*network) {
                IpNet::V4(network) => ranges
                    .v4
                    .push((network.network().to_bits(), network.broadcast().to_bits())),
                IpNet::V6(network) => ranges
                    .v6
                    .push((network.network().to_bits(), network.broadcast().to_bits())),
            }
        }
        merge(&mut ranges.v4);
        merge(&mut ranges.v6);
        ranges
    }

    pub(super) fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => holds(&self.v4, address.to_bits()),
            IpAddr::V6(address) => holds(&self.v6, address.to_bits()),
        }
    }
}

/// A range within `::ffff:0:0/96` is a range of IPv4 addresses.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else { return network };
    let mapped = v6.prefix_len().checked_sub(96).zip(v6.network().to_ipv4_mapped());
    mapped
        .and_then(|(length, address)| Ipv4Net::new(address, length).ok())
        .map_or(network, IpNet::V4)
}

fn merge<T: Ord + Copy>(ranges: &mut Vec<(T, T)>) {
    ranges.sort_unstable();
    ranges.dedup_by(|next, kept| {
        let overlaps = next.0 <= kept.1;
        if overlaps {
            kept.1 = kept.1.max(next.1);
        }
        overlaps
    });
}

fn holds<T: Ord + Copy>(ranges: &[(T, T)], address: T) -> bool {
    let after = ranges.partition_point(|(first, _)| *first <= address);
    ranges
        .get(..after)
        .and_then(<[_]>::last)
        .is_some_and(|(_, last)| address <= *last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(list: &[&str]) -> Ranges {
        let networks: Vec<IpNet> = list
            .iter()
            .map(|text| {
                text.parse()
                    .unwrap_or_else(|_| text.parse::<IpAddr>().unwrap().into())
            })
            .collect();
        Ranges::new(&networks)
    }

    #[test]
    fn nested_and_overlapping_ranges_become_one() {
        let merged = ranges(&[
            "10.0.0.0/8",
            "10.1.0.0/16",
            "10.1.2.3",
            "192.0.2.0/25",
            "192.0.2.128/25",
        ]);
        assert_eq!(merged.v4.len(), 3);
        for (address, is_in) in [
            ("9.255.255.255", false),
            ("10.0.0.0", true),
            ("10.255.255.255", true),
            ("11.0.0.0", false),
            ("192.0.2.127", true),
            ("192.0.2.128", true),
            ("192.0.3.0", false),
        ] {
            assert_eq!(merged.contains(address.parse().unwrap()), is_in, "{address}");
        }
    }

    #[test]
    fn every_answer_agrees_with_a_search_through_the_list() {
        fastrand::seed(7);
        let networks: Vec<IpNet> = (0..300)
            .map(|_| {
                let address = std::net::Ipv4Addr::from_bits(fastrand::u32(..) & 0x0000_ffff);
                Ipv4Net::new_assert(address, fastrand::u8(20..=32)).into()
            })
            .collect();
        let ranges = Ranges::new(&networks);
        for bits in 0..0x1_0000 {
            let address = IpAddr::V4(std::net::Ipv4Addr::from_bits(bits));
            assert_eq!(
                ranges.contains(address),
                networks.iter().any(|net| net.contains(&address)),
                "{address}"
            );
        }
    }

    #[test]
    fn ipv4_in_ipv6_form_meets_ipv4_rules_and_rules_in_that_form_meet_ipv4() {
        let plain = ranges(&["192.0.2.0/24"]);
        assert!(plain.contains("::ffff:192.0.2.7".parse().unwrap()));
        let mapped = ranges(&["::ffff:192.0.2.0/120"]);
        assert_eq!(mapped, plain);
        assert!(
            !ranges(&["::/0"]).contains("192.0.2.7".parse().unwrap()),
            "all of IPv6 is not all of IPv4"
        );
    }
}
