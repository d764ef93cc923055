//! The snapshot: everything that requests need, immutable.

use crate::chain::{ChainBuilder, ChainEntry, ChainIndex, Chains};
use crate::identities::plan_identities;
use crate::instances::{Instance, InstanceIndex, Instances, plan_instances};
use crate::planned_upstream::PlannedUpstream;
use crate::service::{self, PlannedService, plan_services};
use hashbrown::HashMap;
use std::fmt;
use std::sync::Arc;
use tidegate_model::entities::{self, EntitySet, PathHandling, Route};
use tidegate_model::ids::{RouteId, ServiceId};
use tidegate_plugin::exchange::{RouteIndex, ServiceIndex};
use tidegate_plugin::identity::Identities;
use tidegate_plugin::services::Services;
use tidegate_plugin::{BodyAccess, Registry};
use tidegate_router::{Flavor, RouteInput, Router};
use tidegate_upstream::Upstreams;
use uuid::Uuid;

/// What [`plan`] works on.
pub struct PlanInput<'a> {
    /// The entities, vault references already resolved. Keys are unique, and so are plugins of a kind in a scope.
    pub entities: &'a EntitySet,
    /// Known kinds of plugins.
    pub registry: &'a Registry,
    /// Process-wide services.
    pub services: &'a Arc<Services>,
    /// Router flavour.
    pub flavor: Flavor,
    /// Snapshot that this one replaces; what did not change is shared with it.
    pub previous: Option<&'a Snapshot>,
}

/// Something that cannot be put to work. In the snapshot a route is then left out, and a plugin refuses every request that
/// it would have seen.
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
    /// Finds routes.
    pub router: Router,
    /// Plugins of requests without a route.
    pub global_chain: ChainIndex,
    /// Whether any global instance has a rewrite phase.
    pub has_rewrite: bool,
    /// Consumers and credentials.
    pub identities: Arc<Identities>,
    /// Process-wide services.
    pub process: Arc<Services>,
    services: service::Services,
    instances: Instances,
    chains: Chains,
}

impl Snapshot {
    pub(crate) fn services(&self) -> impl Iterator<Item = &entities::Service> {
        self.services.slots.iter().map(|(_, planned)| &planned.service)
    }

    pub(crate) fn plugins(&self) -> impl Iterator<Item = &entities::Plugin> {
        self.instances.iter().map(|(_, instance)| &*instance.entity)
    }

    /// The chain at an index.
    #[must_use]
    pub fn chain(&self, index: ChainIndex) -> &[ChainEntry] {
        self.chains.get(index)
    }

    /// Whether requests of a chain may meet filters.
    #[must_use]
    pub fn has_filters(&self, index: ChainIndex) -> bool {
        self.chains.has_filters(index)
    }

    /// The filters of a chain in order: global ones, then the service's, then the route's. Those of consumers are
    /// among its entries.
    #[must_use]
    pub fn filters(&self, index: ChainIndex) -> &[InstanceIndex] {
        self.chains.filters(index)
    }

    /// Every instance.
    pub fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.instances.iter().map(|(_, instance)| instance)
    }

    /// Whether a filter is attached that is not there, and whose requests therefore fail.
    #[must_use]
    pub fn lacks_filters(&self) -> bool {
        self.instances().any(Instance::is_absent)
    }

    /// A service by its name, a planned one.
    #[must_use]
    pub fn service_by_name(&self, name: &str) -> Option<&Arc<PlannedService>> {
        let mut planned = self.services.slots.iter().map(|(_, planned)| planned);
        planned.find(|planned| planned.service.name.as_deref() == Some(name))
    }

    /// An upstream by its name.
    #[must_use]
    pub fn upstream_by_name(&self, name: &str) -> Option<&Arc<PlannedUpstream>> {
        self.services.upstream_by_name(name)
    }

    /// Every upstream at work.
    #[must_use]
    pub fn upstreams(&self) -> &Upstreams {
        &self.services.live
    }

    /// The instance at an index.
    #[must_use]
    pub fn instance(&self, index: InstanceIndex) -> Option<&Instance> {
        self.instances.get(index.0)
    }

    /// The planned route at an index.
    #[must_use]
    pub fn planned_route(&self, index: RouteIndex) -> Option<&Arc<PlannedRoute>> {
        self.routes.get(index.0 as usize)
    }

    /// The planned service at an index.
    #[must_use]
    pub fn planned_service(&self, index: ServiceIndex) -> Option<&Arc<PlannedService>> {
        self.services.slots.get(index.0)
    }
}

