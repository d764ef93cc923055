//! Vaults (kong-core A.10).

use crate::ids::VaultId;
use crate::record;
use crate::schema::{self, Context, EntityCheck, Moment, Transform, Violation, any, string, tags, timestamp};
use serde_json::{Map, Value};

record! {
    /// A source of secrets, addressed by its prefix in `{vault://prefix/...}`.
    pub struct Vault {
        /// Unique id.
        pub id: VaultId = schema::uuid().required(),
        /// Unix seconds of creation.
        pub created_at: Option<i64> = timestamp(),
        /// Unix seconds of the last change.
        pub updated_at: Option<i64> = timestamp(),
        /// Unique prefix.
        pub prefix: String = string().required().unique().matches("^[a-z][a-z0-9-]*[a-z0-9]+$", "invalid value: "),
        /// Type, e.g. `env`.
        pub name: String = string().required(),
        /// Free text.
        pub description: Option<String> = string(),
        /// Options of the type.
        pub config: Option<Value> = any(),
        /// Labels.
        pub tags: Option<Vec<String>> = tags(),
    }    checks [
        EntityCheck::Among { name: "installed", fields: &["name"], even_if_at_fault: false, check: is_installed },
        EntityCheck::Among { name: "own_prefix", fields: &["prefix"], even_if_at_fault: false, check: has_own_prefix },
        EntityCheck::Among { name: "options", fields: &["name", "config"], even_if_at_fault: false, check: has_known_options },
    ]
    transforms [ all_options() ]
}

/// Options of a type, each a text. None: a type of which nothing is known.
fn options(name: Option<&Value>) -> Option<&'static [&'static str]> {
    match name?.as_str()? {
        "env" => Some(&["prefix"]),
        _ => None,
    }
}

fn has_known_options(record: &Map<String, Value>, _: &Context) -> Vec<Violation> {
    let (Some(options), Some(config)) = (options(record.get("name")), record.get("config")) else {
        return Vec::new();
    };
    match config {
        Value::Null => Vec::new(),
        Value::Object(config) => {
            let faults = config.iter().filter_map(|(name, value)| {
                let fault = match value {
                    _ if !options.contains(&name.as_str()) => "unknown field",
                    Value::String(_) | Value::Null => return None,
                    _ => "expected a string",
                };
                Some(Violation::at(&format!("config.{name}"), fault))
            });
            faults.collect()
        }
        Value::Array(list) if list.is_empty() => Vec::new(),
        _ => vec![Violation::field("config", "expected a record")],
    }
}

/// Options that are not set show as unset.
fn all_options() -> Transform {
    fn apply(record: &mut Map<String, Value>, _: &Context) {
        let Some(options) = options(record.get("name")) else {
            return;
        };
        let config = record.entry("config").or_insert(Value::Null);
        if !config.is_object() {
            *config = Value::Object(Map::new());
        }
        if let Value::Object(config) = config {
            for option in options {
                config.entry(*option).or_insert(Value::Null);
            }
        }
    }
    Transform {
        name: "all_options",
        moment: Moment::AfterValidation,
        apply,
    }
}

fn is_installed(record: &Map<String, Value>, context: &Context) -> Vec<Violation> {
    match record.get("name").and_then(Value::as_str) {
        Some(name) if !context.vault_types.contains(&name) => {
            vec![Violation::field(
                "name",
                format!("vault '{name}' is not installed"),
            )]
        }
        _ => Vec::new(),
    }
}

/// References name a vault by prefix or by type, so a prefix must not look like a type.
fn has_own_prefix(record: &Map<String, Value>, context: &Context) -> Vec<Violation> {
    match record.get("prefix").and_then(Value::as_str) {
        Some(prefix) if context.vault_types.contains(&prefix) => {
            vec![Violation::field(
                "prefix",
                format!("must not be one of: {}", context.vault_types.join(", ")),
            )]
        }
        _ => Vec::new(),
    }
}
