//! When two entities are the same: whatever order their lists of texts have, and whenever they were written.

use crate::kinds::Kind;
use serde_json::{Map, Value};
use tidegate_config::declarative::password_hash;

/// Fields that tell when an entity was written.
pub(crate) const TIMES: [&str; 2] = ["created_at", "updated_at"];

/// Whether two values are equal; `1` and `1.0` are.
pub(crate) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left == right || left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(name, value)| right.get(name).is_some_and(|other| same(value, other)))
        }
        _ => left == right,
    }
}

/// Takes out members that are not set, at every depth.
pub(crate) fn drop_unset(members: &mut Map<String, Value>) {
    members.retain(|_, value| {
        if let Value::Object(members) = value {
            drop_unset(members);
        }
        !value.is_null()
    });
}

/// Whether nothing has to be written to make `current` what `target` says. Both without members that are not set.
pub(crate) fn is_same_entity(kind: Kind, current: &Map<String, Value>, target: &Map<String, Value>) -> bool {
    let counts = |name: &str| !TIMES.contains(&name);
    let size = |members: &Map<String, Value>| members.keys().filter(|name| counts(name)).count();
    size(current) == size(target)
        && target
            .iter()
            .filter(|(name, _)| counts(name))
            .all(|(name, value)| {
                current
                    .get(name)
                    .is_some_and(|stored| is_same_field(kind, name, current, stored, value))
            })
}

fn is_same_field(
    kind: Kind,
    name: &str,
    current: &Map<String, Value>,
    stored: &Value,
    wanted: &Value,
) -> bool {
    match (kind, name) {
        (Kind::BasicAuth, "password") => is_same_password(current, stored, wanted),
        // What is left of it, which grows less by itself.
        (Kind::KeyAuth, "ttl") => true,
        (Kind::Plugin, "config") => same(stored, wanted),
        _ => same_in_any_order(stored, wanted),
    }
}

/// The server keeps the hash of what was written in clear.
fn is_same_password(current: &Map<String, Value>, stored: &Value, wanted: &Value) -> bool {
    let owner = current
        .get("consumer")
        .and_then(|consumer| consumer.get("id"))
        .and_then(Value::as_str);
    stored == wanted
        || match (owner, wanted.as_str()) {
            (Some(owner), Some(password)) => *stored == password_hash(password, owner),
            _ => false,
        }
}

fn same_in_any_order(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            match (sorted_texts(left), sorted_texts(right)) {
                (Some(left), Some(right)) => left == right,
                _ => left.iter().zip(right).all(|(left, right)| same(left, right)),
            }
        }
        _ => same(left, right),
    }
}

fn sorted_texts(list: &[Value]) -> Option<Vec<&str>> {
    let mut texts: Vec<&str> = list.iter().map(Value::as_str).collect::<Option<_>>()?;
    texts.sort_unstable();
    Some(texts)
}

#[cfg(test)]
mod tests {
    use super::{drop_unset, is_same_entity, same};
    use crate::kinds::Kind;
    use serde_json::{Map, Value, json};

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(members) => members,
            _ => panic!("not an object"),
        }
    }

    #[test]
    fn order_of_texts_and_times_do_not_matter() {
        let current = object(json!({"id": "1", "tags": ["b", "a"], "created_at": 1, "port": 80}));
        let target = object(json!({"id": "1", "tags": ["a", "b"], "port": 80.0}));
        assert!(is_same_entity(Kind::Service, &current, &target));
        let other = object(json!({"id": "1", "tags": ["a", "b"], "port": 81}));
        assert!(!is_same_entity(Kind::Service, &current, &other));
        let more = object(json!({"id": "1", "tags": ["a", "b"], "port": 80, "path": "/"}));
        assert!(!is_same_entity(Kind::Service, &current, &more));
    }

    #[test]
    fn a_password_in_clear_equals_its_hash() {
        let consumer = "9b6b9d08-94d5-4e09-b7d8-7f7b9a1f0001";
        let hash = tidegate_config::declarative::password_hash("secret", consumer);
        let current = object(json!({"password": hash, "consumer": {"id": consumer}}));
        for (password, is_same) in [("secret", true), (hash.as_str(), true), ("other", false)] {
            let target = object(json!({"password": password, "consumer": {"id": consumer}}));
            assert_eq!(is_same_entity(Kind::BasicAuth, &current, &target), is_same);
        }
    }

    #[test]
    fn unset_members_are_dropped_at_every_depth() {
        let mut members = object(json!({"a": null, "b": {"c": null, "d": 0}, "e": [null]}));
        drop_unset(&mut members);
        assert_eq!(Value::Object(members), json!({"b": {"d": 0}, "e": [null]}));
    }

    #[test]
    fn numbers_are_compared_by_value() {
        assert!(same(&json!([1, {"a": 2.0}]), &json!([1.0, {"a": 2}])));
        assert!(!same(&json!(1), &json!("1")));
    }
}
