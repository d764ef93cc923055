//! What was configured, brought into the form that choosing needs.

use crate::health::Limits;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tidegate_model::address::Address;
use tidegate_model::entities;
use tidegate_model::ids::{TargetId, UpstreamId};

/// How an address is chosen (kong-core F.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// In turn, by weight.
    RoundRobin,
    /// By a hash of something of the request.
    ConsistentHashing,
    /// The fewest exchanges in flight for its weight.
    LeastConnections,
    /// The better of two by response time.
    Latency,
    /// The one that a cookie names, else in turn.
    StickySessions,
}

impl Algorithm {
    fn of(name: &str) -> Self {
        match name {
            "consistent-hashing" => Self::ConsistentHashing,
            "least-connections" => Self::LeastConnections,
            "latency" => Self::Latency,
            "sticky-sessions" => Self::StickySessions,
            _ => Self::RoundRobin,
        }
    }
}

/// A target as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetSpec {
    /// Its id.
    pub id: TargetId,
    /// Host and port as stored.
    pub target: Arc<str>,
    /// Host, without brackets; a socket file as it is stored.
    pub host: Arc<str>,
    /// The address when it is no name.
    pub address: Option<Address>,
    /// Port; 0 for a socket file.
    pub port: u16,
    /// Share of traffic; 0: none.
    pub weight: u16,
}

impl TargetSpec {
    fn new(target: &entities::Target) -> Option<Self> {
        let stored: Arc<str> = Arc::from(target.target.as_str());
        let (host, address, port) = match Address::of_unix(&stored) {
            Some(address) => (Arc::clone(&stored), Some(address), 0),
            None => {
                let (host, port) = stored.rsplit_once(':')?;
                let host = host.trim_start_matches('[').trim_end_matches(']');
                let port = port.parse().ok()?;
                let literal = host.parse::<IpAddr>().ok();
                let address = literal.map(|ip| Address::Tcp(SocketAddr::new(ip, port)));
                (Arc::from(host), address, port)
            }
        };
        Some(Self {
            id: target.id,
            target: stored,
            host,
            address,
            port,
            weight: target.weight,
        })
    }
}

/// An Upstream with its targets as configured.
#[derive(Debug, Clone, PartialEq)]
pub struct UpstreamSpec {
    /// The entity.
    pub entity: entities::Upstream,
    /// Its name.
    pub name: Arc<str>,
    /// How an address is chosen.
    pub algorithm: Algorithm,
    /// Its targets by host and port.
    pub targets: Vec<TargetSpec>,
    /// What proxied traffic does to health.
    pub passive: Limits,
    /// What probes do to health.
    pub active: Limits,
    /// How long an address gets less than its share after it recovered; zero: not at all.
    pub slow_start: Duration,
    /// The largest percentage of addresses that is out for its health; 100: all may be.
    pub max_ejection_percent: u8,
    /// Retries per hundred requests, at most; `None`: no bound.
    pub retry_budget_percent: Option<u8>,
}

impl UpstreamSpec {
    /// The upstream with those of `targets` whose form is sound, which stored ones are.
    #[must_use]
    pub fn new(entity: &entities::Upstream, targets: &[&entities::Target]) -> Self {
        let mut targets: Vec<TargetSpec> = targets
            .iter()
            .filter_map(|target| TargetSpec::new(target))
            .collect();
        targets.sort_by(|one, other| (&one.host, one.port).cmp(&(&other.host, other.port)));
        let own = entity.tidegate.as_ref();
        Self {
            name: Arc::from(entity.name.as_str()),
            algorithm: match own.and_then(|own| own.sticky_cookie.as_ref()) {
                Some(_) => Algorithm::StickySessions,
                None => Algorithm::of(&entity.algorithm),
            },
            targets,
            passive: Limits::from(&entity.healthchecks.passive),
            active: Limits::from(&entity.healthchecks.active),
            slow_start: own.map_or(Duration::ZERO, |own| {
                seconds(own.slow_start_seconds.unwrap_or(0.0))
            }),
            max_ejection_percent: own.and_then(|own| own.max_ejection_percent).unwrap_or(100),
            retry_budget_percent: own.and_then(|own| own.retry_budget_percent),
            entity: entity.clone(),
        }
    }

    /// Id of the entity.
    #[must_use]
    pub fn id(&self) -> UpstreamId {
        self.entity.id
    }

    /// Whether anything judges health at all.
    #[must_use]
    pub fn has_checks(&self) -> bool {
        self.is_probed() || self.passive.can_fail()
    }

    /// Whether addresses are probed at all.
    #[must_use]
    pub fn is_probed(&self) -> bool {
        [true, false]
            .into_iter()
            .any(|is_routable| self.probe_interval(is_routable).is_some())
    }

    /// Time between probes of an address that is in use, or out; `None`: it is not probed.
    #[must_use]
    pub fn probe_interval(&self, is_routable: bool) -> Option<Duration> {
        let active = &self.entity.healthchecks.active;
        let interval = if is_routable {
            active.healthy.interval
        } else {
            active.unhealthy.interval
        };
        (interval > 0.0).then(|| seconds(interval))
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}
