//! The health of one address: four counters and a state in one word (kong-core F.4).
//!
//! A word changes by compare-exchange alone. Reports that change nothing, which is nearly all of them, only read it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tidegate_model::address::Address;
use tidegate_model::entities::{ActiveHealthcheck, PassiveHealthcheck};
use tidegate_model::ids::UpstreamId;

/// State of an address. A "mostly" state routes like the one it is named after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// In use, and nothing speaks against it.
    Healthy,
    /// In use, with failures below the limit.
    MostlyHealthy,
    /// Out, with successes below the limit.
    MostlyUnhealthy,
    /// Out.
    Unhealthy,
}

impl State {
    /// Whether traffic may go there.
    #[must_use]
    pub fn is_routable(self) -> bool {
        matches!(self, Self::Healthy | Self::MostlyHealthy)
    }

    /// Kong's name of the state, e.g. `mostly_healthy`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::MostlyHealthy => "mostly_healthy",
            Self::MostlyUnhealthy => "mostly_unhealthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// What happened to an address, in the terms of the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// A status that counts as success, or a connection where that is what is probed.
    Success,
    /// A status that counts as failure.
    HttpFailure,
    /// No connection, or one that broke.
    TcpFailure,
    /// No answer in time.
    Timeout,
}

impl Event {
    /// How logs and metrics name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::HttpFailure => "http_failure",
            Self::TcpFailure => "tcp_failure",
            Self::Timeout => "timeout",
        }
    }

    fn shift(self) -> u32 {
        match self {
            Self::Success => 0,
            Self::HttpFailure => 8,
            Self::TcpFailure => 16,
            Self::Timeout => 24,
        }
    }
}

/// How a try or a probe ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// An answer with this status; 0: with none that can be read, which is a failure.
    Status(u16),
    /// A connection, and nothing more was asked.
    Connected,
    /// No connection, or one that broke; TLS that failed.
    TcpFailure,
    /// No connection or no answer in time.
    Timeout,
}

/// Who saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Proxied traffic.
    Passive(Event),
    /// A probe.
    Active(Event),
    /// Somebody said so.
    Manual,
}

/// An address went out of use or came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthEvent {
    /// Id of the upstream.
    pub upstream: UpstreamId,
    /// Name of the upstream.
    pub upstream_name: Arc<str>,
    /// Host of the target as written.
    pub host: Arc<str>,
    /// The address.
    pub address: Address,
    /// State before.
    pub from: State,
    /// State now.
    pub to: State,
    /// Why.
    pub cause: Cause,
}

/// The four counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Successes in a row.
    pub successes: u8,
    /// Failure statuses since the last success.
    pub http_failures: u8,
    /// Connection failures since the last success.
    pub tcp_failures: u8,
    /// Timeouts since the last success.
    pub timeouts: u8,
}

/// When an event changes the state: one source's half of `healthchecks`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Statuses that count as success.
    pub healthy: StatusSet,
    /// Statuses that count as failure.
    pub unhealthy: StatusSet,
    /// Successes that make healthy; 0: none do.
    pub successes: u8,
    /// Failure statuses that make unhealthy; 0: none do.
    pub http_failures: u8,
    /// Connection failures that make unhealthy; 0: none do.
    pub tcp_failures: u8,
    /// Timeouts that make unhealthy; 0: none do.
    pub timeouts: u8,
}

impl From<&PassiveHealthcheck> for Limits {
    fn from(passive: &PassiveHealthcheck) -> Self {
        Self {
            healthy: StatusSet::of(&passive.healthy.http_statuses),
            unhealthy: StatusSet::of(&passive.unhealthy.http_statuses),
            successes: passive.healthy.successes,
            http_failures: passive.unhealthy.http_failures,
            tcp_failures: passive.unhealthy.tcp_failures,
            timeouts: passive.unhealthy.timeouts,
        }
    }
}

impl From<&ActiveHealthcheck> for Limits {
    fn from(active: &ActiveHealthcheck) -> Self {
        Self {
            healthy: StatusSet::of(&active.healthy.http_statuses),
            unhealthy: StatusSet::of(&active.unhealthy.http_statuses),
            successes: active.healthy.successes,
            http_failures: active.unhealthy.http_failures,
            tcp_failures: active.unhealthy.tcp_failures,
            timeouts: active.unhealthy.timeouts,
        }
    }
}

impl Limits {
    /// What an outcome is by these lists; `None`: nothing.
    #[must_use]
    pub fn event(&self, outcome: Outcome) -> Option<Event> {
        match outcome {
            Outcome::Connected => Some(Event::Success),
            Outcome::Status(0) => Some(Event::HttpFailure),
            Outcome::Status(status) if self.healthy.contains(status) => Some(Event::Success),
            Outcome::Status(status) if self.unhealthy.contains(status) => Some(Event::HttpFailure),
            Outcome::Status(_) => None,
            Outcome::TcpFailure => Some(Event::TcpFailure),
            Outcome::Timeout => Some(Event::Timeout),
        }
    }

