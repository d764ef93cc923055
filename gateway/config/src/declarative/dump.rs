//! Entities back to a declarative file that loads to the same entities.

use serde_json::{Map, Value, json};
use std::collections::HashMap;
use tidegate_model::entities::EntitySet;
use tidegate_model::entity_table::entity_type;
use tidegate_model::ids::ConsumerId;

mod emitter;

/// The entities as YAML in format 3.0, flat, with `_transform: false`: hashed passwords are not hashed again.
/// References to entities are ids; fields that are not set are left out.
#[must_use]
pub fn dump(entities: &EntitySet) -> String {
    let mut root = Map::new();
    root.insert("_format_version".to_owned(), "3.0".into());
    root.insert("_transform".to_owned(), false.into());
    for (collection, records) in entities.records() {
        put(&mut root, collection, records);
    }
    put_memberships(&mut root, entities);
    emitter::emit(&Value::Object(root))
}

/// Any tree as YAML: two spaces, list items not indented under their key.
#[must_use]
pub fn to_yaml(value: &Value) -> String {
    emitter::emit(value)
}

fn put(root: &mut Map<String, Value>, collection: &str, records: Vec<Map<String, Value>>) {
    if records.is_empty() {
        return;
    }
    let references: Vec<&str> = entity_type(collection)
        .into_iter()
        .flat_map(|entity| entity.references().map(|(field, _)| field))
        .collect();
    let list = records.into_iter().map(|mut record| {
        record.retain(|_, value| !value.is_null());
        for field in &references {
            if let Some(id) = record
                .get_mut(*field)
                .and_then(|reference| reference.get_mut("id"))
                .map(Value::take)
            {
                record.insert((*field).to_owned(), id);
            }
        }
        Value::Object(record)
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
