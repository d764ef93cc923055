//! Plugin instances of a snapshot.

use crate::snapshot::PlanFault;
use hashbrown::HashMap;
use std::sync::Arc;
use tidegate_model::entities;
use tidegate_model::ids::PluginId;
use tidegate_plugin::services::Services;
use tidegate_plugin::{BuildCx, Needs, PhaseSet, Plugin, Registry};

/// Place of an instance in its snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InstanceIndex(pub u32);

/// One configured plugin at work.
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

/// Builds every enabled HTTP instance; one whose configuration is unchanged keeps its state.
pub(crate) fn build_instances(
    plugins: &[entities::Plugin],
    registry: &Registry,
    services: &Arc<Services>,
    previous: &[Instance],
    faults: &mut Vec<PlanFault>,
) -> Vec<Instance> {
    let known: HashMap<PluginId, &Instance> = previous
        .iter()
        .map(|instance| (instance.entity.id, instance))
        .collect();
    let mut instances = Vec::new();
    for entity in plugins {
        let serves_http = entity.protocols.iter().any(|protocol| protocol.is_http_family());
        if !entity.enabled || !serves_http {
            continue;
        }
        let Some(kind) = registry.get(&entity.name) else {
            faults.push(PlanFault::new(
                "plugins",
                entity.id.0,
                format!("plugin '{}' is not known", entity.name),
            ));
            continue;
        };
        let kept = known
            .get(&entity.id)
            .filter(|instance| is_same_work(&instance.entity, entity));
        let plugin = match kept {
            Some(instance) => Arc::clone(&instance.plugin),
            None => match kind.build(&entity.config, &BuildCx { entity, services }) {
                Ok(plugin) => plugin,
                Err(error) => {
                    faults.push(PlanFault::new(
                        "plugins",
                        entity.id.0,
                        format!("{}: {error}", entity.name),
                    ));
                    continue;
                }
            },
        };
        instances.push(Instance {
            entity: Arc::new(entity.clone()),
            kind: kind.name(),
            priority: kind.priority(),
            phases: kind.phases(),
            needs: plugin.needs(),
            plugin,
        });
    }
    instances
}

/// Whether two entities make instances that behave alike: labels and times do not matter.
fn is_same_work(one: &entities::Plugin, other: &entities::Plugin) -> bool {
    one.name == other.name
        && one.config == other.config
        && one.service == other.service
        && one.route == other.route
        && one.consumer == other.consumer
        && one.consumer_group == other.consumer_group
}