    fn of(&self, event: Event) -> u8 {
        match event {
            Event::Success => self.successes,
            Event::HttpFailure => self.http_failures,
            Event::TcpFailure => self.tcp_failures,
            Event::Timeout => self.timeouts,
        }
    }

    /// Whether any failure can make an address unhealthy.
    #[must_use]
    pub fn can_fail(&self) -> bool {
        self.http_failures > 0 || self.tcp_failures > 0 || self.timeouts > 0
    }
}

/// Statuses from 0 to 1023, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StatusSet([u64; 16]);

impl StatusSet {
    /// The set of `statuses`.
    #[must_use]
    pub fn of(statuses: &[u16]) -> Self {
        let mut set = Self::default();
        for status in statuses {
            if let Some(bits) = set.0.get_mut(usize::from(*status / 64)) {
                *bits |= 1 << (status % 64);
            }
        }
        set
    }

    /// Whether `status` is in it.
    #[must_use]
    pub fn contains(&self, status: u16) -> bool {
        self.0
            .get(usize::from(status / 64))
            .is_some_and(|bits| bits >> (status % 64) & 1 == 1)
    }
}

/// Counters in the low 32 bits, the state above them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Word(u64);

const STATE_SHIFT: u32 = 32;
const COUNTERS: u64 = 0xffff_ffff;

impl Word {
    fn state(self) -> State {
        match self.0 >> STATE_SHIFT & 3 {
            0 => State::Healthy,
            1 => State::MostlyHealthy,
            2 => State::MostlyUnhealthy,
            _ => State::Unhealthy,
        }
    }

    fn with_state(self, state: State) -> Self {
        let number = match state {
            State::Healthy => 0,
            State::MostlyHealthy => 1,
            State::MostlyUnhealthy => 2,
            State::Unhealthy => 3_u64,
        };
        Self(self.0 & COUNTERS | number << STATE_SHIFT)
    }

    fn counter(self, event: Event) -> u8 {
        (self.0 >> event.shift() & 0xff) as u8
    }

    /// The word after an event; `None`: it stays.
    fn after(self, event: Event, limit: u8) -> Option<Self> {
        let state = self.state();
        let is_success = event == Event::Success;
        let tells_nothing_new = match state {
            State::Healthy => is_success,
            State::Unhealthy => !is_success,
            State::MostlyHealthy | State::MostlyUnhealthy => false,
        };
        if limit == 0 || tells_nothing_new {
            return None;
        }
        let count = self.counter(event).saturating_add(1);
        let kept = if is_success {
            0
        } else {
            self.0 & COUNTERS & !0xff & !(0xff << event.shift())
        };
        let word = Self(kept | u64::from(count) << event.shift());
        let next = match (is_success, count >= limit, state) {
            (true, true, _) => State::Healthy,
            (false, true, _) => State::Unhealthy,
            (true, false, State::Unhealthy) => State::MostlyUnhealthy,
            (false, false, State::Healthy) => State::MostlyHealthy,
            _ => state,
        };
        Some(word.with_state(next))
    }
}

/// The health of one address, shared by everybody who uses it. It starts healthy.
#[derive(Debug, Default)]
pub struct HealthCell(AtomicU64);

impl HealthCell {
    /// The state now.
    #[must_use]
    pub fn state(&self) -> State {
        Word(self.0.load(Ordering::Relaxed)).state()
    }

    /// The counters now.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let word = Word(self.0.load(Ordering::Relaxed));
        Counters {
            successes: word.counter(Event::Success),
            http_failures: word.counter(Event::HttpFailure),
            tcp_failures: word.counter(Event::TcpFailure),
            timeouts: word.counter(Event::Timeout),
        }
    }

    /// Counts an event; the states before and after when it was one of those that count.
    pub fn report(&self, event: Event, limits: &Limits) -> Option<(State, State)> {
        let limit = limits.of(event);
        let mut word = Word(self.0.load(Ordering::Relaxed));
        loop {
            let next = word.after(event, limit)?;
            match self
                .0
                .compare_exchange_weak(word.0, next.0, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return Some((word.state(), next.state())),
                Err(now) => word = Word(now),
            }
        }
    }

    /// Puts the address into a pure state with counters at zero. Returns the state before.
    pub fn set(&self, is_healthy: bool) -> State {
        let state = if is_healthy {
            State::Healthy
        } else {
            State::Unhealthy
        };
        Word(self.0.swap(Word(0).with_state(state).0, Ordering::AcqRel)).state()
    }
}

#[cfg(test)]
mod tests;
