//! Tables of entities as JSON Schema: what is shown, and what may be written.

use serde_json::{Map, Value, json};
use tidegate_model::entity_table::EntityType;
use tidegate_model::schema::{Field, Kind, RecordSchema, Rule, Shape};

pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// A page of a list.
pub(super) fn page(row: &Value) -> Value {
    json!({
        "type": "object",
        "required": ["data", "next"],
        "properties": {
            "data": { "type": "array", "items": row },
            "next": { "type": ["string", "null"], "description": "Path of the next page." },
            "offset": { "type": "string", "description": "Only where there is a next page." },
        },
    })
}

/// What an answer holds. Bounds are left to what is written: stored values may be references to secrets.
pub(super) fn shown(entity: &EntityType) -> Value {
    let mut shape = record(entity.schema(), Use::Shown);
    if entity.collection == "certificates"
        && let Some(properties) = shape.get_mut("properties").and_then(Value::as_object_mut)
    {
        properties.insert("snis".to_owned(), names());
    }
    shape
}

/// What may be sent. A change may leave everything out.
pub(super) fn written(entity: &EntityType, is_whole: bool) -> Value {
    let schema = entity.schema();
    let mut shape = record(schema, Use::Written);
    let Some(members) = shape.as_object_mut() else {
        return shape;
    };
    if let Some(properties) = members.get_mut("properties").and_then(Value::as_object_mut) {
        for shorthand in &schema.shorthands {
            properties.insert(shorthand.name.to_owned(), kind(&shorthand.kind, Use::Written));
        }
        if entity.collection == "certificates" {
            properties.insert("snis".to_owned(), names());
        }
    }
    members.insert("additionalProperties".to_owned(), Value::Bool(false));
    let required: Vec<&str> = schema
        .fields
        .iter()
        .filter(|field| is_due(entity, field))
        .map(|field| field.name)
        .collect();
    if is_whole && !required.is_empty() {
        members.insert("required".to_owned(), required.into());
    }
    shape
}

fn names() -> Value {
    json!({ "type": ["array", "null"], "items": { "type": "string" }, "description": "Server names." })
}

/// Whether a field must be sent: nothing else gives it a value.
fn is_due(entity: &EntityType, field: &Field) -> bool {
    let is_given = field.name == "id" || (entity.collection, field.name) == ("keyauth_credentials", "key");
    let has_shorthand = !entity.schema().shorthands.is_empty();
    let comes_otherwise = matches!(field.kind.shape, Shape::Foreign(_) | Shape::Record(_));
    field.required && field.default.is_none() && !is_given && !has_shorthand && !comes_otherwise
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Shown,
    Written,
}

fn record(schema: &RecordSchema, usage: Use) -> Value {
    let properties: Map<String, Value> = schema
        .fields
        .iter()
        .map(|field| (field.name.to_owned(), property(field, usage)))
        .collect();
    json!({ "type": "object", "properties": properties })
}

fn property(field: &Field, usage: Use) -> Value {
    let mut shape = kind(&field.kind, usage);
    if let Some(members) = shape.as_object_mut() {
        or_null(members);
        if !field.doc.is_empty() {
            members.insert("description".to_owned(), field.doc.trim().into());
        }
        if let Some(default) = field.default.as_ref().filter(|default| !default.is_null()) {
            members.insert("default".to_owned(), default.clone());
        }
        if field.secret && matches!(field.kind.shape, Shape::String) {
            members.insert("format".to_owned(), "password".into());
        }
    }
    shape
}

/// Unset is null, whatever the type.
fn or_null(members: &mut Map<String, Value>) {
    if let Some(Value::String(name)) = members.get("type").cloned() {
        members.insert("type".to_owned(), json!([name, "null"]));
    }
    if let Some(Value::Array(values)) = members.get_mut("enum") {
        values.push(Value::Null);
    }
}

fn kind(kind_: &Kind, usage: Use) -> Value {
    let mut shape = match &kind_.shape {
        Shape::String => json!({ "type": "string" }),
        Shape::Integer => json!({ "type": "integer" }),
        Shape::Number => json!({ "type": "number" }),
        Shape::Boolean => json!({ "type": "boolean" }),
        Shape::Array(element) | Shape::Set(element) => {
            json!({ "type": "array", "items": kind(element, usage) })
        }
        Shape::Map { values, .. } => {
            json!({ "type": "object", "additionalProperties": kind(values, usage) })
        }
        Shape::Record(source) => record((source.0)(), usage),
        Shape::Foreign(collection) => json!({
            "type": "object",
            "description": format!("One of `{collection}`."),
            "properties": { "id": { "type": "string", "format": "uuid" } },
        }),
        Shape::Any => json!({}),
    };
    if let Some(members) = shape.as_object_mut() {
        for rule in &kind_.rules {
            apply(rule, usage, members);
        }
    }
    shape
}

fn apply(rule: &Rule, usage: Use, members: &mut Map<String, Value>) {
    let is_list = members.get("type").is_some_and(|name| name == "array");
    let mut put = |name: &str, value: Value| {
        members.insert(name.to_owned(), value);
    };
    match rule {
        Rule::OneOfAnd(values, own) => put("enum", values.iter().chain(own).cloned().collect()),
        Rule::OneOf(values) => put("enum", values.clone().into()),
        Rule::Uuid => put("format", "uuid".into()),
        _ if usage == Use::Shown => {}
        Rule::Between(low, high) => {
            put("minimum", (*low).into());
            put("maximum", (*high).into());
        }
        Rule::GreaterThan(low) => put("exclusiveMinimum", (*low).into()),
        Rule::LenMin(length) => put(if is_list { "minItems" } else { "minLength" }, (*length).into()),
        Rule::LenMax(length) => put(if is_list { "maxItems" } else { "maxLength" }, (*length).into()),
        Rule::Matches(pattern, _) => put("pattern", (*pattern).into()),
        Rule::Equals(value) => put("const", value.clone()),
        Rule::NotOneOf(_)
        | Rule::AllowEmpty
        | Rule::WithinOneOf(_)
        | Rule::Referenceable
        | Rule::Custom(..) => {}
    }
}
