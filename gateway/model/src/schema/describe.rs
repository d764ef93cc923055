//! Tables as JSON, in the shape of Kong's `/schemas/{entity}`.

use super::process::is_about_plugin;
use super::{Condition, EntityCheck, Field, Kind, RecordSchema, Rule, Shape};
use serde_json::{Map, Value, json};

impl RecordSchema {
    /// The table for clients that build forms or check input: `{"fields": [{name: {...}}], "entity_checks": [...]}`.
    #[must_use]
    pub fn describe(&self) -> Value {
        let mut table = self.describe_fields();
        let checks: Vec<Value> = self.checks.iter().map(describe_check).collect();
        table.insert("entity_checks".to_owned(), Value::Array(checks));
        Value::Object(table)
    }

    /// The table of a plugin's configuration, inside of what the plugin's entry may hold: scopes that it refuses, and
    /// its protocols. `any` stands for a configuration that may be anything.
    #[must_use]
    pub fn describe_plugin(
        &self,
        refused: &[(&str, &str)],
        protocols: (&[&str], &[&str]),
        any: bool,
    ) -> Value {
        let (allowed, default) = protocols;
        let mut fields: Vec<Value> = refused
            .iter()
            .map(|(scope, collection)| json!({ *scope: {"type": "foreign", "reference": collection, "eq": null} }))
            .collect();
        fields.push(json!({ "protocols": {
            "type": "set",
            "required": true,
            "default": default,
            "elements": {"type": "string", "one_of": allowed},
        } }));
        let (about_plugin, own): (Vec<_>, Vec<_>) =
            self.checks.iter().partition(|check| is_about_plugin(check));
        let mut config = Map::from_iter([(
            "type".to_owned(),
            Value::from(if any { "json" } else { "record" }),
        )]);
        if !any {
            config.insert("required".to_owned(), Value::Bool(true));
            config.extend(self.describe_fields());
            if !own.is_empty() {
                config.insert(
                    "entity_checks".to_owned(),
                    own.into_iter().map(describe_check).collect(),
                );
            }
        }
        fields.push(json!({ "config": config }));
        let checks: Vec<Value> = about_plugin.into_iter().map(describe_check).collect();
        json!({ "fields": fields, "entity_checks": checks })
    }

    fn describe_fields(&self) -> Map<String, Value> {
        let mut table = Map::new();
        let fields = self
            .fields
            .iter()
            .map(|field| named(field.name, describe_field(field)));
        table.insert("fields".to_owned(), Value::Array(fields.collect()));
        // Old names of fields show, as their values do; others only shorten what is written.
        let old_names = self.shorthands.iter().filter_map(|shorthand| {
            let mut described = describe_kind(&shorthand.kind);
            described.insert("deprecation".to_owned(), replacement(shorthand.shows?));
            Some(named(shorthand.name, described))
        });
        let old_names: Vec<Value> = old_names.collect();
        if !old_names.is_empty() {
            table.insert("shorthand_fields".to_owned(), Value::Array(old_names));
        }
        table
    }
}

fn named(name: &str, description: Map<String, Value>) -> Value {
    Value::Object(Map::from_iter([(name.to_owned(), Value::Object(description))]))
}

fn describe_field(field: &Field) -> Map<String, Value> {
    let mut described = describe_kind(&field.kind);
    if !field.doc.is_empty() {
        described.insert("description".to_owned(), Value::from(field.doc));
    }
    if let Some(default) = &field.default {
        described.insert("default".to_owned(), default.clone());
    }
    // Secrets carry Kong's word for them, which masks them in Kong's own tools.
    let is_automatic = is_automatic(field);
    let flags = [
        ("auto", is_automatic),
        ("required", field.required && !is_automatic),
        ("unique", field.unique),
        ("referenceable", field.referenceable),
        ("encrypted", field.secret),
    ];
    for (flag, _) in flags.into_iter().filter(|(_, is_set)| *is_set) {
        described.insert(flag.to_owned(), Value::Bool(true));
    }
    if is_automatic && field.name != "id" {
        described.insert("timestamp".to_owned(), Value::Bool(true));
    }
    if field.cascade {
        described.insert("on_delete".to_owned(), Value::from("cascade"));
    }
    described
}

/// Given by the gateway when it is left out.
fn is_automatic(field: &Field) -> bool {
    let is_id = || field.kind.rules.iter().any(|rule| matches!(rule, Rule::Uuid));
    matches!(field.name, "created_at" | "updated_at") || (field.name == "id" && is_id())
}

fn replacement(path: &str) -> Value {
    let steps: Vec<&str> = path.split('.').collect();
    json!({ "replaced_with": [{ "path": steps }] })
}

