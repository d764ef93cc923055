//! What is known of an upstream's targets, for people and their tools.

use crate::board::Member;
use crate::health::{Counters, State};
use crate::spec::TargetSpec;
use crate::upstream::{DnsFault, Upstream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tidegate_model::address::Address;

/// Health in Kong's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// In use.
    Healthy,
    /// Out.
    Unhealthy,
    /// Nothing judges it, or it has no weight.
    HealthchecksOff,
    /// Its name has no addresses.
    DnsError,
}

impl Health {
    /// Kong's word, e.g. `HEALTHCHECKS_OFF`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "HEALTHY",
            Self::Unhealthy => "UNHEALTHY",
            Self::HealthchecksOff => "HEALTHCHECKS_OFF",
            Self::DnsError => "DNS_ERROR",
        }
    }
}

/// Why an address gets no traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyOut {
    /// Its weight is 0.
    NoWeight,
    /// Its health.
    Unhealthy,
}

/// How a target's host came to addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DnsState {
    /// It is an address.
    Literal,
    /// Nobody asked yet.
    Unresolved,
    /// It was resolved.
    Resolved,
    /// The last question failed.
    Failed(DnsFault),
}

/// One address.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointView {
    /// Host of the target as written.
    pub host: Arc<str>,
    /// The address.
    pub address: Address,
    /// Its share of traffic.
    pub weight: u32,
    /// Health in Kong's words.
    pub health: Health,
    /// State of the state machine.
    pub state: State,
    /// Its counters.
    pub counters: Counters,
    /// Exchanges on it.
    pub in_flight: u32,
    /// How often it was chosen.
    pub chosen: u64,
    /// Tries that failed without a response.
    pub failed: u64,
    /// How often its health took it out of use.
    pub falls: u64,
    /// How often it came back.
    pub recoveries: u64,
    /// Peak EWMA of its response times; `None` before the first.
    pub latency: Option<Duration>,
    /// Why it gets no traffic; `None`: it does.
    pub out: Option<WhyOut>,
    /// In use although it is unhealthy, because of `max_ejection_percent`.
    pub is_spared: bool,
}

/// A target with its addresses.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetView {
    /// The target.
    pub target: TargetSpec,
    /// How its host came to addresses.
    pub dns: DnsState,
    /// Health in Kong's words: healthy when any address is.
    pub health: Health,
    /// Its addresses.
    pub addresses: Vec<EndpointView>,
}

impl Upstream {
    /// Every target with its addresses, by host and port.
    #[must_use]
    pub fn targets(&self, now: Instant) -> Vec<TargetView> {
        let board = self.board.load();
        board.available_weight(&self.shared.turns);
        let names = self.names.lock();
        let targets = self.spec().targets.iter().enumerate();
        targets
            .map(|(place, target)| {
                let members = board.all().filter(|member| member.target == place);
                let addresses: Vec<EndpointView> = members.map(|member| self.view(member, now)).collect();
                let dns = match (target.address, names.fault(target)) {
                    (Some(_), _) => DnsState::Literal,
                    (None, Some(fault)) => DnsState::Failed(fault),
                    (None, None) if names.is_known(target) => DnsState::Resolved,
                    (None, None) => DnsState::Unresolved,
                };
                TargetView {
                    health: self.target_health(target, &addresses, &dns),
                    target: target.clone(),
                    dns,
                    addresses,
                }
            })
            .collect()
    }

    /// Every address, by target.
    #[must_use]
    pub fn endpoints(&self, now: Instant) -> Vec<EndpointView> {
        let targets = self.targets(now).into_iter();
        targets.flat_map(|target| target.addresses).collect()
    }

    /// The weight in use and the whole weight.
    #[must_use]
    pub fn weights(&self) -> (u64, u64) {
        let board = self.board.load();
        (board.available_weight(&self.shared.turns), board.total_weight())
    }

    fn target_health(&self, target: &TargetSpec, addresses: &[EndpointView], dns: &DnsState) -> Health {
        if addresses.is_empty() && matches!(dns, DnsState::Failed(_)) {
            Health::DnsError
        } else if target.weight == 0 || !self.spec().has_checks() {
            Health::HealthchecksOff
        } else if addresses.iter().any(|address| address.health == Health::Healthy) {
            Health::Healthy
        } else {
            Health::Unhealthy
        }
    }

    fn view(&self, member: &Member, now: Instant) -> EndpointView {
        let endpoint = &member.endpoint;
        let state = endpoint.state();
        let health = match state.is_routable() {
            _ if member.weight == 0 || !self.spec().has_checks() => Health::HealthchecksOff,
            true => Health::Healthy,
            false => Health::Unhealthy,
        };
        let out = match (member.weight, member.is_routable()) {
            (0, _) => Some(WhyOut::NoWeight),
            (_, false) => Some(WhyOut::Unhealthy),
            (_, true) => None,
        };
        let tick = (self.tick(now) & 0xffff_ffff) as u32;
        let micros = endpoint.latency.micros(tick);
        EndpointView {
            host: Arc::clone(endpoint.host()),
            address: endpoint.address(),
            weight: member.weight,
            health,
            state,
            counters: endpoint.health.counters(),
            in_flight: endpoint.in_flight(),
            chosen: endpoint.totals.chosen.load(Ordering::Relaxed),
            failed: endpoint.totals.failed.load(Ordering::Relaxed),
            falls: endpoint.totals.falls.load(Ordering::Relaxed),
            recoveries: endpoint.totals.recoveries.load(Ordering::Relaxed),
            latency: micros.map(|micros| Duration::from_secs_f32(micros / 1_000_000.0)),
            out,
            is_spared: member.is_spared.load(Ordering::Relaxed),
        }
    }
}
