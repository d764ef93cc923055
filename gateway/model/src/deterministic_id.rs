//! Ids for entities that a file leaves without one (kong-core B.3): the same file gives the same ids, on every load and on
//! every node.

use crate::entity_table::EntityType;
use serde_json::{Map, Value};
use uuid::Uuid;

/// Kong's namespace of all collections.
const NAMESPACE: Uuid = Uuid::from_u128(0xfd02_801f_0957_4a15_a55a_c8d9_606f_30b5);

/// Stands for the workspace of entries that name none.
const NO_WORKSPACE: &str = "*";

/// The entity that an entry is nested under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent<'a> {
    /// The field of the child that points to it.
    pub field: &'a str,
    /// Its id.
    pub id: &'a str,
}

/// The id that Kong derives from what identifies the entry, as it stands in the file. None when that is not known: Kong
/// then takes a random id.
///
/// References enter as they are written, so that an entry nested in its parent and one that names its parent get
/// different ids. Credentials are identified by their key, where Kong draws a random id.
#[must_use]
pub fn deterministic_id(
    entity: &EntityType,
    entry: &Map<String, Value>,
    parent: Option<Parent<'_>>,
) -> Option<Uuid> {
    seed(entity, entry, parent).map(|seed| derive(entity.collection, &seed))
}

/// An id from the whole content of an entry, for entries that nothing identifies. The `occurrence` counts entries of equal
/// content below one parent, so that each gets its own id.
#[must_use]
pub fn id_from_content(
    entity: &EntityType,
    entry: &Map<String, Value>,
    parent: Option<Parent<'_>>,
    occurrence: usize,
) -> Uuid {
    let mut content = Value::Object(entry.clone());
    content.sort_all_objects();
    let parent = parent.map_or_else(String::new, |parent| format!("{}={}", parent.field, parent.id));
    derive(
        entity.collection,
        &format!("content:{parent}:{occurrence}:{content}"),
    )
}

/// Version 5, twice: the collection gets a namespace of its own.
fn derive(collection: &str, seed: &str) -> Uuid {
    let namespace = Uuid::new_v5(&NAMESPACE, collection.as_bytes());
    Uuid::new_v5(&namespace, seed.as_bytes())
}

fn seed(entity: &EntityType, entry: &Map<String, Value>, parent: Option<Parent<'_>>) -> Option<String> {
    if entity.cache_key.is_empty() {
        return entry.get(entity.endpoint_key?)?.as_str().map(str::to_owned);
    }
    let mut seed = format!("{}:{NO_WORKSPACE}", entity.collection);
    let mut is_identified = false;
    for name in entity.cache_key {
        let value = match entry.get(*name) {
            None | Some(Value::Null) => match parent.filter(|parent| parent.field == *name) {
                Some(parent) => parent.id,
                None if is_indispensable(entity, name) => return None,
                None => "",
            },
            Some(value) => written(value)?,
        };
        is_identified |= !value.is_empty();
        seed.push(':');
        seed.push_str(value);
    }
    is_identified.then_some(seed)
}

/// Without this field nothing tells the entry from others: it is required, or the only part of the key.
fn is_indispensable(entity: &EntityType, name: &str) -> bool {
    let field = entity.schema().fields.iter().find(|field| field.name == name);
    entity.cache_key.len() == 1 || field.is_some_and(|field| field.required)
}

/// A text, or a reference such as `{"id": x}` or `{"name": x}`.
fn written(value: &Value) -> Option<&str> {
    value
        .as_str()
        .or_else(|| value.as_object()?.values().next()?.as_str())
}

#[cfg(test)]
mod tests {
    use super::{Parent, deterministic_id, id_from_content};
    use crate::entity_table::entity_type;
    use serde_json::{Map, Value, json};

    fn entry(value: Value) -> Map<String, Value> {
        let Value::Object(entry) = value else {
            panic!("{value} is no object")
        };
        entry
    }

