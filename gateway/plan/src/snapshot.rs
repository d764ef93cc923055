//! The snapshot: everything that requests need, immutable.

use crate::chain::{Chain, ChainBuilder, ChainIndex};
use crate::identities::build_identities;
use crate::instances::{Instance, InstanceIndex, build_instances};
use crate::service::{PlannedService, PlannedUpstream};
use hashbrown::HashMap;
use std::fmt;
use std::sync::Arc;
use tidegate_model::entities::{EntitySet, PathHandling, Route};
use tidegate_model::ids::{ServiceId, UpstreamId};
use tidegate_plugin::exchange::{RouteIndex, ServiceIndex};
use tidegate_plugin::identity::Identities;
use tidegate_plugin::services::Services;
use tidegate_plugin::{BodyAccess, Registry};
use tidegate_router::{Flavor, RouteInput, Router};
use uuid::Uuid;

/// What [`plan`] works on.
pub struct PlanInput<'a> {
    /// The entities, vault references already resolved.
    pub entities: &'a EntitySet,
    /// Known kinds of plugins.
    pub registry: &'a Registry,
    /// Process-wide services.
    pub services: &'a Arc<Services>,
    /// Router flavour.
    pub flavor: Flavor,
    /// Snapshot that this one replaces.
    pub previous: Option<&'a Snapshot>,
}

/// Something that cannot be put to work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanFault {
    /// Collection of the entity, e.g. `plugins`.
    pub collection: &'static str,
    /// Its id.
    pub id: Uuid,
    /// What is wrong.
    pub message: String,
}

impl PlanFault {
    pub(crate) fn new(collection: &'static str, id: Uuid, message: String) -> Self {
        Self {
            collection,
            id,
            message,
        }
    }
}

impl fmt::Display for PlanFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.collection, self.id, self.message)
    }
}

/// A route with what forwarding needs.
#[derive(Debug)]
pub struct PlannedRoute {
    /// The entity.
    pub route: Route,
    /// Its service; `None`: 503 unless a plugin answers.
    pub service: Option<ServiceIndex>,
    /// Its plugins.
    pub chain: ChainIndex,
    /// All its protocols are encrypted ones.
    pub is_https_only: bool,
    /// It has a gRPC protocol.
    pub is_grpc: bool,
    /// All its protocols are `grpcs`.
    pub is_grpcs_only: bool,
    /// How paths are joined; v1 only counts with the flavour `traditional`.
    pub path_handling: PathHandling,
}

/// An immutable configuration at work.
pub struct Snapshot {
    /// Counts snapshots of this process from 1.
    pub version: u64,
    /// Routes; [`RouteIndex`] and the router count them.
    pub routes: Vec<Arc<PlannedRoute>>,
    /// Services; [`ServiceIndex`] counts them.
    pub services: Vec<Arc<PlannedService>>,
    /// Finds routes.
    pub router: Router,
    /// Plugin instances.
    pub instances: Vec<Instance>,
    /// Chains of plugins.
    pub chains: Vec<Chain>,
    /// Plugins of requests without a route.
    pub global_chain: ChainIndex,
    /// Whether any global instance has a rewrite phase.
    pub has_rewrite: bool,
    /// Consumers and credentials.
    pub identities: Identities,
    /// Process-wide services.
    pub process: Arc<Services>,
}

impl Snapshot {
    /// The chain at an index.
    #[must_use]
    pub fn chain(&self, index: ChainIndex) -> &[crate::chain::ChainEntry] {
        self.chains
            .get(index.0 as usize)
            .map_or(&[], |chain| &chain.entries)
    }

    /// The instance at an index.
    #[must_use]
    pub fn instance(&self, index: InstanceIndex) -> Option<&Instance> {
        self.instances.get(index.0 as usize)
    }

    /// The planned route at an index.
    #[must_use]
    pub fn planned_route(&self, index: RouteIndex) -> Option<&Arc<PlannedRoute>> {
        self.routes.get(index.0 as usize)
    }

    /// The planned service at an index.
    #[must_use]
    pub fn planned_service(&self, index: ServiceIndex) -> Option<&Arc<PlannedService>> {
        self.services.get(index.0 as usize)
    }
}

