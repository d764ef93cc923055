//! Plugin instances of a snapshot.

use crate::slots::{Renewal, Slots};
use crate::snapshot::PlanFault;
use hashbrown::HashSet;
use serde_json::Value;
use std::sync::Arc;
use tidegate_model::entities;
use tidegate_model::ids::{PluginId, RouteId, ServiceId};
use tidegate_plugin::services::Services;
use tidegate_plugin::{BuildCx, Needs, PhaseSet, Plugin, Registry};

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
    /// Phases of its kind.
    pub phases: PhaseSet,
    /// What it wants of bodies.
    pub needs: Needs,
    /// The instance.
    pub plugin: Arc<dyn Plugin>,
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
    plugins: &[entities::Plugin],
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
    for entity in plugins {
        let serves_http = entity.protocols.iter().any(|protocol| protocol.is_http_family());
        if !entity.enabled || !serves_http {
            continue;
        }
        let known = renewal.known(&entity.id);
        if let Some((number, instance)) = known
            && is_same(&instance.entity, entity)
        {
            renewal.keep(number);
            continue;
        }
        let known = known.map(|(_, instance)| instance);
        match build(entity, registry, services, known) {
            Ok(instance) => {
                if !known.is_some_and(|known| has_same_place(&known.entity, entity)) {
                    known.into_iter().for_each(|known| changed.note(&known.entity));
                    changed.note(entity);
                }
                renewal.put(entity.id, instance);
            }
            Err(message) => faults.push(PlanFault::new("plugins", entity.id.0, message)),
        }
    }
    let (instances, gone) = renewal.finish();
    for instance in gone {
        changed.note(&instance.entity);
    }
    (instances, changed)
}

fn build(
    entity: &entities::Plugin,
    registry: &Registry,
    services: &Arc<Services>,
    known: Option<&Instance>,
) -> Result<Instance, String> {
    let Some(kind) = registry.get(&entity.name) else {
        return Err(format!("plugin '{}' is not known", entity.name));
    };
    let plugin = match known.filter(|known| does_same_work(&known.entity, entity)) {
        Some(known) => Arc::clone(&known.plugin),
        None => kind
            .build(&entity.config, &BuildCx { entity, services })
            .map_err(|error| format!("{}: {error}", entity.name))?,
    };
    Ok(Instance {
        entity: Arc::new(entity.clone()),
        kind: kind.name(),
        priority: kind.priority(),
        phases: kind.phases(),
        needs: plugin.needs(),
        plugin,
    })
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
        tags,
    } = one;
    (id, enabled, created_at, updated_at) == (&other.id, &other.enabled, &other.created_at, &other.updated_at)
        && (instance_name, tags) == (&other.instance_name, &other.tags)
        && (protocols, ordering) == (&other.protocols, &other.ordering)
        && does_same_work(one, other)
}

/// Whether two entities make instances that behave alike: labels and times do not matter.
fn does_same_work(one: &entities::Plugin, other: &entities::Plugin) -> bool {
    has_same_scope(one, other) && is_same_value(&one.config, &other.config)
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