fn describe_kind(kind: &Kind) -> Map<String, Value> {
    let mut described = Map::new();
    let name = match &kind.shape {
        Shape::String => "string",
        Shape::Integer => "integer",
        Shape::Number => "number",
        Shape::Boolean => "boolean",
        Shape::Array(_) => "array",
        Shape::Set(_) => "set",
        Shape::Map { .. } => "map",
        Shape::Record(_) => "record",
        Shape::Foreign(_) => "foreign",
        Shape::Any => "json",
    };
    described.insert("type".to_owned(), Value::from(name));
    match &kind.shape {
        Shape::Array(element) | Shape::Set(element) => {
            described.insert("elements".to_owned(), Value::Object(describe_kind(element)));
        }
        Shape::Map { keys, values } => {
            described.insert("keys".to_owned(), Value::Object(describe_kind(keys)));
            described.insert("values".to_owned(), Value::Object(describe_kind(values)));
        }
        Shape::Record(source) => {
            let table = (source.0)();
            described.extend(table.describe_fields());
            if !table.checks.is_empty() {
                let checks: Vec<Value> = table.checks.iter().map(describe_check).collect();
                described.insert("entity_checks".to_owned(), Value::Array(checks));
            }
        }
        Shape::Foreign(collection) => {
            described.insert("reference".to_owned(), Value::from(*collection));
        }
        _ => {}
    }
    described.extend(
        kind.rules
            .iter()
            .filter_map(describe_rule)
            .map(|(name, value)| (name.to_owned(), value)),
    );
    described
}

fn describe_rule(rule: &Rule) -> Option<(&'static str, Value)> {
    Some(match rule {
        Rule::Between(low, high) => ("between", json!([low, high])),
        Rule::GreaterThan(low) => ("gt", json!(low)),
        Rule::OneOf(values) => ("one_of", json!(values)),
        Rule::OneOfAnd(values, own) => ("one_of", values.iter().chain(own).cloned().collect()),
        Rule::NotOneOf(values) => ("not_one_of", json!(values)),
        Rule::Equals(value) => ("eq", value.clone()),
        Rule::LenMin(length) => ("len_min", json!(length)),
        Rule::LenMax(length) => ("len_max", json!(length)),
        Rule::AllowEmpty => ("len_min", json!(0)),
        Rule::Matches(pattern, _) => ("match", json!(pattern)),
        Rule::WithinOneOf(sets) => ("mutually_exclusive_subsets", json!(sets)),
        Rule::Uuid => ("uuid", Value::Bool(true)),
        Rule::Referenceable => ("referenceable", Value::Bool(true)),
        Rule::Custom("timestamp", _) => ("timestamp", Value::Bool(true)),
        // Kong's tables do not show what only code can say.
        Rule::Custom(..) => return None,
    })
}

fn describe_check(check: &EntityCheck) -> Value {
    match check {
        EntityCheck::AtLeastOneOf(names) => json!({"at_least_one_of": names}),
        EntityCheck::ExactlyOneOf(names) => json!({"only_one_of": names}),
        EntityCheck::OnlyOneOf(names) => json!({"mutually_exclusive": names}),
        EntityCheck::MutuallyRequired(names) => json!({"mutually_required": names}),
        EntityCheck::Distinct(names) => json!({"distinct": names}),
        EntityCheck::Conditional {
            if_field,
            if_one_of,
            then_field,
            then,
        } => json!({"conditional": {
            "if_field": if_field,
            "if_match": {"one_of": if_one_of},
            "then_field": then_field,
            "then_match": describe_condition(then),
        }}),
        EntityCheck::Custom(name, _) => json!({"custom_entity_check": {"name": name}}),
        EntityCheck::Among { name, fields, .. } => {
            json!({"custom_entity_check": {"name": name, "field_sources": fields}})
        }
    }
}

fn describe_condition(condition: &Condition) -> Value {
    match condition {
        Condition::Required => json!({"required": true}),
        Condition::RequiredAnd(name, _) => json!({"required": true, "custom_validator": name}),
        Condition::MustBeNull => json!({"eq": null}),
        Condition::OneOf(values) => json!({"one_of": values}),
        Condition::Equals(value) => json!({"eq": value}),
    }
}

#[cfg(test)]
mod tests {
    use crate::entities::{Route, Service, Upstream};
    use crate::schema::Declared;
    use serde_json::{Value, json};

    fn field(table: &Value, name: &str) -> Value {
        let fields = table.get("fields").and_then(Value::as_array).unwrap();
        fields
            .iter()
            .find_map(|field| field.get(name))
            .unwrap_or_else(|| panic!("no field {name}"))
            .clone()
    }

    #[test]
    fn a_field_shows_its_type_default_and_rules() {
        let table = Service::schema().describe();
        assert_eq!(
            field(&table, "retries"),
            json!({
                "type": "integer", "between": [0, 32767], "default": 5,
                "description": "Further tries after a failed one, 0 to 32767.",
            })
        );
        assert_eq!(field(&table, "client_certificate")["reference"], "certificates");
        assert_eq!(field(&table, "id")["uuid"], true);
        assert_eq!(field(&table, "id")["auto"], true);
        assert_eq!(
            table.get("shorthand_fields"),
            None,
            "`url` only shortens what is written"
        );
        assert_eq!(
            table["entity_checks"][0]["conditional"]["then_match"],
            json!({"eq": null})
        );
    }

    #[test]
    fn nested_records_and_elements_are_spelled_out() {
        let route = Route::schema().describe();
        let sources = field(&route, "sources");
        assert_eq!(
            sources["elements"]["entity_checks"],
            json!([{"at_least_one_of": ["ip", "port"]}])
        );
        let healthchecks = field(&Upstream::schema().describe(), "healthchecks");
        assert_eq!(field(&field(&healthchecks, "active"), "type")["default"], "http");
    }
}
