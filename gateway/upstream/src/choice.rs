//! The choice of one among the addresses with a weight.
//!
//! An address is taken when it is in use, was not tried yet, and is warm enough. When none is, the last two conditions
//! are dropped one after the other. `wheel`, `ring` and `load` hold the rules; all of them know addresses by number.

pub(crate) mod load;
pub(crate) mod ring;
pub(crate) mod wheel;

use crate::board::{Board, Member};
use crate::endpoint::Endpoint;
use crate::pick::Pick;
use crate::spec::{Algorithm, UpstreamSpec};
use load::Load;
use ring::{Place, Ring};
use smallvec::SmallVec;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};
use wheel::Wheel;

/// What is asked when an address is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// What is hashed, or the value of the sticky cookie.
    pub value: Option<&'a [u8]>,
    /// What this exchange tried before.
    pub tried: &'a Tried,
    /// Evenly distributed bits.
    pub random: u64,
    /// The time.
    pub now: Instant,
}

/// Why there is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPeer {
    /// No target has a weight and an address.
    #[error("no target has a weight and an address")]
    NoTargets,
    /// The weight of those in use is not above `threshold`.
    #[error("too few targets are healthy")]
    Unavailable,
}

/// The addresses that an exchange has tried.
#[derive(Debug, Clone, Default)]
pub struct Tried(SmallVec<[u64; 4]>);

impl Tried {
    /// Notes a pick that failed.
    pub fn add(&mut self, pick: &Pick) {
        if !self.has(pick.endpoint()) {
            self.0.push(pick.endpoint().id());
        }
    }

    /// Whether nothing was tried.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn has(&self, endpoint: &Endpoint) -> bool {
        self.0.contains(&endpoint.id())
    }
}

/// What is prepared for an algorithm when the addresses change.
#[derive(Debug)]
pub(crate) enum Strategy {
    Wheel(Wheel),
    Ring(Ring),
    Load(Load),
    /// By id of the endpoint, with its number.
    Sticky(Box<[(u64, u16)]>, Wheel),
}

impl Strategy {
    /// Prepares the choice among `members`.
    pub(crate) fn new(spec: &UpstreamSpec, members: &[Arc<Member>]) -> Self {
        let wheel = || Wheel::new(&members.iter().map(|member| member.weight).collect::<Vec<_>>());
        match spec.algorithm {
            Algorithm::RoundRobin => Self::Wheel(wheel()),
            Algorithm::LeastConnections => Self::Load(Load::Connections),
            Algorithm::Latency => Self::Load(Load::Latency),
            Algorithm::ConsistentHashing => {
                let places: Vec<Place> = members.iter().map(|member| Place::of(member)).collect();
                Self::Ring(Ring::new(&places, spec.targets.len(), spec.entity.slots))
            }
            Algorithm::StickySessions => {
                let ids = members.iter().map(|member| member.endpoint.id());
                let mut by_id: Vec<(u64, u16)> = ids.zip(0..).collect();
                by_id.sort_unstable();
                Self::Sticky(by_id.into(), wheel())
            }
        }
    }
}

/// Which addresses are taken in this pass.
pub(crate) struct Filter<'a> {
    pub(crate) board: &'a Board,
    pub(crate) tried: &'a Tried,
    pub(crate) slow_start: Duration,
    pub(crate) tick: u64,
    pub(crate) random: u64,
}

impl Filter<'_> {
    /// Whether the address of a number may be taken.
    pub(crate) fn takes(&self, number: u16) -> bool {
        let Some(member) = self.board.members.get(usize::from(number)) else {
            return false;
        };
        member.is_routable() && (self.tried.is_empty() || !self.tried.has(&member.endpoint))
    }

    /// Like [`Filter::takes`], and an address that recovered lately is passed over now and then.
    fn takes_by_turn(&self, number: u16, turn: usize) -> bool {
        if !self.takes(number) {
            return false;
        }
        if self.slow_start.is_zero() {
            return true;
        }
        let Some(member) = self.board.members.get(usize::from(number)) else {
            return false;
        };
        let warmth = member.endpoint.warmth(self.slow_start, self.tick);
        // The upper 53 bits: a number from 0 to 1.
        warmth >= 1.0 || ((mix(self.random ^ turn as u64) >> 11) as f64 / (1_u64 << 53) as f64) < warmth
    }
}

/// Spreads the bits of a number over all of it (the finaliser of SplitMix64).
pub(crate) fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

/// The number of the address to take; `None`: none is in use.
pub(crate) fn choose(
    board: &Board,
    slow_start: Duration,
    turn: &AtomicUsize,
    asked: &Asked<'_>,
    tick: u64,
) -> Option<u16> {
    let untried = Tried::default();
    let strict = Filter {
        board,
        tried: asked.tried,
        slow_start,
        tick,
        random: asked.random,
    };
    if let Some(number) = pass(&strict, turn, asked) {
        return Some(number);
    }
    let cold = Filter {
        slow_start: Duration::ZERO,
        ..strict
    };
    if !slow_start.is_zero()
        && let Some(number) = pass(&cold, turn, asked)
    {
        return Some(number);
    }
    if asked.tried.is_empty() {
        return None;
    }
    let again = Filter {
        tried: &untried,
        ..cold
    };
    pass(&again, turn, asked)
}

fn pass(filter: &Filter<'_>, turn: &AtomicUsize, asked: &Asked<'_>) -> Option<u16> {
    match &filter.board.strategy {
        Strategy::Wheel(wheel) => wheel.next(turn, |number, turn| filter.takes_by_turn(number, turn)),
        Strategy::Ring(ring) => ring.find(asked.value.unwrap_or_default(), |number| filter.takes(number)),
        Strategy::Load(load) => load.best(filter),
        Strategy::Sticky(by_id, wheel) => stuck_to(by_id, asked.value)
            .filter(|number| filter.takes(*number))
            .or_else(|| wheel.next(turn, |number, turn| filter.takes_by_turn(number, turn))),
    }
}

/// The address that a sticky cookie names.
fn stuck_to(by_id: &[(u64, u16)], cookie: Option<&[u8]>) -> Option<u16> {
    let text = std::str::from_utf8(cookie?).ok()?;
    let id = u64::from_str_radix(text, 16).ok()?;
    let place = by_id.binary_search_by_key(&id, |(id, _)| *id).ok()?;
    by_id.get(place).map(|(_, number)| *number)
}
