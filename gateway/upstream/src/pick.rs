//! An address that was chosen, for as long as the exchange is on it.

use crate::board::Member;
use crate::endpoint::Endpoint;
use crate::health::{Cause, HealthEvent, Outcome};
use crate::latency::wrapped;
use crate::upstream::Upstream;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tidegate_model::address::Address;

/// A chosen address. Counts as an exchange in flight until it is dropped.
#[derive(Debug)]
pub struct Pick {
    upstream: Arc<Upstream>,
    member: Arc<Member>,
}

impl Pick {
    pub(crate) fn new(upstream: &Arc<Upstream>, member: &Arc<Member>) -> Self {
        member.endpoint.in_flight.fetch_add(1, Ordering::Relaxed);
        member.endpoint.totals.chosen.fetch_add(1, Ordering::Relaxed);
        Self {
            upstream: Arc::clone(upstream),
            member: Arc::clone(member),
        }
    }

    /// The address with all that is known of it.
    #[must_use]
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.member.endpoint
    }

    /// The upstream that it belongs to.
    #[must_use]
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    /// Where to connect.
    #[must_use]
    pub fn address(&self) -> Address {
        self.member.endpoint.address()
    }

    /// Host of the target as written.
    #[must_use]
    pub fn target_host(&self) -> &Arc<str> {
        self.member.endpoint.host()
    }

    /// What `Host` says when the port is the protocol's own (kong-core F.7).
    #[must_use]
    pub fn host(&self) -> &Bytes {
        &self.member.host
    }

    /// What `Host` says otherwise.
    #[must_use]
    pub fn authority(&self) -> &Bytes {
        &self.member.authority
    }

    /// Notes how long connecting and the response's head took.
    pub fn took(&self, time: Duration, now: Instant) {
        let tick = wrapped(self.upstream.tick(now));
        self.member.endpoint.latency.sample(time, tick);
    }

    /// Counts how the try ended (kong-core F.4, passive checks). The event, when the address went out or came back.
    pub fn report(&self, outcome: Outcome, now: Instant) -> Option<HealthEvent> {
        if matches!(outcome, Outcome::TcpFailure | Outcome::Timeout) {
            self.member.endpoint.totals.failed.fetch_add(1, Ordering::Relaxed);
        }
        let limits = &self.upstream.spec().passive;
        let event = limits.event(outcome)?;
        self.upstream
            .apply(&self.member.endpoint, event, limits, Cause::Passive(event), now)
    }
}

impl Drop for Pick {
    fn drop(&mut self) {
        self.member.endpoint.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
