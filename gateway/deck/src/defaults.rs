//! Defaults, and what else a client must know of fields, from the server's own schemas.

use crate::client::Client;
use crate::error::Error;
use crate::kinds::Kind;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Map, Value, json};
use std::collections::{BTreeSet, HashMap};

/// The schemas of the kinds and plugins that are needed.
#[derive(Debug, Default)]
pub(crate) struct Schemas {
    kinds: HashMap<Kind, Value>,
    plugins: HashMap<String, Value>,
}

/// Requests for schemas at a time.
const PARALLELISM: usize = 10;

impl Schemas {
    /// Asks for all that is needed. What the server has no schema of has no defaults.
    pub(crate) async fn fetch(
        client: &Client<'_>,
        kinds: &BTreeSet<Kind>,
        plugins: &BTreeSet<String>,
    ) -> Result<Self, Error> {
        let kinds = kinds.iter().filter(|kind| **kind != Kind::Membership);
        let kinds = stream::iter(kinds.copied()).map(|kind| async move {
            let collection = kind.row().collection;
            let schema = of_kind(client, collection).await;
            let schema = schema.map_err(|error| error.during(format!("get defaults for {collection}")))?;
            Ok::<_, Error>((kind, schema))
        });
        let plugins = stream::iter(plugins).map(|name| async move {
            let schema = optional(client.get(&format!("/schemas/plugins/{name}")).await);
            let schema = schema.map_err(|error| error.during(format!("failed getting schema of {name}")))?;
            Ok::<_, Error>((name.clone(), plugin_config(schema)))
        });
        Ok(Self {
            kinds: kinds.buffer_unordered(PARALLELISM).try_collect().await?,
            plugins: plugins.buffer_unordered(PARALLELISM).try_collect().await?,
        })
    }

    /// Fills what is not set in an entity, the configuration of a plugin included.
    pub(crate) fn fill(&self, kind: Kind, body: &mut Map<String, Value>) {
        if let Some(schema) = self.kinds.get(&kind) {
            fill(body, schema);
        }
        if kind == Kind::Plugin
            && let Some(schema) = self.plugin(body)
            && let Value::Object(config) = body.entry("config").or_insert_with(|| json!({}))
        {
            fill(config, schema);
        }
    }

    /// Makes two configurations of a plugin comparable: old names of fields give way to the new ones, and the
    /// elements of sets stand in one order.
    pub(crate) fn align(&self, current: &mut Map<String, Value>, target: &mut Map<String, Value>) {
        let Some(schema) = self.plugin(target) else {
            return;
        };
        if let Some(Value::Object(target)) = target.get_mut("config") {
            let old_names = rename_old(target, schema);
            if let Some(Value::Object(current)) = current.get_mut("config") {
                current.retain(|name, _| !old_names.contains(&name.as_str()) || target.contains_key(name));
            }
        }
        for side in [current, target] {
            if let Some(Value::Object(config)) = side.get_mut("config") {
                sort_sets(config, schema);
            }
        }
    }

    /// Takes out what is as the server would fill it in.
    pub(crate) fn strip(&self, kind: Kind, body: &mut Map<String, Value>) {
        if let Some(schema) = self.kinds.get(&kind) {
            strip(body, schema);
        }
        if kind == Kind::Plugin
            && let Some(schema) = self.plugin(body)
            && let Some(Value::Object(config)) = body.get_mut("config")
        {
            strip(config, schema);
            if config.is_empty() {
                body.shift_remove("config");
            }
        }
    }

    fn plugin(&self, body: &Map<String, Value>) -> Option<&Value> {
        self.plugins.get(body.get("name")?.as_str()?)
    }
}

async fn of_kind(client: &Client<'_>, collection: &str) -> Result<Value, Error> {
    if !client.is_konnect {
        return optional(client.get(&format!("/schemas/{collection}")).await);
    }
    let name = collection
        .strip_suffix('s')
        .unwrap_or(collection)
        .replace('_', "-");
    let schema = optional(client.get(&format!("/v1/schemas/json/{name}")).await)?;
    Ok(fields_of_json_schema(&schema))
}

fn optional(answer: Result<Value, Error>) -> Result<Value, Error> {
    match answer {
        Err(error) if matches!(error.status(), Some(403 | 404)) => Ok(Value::Null),
        answer => answer,
    }
}

/// The record `config` of the schema of a plugin; some servers answer with that record alone.
fn plugin_config(schema: Value) -> Value {
    match field(&schema, "config") {
        Some(config) => config.clone(),
        None => schema,
    }
}