/// Compiles entities. Faulty entities are left out and reported; whether that is acceptable is the caller's decision.
#[must_use]
pub fn plan(input: &PlanInput<'_>) -> (Snapshot, Vec<PlanFault>) {
    let mut faults = Vec::new();
    let entities = input.entities;
    let previous = input
        .previous
        .map_or(&[] as &[Instance], |snapshot| &snapshot.instances);
    let instances = build_instances(
        &entities.plugins,
        input.registry,
        input.services,
        previous,
        &mut faults,
    );
    let (services, service_places) = plan_services(entities);
    let mut chains = ChainBuilder::new(&instances);
    let global_chain = chains.chain(None, None);
    let mut routes = Vec::with_capacity(entities.routes.len());
    for route in &entities.routes {
        if !route.protocols.iter().any(|protocol| protocol.is_http_family()) {
            continue;
        }
        let service = match route.service {
            Some(service) => match service_places.get(&service.id) {
                Some(ServicePlace::At(index)) => Some(*index),
                Some(ServicePlace::Disabled) | None => continue,
            },
            None => None,
        };
        let chain = chains.chain(Some(route.id), route.service.map(|service| service.id));
        routes.push(Arc::new(plan_route(route, service, chain, input.flavor)));
    }
    let chains = chains.finish();
    let inputs: Vec<RouteInput<'_>> = routes
        .iter()
        .map(|planned| RouteInput {
            route: &planned.route,
        })
        .collect();
    let (router, route_faults) = Router::build(&inputs, input.flavor);
    for fault in route_faults {
        let id = inputs
            .get(fault.route)
            .map_or(Uuid::nil(), |input| input.route.id.0);
        faults.push(PlanFault::new("routes", id, fault.message));
    }
    #[allow(
        clippy::cast_precision_loss,
        reason = "milliseconds since the epoch fit a double exactly"
    )]
    let now_seconds = input.services.clock.now_millis() as f64 / 1_000.0;
    let has_rewrite = chain_has_rewrite(&chains, global_chain, &instances);
    let snapshot = Snapshot {
        version: input.previous.map_or(1, |previous| previous.version + 1),
        routes,
        services,
        router,
        instances,
        chains,
        global_chain,
        has_rewrite,
        identities: build_identities(entities, now_seconds),
        process: Arc::clone(input.services),
    };
    (snapshot, faults)
}

enum ServicePlace {
    At(ServiceIndex),
    Disabled,
}

fn plan_services(entities: &EntitySet) -> (Vec<Arc<PlannedService>>, HashMap<ServiceId, ServicePlace>) {
    let mut targets: HashMap<UpstreamId, Vec<&tidegate_model::entities::Target>> = HashMap::new();
    for target in &entities.targets {
        targets.entry(target.upstream.id).or_default().push(target);
    }
    let upstreams: HashMap<&str, Arc<PlannedUpstream>> = entities
        .upstreams
        .iter()
        .map(|upstream| {
            let own = targets.get(&upstream.id).map_or(&[] as &[_], Vec::as_slice);
            (
                upstream.name.as_str(),
                Arc::new(PlannedUpstream::new(upstream, own)),
            )
        })
        .collect();
    let mut services = Vec::with_capacity(entities.services.len());
    let mut places = HashMap::with_capacity(entities.services.len());
    for service in &entities.services {
        if !service.enabled {
            places.insert(service.id, ServicePlace::Disabled);
            continue;
        }
        let index = ServiceIndex(u32::try_from(services.len()).unwrap_or(u32::MAX));
        services.push(Arc::new(PlannedService::new(
            service,
            upstreams.get(service.host.as_str()),
        )));
        places.insert(service.id, ServicePlace::At(index));
    }
    (services, places)
}

fn plan_route(
    route: &Route,
    service: Option<ServiceIndex>,
    chain: ChainIndex,
    flavor: Flavor,
) -> PlannedRoute {
    let all_tls = route.protocols.iter().all(|protocol| protocol.is_tls());
    let is_grpc = route.protocols.iter().any(|protocol| protocol.is_grpc());
    PlannedRoute {
        route: route.clone(),
        service,
        chain,
        is_https_only: all_tls && !is_grpc,
        is_grpc,
        is_grpcs_only: all_tls && is_grpc,
        path_handling: flavor.path_handling(route.path_handling),
    }
}

fn chain_has_rewrite(chains: &[Chain], global: ChainIndex, instances: &[Instance]) -> bool {
    chains.get(global.0 as usize).is_some_and(|chain| {
        chain
            .entries
            .iter()
            .filter_map(crate::chain::ChainEntry::base)
            .any(|index| {
                instances
                    .get(index.0 as usize)
                    .is_some_and(|instance| instance.phases.contains(tidegate_plugin::Phase::Rewrite))
            })
    })
}

/// Whether an instance wants the request body before its access handler.
#[must_use]
pub fn wants_request_body(instance: &Instance) -> bool {
    matches!(instance.needs.request_body, BodyAccess::Buffered)
}
