//! One Upstream at work.

mod names;

pub use names::{DnsFault, NamedTarget, ResolvedAddress};

use crate::board::{Board, Member};
use crate::choice::{self, Asked, NoPeer};
use crate::endpoint::Endpoint;
use crate::health::{Cause, Event, HealthEvent, Limits, State};
use crate::latency::wrapped;
use crate::pick::Pick;
use crate::retry_budget::RetryBudget;
use crate::spec::UpstreamSpec;
use arc_swap::ArcSwap;
use bytes::Bytes;
use hashbrown::HashMap;
use names::Names;
use parking_lot::Mutex;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tidegate_model::address::Address;

/// One Upstream at work: what was configured, and the addresses that exchanges choose from.
#[derive(Debug)]
pub struct Upstream {
    spec: Arc<UpstreamSpec>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) board: ArcSwap<Board>,
    /// Taken by whoever changes addresses, never by a request.
    pub(crate) names: Mutex<Names>,
}

/// What outlives a change of the configuration.
#[derive(Debug)]
pub(crate) struct Shared {
    epoch: Instant,
    /// The wheel's pointer.
    turn: AtomicUsize,
    /// Counts addresses that went out or came back.
    pub(crate) turns: AtomicU32,
    pub(crate) probing: AtomicU32,
    /// Millisecond at which names may be asked for again.
    refresh: AtomicU64,
    retries: RetryBudget,
}

/// `Host` for a socket file, which has no name of its own.
const SOCKET_HOST: &str = "localhost";

/// An address with its target: an endpoint lives as long as this does.
type Key = (Arc<str>, Address);

impl Upstream {
    /// An upstream that nothing is known of yet. Its clock starts at `now`.
    #[must_use]
    pub fn new(spec: UpstreamSpec, now: Instant) -> Arc<Self> {
        let shared = Arc::new(Shared {
            epoch: now,
            turn: AtomicUsize::new(0),
            turns: AtomicU32::new(0),
            probing: AtomicU32::new(0),
            refresh: AtomicU64::new(0),
            retries: RetryBudget::default(),
        });
        Self::with(spec, shared, Names::default(), &HashMap::new())
    }

    /// The upstream under a new specification: addresses that stay keep their health, counters and order.
    #[must_use]
    pub fn renewed(&self, spec: UpstreamSpec) -> Arc<Self> {
        let names = self.names.lock().kept(&spec);
        Self::with(spec, Arc::clone(&self.shared), names, &self.endpoints_by_key())
    }

    fn with(
        spec: UpstreamSpec,
        shared: Arc<Shared>,
        names: Names,
        known: &HashMap<Key, Arc<Endpoint>>,
    ) -> Arc<Self> {
        let board = board(&spec, &shared, &names, known);
        Arc::new(Self {
            spec: Arc::new(spec),
            board: ArcSwap::from_pointee(board),
            shared,
            names: Mutex::new(names),
        })
    }

    /// What was configured.
    #[must_use]
    pub fn spec(&self) -> &Arc<UpstreamSpec> {
        &self.spec
    }

    /// Chooses an address (kong-core F.2).
    ///
    /// # Errors
    /// When there is no address, or too little of the weight is in use.
    pub fn choose(self: &Arc<Self>, asked: &Asked<'_>) -> Result<Pick, NoPeer> {
        let board = self.board.load();
        if !board.is_available(&self.shared.turns) {
            return Err(match board.members.is_empty() {
                true => NoPeer::NoTargets,
                false => NoPeer::Unavailable,
            });
        }
        if let Some(percent) = self.spec.retry_budget_percent
            && asked.tried.is_empty()
        {
            self.shared.retries.pay_in(percent);
        }
        let tick = self.tick(asked.now);
        let number = choice::choose(&board, self.spec.slow_start, &self.shared.turn, asked, tick);
        let member = number.and_then(|number| board.members.get(usize::from(number)));
        member
            .map(|member| Pick::new(self, member))
            .ok_or(NoPeer::Unavailable)
    }

