//! Consistent hashing on Kong's own continuum, so that a node of Kong and one of ours choose alike (kong-core F.2).
//!
//! Two differences. An address tried before is passed over, where Kong asks it again. And Kong's continuum is full from
//! some sixty targets on with the usual 10,000 points, so that the last ones get no traffic at all: ours grows.

use crate::board::Member;
use std::net::IpAddr;
use twox_hash::XxHash32;

const POINTS_PER_TARGET: f64 = 160.0;
const MIN_POINTS: u64 = 1_000;
/// The largest ring: 4 Mi points.
const MAX_POINTS: u64 = 1 << 22;

/// An address on the ring.
pub(crate) struct Place {
    /// Its address as text; IPv6 in brackets.
    pub(crate) ip: String,
    pub(crate) port: u16,
    pub(crate) weight: u32,
}

impl Place {
    pub(crate) fn of(member: &Member) -> Self {
        let address = member.endpoint.address();
        // A literal counts as it is stored, expanded or not: that is what Kong hashes.
        let is_literal = member.endpoint.host().parse::<IpAddr>().is_ok();
        let ip = if is_literal {
            member.endpoint.host().to_string()
        } else {
            address.without_port()
        };
        let is_ipv6 = address.ip().is_some_and(|ip| ip.is_ipv6());
        Self {
            ip: if is_ipv6 { format!("[{ip}]") } else { ip },
            port: address.port().unwrap_or(0),
            weight: member.weight,
        }
    }
}

/// For each point the address that it belongs to.
#[derive(Debug)]
pub(crate) struct Ring(Box<[u16]>);

const NOBODY: u16 = u16::MAX;

impl Ring {
    /// The ring of `places` in the order that all nodes share, for `targets` targets and `slots` points.
    pub(crate) fn new(places: &[Place], targets: usize, slots: u32) -> Self {
        let total: u64 = places.iter().map(|place| u64::from(place.weight)).sum();
        let shares: Vec<u64> = places
            .iter()
            .map(|place| {
                // In this order and in floating point, because the last point of a share depends on it.
                let share = f64::from(place.weight) / total as f64 * targets as f64 * POINTS_PER_TARGET;
                (share as u64).max(1)
            })
            .collect();
        let points = points(u64::from(slots).max(MIN_POINTS), shares.iter().sum());
        let mut ring = vec![NOBODY; usize::try_from(points).unwrap_or(0)];
        for ((number, place), share) in (0_u16..).zip(places).zip(shares) {
            settle(&mut ring, number, place, share);
        }
        fill_gaps(&mut ring);
        Self(ring.into())
    }

    /// The first address that is taken, from the point of `value` downwards.
    pub(crate) fn find(&self, value: &[u8], takes: impl Fn(u16) -> bool) -> Option<u16> {
        let length = self.0.len();
        let start = (XxHash32::oneshot(0, value) as usize).checked_rem(length)?;
        let mut refused = NOBODY;
        for step in 0..length {
            let point = if step <= start {
                start - step
            } else {
                start + length - step
            };
            let number = *self.0.get(point)?;
            if number != refused {
                if takes(number) {
                    return Some(number);
                }
                refused = number;
            }
        }
        None
    }
}

/// `slots`, or more when the shares would fill them.
fn points(slots: u64, shares: u64) -> u64 {
    if shares <= slots {
        slots
    } else {
        (shares * 2).next_power_of_two().clamp(slots, MAX_POINTS)
    }
}

/// Gives a place `share` points, each where the hash of its text says; a taken point costs a further text.
fn settle(ring: &mut [u16], number: u16, place: &Place, share: u64) {
    let length = ring.len() as u64;
    let (mut left, mut text) = (share, String::new());
    for attempt in 1..=length {
        if left == 0 {
            return;
        }
        text.clear();
        // Two colons: nodes of Kong hash it like this.
        text.push_str(&place.ip);
        text.push_str("::");
        text.push_str(&place.port.to_string());
        text.push(' ');
        text.push_str(&attempt.to_string());
        let point = u64::from(XxHash32::oneshot(0, text.as_bytes())) % length;
        if let Some(owner) = ring.get_mut(usize::try_from(point).unwrap_or(0))
            && *owner == NOBODY
        {
            *owner = number;
            left -= 1;
        }
    }
}

/// A point without an owner belongs to the next owner below, around the end.
fn fill_gaps(ring: &mut [u16]) {
    let mut owner = ring
        .iter()
        .rev()
        .copied()
        .find(|owner| *owner != NOBODY)
        .unwrap_or(NOBODY);
    for point in ring {
        if *point == NOBODY {
            *point = owner;
        } else {
            owner = *point;
        }
    }
}

#[cfg(test)]
mod tests;
