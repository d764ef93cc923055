//! Plugin instances of a snapshot.

use crate::refusing::Refusing;
use crate::slots::{Renewal, Slots};
use crate::snapshot::PlanFault;
use hashbrown::HashSet;
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;
use tidegate_model::entities::{self, EntitySet, FilterChain, Protocol};
use tidegate_model::ids::{FilterChainId, PluginId, RouteId, ServiceId};
use tidegate_plugin::services::Services;
use tidegate_plugin::{BuildCx, Filter, FilterNeeds, Kind, Needs, PhaseSet, Plugin, Registry};
use uuid::Uuid;

/// Number of an instance in its snapshot; it keeps it in the next ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InstanceIndex(pub u32);

/// One configured plugin at work.
#[derive(Clone)]
pub struct Instance {
    /// The entity it was built from.
    pub entity: Arc<entities::Plugin>,
    /// Name of its kind.
    pub kind: &'static str,
    /// Priority of its kind.
    pub priority: i32,
    /// Phases of its kind; none for a filter.
    pub phases: PhaseSet,
    /// What it wants of bodies.
    pub needs: Needs,
    /// The instance.
    pub plugin: Arc<dyn Plugin>,
    /// The instance as a filter, if it is one.
    pub filter: Option<Arc<dyn Filter>>,
    /// What that wants to be called for.
    pub filter_needs: FilterNeeds,
    /// Its place in the filter chain that it comes from.
    pub chain_place: Option<u32>,
    /// None for what stands in for a plugin that cannot be put to work.
    made_by: Option<Arc<dyn Kind>>,
}

impl Instance {
    /// Whether it stands for a filter that is not there and should be.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.filter.as_ref().is_some_and(|filter| filter.is_absent())
    }

    /// A filter is made anew when its file was replaced.
    fn is_made_by(&self, kind: Option<&Arc<dyn Kind>>) -> bool {
        match &self.made_by {
            Some(made_by) => self.filter.is_none() || kind.is_some_and(|kind| Arc::ptr_eq(kind, made_by)),
            None => false,
        }
    }
}

/// An entity to be built.
struct Wanted<'a> {
    entity: Cow<'a, entities::Plugin>,
    /// The filter chain that it is an entry of, and its place there.
    chain: Option<(FilterChainId, u32)>,
}

/// Plugins, then the entries of filter chains.
fn wanted(entities: &EntitySet) -> impl Iterator<Item = Wanted<'_>> {
    let plugins = entities.plugins.iter().map(|entity| Wanted {
        entity: Cow::Borrowed(entity),
        chain: None,
    });
    let chains = entities.filter_chains.iter().filter(|chain| chain.enabled);
    let entries = chains.flat_map(|chain| {
        let filters = (0..).zip(&chain.filters).filter(|(_, filter)| filter.enabled);
        filters.map(|(place, filter)| Wanted {
            entity: Cow::Owned(entry_of_chain(chain, place, filter)),
            chain: Some((chain.id, place)),
        })
    });
    plugins.chain(entries)
}

/// An entry of a chain in the form of a plugin. Its id is made of the chain's and the place.
#[must_use]
pub fn entry_of_chain(chain: &FilterChain, place: u32, filter: &entities::Filter) -> entities::Plugin {
    const SPREAD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
    let id = chain.id.0.as_u128() ^ SPREAD.wrapping_mul(u128::from(place) + 1);
    entities::Plugin {
        id: PluginId(Uuid::from_u128(id)),
        created_at: chain.created_at,
        updated_at: chain.updated_at,
        name: filter.name.clone(),
        instance_name: None,
        service: chain.service,
        route: chain.route,
        consumer: None,
        consumer_group: None,
        config: filter.config.clone().unwrap_or(Value::Null),
        protocols: vec![Protocol::Http, Protocol::Https, Protocol::Grpc, Protocol::Grpcs],
        enabled: true,
        ordering: None,
        tidegate: filter.tidegate.clone(),
        tags: None,
    }
}