/// A JSON Schema in Kong's shape, as far as defaults go.
fn fields_of_json_schema(schema: &Value) -> Value {
    let properties = schema.get("properties").and_then(Value::as_object);
    let fields = properties.into_iter().flatten().map(|(name, property)| {
        let described = match property.get("properties") {
            Some(_) => {
                let mut inner = fields_of_json_schema(property);
                json!({ "type": "record", "required": true, "fields": inner.get_mut("fields").map(Value::take) })
            }
            None => json!({ "type": property.get("type"), "default": property.get("default") }),
        };
        Value::Object(Map::from_iter([(name.clone(), described)]))
    });
    json!({ "fields": fields.collect::<Vec<_>>() })
}

/// Fields of a record with what is said of each.
fn fields(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let fields = schema
        .get("fields")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    fields.filter_map(|field| field.as_object()?.iter().next())
}

fn field<'s>(schema: &'s Value, name: &str) -> Option<&'s Value> {
    fields(schema)
        .find(|(known, _)| *known == name)
        .map(|(_, field)| field)
}

fn kind_of(field: &Value) -> &str {
    field.get("type").and_then(Value::as_str).unwrap_or_default()
}

fn fill(record: &mut Map<String, Value>, schema: &Value) {
    for (name, described) in fields(schema) {
        if record.get(name).is_none_or(Value::is_null) {
            let is_required = described.get("required") == Some(&Value::Bool(true));
            match described.get("default") {
                Some(default) if !default.is_null() => {
                    record.insert(name.clone(), default.clone());
                }
                _ if is_required && kind_of(described) == "record" => {
                    record.insert(name.clone(), json!({}));
                }
                _ => continue,
            }
        }
        if let Some(value) = record.get_mut(name) {
            each_record(value, described, &mut |record, schema| fill(record, schema));
        }
    }
}

/// Visits the records that a value consists of, with their schemas.
fn each_record(value: &mut Value, described: &Value, visit: &mut dyn FnMut(&mut Map<String, Value>, &Value)) {
    match (kind_of(described), value) {
        ("record", Value::Object(record)) => visit(record, described),
        ("array" | "set", Value::Array(list)) => {
            if let Some(elements) = described
                .get("elements")
                .filter(|elements| kind_of(elements) == "record")
            {
                for element in list.iter_mut().filter_map(Value::as_object_mut) {
                    visit(element, elements);
                }
            }
        }
        ("map", Value::Object(members)) => {
            if let Some(values) = described
                .get("values")
                .filter(|values| kind_of(values) == "record")
            {
                for member in members.values_mut().filter_map(Value::as_object_mut) {
                    visit(member, values);
                }
            }
        }
        _ => {}
    }
}

fn sort_sets(record: &mut Map<String, Value>, schema: &Value) {
    for (name, described) in fields(schema) {
        let Some(value) = record.get_mut(name) else {
            continue;
        };
        if let (Value::Array(list), "set") = (&mut *value, kind_of(described)) {
            list.sort_by_cached_key(Value::to_string);
        }
        each_record(value, described, &mut |record, schema| sort_sets(record, schema));
    }
}

fn strip(record: &mut Map<String, Value>, schema: &Value) {
    for (name, described) in fields(schema) {
        let Some(value) = record.get_mut(name) else {
            continue;
        };
        let mut filled = Map::new();
        fill(&mut filled, &json!({ "fields": [{ name: described }] }));
        if filled
            .get(name)
            .is_some_and(|default| crate::compare::same(default, value))
        {
            record.shift_remove(name);
            continue;
        }
        if kind_of(described) == "record" {
            each_record(value, described, &mut |record, schema| strip(record, schema));
        }
    }
}

/// Writes values that stand under an old name under the new one. The old names that stand for others.
fn rename_old<'s>(record: &mut Map<String, Value>, schema: &'s Value) -> Vec<&'s str> {
    let shorthands = schema.get("shorthand_fields").and_then(Value::as_array);
    let shorthands = shorthands.into_iter().flatten().filter_map(Value::as_object);
    let mut names = Vec::new();
    for (name, described) in shorthands.flatten() {
        names.push(name.as_str());
        let paths: Vec<Vec<&str>> = described
            .pointer("/deprecation/replaced_with")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|replaced| {
                Some(
                    replaced
                        .get("path")?
                        .as_array()?
                        .iter()
                        .filter_map(Value::as_str)
                        .collect(),
                )
            })
            .collect();
        if paths.is_empty() {
            continue;
        }
        if let Some(value) = record.shift_remove(name).filter(|value| !value.is_null()) {
            for path in &paths {
                put(record, path, &value);
            }
        }
    }
    names
}

fn put(record: &mut Map<String, Value>, path: &[&str], value: &Value) {
    match path {
        [] => {}
        [name] => {
            record.insert((*name).to_owned(), value.clone());
        }
        [name, rest @ ..] => {
            let inner = record.entry(*name).or_insert(Value::Null);
            if inner.is_null() {
                *inner = json!({});
            }
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests;
