//! Services compiled for forwarding: where to, with which Host, over what.

use crate::identities::header;
use crate::slots::{Renewal, Slots};
use hashbrown::HashMap;
use http::HeaderValue;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tidegate_model::entities::{self, EntitySet, Protocol, Service};
use tidegate_model::ids::{ServiceId, UpstreamId};
use tidegate_plugin::exchange::ServiceIndex;

/// A service ready for forwarding.
#[derive(Debug)]
pub struct PlannedService {
    /// The entity.
    pub service: Service,
    /// Where requests go.
    pub destination: Destination,
    /// Host header when the target is a plain host (kong-core F.7).
    pub host_header: HeaderValue,
    /// Whether the upstream connection is encrypted.
    pub is_tls: bool,
    /// Whether the upstream speaks HTTP/2 only: gRPC.
    pub is_grpc: bool,
    /// Longest time to connect.
    pub connect_timeout: Duration,
    /// Longest time between two writes.
    pub write_timeout: Duration,
    /// Longest time between two reads.
    pub read_timeout: Duration,
}

/// Where a service's requests go (kong-core F.1).
#[derive(Debug)]
pub enum Destination {
    /// An address: no look-up.
    Address(SocketAddr),
    /// A DNS name.
    Name(Arc<str>, u16),
    /// An Upstream entity.
    Upstream(Arc<PlannedUpstream>),
}

/// An Upstream entity with its targets. Balancing beyond weights, and health, live in the upstream side.
#[derive(Debug)]
pub struct PlannedUpstream {
    /// Its name.
    pub name: String,
    /// `host_header` of the entity.
    pub host_header: Option<String>,
    /// Targets of weight above 0.
    pub targets: Vec<PlannedTarget>,
    wheel: Vec<u32>,
    next: AtomicUsize,
}

/// A target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedTarget {
    /// Address or name.
    pub host: Arc<str>,
    /// The address when `host` is one.
    pub address: Option<IpAddr>,
    /// Port.
    pub port: u16,
    /// Share of traffic.
    pub weight: u16,
}

/// Bound of the wheel, so that odd weights cannot make it huge.
const MAX_WHEEL: usize = 16_384;

impl PlannedUpstream {
    fn new(upstream: &entities::Upstream, targets: &[&entities::Target]) -> Self {
        let targets: Vec<PlannedTarget> = targets
            .iter()
            .filter(|target| target.weight > 0)
            .filter_map(|target| parse_target(target))
            .collect();
        Self {
            name: upstream.name.clone(),
            host_header: upstream.host_header.clone(),
            targets,
            wheel: Vec::new(),
            next: AtomicUsize::new(0),
        }
    }

    fn balances_like(&self, other: &Self) -> bool {
        (&self.name, &self.host_header, &self.targets) == (&other.name, &other.host_header, &other.targets)
    }

    fn with_wheel(mut self) -> Self {
        let divisor = self
            .targets
            .iter()
            .fold(0, |divisor, target| gcd(divisor, usize::from(target.weight)))
            .max(1);
        let total: usize = self
            .targets
            .iter()
            .map(|target| usize::from(target.weight) / divisor)
            .sum();
        let scale = total.div_ceil(MAX_WHEEL).max(1);
        self.wheel = smooth_wheel(&self.targets, divisor * scale);
        self
    }

    /// The next target by weight; `None` when there is none.
    #[must_use]
    pub fn next(&self) -> Option<&PlannedTarget> {
        let turn = self
            .next
            .fetch_add(1, Ordering::Relaxed)
            .checked_rem(self.wheel.len())?;
        self.targets.get(*self.wheel.get(turn)? as usize)
    }
}

/// Smooth weighted round robin, unrolled: each turn the target with the most credit is chosen.
fn smooth_wheel(targets: &[PlannedTarget], unit: usize) -> Vec<u32> {
    let shares: Vec<i64> = targets
        .iter()
        .map(|target| i64::try_from((usize::from(target.weight) / unit).max(1)).unwrap_or(1))
        .collect();
    let total: i64 = shares.iter().sum();
    let mut credit = vec![0_i64; shares.len()];
    let mut wheel = Vec::new();
    for _ in 0..total {
        for (credit, share) in credit.iter_mut().zip(&shares) {
            *credit += share;
        }
        let Some((best, _)) = credit
            .iter()
            .enumerate()
            .max_by_key(|(position, credit)| (**credit, usize::MAX - position))
        else {
            break;
        };
        if let Some(credit) = credit.get_mut(best) {
            *credit -= total;
        }
        wheel.push(u32::try_from(best).unwrap_or(0));
    }
    wheel
}

fn gcd(one: usize, other: usize) -> usize {
    if other == 0 { one } else { gcd(other, one % other) }
}

