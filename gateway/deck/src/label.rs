//! How entities are called in output lines.

use crate::kinds::Kind;
use crate::state::{Entity, State};

/// The label of an entity. Entities that it refers to are looked up in the states given, in this order.
pub(crate) fn label(entity: &Entity, states: &[&State]) -> String {
    let named = |field: &str, kind: Kind| {
        let id = entity.reference(field)?;
        let found = states.iter().find_map(|state| state.get(kind, id));
        Some(found.map_or_else(|| id.to_owned(), |found| own_name(found)))
    };
    match entity.kind {
        Kind::Plugin => {
            let scopes = [
                ("service", "service", Kind::Service),
                ("route", "route", Kind::Route),
                ("consumer", "consumer", Kind::Consumer),
                ("consumer-group", "consumer_group", Kind::ConsumerGroup),
            ];
            let scopes: Vec<String> = scopes
                .into_iter()
                .filter_map(|(shown, field, kind)| Some(format!("{shown} {}", named(field, kind)?)))
                .collect();
            let name = entity.text("name").unwrap_or_default();
            if scopes.is_empty() {
                format!("{name} (global)")
            } else {
                format!("{name} for {}", scopes.join(" and "))
            }
        }
        Kind::FilterChain => {
            let name = own_name(entity);
            match (named("service", Kind::Service), named("route", Kind::Route)) {
                (Some(service), _) => format!("{name} for service {service}"),
                (None, Some(route)) => format!("{name} for route {route}"),
                (None, None) => name,
            }
        }
        // decK knows an upstream by its id here.
        Kind::Target => match entity.reference("upstream") {
            Some(upstream) => format!("{} for upstream {upstream}", own_name(entity)),
            None => own_name(entity),
        },
        Kind::Membership => named("consumer", Kind::Consumer).unwrap_or_else(|| entity.id.clone()),
        kind if kind.is_credential() => match named("consumer", Kind::Consumer) {
            Some(consumer) => format!("{} for consumer {consumer}", own_name(entity)),
            None => own_name(entity),
        },
        _ => own_name(entity),
    }
}

/// The name that is shown; of a key no more than its end.
pub(crate) fn own_name(entity: &Entity) -> String {
    let field = match entity.kind {
        Kind::KeyAuth => {
            let key = entity.text("key").unwrap_or(&entity.id);
            let start = key.char_indices().rev().nth(4).map_or(0, |(at, _)| at);
            return key.get(start..).unwrap_or_default().to_owned();
        }
        Kind::Consumer => {
            let name = entity.text("username").or_else(|| entity.text("custom_id"));
            return name.unwrap_or(&entity.id).to_owned();
        }
        Kind::HmacAuth | Kind::BasicAuth => "username",
        Kind::JwtAuth => "key",
        Kind::Acl => "group",
        Kind::MtlsAuth => "subject_name",
        Kind::Target => "target",
        Kind::Vault => "prefix",
        _ => "name",
    };
    entity.text(field).unwrap_or(&entity.id).to_owned()
}

#[cfg(test)]
mod tests {
    use super::label;
    use crate::kinds::Kind;
    use crate::state::{Entity, State};
    use serde_json::{Value, json};

    fn entity(kind: Kind, id: &str, body: Value) -> Entity {
        let Value::Object(body) = body else {
            panic!("not an object");
        };
        Entity {
            kind,
            id: id.to_owned(),
            body,
        }
    }

    #[test]
    fn labels_read_as_in_deck() {
        let mut state = State::default();
        state.insert(entity(Kind::Service, "s", json!({"name": "httpbin"})));
        state.insert(entity(Kind::Consumer, "c", json!({"custom_id": "7"})));
        let cases = [
            (Kind::Service, json!({"name": "a"}), "a"),
            (Kind::Route, json!({}), "x"),
            (Kind::Plugin, json!({"name": "cors"}), "cors (global)"),
            (
                Kind::Plugin,
                json!({"name": "cors", "consumer": {"id": "c"}, "service": {"id": "s"}}),
                "cors for service httpbin and consumer 7",
            ),
            (Kind::FilterChain, json!({"route": {"id": "r"}}), "x for route r"),
            (
                Kind::Target,
                json!({"target": "127.0.0.1:80", "upstream": {"id": "u"}}),
                "127.0.0.1:80 for upstream u",
            ),
            (
                Kind::KeyAuth,
                json!({"key": "abcdefghij", "consumer": {"id": "c"}}),
                "fghij for consumer 7",
            ),
            (
                Kind::KeyAuth,
                json!({"key": "abc", "consumer": {"id": "c"}}),
                "abc for consumer 7",
            ),
            (Kind::Membership, json!({"consumer": {"id": "c"}}), "7"),
            (Kind::Vault, json!({"name": "env", "prefix": "mine"}), "mine"),
        ];
        for (kind, body, expected) in cases {
            assert_eq!(label(&entity(kind, "x", body), &[&state]), expected);
        }
    }
}
