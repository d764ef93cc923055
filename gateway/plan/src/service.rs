//! Services compiled for forwarding: where to, with which Host, over what.

use crate::identities::header;
use crate::planned_upstream::PlannedUpstream;
use crate::slots::{Renewal, Slots};
use hashbrown::HashMap;
use http::HeaderValue;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate_model::entities::{self, EntitySet, Protocol, Service};
use tidegate_model::ids::{ServiceId, UpstreamId};
use tidegate_plugin::exchange::ServiceIndex;
use tidegate_upstream::{UpstreamSpec, Upstreams};

/// A service ready for forwarding.
#[derive(Debug)]
pub struct PlannedService {
    /// The entity.
    pub service: Service,
    /// Where requests go.
    pub destination: Destination,
    /// Host header when the target is a plain host (kong-core F.7).
    pub host_header: HeaderValue,
    /// Port that `Host` leaves out.
    pub default_port: u16,
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

/// `host` with `:port` unless the port is the protocol's own (kong-core F.7, port rule).
#[must_use]
pub fn host_header(host: &str, port: u16, protocol: Protocol) -> HeaderValue {
    let is_default = port == default_port(protocol);
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

fn default_port(protocol: Protocol) -> u16 {
    match protocol {
        Protocol::Http | Protocol::Grpc => 80,
        _ => 443,
    }
}

/// The services of a snapshot by number, with the upstreams they go to.
#[derive(Default)]
pub(crate) struct Services {
    pub(crate) slots: Slots<ServiceId, Arc<PlannedService>>,
    upstreams: HashMap<UpstreamId, Arc<PlannedUpstream>>,
    pub(crate) live: Upstreams,
}

impl Services {
    pub(crate) fn upstream_by_name(&self, name: &str) -> Option<&Arc<PlannedUpstream>> {
        self.upstreams
            .values()
            .find(|upstream| *upstream.live.spec().name == *name)
    }
}

/// Compiles services; unchanged ones are shared with the snapshot before. A disabled one has no number.
pub(crate) fn plan_services(
    entities: &EntitySet,
    previous: Option<&Services>,
) -> (Services, HashMap<ServiceId, ServiceIndex>) {
    let (upstreams, live) = plan_upstreams(entities, previous);
    let by_name: HashMap<&str, &Arc<PlannedUpstream>> = upstreams
        .values()
        .map(|upstream| (&*upstream.live.spec().name, upstream))
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
        live,
    };
    (services, numbers)
}

/// An unchanged upstream stays as it is; a changed one takes over what is known of its addresses.
fn plan_upstreams(
    entities: &EntitySet,
    previous: Option<&Services>,
) -> (HashMap<UpstreamId, Arc<PlannedUpstream>>, Upstreams) {
    let mut targets: HashMap<UpstreamId, Vec<&entities::Target>> = HashMap::new();
    for target in &entities.targets {
        targets.entry(target.upstream.id).or_default().push(target);
    }
    let specs = entities.upstreams.iter().map(|upstream| {
        let own = targets.get(&upstream.id).map_or(&[] as &[_], Vec::as_slice);
        UpstreamSpec::new(upstream, own)
    });
    let nothing = Upstreams::default();
    let live = previous
        .map_or(&nothing, |previous| &previous.live)
        .apply(specs, Instant::now());
    let planned = live.iter().map(|upstream| {
        let id = upstream.spec().id();
        let known = previous.and_then(|previous| previous.upstreams.get(&id));
        let planned = match known.filter(|known| Arc::ptr_eq(&known.live, upstream)) {
            Some(known) => Arc::clone(known),
            None => Arc::new(PlannedUpstream::new(Arc::clone(upstream))),
        };
        (id, planned)
    });
    (planned.collect(), live)
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
            default_port: default_port(service.protocol),
            is_tls: service.protocol.is_tls(),
            is_grpc: service.protocol.is_grpc(),
            connect_timeout: Duration::from_millis(u64::from(service.connect_timeout)),
            write_timeout: Duration::from_millis(u64::from(service.write_timeout)),
            read_timeout: Duration::from_millis(u64::from(service.read_timeout)),
            service: service.clone(),
        }
    }
}
