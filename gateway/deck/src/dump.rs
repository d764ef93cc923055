//! A state as a file that leads to the same state again.

use crate::compare::TIMES;
use crate::defaults::Schemas;
use crate::kinds::Kind;
use crate::state::{Entity, State};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::rc::Rc;

/// What a dump looks like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style<'s> {
    /// Every entity keeps its id.
    pub with_ids: bool,
    /// Fields are left out that are as the server would fill them in.
    pub without: Option<&'s Schemas>,
}

/// The entities as the root of a file, without its head.
pub(crate) fn content(state: &State, style: Style<'_>) -> Map<String, Value> {
    let dumper = Dumper {
        state,
        style,
        nested: nested(state),
    };
    let mut root = Map::new();
    for kind in Kind::ALL {
        let rows = state.rows(kind).iter();
        let list: Vec<Value> =
            sorted(rows.filter(|row| owner(state, row).is_none() && kind != Kind::Membership))
                .into_iter()
                .map(|row| dumper.entry(row, None))
                .collect();
        if !list.is_empty() {
            root.insert(kind.row().collection.to_owned(), Value::Array(list));
        }
    }
    root
}

type Nested<'s> = HashMap<(Kind, &'s str), Vec<&'s Rc<Entity>>>;

struct Dumper<'s> {
    state: &'s State,
    style: Style<'s>,
    /// Entities by the one that they stand below.
    nested: Nested<'s>,
}

/// The entity that another one stands below: the only one that it is attached to, if it is in the file.
fn owner<'r>(state: &State, row: &'r Entity) -> Option<(Kind, &'r str)> {
    let (kind, field) = match row.kind {
        Kind::Route => (Kind::Service, "service"),
        Kind::Target => (Kind::Upstream, "upstream"),
        Kind::Sni => (Kind::Certificate, "certificate"),
        Kind::Membership => (Kind::Consumer, "consumer"),
        kind if kind.is_credential() => (Kind::Consumer, "consumer"),
        Kind::Plugin | Kind::FilterChain => {
            let mut scopes = [
                (Kind::Service, "service"),
                (Kind::Route, "route"),
                (Kind::Consumer, "consumer"),
                (Kind::ConsumerGroup, "consumer_group"),
            ]
            .into_iter()
            .filter(|(_, field)| row.reference(field).is_some());
            match (scopes.next(), scopes.next()) {
                (Some(scope), None) => scope,
                _ => return None,
            }
        }
        _ => return None,
    };
    let id = row.reference(field)?;
    state.get(kind, id)?;
    Some((kind, id))
}

fn nested(state: &State) -> Nested<'_> {
    let mut nested: Nested<'_> = HashMap::new();
    for kind in Kind::ALL {
        for row in state.rows(kind) {
            if let Some((kind, id)) = owner(state, row) {
                nested.entry((kind, id)).or_default().push(row);
            }
        }
    }
    nested
}

/// What entities are sorted by, and whether it lets go of the id.
fn name(row: &Entity) -> Option<&str> {
    let field = match row.kind {
        Kind::Certificate | Kind::CaCertificate | Kind::MtlsAuth => return None,
        Kind::Vault => "prefix",
        Kind::Target => "target",
        Kind::KeyAuth | Kind::JwtAuth => "key",
        Kind::Consumer | Kind::BasicAuth | Kind::HmacAuth => "username",
        Kind::OAuth2 => "client_id",
        Kind::Acl => "group",
        _ => "name",
    };
    row.text(field)
}

fn sorted<'s>(rows: impl Iterator<Item = &'s Rc<Entity>>) -> Vec<&'s Rc<Entity>> {
    let mut sorted: Vec<&Rc<Entity>> = rows.collect();
    let scope = |row: &Entity| {
        ["consumer", "route", "service", "consumer_group"]
            .map(|field| row.reference(field).unwrap_or_default().to_owned())
    };
    sorted.sort_by_cached_key(|row| {
        let name = name(row).or_else(|| row.text("cert")).unwrap_or(&row.id);
        (name.to_owned(), scope(row), row.id.clone())
    });
    sorted
}