    /// Whether the weight in use is above `healthchecks.threshold` percent.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.board.load().is_available(&self.shared.turns)
    }

    /// Whether a retry is within `retry_budget_percent`; it is counted.
    #[must_use]
    pub fn may_retry(&self) -> bool {
        self.spec.retry_budget_percent.is_none() || self.shared.retries.take()
    }

    /// Puts all addresses of a target, or the given ones of them, into a pure state by hand. Returns those that
    /// turned; without any checks configured nothing does.
    pub fn set_health(
        &self,
        host: &str,
        chosen: impl Fn(Address) -> bool,
        is_healthy: bool,
        now: Instant,
    ) -> Vec<HealthEvent> {
        if !self.spec.has_checks() {
            return Vec::new();
        }
        let board = self.board.load();
        let endpoints = board.all().map(|member| &member.endpoint);
        let endpoints = endpoints.filter(|endpoint| &**endpoint.host() == host && chosen(endpoint.address()));
        endpoints
            .filter_map(|endpoint| {
                let from = endpoint.health.set(is_healthy);
                self.turned(endpoint, from, endpoint.state(), Cause::Manual, now)
            })
            .collect()
    }

    /// Milliseconds of this upstream's clock.
    pub(crate) fn tick(&self, now: Instant) -> u64 {
        millis(now.saturating_duration_since(self.shared.epoch))
    }

    pub(crate) fn apply(
        &self,
        endpoint: &Endpoint,
        event: Event,
        limits: &Limits,
        cause: Cause,
        now: Instant,
    ) -> Option<HealthEvent> {
        let (from, to) = endpoint.health.report(event, limits)?;
        self.turned(endpoint, from, to, cause, now)
    }

    fn turned(
        &self,
        endpoint: &Endpoint,
        from: State,
        to: State,
        cause: Cause,
        now: Instant,
    ) -> Option<HealthEvent> {
        if from.is_routable() == to.is_routable() {
            return None;
        }
        endpoint.turned(to.is_routable(), self.tick(now));
        self.plan(endpoint, self.tick(now));
        self.shared.turns.fetch_add(1, Ordering::AcqRel);
        Some(HealthEvent {
            upstream: self.spec.id(),
            upstream_name: Arc::clone(&self.spec.name),
            host: Arc::clone(endpoint.host()),
            address: endpoint.address(),
            from,
            to,
            cause,
        })
    }

    fn endpoints_by_key(&self) -> HashMap<Key, Arc<Endpoint>> {
        let board = self.board.load();
        let endpoints = board.all().map(|member| {
            let endpoint = &member.endpoint;
            let key = (Arc::clone(endpoint.host()), endpoint.address());
            (key, Arc::clone(endpoint))
        });
        endpoints.collect()
    }

    /// Puts changed addresses to work.
    fn rebuild(&self, names: &Names) {
        let board = board(&self.spec, &self.shared, names, &self.endpoints_by_key());
        self.board.store(Arc::new(board));
    }

    /// Whether it is time to ask for names again; then it is not for `interval` for anybody else.
    #[must_use]
    pub fn claims_refresh(&self, interval: Duration, now: Instant) -> bool {
        let tick = self.tick(now);
        let due = self.shared.refresh.load(Ordering::Relaxed);
        let next = tick + millis(interval);
        tick >= due
            && self
                .shared
                .refresh
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

/// Whole milliseconds; what no clock reaches is cut.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 2)
}

/// The addresses of all targets: literals, and what names came to.
fn board(spec: &UpstreamSpec, shared: &Shared, names: &Names, known: &HashMap<Key, Arc<Endpoint>>) -> Board {
    let mut members = Vec::new();
    let mut made: HashMap<Key, Arc<Endpoint>> = HashMap::new();
    let mut add = |target: usize, host: &Arc<str>, to: Address, weight: u32, name: &str| {
        let key = (Arc::clone(host), to);
        let endpoint = known.get(&key).or_else(|| made.get(&key)).map(Arc::clone);
        let endpoint = endpoint.unwrap_or_else(|| Arc::new(Endpoint::new(host, to)));
        made.insert(key, Arc::clone(&endpoint));
        let name = if to.port().is_none() { SOCKET_HOST } else { name };
        let host = bracketed(spec.entity.host_header.as_deref().unwrap_or(name));
        members.push(Arc::new(Member {
            endpoint,
            target,
            weight,
            authority: Bytes::from(match to.port() {
                Some(port) => format!("{host}:{port}"),
                None => host.clone(),
            }),
            host: Bytes::from(host),
            is_judged: spec.has_checks(),
            is_spared: AtomicBool::new(false),
        }));
    };
    for (place, target) in spec.targets.iter().enumerate() {
        let weight = u32::from(target.weight);
        if let Some(address) = target.address {
            add(place, &target.host, address, weight, &target.host);
            continue;
        }
        for address in names.addresses(target) {
            let uses_srv_name = spec.entity.use_srv_name == Some(true);
            let name = address.name.as_deref().filter(|_| uses_srv_name);
            let (to, weight) = address.place(target);
            add(place, &target.host, to, weight, name.unwrap_or(&target.host));
        }
    }
    seed_latency(&members, shared);
    let has_unresolved = spec
        .targets
        .iter()
        .any(|target| target.address.is_none() && !names.is_known(target));
    Board::new(spec, members, has_unresolved).start(&shared.turns)
}

/// A new address starts with the mean of the others (kong-core F.2).
fn seed_latency(members: &[Arc<Member>], shared: &Shared) {
    let tick = wrapped(millis(shared.epoch.elapsed()));
    let known: Vec<f32> = members
        .iter()
        .filter_map(|member| member.endpoint.latency.micros(tick))
        .collect();
    if known.is_empty() {
        return;
    }
    let mean = known.iter().sum::<f32>() / known.len() as f32;
    for member in members {
        member.endpoint.latency.seed(mean.max(1.0), tick);
    }
}

fn bracketed(host: &str) -> String {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(_)) => format!("[{host}]"),
        _ => host.to_owned(),
    }
}

#[cfg(test)]
mod tests;