/// Compiles entities. Faulty entities are left out and reported; whether that is acceptable is the caller's decision.
/// The outcome does not depend on the previous snapshot, apart from the state of plugin instances and upstreams whose
/// configuration is unchanged.
#[must_use]
pub fn plan(input: &PlanInput<'_>) -> (Snapshot, Vec<PlanFault>) {
    let mut faults = Vec::new();
    let (entities, previous) = (input.entities, input.previous);
    let (instances, changed) = plan_instances(
        entities,
        input.registry,
        input.services,
        previous.map(|previous| &previous.instances),
        &mut faults,
    );
    let (services, service_numbers) = plan_services(entities, previous.map(|previous| &previous.services));
    let mut chains = ChainBuilder::new(&instances, &changed, previous.map(|previous| &previous.chains));
    let global_chain = chains.chain(None, None);
    let routes = plan_routes(input, &service_numbers, &mut chains);
    let chains = chains.finish();
    let router = plan_router(&routes, input, &mut faults);
    #[allow(
        clippy::cast_precision_loss,
        reason = "milliseconds since the epoch fit a double exactly"
    )]
    let now_seconds = input.services.clock.now_millis() as f64 / 1_000.0;
    let has_rewrite = has_rewrite(chains.get(global_chain), &instances);
    let snapshot = Snapshot {
        version: previous.map_or(1, |previous| previous.version + 1),
        routes,
        router,
        global_chain,
        has_rewrite,
        identities: plan_identities(
            entities,
            now_seconds,
            previous.map(|previous| &previous.identities),
        ),
        process: Arc::clone(input.services),
        services,
        instances,
        chains,
    };
    (snapshot, faults)
}

/// Routes of the stream side and routes of disabled services are left out.
fn plan_routes(
    input: &PlanInput<'_>,
    services: &HashMap<ServiceId, ServiceIndex>,
    chains: &mut ChainBuilder<'_>,
) -> Vec<Arc<PlannedRoute>> {
    let mut known = KnownRoutes::new(input.previous);
    let mut routes = Vec::with_capacity(input.entities.routes.len());
    for route in &input.entities.routes {
        if !route.protocols.iter().any(|protocol| protocol.is_http_family()) {
            continue;
        }
        let service = match route.service {
            Some(service) => match services.get(&service.id) {
                Some(index) => Some(*index),
                None => continue,
            },
            None => None,
        };
        let chain = chains.chain(Some(route.id), route.service.map(|service| service.id));
        let path_handling = input.flavor.path_handling(route.path_handling);
        let same = known.find(route.id).filter(|known| {
            (known.service, known.chain, known.path_handling) == (service, chain, path_handling)
                && known.route == *route
        });
        routes.push(match same {
            Some(same) => Arc::clone(same),
            None => Arc::new(plan_route(route, service, chain, path_handling)),
        });
    }
    routes
}

/// Routes of the snapshot before, by id.
struct KnownRoutes<'p> {
    routes: &'p [Arc<PlannedRoute>],
    /// Where the next one is expected: an edit leaves most of the order as it was.
    next: usize,
    by_id: Option<HashMap<RouteId, usize>>,
}

impl<'p> KnownRoutes<'p> {
    fn new(previous: Option<&'p Snapshot>) -> Self {
        Self {
            routes: previous.map_or(&[], |previous| &previous.routes),
            next: 0,
            by_id: None,
        }
    }

    fn find(&mut self, id: RouteId) -> Option<&'p Arc<PlannedRoute>> {
        let routes = self.routes;
        let expected = routes.get(self.next).filter(|known| known.route.id == id);
        let place = match expected {
            Some(_) => self.next,
            None if routes.is_empty() => return None,
            None => *self
                .by_id
                .get_or_insert_with(|| {
                    (0..)
                        .zip(routes)
                        .map(|(place, known)| (known.route.id, place))
                        .collect()
                })
                .get(&id)?,
        };
        self.next = place + 1;
        routes.get(place)
    }
}

fn plan_router(routes: &[Arc<PlannedRoute>], input: &PlanInput<'_>, faults: &mut Vec<PlanFault>) -> Router {
    let inputs: Vec<RouteInput<'_>> = routes
        .iter()
        .map(|planned| RouteInput {
            route: &planned.route,
        })
        .collect();
    let previous = input.previous.map(|previous| &previous.router);
    let (router, route_faults) = match previous.filter(|previous| previous.flavor() == input.flavor) {
        Some(previous) => previous.update(&inputs),
        None => Router::build(&inputs, input.flavor),
    };
    for fault in route_faults {
        let id = inputs
            .get(fault.route)
            .map_or(Uuid::nil(), |input| input.route.id.0);
        faults.push(PlanFault::new("routes", id, fault.message));
    }
    router
}

fn plan_route(
    route: &Route,
    service: Option<ServiceIndex>,
    chain: ChainIndex,
    path_handling: PathHandling,
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
        path_handling,
    }
}

fn has_rewrite(chain: &[ChainEntry], instances: &Instances) -> bool {
    chain
        .iter()
        .filter_map(ChainEntry::base)
        .filter_map(|index| instances.get(index.0))
        .any(|instance| instance.phases.contains(tidegate_plugin::Phase::Rewrite))
}

/// Whether an instance wants the request body before its access handler.
#[must_use]
pub fn wants_request_body(instance: &Instance) -> bool {
    matches!(instance.needs.request_body, BodyAccess::Buffered)
}