/// The instances of a snapshot by number.
pub(crate) type Instances = Slots<PluginId, Instance>;

/// Scopes in which other instances compete than in the snapshot before.
#[derive(Debug, Default)]
pub(crate) struct ChangedScopes {
    /// Something changed that every chain depends on.
    pub(crate) everywhere: bool,
    pub(crate) routes: HashSet<RouteId>,
    pub(crate) services: HashSet<ServiceId>,
}

impl ChangedScopes {
    fn note(&mut self, plugin: &entities::Plugin) {
        match (plugin.route, plugin.service) {
            (Some(route), _) => drop(self.routes.insert(route.id)),
            (None, Some(service)) => drop(self.services.insert(service.id)),
            (None, None) => self.everywhere = true,
        }
    }
}

/// Builds every enabled HTTP instance; one whose configuration is unchanged keeps its state.
pub(crate) fn plan_instances(
    entities: &EntitySet,
    registry: &Registry,
    services: &Arc<Services>,
    previous: Option<&Instances>,
    faults: &mut Vec<PlanFault>,
) -> (Instances, ChangedScopes) {
    let mut renewal = Renewal::of(previous);
    let mut changed = ChangedScopes {
        everywhere: previous.is_none() || renewal.is_renumbered,
        ..ChangedScopes::default()
    };
    for Wanted { entity, chain } in wanted(entities) {
        let entity = &*entity;
        let serves_http = entity.protocols.iter().any(|protocol| protocol.is_http_family());
        if !entity.enabled || !serves_http {
            continue;
        }
        let known = renewal.known(&entity.id);
        if let Some((number, instance)) = known
            && is_same(&instance.entity, entity)
            && let Ok(kind) = registry.kind_of(entity)
            && instance.is_made_by(kind.as_ref())
        {
            renewal.keep(number);
            continue;
        }
        let known = known.map(|(_, instance)| instance);
        let instance = build(entity, chain, registry, services, known).unwrap_or_else(|message| {
            faults.push(match chain {
                Some((chain, _)) => PlanFault::new("filter_chains", chain.0, message),
                None => PlanFault::new("plugins", entity.id.0, message),
            });
            refusing(entity, registry)
        });
        // What stands in for a filter is none.
        let is_in_place = known.is_some_and(|known| {
            has_same_place(&known.entity, entity)
                && (known.kind, known.phases) == (instance.kind, instance.phases)
                && known.filter.is_some() == instance.filter.is_some()
        });
        if !is_in_place {
            known.into_iter().for_each(|known| changed.note(&known.entity));
            changed.note(entity);
        }
        renewal.put(entity.id, instance);
    }
    let (instances, gone) = renewal.finish();
    for instance in gone {
        changed.note(&instance.entity);
    }
    (instances, changed)
}

fn build(
    entity: &entities::Plugin,
    chain: Option<(FilterChainId, u32)>,
    registry: &Registry,
    services: &Arc<Services>,
    known: Option<&Instance>,
) -> Result<Instance, String> {
    let kind = kind_of(entity, chain, registry)?;
    let kind = &kind;
    // What was missing at the start may be missing still: that is no reason to refuse another change.
    let is_absent = kind.is_absent();
    let known = known.filter(|known| {
        does_same_work(&known.entity, entity)
            && (known.is_made_by(Some(kind)) || (is_absent && known.is_absent()))
    });
    let cx = BuildCx { entity, services };
    let plugin = match (known, chain) {
        (Some(known), _) => Arc::clone(&known.plugin),
        (None, None) => kind
            .build(&entity.config, &cx)
            .map_err(|error| format!("{}: {error}", entity.name))?,
        (None, Some((_, place))) => kind
            .build_for_chain(&entity.config, &cx)
            .map_err(|error| format!("filters[{place}] {}: {error}", entity.name))?,
    };
    let filter = Arc::clone(&plugin).filter();
    Ok(Instance {
        entity: Arc::new(entity.clone()),
        kind: kind.name(),
        priority: kind.priority(),
        phases: if filter.is_some() {
            PhaseSet::default()
        } else {
            kind.phases()
        },
        needs: plugin.needs(),
        plugin,
        filter_needs: filter.as_ref().map(|filter| filter.needs()).unwrap_or_default(),
        filter,
        chain_place: chain.map(|(_, place)| place),
        made_by: Some(Arc::clone(kind)),
    })
}

