//! What plugins, filters and certificates say of a configuration beyond its table.

use crate::certificates;
use serde_json::{Map, Value};
use std::sync::Arc;
use tidegate_config::vault::may_refer;
use tidegate_model::entities::{EntitySet, FilterChain, Plugin};
use tidegate_model::schema::{PathSegment, Violation};
use tidegate_plan::entry_of_chain;
use tidegate_plugin::services::Services;
use tidegate_plugin::{BuildCx, BuildError, Registry};

/// What is wrong with a record beyond its table.
pub(super) fn inspect(
    registry: &Registry,
    services: &Arc<Services>,
    collection: &str,
    record: &Map<String, Value>,
) -> Vec<Violation> {
    match collection {
        "plugins" => plugin(registry, services, record),
        "filter_chains" => chain(registry, services, record),
        "certificates" | "ca_certificates" => certificate(collection, record),
        _ => Vec::new(),
    }
}

/// Builds the plugin, and throws it away. A filter that is installed was compiled when its file was found; one that names
/// its module may be new, and nothing is compiled within a transaction.
fn plugin(registry: &Registry, services: &Arc<Services>, record: &Map<String, Value>) -> Vec<Violation> {
    let value = Value::Object(record.clone());
    // What a reference stands for is known to the data plane alone.
    if may_refer(&value.to_string()) {
        return Vec::new();
    }
    let Ok(entity) = serde_json::from_value::<Plugin>(value) else {
        return Vec::new();
    };
    if names_module(entity.tidegate.as_ref()) {
        return Vec::new();
    }
    let Some(kind) = registry.get(&entity.name) else {
        return Vec::new();
    };
    let cx = BuildCx {
        entity: &entity,
        services,
    };
    let built = kind.build(&entity.config, &cx);
    built.err().map(violation).into_iter().collect()
}

/// Whether the options of a filter say which module it is.
fn names_module(options: Option<&Value>) -> bool {
    options.is_some_and(|own| own.get("module").is_some() || own.get("sha256").is_some())
}

fn violation(error: BuildError) -> Violation {
    Violation {
        path: steps(&error.path),
        message: error.message,
        is_entity_check: false,
    }
}

/// `config.add.headers[0]` as steps.
fn steps(path: &str) -> Vec<PathSegment> {
    let parts = path.split(['.', '[']).map(|part| part.trim_end_matches(']'));
    parts
        .filter(|part| !part.is_empty())
        .map(|part| match part.parse() {
            Ok(index) => PathSegment::Index(index),
            Err(_) => PathSegment::Key(part.to_owned()),
        })
        .collect()
}

/// Every filter of a chain is installed and takes its configuration, or names its module.
fn chain(registry: &Registry, services: &Arc<Services>, record: &Map<String, Value>) -> Vec<Violation> {
    let Ok(chain) = serde_json::from_value::<FilterChain>(Value::Object(record.clone())) else {
        return Vec::new();
    };
    let filters = (0..).zip(&chain.filters);
    let wrong = filters.filter_map(|(place, filter)| {
        if names_module(filter.tidegate.as_ref()) {
            return None;
        }
        let Some(kind) = registry.get(&filter.name).filter(|kind| kind.is_filter()) else {
            return Some((place, "name".to_owned(), "no such filter".to_owned()));
        };
        let entity = entry_of_chain(&chain, place, filter);
        if may_refer(&entity.config.to_string()) {
            return None;
        }
        let cx = BuildCx {
            entity: &entity,
            services,
        };
        let error = kind.build_for_chain(&entity.config, &cx).err()?;
        Some((place, error.path, error.message))
    });
    wrong
        .map(|(place, path, message)| Violation {
            path: steps(&format!("filters[{place}].{path}")),
            message,
            is_entity_check: false,
        })
        .collect()
}

fn certificate(collection: &str, record: &Map<String, Value>) -> Vec<Violation> {
    let mut entities = EntitySet::default();
    if entities.push(collection, record.clone()).is_err() {
        return Vec::new();
    }
    let found = certificates::inspect(&entities).into_iter();
    found
        .filter(|found| found.is_fault)
        .map(|found| match found.field {
            Some(field) => Violation::field(field, found.message),
            None => Violation::entity(found.message),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{PathSegment, steps};

    #[test]
    fn the_path_of_a_fault_is_taken_apart() {
        let key = |name: &str| PathSegment::Key(name.to_owned());
        assert_eq!(
            steps("config.add.headers[2]"),
            [key("config"), key("add"), key("headers"), PathSegment::Index(2)]
        );
        assert_eq!(steps(""), []);
    }
}