    fn id(collection: &str, value: Value, parent: Option<(&str, &str)>) -> Option<String> {
        let parent = parent.map(|(field, id)| Parent { field, id });
        let entity = entity_type(collection).expect(collection);
        deterministic_id(entity, &entry(value), parent).map(|id| id.to_string())
    }

    #[test]
    fn ids_are_those_that_kong_derives() {
        let route = id("routes", json!({"name": "foo"}), None).unwrap();
        let consumer = id("consumers", json!({"username": "a"}), None).unwrap();
        let upstream = id("upstreams", json!({"name": "u"}), None).unwrap();
        // The first three are worked out in kong-core B.3, the others were told by Kong in errors about duplicates.
        let cases = [
            (
                "services",
                json!({"name": "foo"}),
                None,
                "2933fbcc-9d7c-54a7-a984-fe2bde836cea",
            ),
            (
                "routes",
                json!({"name": "foo"}),
                None,
                "fb94a9b8-3f5e-525c-b38d-61aa1cbaa69c",
            ),
            (
                "plugins",
                json!({"name": "key-auth"}),
                Some(("route", &*route)),
                "94c03ff4-bf99-599f-a351-c7123559bc5a",
            ),
            (
                "plugins",
                json!({"name": "cors"}),
                None,
                "48ee727e-8b90-5faa-bda1-a3c6bc3c9daa",
            ),
            (
                "acls",
                json!({"group": "g"}),
                Some(("consumer", &*consumer)),
                "4add49ad-f75d-577a-86fb-a51c9e63fd66",
            ),
            (
                "targets",
                json!({"target": "a:1"}),
                Some(("upstream", &*upstream)),
                "b21a4848-f7f7-52f5-b249-52528a43601f",
            ),
        ];
        for (collection, value, parent, expected) in cases {
            assert_eq!(
                id(collection, value.clone(), parent).as_deref(),
                Some(expected),
                "{collection} {value}"
            );
        }
    }

    #[test]
    fn an_entry_that_nothing_identifies_gets_no_id() {
        assert_eq!(id("services", json!({"host": "a"}), None), None);
        assert_eq!(id("certificates", json!({"cert": "a"}), None), None);
        assert_eq!(
            id("keyauth_credentials", json!({}), Some(("consumer", "x"))),
            None
        );
        assert_eq!(
            id("targets", json!({"target": "a:1"}), None),
            None,
            "the upstream is required"
        );
        assert_eq!(id("filter_chains", json!({"filters": []}), None), None);
    }

    #[test]
    fn references_enter_as_they_are_written() {
        let flat = id("plugins", json!({"name": "cors", "service": "s"}), None);
        let object = id("plugins", json!({"name": "cors", "service": {"name": "s"}}), None);
        let nested = id("plugins", json!({"name": "cors"}), Some(("service", "s")));
        assert_eq!(flat, object);
        assert_eq!(flat, nested);
        assert_ne!(flat, id("plugins", json!({"name": "cors"}), None));
    }

    #[test]
    fn an_id_from_content_depends_on_content_parent_and_occurrence_alone() {
        let entity = entity_type("routes").unwrap();
        let of = |value, parent, occurrence| id_from_content(entity, &entry(value), parent, occurrence);
        let parent = Some(Parent {
            field: "service",
            id: "x",
        });
        let first = of(json!({"paths": ["/"], "hosts": ["a"]}), parent, 0);
        assert_eq!(
            first,
            of(json!({"hosts": ["a"], "paths": ["/"]}), parent, 0),
            "the order of keys means nothing"
        );
        assert_ne!(first, of(json!({"hosts": ["a"], "paths": ["/"]}), parent, 1));
        assert_ne!(first, of(json!({"hosts": ["a"], "paths": ["/"]}), None, 0));
        assert_ne!(first, of(json!({"hosts": ["b"], "paths": ["/"]}), parent, 0));
    }
}
