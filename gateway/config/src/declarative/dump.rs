//! Entities back to a declarative file that loads to the same entities.

use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use tidegate_model::entities::EntitySet;
use tidegate_model::entity_table::entity_table;
use tidegate_model::ids::ConsumerId;

mod emitter;

/// The entities as YAML in format 3.0, flat, with `_transform: false`: hashed passwords are not hashed again.
/// References to entities are ids; fields that are not set are left out.
#[must_use]
pub fn dump(entities: &EntitySet) -> String {
    let mut root = Map::new();
    root.insert("_format_version".to_owned(), "3.0".into());
    root.insert("_transform".to_owned(), false.into());
    macro_rules! collections {
        ($($name:ident),+ $(,)?) => { $( put(&mut root, stringify!($name), &entities.$name); )+ };
    }
    collections!(
        ca_certificates,
        certificates,
        snis,
        services,
        routes,
        consumers,
        consumer_groups,
        plugins,
        upstreams,
        targets,
        vaults,
        key_sets,
        keys,
        filter_chains,
        keyauth_credentials,
        basicauth_credentials,
        jwt_secrets,
        hmacauth_credentials,
        acls,
        oauth2_credentials,
    );
    put_memberships(&mut root, entities);
    emitter::emit(&Value::Object(root))
}

/// Any tree as YAML: two spaces, list items not indented under their key.
#[must_use]
pub fn to_yaml(value: &Value) -> String {
    emitter::emit(value)
}

fn put<T: Serialize>(root: &mut Map<String, Value>, collection: &str, entities: &[T]) {
    if entities.is_empty() {
        return;
    }
    let references: Vec<&str> = entity_table()
        .iter()
        .filter(|entity| entity.collection == collection)
        .flat_map(|entity| entity.references().map(|(field, _)| field))
        .collect();
    let list = entities
        .iter()
        .filter_map(|entity| serde_json::to_value(entity).ok())
        .map(|mut value| {
            if let Value::Object(members) = &mut value {
                members.retain(|_, value| !value.is_null());
                for field in &references {
                    if let Some(id) = members
                        .get_mut(*field)
                        .and_then(|reference| reference.get_mut("id"))
                        .map(Value::take)
                    {
                        members.insert((*field).to_owned(), id);
                    }
                }
            }
            value
        });
    root.insert(collection.to_owned(), list.collect());
}

/// Membership stands with the consumer, as decK writes it.
fn put_memberships(root: &mut Map<String, Value>, entities: &EntitySet) {
    let Some(Value::Array(consumers)) = root.get_mut("consumers") else {
        return;
    };
    let mut groups: HashMap<ConsumerId, Vec<Value>> = HashMap::new();
    for (group, consumer) in &entities.consumer_group_members {
        groups
            .entry(*consumer)
            .or_default()
            .push(json!({ "id": group.to_string() }));
    }
    for (consumer, value) in entities.consumers.iter().zip(consumers) {
        if let (Some(groups), Value::Object(members)) = (groups.remove(&consumer.id), value) {
            members.insert("groups".to_owned(), groups.into());
        }
    }
}