fn parse_target(target: &entities::Target) -> Option<PlannedTarget> {
    let (host, port) = target.target.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Some(PlannedTarget {
        host: Arc::from(host),
        address: host.parse().ok(),
        port: port.parse().ok()?,
        weight: target.weight,
    })
}

/// `host` with `:port` unless the port is the protocol's own (kong-core F.7, port rule).
#[must_use]
pub fn host_header(host: &str, port: u16, protocol: Protocol) -> HeaderValue {
    let is_default = match protocol {
        Protocol::Http | Protocol::Grpc => port == 80,
        _ => port == 443,
    };
    let host = if host.parse::<std::net::Ipv6Addr>().is_ok() {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    if is_default {
        header(&host)
    } else {
        header(&format!("{host}:{port}"))
    }
}

/// The services of a snapshot by number, with the upstreams they go to.
#[derive(Default)]
pub(crate) struct Services {
    pub(crate) slots: Slots<ServiceId, Arc<PlannedService>>,
    upstreams: HashMap<UpstreamId, Arc<PlannedUpstream>>,
}

impl Services {
    pub(crate) fn upstream_by_name(&self, name: &str) -> Option<&Arc<PlannedUpstream>> {
        self.upstreams.values().find(|upstream| upstream.name == name)
    }
}

/// Compiles services; unchanged ones are shared with the snapshot before. A disabled one has no number.
pub(crate) fn plan_services(
    entities: &EntitySet,
    previous: Option<&Services>,
) -> (Services, HashMap<ServiceId, ServiceIndex>) {
    let upstreams = plan_upstreams(entities, previous);
    let by_name: HashMap<&str, &Arc<PlannedUpstream>> = upstreams
        .values()
        .map(|upstream| (upstream.name.as_str(), upstream))
        .collect();
    let mut renewal = Renewal::of(previous.map(|previous| &previous.slots));
    let mut numbers = HashMap::with_capacity(entities.services.len());
    for service in entities.services.iter().filter(|service| service.enabled) {
        let upstream = by_name.get(service.host.as_str()).copied();
        let number = match renewal.known(&service.id) {
            Some((number, known)) if known.is_made_of(service, upstream) => {
                renewal.keep(number);
                number
            }
            _ => renewal.put(service.id, Arc::new(PlannedService::new(service, upstream))),
        };
        numbers.insert(service.id, ServiceIndex(number));
    }
    drop(by_name);
    let services = Services {
        slots: renewal.finish().0,
        upstreams,
    };
    (services, numbers)
}

/// An unchanged upstream keeps its turn.
fn plan_upstreams(
    entities: &EntitySet,
    previous: Option<&Services>,
) -> HashMap<UpstreamId, Arc<PlannedUpstream>> {
    let mut targets: HashMap<UpstreamId, Vec<&entities::Target>> = HashMap::new();
    for target in &entities.targets {
        targets.entry(target.upstream.id).or_default().push(target);
    }
    let planned = entities.upstreams.iter().map(|upstream| {
        let own = targets.get(&upstream.id).map_or(&[] as &[_], Vec::as_slice);
        let new = PlannedUpstream::new(upstream, own);
        let known = previous.and_then(|previous| previous.upstreams.get(&upstream.id));
        let planned = match known.filter(|known| known.balances_like(&new)) {
            Some(known) => Arc::clone(known),
            None => Arc::new(new.with_wheel()),
        };
        (upstream.id, planned)
    });
    planned.collect()
}

impl PlannedService {
    fn is_made_of(&self, service: &Service, upstream: Option<&Arc<PlannedUpstream>>) -> bool {
        let has_same_upstream = match (&self.destination, upstream) {
            (Destination::Upstream(own), Some(upstream)) => Arc::ptr_eq(own, upstream),
            (Destination::Address(_), _) | (Destination::Name(..), None) => true,
            (Destination::Upstream(_), None) | (Destination::Name(..), Some(_)) => false,
        };
        has_same_upstream && self.service == *service
    }

    fn new(service: &Service, upstream: Option<&Arc<PlannedUpstream>>) -> Self {
        let destination = match (
            service
                .host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .parse::<IpAddr>(),
            upstream,
        ) {
            (Ok(address), _) => Destination::Address(SocketAddr::new(address, service.port)),
            (Err(_), Some(upstream)) => Destination::Upstream(Arc::clone(upstream)),
            (Err(_), None) => Destination::Name(Arc::from(service.host.as_str()), service.port),
        };
        Self {
            destination,
            host_header: host_header(&service.host, service.port, service.protocol),
            is_tls: service.protocol.is_tls(),
            is_grpc: service.protocol.is_grpc(),
            connect_timeout: Duration::from_millis(u64::from(service.connect_timeout)),
            write_timeout: Duration::from_millis(u64::from(service.write_timeout)),
            read_timeout: Duration::from_millis(u64::from(service.read_timeout)),
            service: service.clone(),
        }
    }
}