/// Where a plugin cannot be put to work, nothing passes. It is tried again with the next configuration.
fn refusing(entity: &entities::Plugin, registry: &Registry) -> Instance {
    let kind = registry.get(&entity.name);
    Instance {
        entity: Arc::new(entity.clone()),
        kind: kind.map_or(Refusing::KIND, |kind| kind.name()),
        priority: kind.map_or(i32::MAX, |kind| kind.priority()),
        phases: Refusing::PHASES,
        needs: Needs::default(),
        plugin: Arc::new(Refusing),
        filter: None,
        filter_needs: FilterNeeds::default(),
        chain_place: None,
        made_by: None,
    }
}

/// The kind of an entity. A filter that is not there has one too, as long as filters are on.
fn kind_of(
    entity: &entities::Plugin,
    chain: Option<(FilterChainId, u32)>,
    registry: &Registry,
) -> Result<Arc<dyn Kind>, String> {
    let is_meant_as_filter = chain.is_some() || entity.tidegate.is_some();
    let kind = registry.kind_of(entity).map_err(|error| match chain {
        Some((_, place)) => format!("filters[{place}] {}: {error}", entity.name),
        None => format!("{}: {error}", entity.name),
    })?;
    match kind {
        Some(kind) if kind.is_filter() || !is_meant_as_filter => Ok(kind),
        Some(_) if chain.is_none() => Err(format!(
            "{}: tidegate: only filters have these options",
            entity.name
        )),
        None if !is_meant_as_filter => Err(format!("plugin '{}' is not known", entity.name)),
        _ => registry
            .absent_filter()
            .cloned()
            .ok_or_else(|| "no wasm filters are available".to_owned()),
    }
}

/// Equality, told faster than by `==` where configurations list their fields in the same order.
pub(crate) fn is_same(one: &entities::Plugin, other: &entities::Plugin) -> bool {
    let entities::Plugin {
        id,
        created_at,
        updated_at,
        name: _,
        instance_name,
        service: _,
        route: _,
        consumer: _,
        consumer_group: _,
        config: _,
        protocols,
        enabled,
        ordering,
        tidegate: _,
        tags,
    } = one;
    (id, enabled, created_at, updated_at) == (&other.id, &other.enabled, &other.created_at, &other.updated_at)
        && (instance_name, tags) == (&other.instance_name, &other.tags)
        && (protocols, ordering) == (&other.protocols, &other.ordering)
        && does_same_work(one, other)
}

/// Whether two entities make instances that behave alike: labels and times do not matter.
fn does_same_work(one: &entities::Plugin, other: &entities::Plugin) -> bool {
    has_same_scope(one, other) && one.tidegate == other.tidegate && is_same_value(&one.config, &other.config)
}

/// Maps are walked side by side: looking each key up is what makes `==` slow.
fn is_same_value(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) if one.keys().eq(other.keys()) => one
            .values()
            .zip(other.values())
            .all(|(one, other)| is_same_value(one, other)),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|(one, other)| is_same_value(one, other))
        }
        _ => one == other,
    }
}

/// Whether two entities stand at the same place of the same chains.
fn has_same_place(one: &entities::Plugin, other: &entities::Plugin) -> bool {
    one.ordering == other.ordering && has_same_scope(one, other)
}

fn has_same_scope(one: &entities::Plugin, other: &entities::Plugin) -> bool {
    one.name == other.name
        && one.service == other.service
        && one.route == other.route
        && one.consumer == other.consumer
        && one.consumer_group == other.consumer_group
}
