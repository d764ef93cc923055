//! Choices by load: the fewest exchanges in flight, or the shortest response times.

use crate::board::Member;
use crate::choice::{Filter, mix};
use crate::latency::wrapped;

/// Up to this many addresses, least-connections looks at all of them; beyond, at [`SAMPLE`] random ones.
const EXACT: usize = 16;
const SAMPLE: usize = 8;
/// Draws in search of two addresses that are in use; after that, any one will do.
const DRAWS: usize = 8;

/// What counts as load.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Load {
    Connections,
    Latency,
}

impl Load {
    /// The number of an address with little load.
    pub(crate) fn best(self, filter: &Filter<'_>) -> Option<u16> {
        let count = filter.board.members.len();
        if count == 0 {
            return None;
        }
        match self {
            Self::Connections if count <= EXACT => {
                self.least(filter, from(filter.random as usize % count, count), count)
            }
            Self::Connections => self.least(filter, drawn(filter.random, count).take(SAMPLE), SAMPLE),
            Self::Latency => self.least(filter, two_and_more(filter.random, count), 2),
        }
        .or_else(|| from(filter.random as usize % count, count).find(|number| filter.takes(*number)))
    }

    /// The least loaded among the first `wanted` that are taken.
    fn least(self, filter: &Filter<'_>, numbers: impl Iterator<Item = u16>, wanted: usize) -> Option<u16> {
        let mut best: Option<(f64, u16)> = None;
        let taken = numbers.filter(|number| filter.takes(*number)).take(wanted);
        for number in taken {
            let Some(member) = filter.board.members.get(usize::from(number)) else {
                continue;
            };
            let cost = self.cost(filter, member);
            if best.is_none_or(|(least, _)| cost < least) {
                best = Some((cost, number));
            }
        }
        best.map(|(_, number)| number)
    }

    fn cost(self, filter: &Filter<'_>, member: &Member) -> f64 {
        let endpoint = &member.endpoint;
        let weight = f64::from(member.weight) * endpoint.warmth(filter.slow_start, filter.tick);
        let exchanges = f64::from(endpoint.in_flight()) + 1.0;
        match self {
            Self::Connections => exchanges / weight,
            Self::Latency => {
                let tick = wrapped(filter.tick);
                let micros = endpoint.latency.micros(tick).unwrap_or(0.0).max(1.0);
                f64::from(micros) * exchanges / weight
            }
        }
    }
}

/// All numbers below `count`, from `start` on and around.
fn from(start: usize, count: usize) -> impl Iterator<Item = u16> {
    (start..count).chain(0..start).map(|number| number as u16)
}

/// Random numbers below `count`.
fn drawn(random: u64, count: usize) -> impl Iterator<Item = u16> {
    (0..).map(move |draw| (mix(random ^ draw) % count as u64) as u16)
}

/// Two different random numbers below `count`, and a few more in case they are out.
fn two_and_more(random: u64, count: usize) -> impl Iterator<Item = u16> {
    let one = random % count as u64;
    let others = (count as u64 - 1).max(1);
    let other = (one + 1 + (random >> 32) % others) % count as u64;
    let numbers = if count == 1 { 1 } else { 2 };
    [one as u16, other as u16]
        .into_iter()
        .take(numbers)
        .chain(drawn(random, count).take(DRAWS))
}
