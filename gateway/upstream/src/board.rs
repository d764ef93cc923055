//! The addresses of an upstream at one moment, prepared for choosing. Replaced as a whole when they change.

use crate::choice::Strategy;
use crate::endpoint::Endpoint;
use crate::spec::UpstreamSpec;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// An address with what the configuration says of it.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) endpoint: Arc<Endpoint>,
    /// Place of its target in the specification.
    pub(crate) target: usize,
    pub(crate) weight: u32,
    /// `Host` without and with the port.
    pub(crate) host: Bytes,
    pub(crate) authority: Bytes,
    /// Health decides about traffic: there are checks.
    pub(crate) is_judged: bool,
    /// Unhealthy, and in use all the same, because too many others are out.
    pub(crate) is_spared: AtomicBool,
}

impl Member {
    /// Whether traffic may go there.
    pub(crate) fn is_routable(&self) -> bool {
        self.endpoint.state().is_routable() || !self.is_judged || self.is_spared.load(Ordering::Relaxed)
    }
}

/// The addresses at one moment.
#[derive(Debug)]
pub(crate) struct Board {
    /// Those with a weight, in the order that all nodes share.
    pub(crate) members: Box<[Arc<Member>]>,
    /// Those without.
    pub(crate) idle: Box<[Arc<Member>]>,
    pub(crate) strategy: Strategy,
    /// Names that were never resolved.
    pub(crate) has_unresolved: bool,
    total_weight: u64,
    threshold: f64,
    max_ejection_percent: u8,
    /// The weight in use, and the number of turns at which it was counted.
    counted: AtomicU64,
}

/// Numbers are 16 bits wide, and one of them means nobody.
const MAX_MEMBERS: usize = u16::MAX as usize - 1;

impl Board {
    pub(crate) fn new(spec: &UpstreamSpec, members: Vec<Arc<Member>>, has_unresolved: bool) -> Self {
        let (mut members, idle): (Vec<_>, Vec<_>) = members.into_iter().partition(|member| member.weight > 0);
        members.truncate(MAX_MEMBERS);
        Self {
            strategy: Strategy::new(spec, &members),
            total_weight: members.iter().map(|member| u64::from(member.weight)).sum(),
            members: members.into(),
            idle: idle.into(),
            has_unresolved,
            threshold: spec.entity.healthchecks.threshold,
            max_ejection_percent: spec.max_ejection_percent,
            counted: AtomicU64::new(0),
        }
    }

    /// Counts once, whatever was counted.
    pub(crate) fn start(self, turns: &AtomicU32) -> Self {
        self.count(turns.load(Ordering::Acquire));
        self
    }

    /// Every address.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Member>> {
        self.members.iter().chain(&self.idle)
    }

    /// Whether the weight in use is above the threshold.
    pub(crate) fn is_available(&self, turns: &AtomicU32) -> bool {
        let available = self.available_weight(turns);
        available > 0 && available as f64 * 100.0 > self.threshold * self.total_weight as f64
    }

    pub(crate) fn total_weight(&self) -> u64 {
        self.total_weight
    }

    /// The weight in use. Counted anew by whoever asks first after an address went out or came back.
    pub(crate) fn available_weight(&self, turns: &AtomicU32) -> u64 {
        let turns = turns.load(Ordering::Acquire);
        let counted = self.counted.load(Ordering::Acquire);
        if counted >> 32 == u64::from(turns) {
            counted & 0xffff_ffff
        } else {
            self.count(turns)
        }
    }

    /// What was read before the addresses are looked at says whether the count is still good later.
    fn count(&self, turns: u32) -> u64 {
        self.spare();
        let members = self.members.iter();
        let weights = members.filter(|member| member.is_routable());
        let weight = weights.map(|member| u64::from(member.weight)).sum::<u64>();
        let weight = weight.min(u64::from(u32::MAX));
        self.counted
            .store(u64::from(turns) << 32 | weight, Ordering::Release);
        weight
    }

    /// Those that fell last stay in use when more are out than may be.
    fn spare(&self) {
        if self.max_ejection_percent >= 100 {
            return;
        }
        let mut out = Vec::new();
        for member in &self.members {
            if member.endpoint.state().is_routable() {
                member.is_spared.store(false, Ordering::Relaxed);
            } else {
                out.push(member);
            }
        }
        out.sort_by_key(|member| member.endpoint.fell());
        let allowed = self.members.len() * usize::from(self.max_ejection_percent) / 100;
        for (place, member) in out.into_iter().enumerate() {
            member.is_spared.store(place >= allowed, Ordering::Relaxed);
        }
    }
}
