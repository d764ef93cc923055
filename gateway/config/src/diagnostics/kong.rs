//! Faults in the shape of Kong's Admin API (kong-core B.4).

use super::Diagnostic;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::sync::Arc;
use tidegate_model::schema::{PathSegment, lua_table};

/// Key under which Kong lists faults of an entity as a whole.
const ENTITY_KEY: &str = "@entity";

/// Where Kong reports a fault; this is not always where it stands in the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct KongPlace {
    /// Steps through `fields`, from the root.
    pub(crate) path: Vec<PathSegment>,
    /// The fault concerns the record at `path` as a whole: listed under `@entity`.
    pub(crate) is_entity_check: bool,
    /// Kong puts the text directly in place of the entity.
    pub(crate) replaces_entity: bool,
    /// Kong's text, where it differs.
    pub(crate) message: Option<String>,
    /// The entity that has the fault, and the steps from it to the faulty field.
    pub(crate) entity: Option<(Arc<FaultyEntity>, Vec<PathSegment>)>,
}

/// What `flattened_errors` tells of an entity.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FaultyEntity {
    /// Order of appearance; also tells entities apart.
    pub(crate) ordinal: usize,
    pub(crate) collection: &'static str,
    /// What the user wrote, without nested children.
    pub(crate) input: Map<String, Value>,
}

/// The members of Kong's error object that depend on the faults.
#[derive(Debug, Clone, PartialEq)]
pub struct KongErrors {
    /// `fields`: mirrors the nesting of the input.
    pub fields: Value,
    /// `flattened_errors`; empty unless asked for.
    pub flattened_errors: Vec<Value>,
}

impl KongErrors {
    pub(super) fn new(items: &[Diagnostic], flatten: bool) -> Self {
        let mut fields = Value::Object(Map::new());
        let mut flattened: Vec<(usize, Value)> = Vec::new();
        for item in items {
            match &item.kong.entity {
                Some((entity, field)) if flatten => add_flattened(&mut flattened, entity, field, item),
                _ => {
                    let message = item.kong.message.as_deref().unwrap_or(&item.message);
                    add(&mut fields, &item.kong.path, &item.kong, message);
                }
            }
        }
        flattened.sort_by_key(|(ordinal, _)| *ordinal);
        Self {
            fields,
            flattened_errors: flattened.into_iter().map(|(_, value)| value).collect(),
        }
    }

    /// `message` of the error object: the fields as a one-line Lua table.
    #[must_use]
    pub fn message(&self) -> String {
        format!("declarative config is invalid: {}", lua_table(&self.fields))
    }

    /// The whole body of the 400 answer.
    #[must_use]
    pub fn to_body(&self, with_flattened: bool) -> Value {
        let mut body = json!({
            "code": 14,
            "name": "invalid declarative configuration",
            "message": self.message(),
            "fields": self.fields,
        });
        if let (true, Some(members)) = (with_flattened, body.as_object_mut()) {
            members.insert(
                "flattened_errors".to_owned(),
                Value::Array(self.flattened_errors.clone()),
            );
        }
        body
    }
}

/// Places one text in the tree; what stands there already is kept beside it where the shape allows.
fn add(at: &mut Value, path: &[PathSegment], place: &KongPlace, message: &str) {
    match path.split_first() {
        None if place.is_entity_check => push_entity(at, message),
        None => match at {
            Value::Null => *at = Value::String(message.to_owned()),
            Value::Object(_) if place.replaces_entity => push_entity(at, message),
            _ => {}
        },
        Some((PathSegment::Key(key), rest)) => {
            if let Some(members) = as_members(at) {
                add(
                    members.entry(key.as_str()).or_insert(Value::Null),
                    rest,
                    place,
                    message,
                );
            }
        }
        Some((PathSegment::Entry(_), rest)) => add(at, rest, place, message),
        // Lua's table takes names and positions side by side; here it becomes an object once there is a name.
        Some((PathSegment::Index(index), rest)) if at.is_object() => {
            if let Some(members) = at.as_object_mut() {
                add(
                    members.entry((index + 1).to_string()).or_insert(Value::Null),
                    rest,
                    place,
                    message,
                );
            }
        }
        Some((PathSegment::Index(index), rest)) => {
            if !at.is_array() {
                *at = json!([]);
            }
            if let Value::Array(list) = at {
                while list.len() <= *index {
                    list.push(Value::Null);
                }
                if let Some(element) = list.get_mut(*index) {
                    add(element, rest, place, message);
                }
            }
        }
    }
}

/// The value as an object. A text that stood in its place moves under `@entity`, elements get their position as name.
fn as_members(at: &mut Value) -> Option<&mut Map<String, Value>> {
    if !at.is_object() {
        *at = match at.take() {
            Value::String(text) => json!({ ENTITY_KEY: [text] }),
            Value::Array(list) => {
                let named = list.into_iter().enumerate().filter(|(_, value)| !value.is_null());
                named
                    .map(|(index, value)| ((index + 1).to_string(), value))
                    .collect()
            }
            _ => json!({}),
        };
    }
    at.as_object_mut()
}

fn push_entity(at: &mut Value, message: &str) {
    if let Some(members) = as_members(at)
        && let Value::Array(list) = members.entry(ENTITY_KEY).or_insert_with(|| json!([]))
    {
        list.push(Value::String(message.to_owned()));
    }
}

fn add_flattened(
    flattened: &mut Vec<(usize, Value)>,
    entity: &FaultyEntity,
    field: &[PathSegment],
    item: &Diagnostic,
) {
    let error = if field.is_empty() || item.kong.is_entity_check {
        json!({ "type": "entity", "message": item.message })
    } else {
        json!({ "type": "field", "field": dotted(field), "message": item.message })
    };
    if let Some((_, known)) = flattened
        .iter_mut()
        .find(|(ordinal, _)| *ordinal == entity.ordinal)
    {
        if let Some(errors) = known.get_mut("errors").and_then(Value::as_array_mut) {
            errors.push(error);
        }
        return;
    }
    let mut members = Map::new();
    let entity_type = entity.collection.strip_suffix('s').unwrap_or(entity.collection);
    members.insert("entity_type".to_owned(), entity_type.into());
    if let Some(id) = entity
        .input
        .get("id")
        .and_then(Value::as_str)
        .filter(|id| uuid::Uuid::parse_str(id).is_ok())
    {
        members.insert("entity_id".to_owned(), id.into());
    }
    if let Some(name) = entity.input.get("name").and_then(Value::as_str) {
        members.insert("entity_name".to_owned(), name.into());
    }
    if let Some(tags) = entity.input.get("tags").filter(|tags| is_list_of_text(tags)) {
        members.insert("entity_tags".to_owned(), tags.clone());
    }
    members.insert("entity".to_owned(), Value::Object(entity.input.clone()));
    members.insert("errors".to_owned(), json!([error]));
    flattened.push((entity.ordinal, Value::Object(members)));
}

fn is_list_of_text(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|list| list.iter().all(Value::is_string))
}

/// `config.hosts.1`: list indices from 1, as Lua counts.
fn dotted(path: &[PathSegment]) -> String {
    let mut text = String::new();
    for segment in path {
        if !text.is_empty() {
            text.push('.');
        }
        match segment {
            PathSegment::Key(key) | PathSegment::Entry(key) => text.push_str(key),
            PathSegment::Index(index) => {
                let _ = write!(text, "{}", index + 1);
            }
        }
    }
    text
}