impl Dumper<'_> {
    fn entry(&self, row: &Entity, below: Option<&str>) -> Value {
        let mut body = row.body.clone();
        if let Some(schemas) = self.style.without {
            schemas.strip(row.kind, &mut body);
        }
        for time in TIMES {
            body.shift_remove(time);
        }
        // A password is stored as a hash that depends on ids.
        let keeps_id = self.style.with_ids || row.kind == Kind::BasicAuth || name(row).is_none();
        if !keeps_id {
            body.shift_remove("id");
        }
        if let Some(field) = below {
            body.shift_remove(field);
        }
        self.name_references(row, &mut body);
        for (child, field) in row.kind.children() {
            let below = self
                .nested
                .get(&(row.kind, row.id.as_str()))
                .into_iter()
                .flatten();
            let below = below.copied().filter(|entity| entity.kind == *child);
            let list: Vec<Value> = sorted(below)
                .into_iter()
                .map(|entity| self.entry(entity, Some(field)))
                .collect();
            if !list.is_empty() {
                body.insert(child.row().collection.to_owned(), Value::Array(list));
            }
        }
        if row.kind == Kind::Consumer {
            let groups = self.groups(&row.id);
            if !groups.is_empty() {
                body.insert("groups".to_owned(), Value::Array(groups));
            }
        }
        body.retain(|_, value| !matches!(value, Value::Array(list) if list.is_empty()));
        body.sort_keys();
        Value::Object(body)
    }

    /// Names stand for the ids of what is in the file too.
    fn name_references(&self, row: &Entity, body: &mut Map<String, Value>) {
        for (field, target) in row.kind.references() {
            let Some(id) = crate::state::referred(body, field).map(str::to_owned) else {
                continue;
            };
            let found = self.state.get(target, &id);
            let name = found.and_then(|found| name(found).map(|name| (name.to_owned(), found)));
            let reference = match (row.kind, name) {
                (Kind::Plugin | Kind::FilterChain, Some((name, _))) => Value::String(name),
                (Kind::Plugin | Kind::FilterChain | Kind::Service, None) => Value::String(id),
                (_, Some((name, found))) => {
                    let field = target
                        .row()
                        .names
                        .iter()
                        .find(|field| found.text(field) == Some(&name));
                    json!({ field.copied().unwrap_or("id"): name })
                }
                (_, None) => json!({ "id": id }),
            };
            body.insert(field.to_owned(), reference);
        }
    }

    fn groups(&self, consumer: &str) -> Vec<Value> {
        let nested = self.nested.get(&(Kind::Consumer, consumer)).into_iter().flatten();
        let mut groups: Vec<Value> = nested
            .filter(|row| row.kind == Kind::Membership)
            .filter_map(|row| row.reference("consumer_group"))
            .map(|group| {
                let found = self.state.get(Kind::ConsumerGroup, group);
                match found.and_then(|group| group.text("name")) {
                    Some(name) => json!({ "name": name }),
                    None => json!({ "id": group }),
                }
            })
            .collect();
        groups.sort_by_cached_key(Value::to_string);
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::{Style, content};
    use crate::kinds::Kind;
    use crate::state::{Entity, State};
    use serde_json::{Value, json};

    #[test]
    fn kinds_that_only_some_servers_have_stand_where_they_belong() {
        let mut state = State::default();
        for (kind, body) in [
            (Kind::Service, json!({"id": "s", "name": "service"})),
            (Kind::Consumer, json!({"id": "c", "username": "alice"})),
            (
                Kind::FilterChain,
                json!({"id": "f", "service": {"id": "s"}, "filters": [{"name": "x"}], "created_at": 1}),
            ),
            (
                Kind::FilterChain,
                json!({"id": "g", "name": "mine", "route": {"id": "elsewhere"}}),
            ),
            (
                Kind::MtlsAuth,
                json!({"id": "m", "consumer": {"id": "c"}, "subject_name": "a@b"}),
            ),
            (
                Kind::Plugin,
                json!({"id": "p", "name": "cors", "service": {"id": "s"}, "consumer": {"id": "gone"}}),
            ),
        ] {
            let Value::Object(body) = body else {
                panic!("not an object");
            };
            let id = body["id"].as_str().expect("an id").to_owned();
            assert!(state.insert(Entity { kind, id, body }));
        }
        let style = Style {
            with_ids: false,
            without: None,
        };
        assert_eq!(
            Value::Object(content(&state, style)),
            json!({
                "consumers": [{"username": "alice", "mtls_auth_credentials": [{"id": "m", "subject_name": "a@b"}]}],
                "services": [{"name": "service", "filter_chains": [{"id": "f", "filters": [{"name": "x"}]}]}],
                "filter_chains": [{"name": "mine", "route": "elsewhere"}],
                "plugins": [{"name": "cors", "service": "service", "consumer": "gone"}],
            })
        );
    }
}
