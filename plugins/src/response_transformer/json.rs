//! Rules for JSON objects.

use super::{Config, ValueRules};
use crate::entry;
use bytes::Bytes;
use serde_json::{Map, Value};

/// At least one rule for members of the body.
#[derive(Debug)]
pub(super) struct JsonRules {
    remove: Vec<String>,
    rename: Vec<(String, String)>,
    replace: Vec<(String, Value)>,
    add: Vec<(String, Value)>,
    append: Vec<(String, Value)>,
}

impl JsonRules {
    pub(super) fn new(config: &Config) -> Option<Self> {
        let rename = config
            .rename
            .json
            .iter()
            .filter_map(|entry| match entry::split(entry) {
                (old, Some(new)) => Some((old.to_owned(), new.to_owned())),
                (_, None) => None,
            });
        let rules = Self {
            remove: config
                .remove
                .json
                .iter()
                .map(|entry| entry::split(entry).0.to_owned())
                .collect(),
            rename: rename.collect(),
            replace: values(&config.replace),
            add: values(&config.add),
            append: values(&config.append),
        };
        let lists = [&rules.replace, &rules.add, &rules.append];
        let has_rules =
            !rules.remove.is_empty() || !rules.rename.is_empty() || lists.iter().any(|list| !list.is_empty());
        has_rules.then_some(rules)
    }

    /// The edited body; `None` when it is no JSON object.
    pub(super) fn apply(&self, body: &[u8]) -> Option<Bytes> {
        if body.is_empty() {
            return None;
        }
        let mut members: Map<String, Value> = match serde_json::from_slice(body) {
            Ok(Value::Object(members)) => members,
            Ok(_) => return None,
            Err(_) => {
                tracing::warn!("response-transformer: body transform failed: failed parsing json body");
                return None;
            }
        };
        for name in &self.remove {
            members.shift_remove(name);
        }
        for (old, new) in &self.rename {
            if let Some(value) = members.shift_remove(old) {
                members.insert(new.clone(), value);
            }
        }
        for (name, value) in &self.replace {
            if is_there(&members, name) {
                members.insert(name.clone(), value.clone());
            }
        }
        for (name, value) in &self.add {
            if !is_there(&members, name) {
                members.insert(name.clone(), value.clone());
            }
        }
        for (name, value) in &self.append {
            entry::append_member(&mut members, name.clone(), value.clone());
        }
        serde_json::to_vec(&members).ok().map(Bytes::from)
    }
}

/// A member that is `false` counts as absent, one that is `null` does not (Lua's truth).
fn is_there(members: &Map<String, Value>, name: &str) -> bool {
    members
        .get(name)
        .is_some_and(|value| *value != Value::Bool(false))
}

/// Entries with their values cast; one whose value does not fit its type says nothing.
fn values(rules: &ValueRules) -> Vec<(String, Value)> {
    let types = rules
        .json_types
        .iter()
        .map(String::as_str)
        .chain(std::iter::repeat("string"));
    let cast_entry = |(entry, wanted): (&String, &str)| {
        let (name, value) = entry::split(entry);
        Some((name.to_owned(), cast(value?, wanted)?))
    };
    rules.json.iter().zip(types).filter_map(cast_entry).collect()
}

fn cast(value: &str, wanted: &str) -> Option<Value> {
    let text = as_encoded(value);
    Some(match wanted {
        "boolean" => Value::Bool(text == "true"),
        "number" => number(&text)?,
        _ => Value::String(text),
    })
}

/// Kong encodes the text as JSON, strips the quotes and undoes `\"` and `\/` only: other escapes stay visible.
fn as_encoded(value: &str) -> String {
    let encoded = Value::from(value).to_string();
    let inner = encoded
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(&encoded);
    inner.replace("\\\"", "\"").replace("\\/", "/")
}

fn number(text: &str) -> Option<Value> {
    let text = text.trim();
    if let Ok(integer) = text.parse::<i64>() {
        return Some(integer.into());
    }
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return i64::from_str_radix(digits, 16).ok().map(Value::from);
    }
    // The words that Rust reads as numbers are none for Lua.
    let is_plain = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    let number = text.parse::<f64>().ok().filter(|_| is_plain)?;
    serde_json::Number::from_f64(number).map(Value::Number)
}
