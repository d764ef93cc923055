//! Turns references by name or id into `{"id": ..}`.

use super::flatten::{Drafts, Membership};
use super::identity::Index;
use super::report::{Fault, Report, key};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use tidegate_model::ids::{ConsumerGroupId, ConsumerId};
use tidegate_model::schema::PathSegment;
use uuid::Uuid;

/// Links every draft to its parent and to what it refers to. A reference that leads nowhere is reported and replaced
/// by the nil id, so that the rest of the entity is still checked.
pub(super) fn resolve(drafts: &mut Drafts, index: &Index, looks_up: bool, report: &mut Report) {
    for at in 0..drafts.list.len() {
        let Some(draft) = drafts.list.get_mut(at) else {
            continue;
        };
        let (parent, entity) = (draft.parent, draft.entity);
        let mut input = std::mem::take(&mut draft.input);
        let own_name = entity
            .endpoint_key
            .and_then(|field| input.get(field))
            .and_then(Value::as_str)
            .map(str::to_owned);
        let mut linker = Linker {
            drafts,
            index,
            report,
            at,
            own_name,
            looks_up,
        };
        for (field, target) in entity.references() {
            if let Some(value) = input.get_mut(field) {
                linker.link(value, field, target);
            }
        }
        if let Some((parent, field)) = parent
            && let Some(parent) = drafts.list.get(parent)
        {
            input.insert(field.to_owned(), json!({ "id": parent.id.to_string() }));
        }
        if let Some(draft) = drafts.list.get_mut(at) {
            draft.input = input;
        }
    }
}

/// The references of one entity.
struct Linker<'l> {
    drafts: &'l Drafts,
    index: &'l Index,
    report: &'l mut Report,
    at: usize,
    /// The name of the entity, under which Kong lists its faults.
    own_name: Option<String>,
    looks_up: bool,
}

impl Linker<'_> {
    fn link(&mut self, value: &mut Value, field: &'static str, target: &'static str) {
        if value.is_null() {
            return;
        }
        let (drafts, at) = (self.drafts, self.at);
        let fault = |path, text: &str| Fault::new(path, text).of(drafts.place(at));
        let linked = match look_up(value, target, self.index) {
            Ok(found) => drafts.list.get(found).map(|found| found.id),
            Err(Missing::NoEntry(name)) => {
                let fault = self.dangling(field, target, &name);
                self.report.fault(fault);
                None
            }
            Err(Missing::NoKey) => {
                let mut path = drafts.field_path(at, field);
                path.push(key("id"));
                self.report.fault(fault(path, "missing primary key"));
                None
            }
            Err(Missing::WrongType) => {
                self.report
                    .fault(fault(drafts.field_path(at, field), "expected a string"));
                None
            }
        };
        *value = json!({ "id": linked.unwrap_or(Uuid::nil()).to_string() });
    }

    fn dangling(&self, field: &str, target: &str, name: &str) -> Fault {
        let text = format!("invalid reference '{field}: {name}' (no such entry in '{target}')");
        let nearest = if self.report.is_full() {
            None
        } else {
            self.index.nearest_name(target, name)
        };
        let hint = nearest.or_else(|| {
            let looked_up = "`_info.default_lookup_tags` counts on entities of a running gateway; put them into this file";
            self.looks_up.then(|| looked_up.to_owned())
        });
        let (drafts, at) = (self.drafts, self.at);
        let mut kong_path = Vec::with_capacity(3);
        if let Some(draft) = drafts.list.get(at) {
            kong_path.push(key(draft.entity.collection));
            kong_path.push(
                self.own_name
                    .as_deref()
                    .map_or(PathSegment::Index(draft.index), key),
            );
            kong_path.push(PathSegment::Index(0));
        }
        Fault::new(drafts.field_path(at, field), text)
            .maybe_hint(hint)
            .of(drafts.place(at))
            .reported_at(kong_path)
    }
}

/// Why a reference leads nowhere.
enum Missing {
    NoEntry(String),
    NoKey,
    WrongType,
}

/// A reference is an id, a name, `{"id": ..}` or an object with a name.
fn look_up(reference: &Value, target: &'static str, index: &Index) -> Result<usize, Missing> {
    match reference {
        Value::String(text) => by_text(text, target, index).ok_or_else(|| Missing::NoEntry(text.clone())),
        Value::Object(members) => match reference_text(members) {
            Some(text) => by_text(text, target, index).ok_or_else(|| Missing::NoEntry(text.to_owned())),
            None => Err(Missing::NoKey),
        },
        _ => Err(Missing::WrongType),
    }
}

fn reference_text(members: &Map<String, Value>) -> Option<&str> {
    ["id", "name", "username", "prefix"]
        .iter()
        .find_map(|name| members.get(*name).and_then(Value::as_str))
}

fn by_text(text: &str, target: &'static str, index: &Index) -> Option<usize> {
    let by_id = Uuid::parse_str(text).ok().and_then(|id| index.by_id(target, id));
    by_id.or_else(|| index.by_key(target, text))
}

/// Pairs of group and consumer, each once, in the order of their ids: a consumer and its group may both tell.
pub(super) fn memberships(
    drafts: &Drafts,
    index: &Index,
    report: &mut Report,
) -> Vec<(ConsumerGroupId, ConsumerId)> {
    let pairs: BTreeSet<(Uuid, Uuid)> = drafts
        .memberships
        .iter()
        .filter_map(|membership| membership_pair(membership, drafts, index, report))
        .collect();
    pairs
        .into_iter()
        .map(|(group, consumer)| (ConsumerGroupId(group), ConsumerId(consumer)))
        .collect()
}

fn membership_pair(
    membership: &Membership,
    drafts: &Drafts,
    index: &Index,
    report: &mut Report,
) -> Option<(Uuid, Uuid)> {
    let own = drafts.list.get(membership.draft)?;
    let is_group = own.entity.collection == "consumer_groups";
    let (field, target) = if is_group {
        ("consumers", "consumers")
    } else {
        ("groups", "consumer_groups")
    };
    let fault = |text: String| Fault::new(membership.path.clone(), text).of(drafts.place(membership.draft));
    match look_up(&membership.reference, target, index) {
        Ok(found) => {
            let other = drafts.list.get(found)?.id;
            Some(if is_group {
                (own.id, other)
            } else {
                (other, own.id)
            })
        }
        Err(Missing::NoEntry(name)) => {
            let text = format!("invalid reference '{field}: {name}' (no such entry in '{target}')");
            report.fault(fault(text).maybe_hint(if report.is_full() {
                None
            } else {
                index.nearest_name(target, &name)
            }));
            None
        }
        Err(Missing::NoKey) => {
            report.fault(fault("missing primary key".to_owned()));
            None
        }
        Err(Missing::WrongType) => {
            report.fault(fault("expected a record".to_owned()));
            None
        }
    }
}
