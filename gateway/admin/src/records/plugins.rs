//! Entries of `plugins`: the entity by its own table, `config` by that of its kind (kong-core A.7).

use super::{Record, reference_id};
use crate::writing::Desk;
use serde_json::{Map, Value};
use tidegate_config::declarative::{
    LUA_FIELD, PluginSchema, has_lua_fields, refused_protocols, schema_of_entry,
};
use tidegate_model::entities::Plugin;
use tidegate_model::schema::{Declared, PathSegment, Processed, Violation};
use tidegate_store::Catalog;

const CONFIG: &str = "config";
const PROTOCOLS: &str = "protocols";

/// A whole entry.
pub(super) fn process(desk: &Desk, mut input: Record) -> Processed {
    let Some(schema) = schema_of_entry(&*desk.plugins, &input) else {
        return unknown(desk, &input);
    };
    let mut violations: Vec<Violation> = schema
        .scopes
        .refused()
        .filter(|scope| input.get(*scope).is_some_and(|value| !value.is_null()))
        .map(|scope| Violation::field(scope, "value must be null"))
        .collect();
    if input.get(PROTOCOLS).is_none_or(Value::is_null) {
        input.insert(PROTOCOLS.to_owned(), schema.default_protocols.to_vec().into());
    }
    for (index, text) in refused_protocols(&input, schema.protocols) {
        violations.push(
            Violation {
                path: vec![PathSegment::Index(index)],
                message: text,
                is_entity_check: false,
            }
            .under(PathSegment::Key(PROTOCOLS.to_owned())),
        );
    }
    let config = input.shift_remove(CONFIG).unwrap_or_default();
    let config = process_config(desk, &schema, config, &mut violations);
    let processed = Plugin::schema().process_with(&input, &desk.context);
    violations.extend(processed.violations);
    let mut value = processed.value;
    value.insert(CONFIG.to_owned(), config);
    Processed { value, violations }
}

/// Part of an entry. When the name changes, what is there of the configuration stays, and is held against the new table.
pub(super) fn process_part(desk: &Desk, existing: &Record, mut sent: Record) -> Processed {
    let sent_config = sent.shift_remove(CONFIG);
    let mut input = Plugin::schema().merge(existing, &sent, &desk.context).value;
    input.insert("updated_at".to_owned(), Value::from(desk.now.floor()));
    let there = match existing.get(CONFIG) {
        Some(Value::Object(there)) => without_old_names(desk, existing, there),
        _ => Map::new(),
    };
    let mut violations = Vec::new();
    let config = match (schema_of_entry(&*desk.plugins, &input), sent_config) {
        (_, None) => Value::Object(there),
        (Some(schema), Some(Value::Object(sent))) if !schema.takes_any_config => {
            let merged = schema.config.merge(&there, &sent, &desk.context);
            violations.extend(
                merged
                    .violations
                    .into_iter()
                    .map(|violation| violation.under(PathSegment::Key(CONFIG.to_owned()))),
            );
            Value::Object(merged.value)
        }
        (_, Some(other)) => other,
    };
    input.insert(CONFIG.to_owned(), config);
    let mut processed = process(desk, input);
    processed.violations.append(&mut violations);
    processed
}

fn without_old_names(desk: &Desk, existing: &Record, config: &Record) -> Record {
    match schema_of_entry(&*desk.plugins, existing) {
        Some(schema) => schema.config.merge(config, &Map::new(), &desk.context).value,
        None => config.clone(),
    }
}

fn unknown(desk: &Desk, input: &Record) -> Processed {
    let mut processed = Plugin::schema().process_with(input, &desk.context);
    if let Some(name) = input
        .get("name")
        .and_then(Value::as_str)
        .filter(|name| !name.is_empty())
    {
        let text = format!("plugin '{name}' not enabled; add it to the 'plugins' configuration property");
        processed.violations.push(Violation::field("name", text));
    }
    processed
}

fn process_config(
    desk: &Desk,
    schema: &PluginSchema,
    config: Value,
    violations: &mut Vec<Violation>,
) -> Value {
    let config = match config {
        config if schema.takes_any_config => return config,
        Value::Null => Map::new(),
        Value::Object(config) => config,
        Value::Array(list) if list.is_empty() => Map::new(),
        other => {
            violations.push(Violation::field(CONFIG, "expected a record"));
            return other;
        }
    };
    let has_lua = has_lua_fields(&config);
    if has_lua {
        violations.push(Violation::at(
            &format!("{CONFIG}.{LUA_FIELD}"),
            "Lua code is not supported: a Wasm filter can add fields to the log record",
        ));
    }
    let processed = schema.config.process_config(&config, &desk.context);
    violations.extend(processed.violations);
    Value::Object(processed.value)
}

/// Old names of fields go on showing their values.
pub(super) fn show_old_names(desk: &Desk, record: &mut Record) {
    if let Some(schema) = schema_of_entry(&*desk.plugins, record)
        && let Some(Value::Object(config)) = record.get_mut(CONFIG)
    {
        schema.config.show_old_names(config);
    }
}

/// A plugin must speak a protocol of its route, or of one of the routes of its service.
pub(super) fn protocol_disagreement(catalog: &Catalog, plugin: &Record) -> Option<Violation> {
    let own = plugin.get(PROTOCOLS)?.as_array()?;
    let meets = |route: &Record| {
        let theirs = route.get(PROTOCOLS).and_then(Value::as_array);
        theirs.is_none_or(|theirs| theirs.iter().any(|protocol| own.contains(protocol)))
    };
    if let Some(route) = reference_id(plugin, "route") {
        let route = catalog.get("routes", route)?;
        let text = "must match the associated route's protocols";
        return (!meets(&route.value())).then(|| Violation::field(PROTOCOLS, text));
    }
    let service = reference_id(plugin, "service")?;
    let mut routes = catalog.children("routes", "service", service).peekable();
    routes.peek()?;
    let text = "must match the protocols of at least one route pointing to this Plugin's service";
    (!routes.any(|route| meets(&route.value()))).then(|| Violation::field(PROTOCOLS, text))
}
