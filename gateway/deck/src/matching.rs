//! What tells entities of a kind apart, apart from their ids.

use crate::kinds::Kind;
use crate::state::referred;
use serde_json::{Map, Value};

/// Everything by which an entity is found again. Nothing is made of fields that are not set.
pub(crate) fn keys(kind: Kind, body: &Map<String, Value>) -> Vec<String> {
    let row = kind.row();
    let mut keys: Vec<String> = row
        .names
        .iter()
        .filter_map(|field| Some(name_key(field, body.get(*field)?.as_str()?)))
        .collect();
    let is_unique_together = match kind {
        // An unnamed chain is told by where it is attached, and so is a key by its set.
        Kind::FilterChain | Kind::Key => keys.is_empty(),
        _ => !row.scoped.is_empty(),
    };
    if is_unique_together {
        let parts: Vec<&str> = row
            .scoped
            .iter()
            .map(|field| {
                let text = body.get(*field).and_then(Value::as_str);
                text.or_else(|| referred(body, field)).unwrap_or_default()
            })
            .collect();
        if parts.iter().any(|part| !part.is_empty()) {
            keys.push(format!("\u{0}{}", parts.join("\u{0}")));
        }
    }
    keys
}

/// What a reference by name may mean.
pub(crate) fn keys_of_name(kind: Kind, name: &str) -> Vec<String> {
    let names = kind.row().names.iter();
    names.map(|field| name_key(field, name)).collect()
}

fn name_key(field: &str, value: &str) -> String {
    format!("{field}\u{0}{value}")
}

#[cfg(test)]
mod tests {
    use super::{keys, keys_of_name};
    use crate::kinds::Kind;
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    fn keys_of(kind: Kind, body: Value) -> Vec<String> {
        let Value::Object(body) = body else {
            panic!("not an object");
        };
        keys(kind, &body)
    }

    #[test]
    fn plugins_of_one_name_differ_by_scope_alone() {
        let on_service = keys_of(Kind::Plugin, json!({"name": "cors", "service": {"id": "s"}}));
        let on_route = keys_of(Kind::Plugin, json!({"name": "cors", "route": {"id": "s"}}));
        let again = keys_of(
            Kind::Plugin,
            json!({"name": "cors", "service": {"id": "s"}, "instance_name": "x"}),
        );
        assert_ne!(on_service, on_route);
        assert_eq!(on_service, again);
    }

    #[test]
    fn consumers_are_found_by_either_name() {
        let found = keys_of(Kind::Consumer, json!({"username": "alice", "custom_id": "7"}));
        assert!(
            keys_of_name(Kind::Consumer, "alice")
                .iter()
                .any(|key| found.contains(key))
        );
        assert!(
            keys_of_name(Kind::Consumer, "7")
                .iter()
                .any(|key| found.contains(key))
        );
    }

    #[test]
    fn nothing_is_made_of_nothing() {
        for kind in Kind::ALL {
            assert_eq!(keys(kind, &Map::new()), Vec::<String>::new(), "{kind:?}");
        }
    }

    proptest! {
        #[test]
        fn different_targets_never_share_a_key(a in "[a-z0-9.:]{1,9}", b in "[a-z0-9.:]{1,9}", up in "[0-9a-f]{4}") {
            let key = |target: &str| keys_of(Kind::Target, json!({"target": target, "upstream": {"id": up.clone()}}));
            prop_assert_eq!(key(&a) == key(&b), a == b);
        }
    }
}
