//! What is to be probed when. There is no timer per address: somebody asks now and then what is due.

use crate::board::Member;
use crate::endpoint::Endpoint;
use crate::health::{Cause, HealthEvent, Outcome};
use crate::upstream::{Upstream, millis};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tidegate_model::address::Address;

/// A probe that is due. Nobody else gets this address to probe until it is dropped or handed to [`Upstream::probed`].
#[derive(Debug)]
pub struct Probe {
    upstream: Arc<Upstream>,
    member: Arc<Member>,
}

impl Probe {
    /// The upstream, whose specification says how to probe.
    #[must_use]
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    /// The address with all that is known of it.
    #[must_use]
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.member.endpoint
    }

    /// Where to connect.
    #[must_use]
    pub fn address(&self) -> Address {
        self.member.endpoint.address()
    }

    /// What `Host` says when the port is the protocol's own.
    #[must_use]
    pub fn host(&self) -> &Bytes {
        &self.member.host
    }

    /// What `Host` says otherwise.
    #[must_use]
    pub fn authority(&self) -> &Bytes {
        &self.member.authority
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.member
            .endpoint
            .schedule
            .is_probed
            .store(false, Ordering::Release);
        self.upstream.shared.probing.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Upstream {
    /// The probes that are due at `now`, never more at a time than `healthchecks.active.concurrency`; those that are due
    /// for longest come first, so that none waits for ever behind slow ones. The first probe of an address is due at
    /// some moment within its interval, so that the probes of many do not come together.
    #[must_use]
    pub fn probes(self: &Arc<Self>, now: Instant) -> Vec<Probe> {
        if !self.spec().is_probed() {
            return Vec::new();
        }
        let tick = self.tick(now);
        let board = self.board.load();
        let mut due: Vec<_> = board
            .members
            .iter()
            .filter_map(|member| self.due(member, tick).map(|next| (next, member)))
            .collect();
        due.sort_by_key(|(next, _)| *next);
        let limit = self.spec().entity.healthchecks.active.concurrency;
        let mut probes = Vec::new();
        for (_, member) in due {
            if self.shared.probing.fetch_add(1, Ordering::AcqRel) >= limit {
                self.shared.probing.fetch_sub(1, Ordering::AcqRel);
                break;
            }
            if member.endpoint.schedule.is_probed.swap(true, Ordering::AcqRel) {
                self.shared.probing.fetch_sub(1, Ordering::AcqRel);
                continue;
            }
            self.plan(&member.endpoint, tick);
            probes.push(Probe {
                upstream: Arc::clone(self),
                member: Arc::clone(member),
            });
        }
        probes
    }

    /// Since when a probe of an address is due, if it is and none is under way.
    fn due(&self, member: &Member, tick: u64) -> Option<u64> {
        let schedule = &member.endpoint.schedule;
        let Some(interval) = self.interval(&member.endpoint) else {
            schedule.next.store(0, Ordering::Relaxed);
            return None;
        };
        let next = match schedule.next.load(Ordering::Relaxed) {
            0 => {
                let next = tick + spread(member.endpoint.id(), interval);
                schedule.next.store(next + 1, Ordering::Relaxed);
                next
            }
            next => next - 1,
        };
        (next <= tick && !schedule.is_probed.load(Ordering::Relaxed)).then_some(next)
    }

    /// The next moment at which [`Upstream::probes`] may have something; `None`: as things are, never.
    #[must_use]
    pub fn next_probe(&self, now: Instant) -> Option<Instant> {
        if !self.spec().is_probed() {
            return None;
        }
        let board = self.board.load();
        let planned = board.members.iter().filter_map(|member| {
            self.interval(&member.endpoint)?;
            let schedule = &member.endpoint.schedule;
            let is_probed = schedule.is_probed.load(Ordering::Relaxed);
            (!is_probed).then(|| schedule.next.load(Ordering::Relaxed).saturating_sub(1))
        });
        let next = planned.min()?;
        Some(now + Duration::from_millis(next.saturating_sub(self.tick(now))))
    }

    /// Counts how a probe ended. The event, when the address went out or came back.
    pub fn probed(&self, probe: &Probe, outcome: Outcome, now: Instant) -> Option<HealthEvent> {
        let endpoint = &probe.member.endpoint;
        let limits = &self.spec().active;
        let event = limits.event(outcome)?;
        self.apply(endpoint, event, limits, Cause::Active(event), now)
    }

    fn interval(&self, endpoint: &Endpoint) -> Option<Duration> {
        self.spec().probe_interval(endpoint.state().is_routable())
    }

    /// The next probe comes an interval from now, the one of the state in which the address is.
    pub(crate) fn plan(&self, endpoint: &Endpoint, tick: u64) {
        let next = self
            .interval(endpoint)
            .map_or(0, |interval| tick + millis(interval).max(1) + 1);
        endpoint.schedule.next.store(next, Ordering::Relaxed);
    }
}

/// A moment within the interval, the same for the same address.
fn spread(id: u64, interval: Duration) -> u64 {
    id % millis(interval).max(1)
}
