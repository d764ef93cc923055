//! Violations as Kong's answers show them: the tree `fields` and the `message` (kong-core G.3).

use super::lua::lua_table_in_lines;
use super::{PathSegment, Violation};
use serde_json::{Map, Value};

const ENTITY: &str = "@entity";

/// The tree of texts that mirrors the input: objects by field, lists by position with null holes, and the rules about a
/// record as a whole under `@entity`. Where two violations meet at one place, the first stays.
#[must_use]
pub fn violations_to_fields(violations: &[Violation]) -> Value {
    let mut root = Value::Object(Map::new());
    for violation in violations {
        let Some(place) = place(&mut root, &violation.path) else {
            continue;
        };
        // A text about a record that holds faults of its fields joins the rules about the whole.
        if violation.is_entity_check || place.is_object() {
            push_entity(place, &violation.message);
        } else if place.is_null() {
            *place = Value::from(violation.message.as_str());
        }
    }
    root
}

/// The node that a path leads to, made when absent. None when a text stands in the way.
fn place<'a>(root: &'a mut Value, path: &[PathSegment]) -> Option<&'a mut Value> {
    let mut node = root;
    for step in path {
        node = match step {
            PathSegment::Key(key) => {
                if node.is_null() {
                    *node = Value::Object(Map::new());
                }
                node.as_object_mut()?.entry(key.as_str()).or_insert(Value::Null)
            }
            PathSegment::Index(index) => {
                if node.is_null() {
                    *node = Value::Array(Vec::new());
                }
                let items = node.as_array_mut()?;
                if items.len() <= *index {
                    items.resize(index + 1, Value::Null);
                }
                items.get_mut(*index)?
            }
            PathSegment::Entry(_) => node,
        };
    }
    Some(node)
}

fn push_entity(place: &mut Value, message: &str) {
    if place.is_null() {
        *place = Value::Object(Map::new());
    }
    if let Some(record) = place.as_object_mut()
        && let Value::Array(messages) = record.entry(ENTITY).or_insert_with(|| Value::Array(Vec::new()))
    {
        messages.push(Value::from(message));
    }
}

/// `schema violation (a: b)` or `2 schema violations (a: b; c.d: e)`: rules about the whole first, then fields in order
/// of their names; one level of nesting is spelled out, what lies deeper is shown as a table.
#[must_use]
pub fn schema_violation_message(fields: &Value) -> String {
    let mut parts: Vec<String> = Vec::new();
    let empty = Map::new();
    let record = fields.as_object().unwrap_or(&empty);
    let whole = record.get(ENTITY).and_then(Value::as_array).into_iter().flatten();
    parts.extend(whole.map(shown));
    for (name, value) in sorted(record) {
        match value {
            _ if name == ENTITY => {}
            Value::Object(inner) => {
                parts.extend(
                    sorted(inner)
                        .into_iter()
                        .map(|(key, value)| format!("{name}.{key}: {}", shown(value))),
                );
            }
            Value::Array(items) => {
                let present = items.iter().enumerate().filter(|(_, item)| !item.is_null());
                parts.extend(present.map(|(index, item)| format!("{name}.{}: {}", index + 1, shown(item))));
            }
            text => parts.push(format!("{name}: {}", shown(text))),
        }
    }
    let listed = parts.join("; ");
    match parts.len() {
        1 => format!("schema violation ({listed})"),
        count => format!("{count} schema violations ({listed})"),
    }
}

fn sorted(record: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut entries: Vec<(&String, &Value)> = record.iter().collect();
    entries.sort_by_key(|(name, _)| *name);
    entries
}

fn shown(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| lua_table_in_lines(value), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{schema_violation_message, violations_to_fields};
    use crate::schema::{PathSegment, Violation};
    use serde_json::json;

    fn at(path: &[PathSegment], message: &str) -> Violation {
        Violation {
            path: path.to_vec(),
            message: message.to_owned(),
            is_entity_check: false,
        }
    }

    fn key(name: &str) -> PathSegment {
        PathSegment::Key(name.to_owned())
    }

    #[test]
    fn the_tree_mirrors_the_input_with_holes_in_lists() {
        let violations = [
            Violation::entity("first rule"),
            Violation::entity("second rule"),
            at(&[key("paths"), PathSegment::Index(1)], "bad path"),
            at(&[key("config"), key("redis"), key("port")], "bad port"),
            at(
                &[
                    key("headers"),
                    PathSegment::Entry("x".into()),
                    PathSegment::Index(0),
                ],
                "expected a string",
            ),
            Violation::entity("inner rule")
                .under(PathSegment::Index(0))
                .under(key("sources")),
        ];
        let fields = violations_to_fields(&violations);
        assert_eq!(
            fields,
            json!({
                "@entity": ["first rule", "second rule"],
                "paths": [null, "bad path"],
                "config": {"redis": {"port": "bad port"}},
                "headers": ["expected a string"],
                "sources": [{"@entity": ["inner rule"]}],
            })
        );
        assert_eq!(
            schema_violation_message(&fields),
            "6 schema violations (first rule; second rule; config.redis: {\n  port = \"bad port\"\n}; \
             headers.1: expected a string; paths.2: bad path; sources.1: {\n  [\"@entity\"] = {\n    \
             \"inner rule\"\n  }\n})"
        );
    }

    #[test]
    fn the_first_of_two_violations_at_one_place_stays() {
        let violations = [
            at(&[key("a")], "one"),
            at(&[key("a")], "two"),
            at(&[key("a"), key("b")], "three"),
        ];
        assert_eq!(violations_to_fields(&violations), json!({"a": "one"}));
        let violations = [at(&[key("a"), key("b")], "one"), at(&[key("a")], "two")];
        assert_eq!(
            violations_to_fields(&violations),
            json!({"a": {"b": "one", "@entity": ["two"]}})
        );
        assert_eq!(
            schema_violation_message(&json!({"a": "one"})),
            "schema violation (a: one)"
        );
    }
}
