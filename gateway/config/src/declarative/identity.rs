//! Ids, and who answers to which id or name (kong-core B.3).

use super::flatten::{Draft, Drafts, nearest};
use super::report::{Fault, Report, key};
use serde_json::Value;
use std::collections::HashMap;
use tidegate_model::deterministic_id::{Parent, deterministic_id, id_from_content};
use tidegate_model::entity_table::EntityType;
use tidegate_model::schema::PathSegment;
use uuid::Uuid;

/// Entities by id and by name.
#[derive(Debug, Default)]
pub(super) struct Index {
    by_id: HashMap<(&'static str, Uuid), usize>,
    by_key: HashMap<&'static str, HashMap<String, usize>>,
}

impl Index {
    pub(super) fn by_id(&self, collection: &'static str, id: Uuid) -> Option<usize> {
        self.by_id.get(&(collection, id)).copied()
    }

    pub(super) fn by_key(&self, collection: &str, name: &str) -> Option<usize> {
        self.by_key.get(collection)?.get(name).copied()
    }

    /// The name in a collection that is closest to a misspelt one. Not sought among very many: a file with as many
    /// misspelt references would take for ever.
    pub(super) fn nearest_name(&self, collection: &str, name: &str) -> Option<String> {
        const MOST: usize = 1000;
        let names = self.by_key.get(collection).filter(|names| names.len() <= MOST)?;
        let mut names: Vec<&str> = names.keys().map(String::as_str).collect();
        names.sort_unstable();
        nearest(name, names)
    }
}

/// Gives every draft its id and files it. Reports ids and names that are taken.
pub(super) fn assign(drafts: &mut Drafts, report: &mut Report) -> Index {
    let mut index = Index::default();
    let mut occurrences = HashMap::new();
    for at in 0..drafts.list.len() {
        let Some(draft) = drafts.list.get(at) else {
            continue;
        };
        let written = draft
            .input
            .get("id")
            .and_then(Value::as_str)
            .and_then(|text| Uuid::parse_str(text).ok());
        let id = written.unwrap_or_else(|| generated(drafts, at, &mut occurrences));
        let (entity, name) = (draft.entity, endpoint_name(draft));
        if let Some(draft) = drafts.list.get_mut(at) {
            draft.id = id;
        }
        if let Some(name) = name {
            let names = index.by_key.entry(entity.collection).or_default();
            if names.contains_key(&name) {
                report.fault(name_taken(drafts, at, entity, &name));
                continue;
            }
            names.insert(name, at);
        }
        if index.by_id.contains_key(&(entity.collection, id)) {
            let text = taken(entity.collection, "primary key", &id.to_string());
            let place = drafts.place(at);
            let fault = Fault::new(drafts.path(at), text).of(place);
            report.fault(fault.reported_at(drafts.path(at)));
            continue;
        }
        index.by_id.insert((entity.collection, id), at);
    }
    index
}

/// Kong's text for a value that may occur once.
pub(super) fn taken(collection: &str, field: &str, value: &str) -> String {
    format!("uniqueness violation: '{collection}' entity with {field} set to '{value}' already declared")
}

/// The name by which references find an entity, when names are unique in its collection.
fn endpoint_name(draft: &Draft) -> Option<String> {
    let field = draft.entity.endpoint_key?;
    let is_unique = draft
        .entity
        .schema()
        .fields
        .iter()
        .any(|known| known.name == field && known.unique);
    if !is_unique {
        return None;
    }
    draft.input.get(field)?.as_str().map(str::to_owned)
}

fn name_taken(drafts: &Drafts, at: usize, entity: &EntityType, name: &str) -> Fault {
    let field = entity.endpoint_key.unwrap_or("id");
    let index = drafts.list.get(at).map_or(0, |draft| draft.index);
    let is_secret = entity
        .schema()
        .fields
        .iter()
        .any(|known| known.name == field && known.secret);
    Fault::new(
        drafts.field_path(at, field),
        taken(entity.collection, field, name),
    )
    .of(drafts.place(at))
    .secret(is_secret)
    .reported_at(vec![key(entity.collection), PathSegment::Index(index)])
}

/// The id that Kong derives from what identifies the entity, or one from its content.
fn generated(drafts: &Drafts, at: usize, occurrences: &mut HashMap<Uuid, usize>) -> Uuid {
    let Some(draft) = drafts.list.get(at) else {
        return Uuid::nil();
    };
    let parent_id = draft
        .parent
        .and_then(|(parent, _)| drafts.list.get(parent))
        .map(|parent| parent.id.to_string());
    let parent = match (draft.parent, &parent_id) {
        (Some((_, field)), Some(id)) => Some(Parent { field, id }),
        _ => None,
    };
    if let Some(id) = deterministic_id(draft.entity, &draft.input, parent) {
        // Kong's seed of plugins knows no groups: instances for two groups would have one id.
        return match group(draft, parent) {
            Some(group) => Uuid::new_v5(&id, group.as_bytes()),
            None => id,
        };
    }
    let content = id_from_content(draft.entity, &draft.input, parent, 0);
    let occurrence = occurrences.entry(content).or_insert(0);
    *occurrence += 1;
    if *occurrence == 1 {
        content
    } else {
        id_from_content(draft.entity, &draft.input, parent, *occurrence - 1)
    }
}

/// The group that a plugin is scoped to, as written.
fn group<'d>(draft: &'d Draft, parent: Option<Parent<'d>>) -> Option<&'d str> {
    const FIELD: &str = "consumer_group";
    if let Some(parent) = parent.filter(|parent| parent.field == FIELD) {
        return Some(parent.id);
    }
    let value = draft.input.get(FIELD)?;
    value
        .as_str()
        .or_else(|| value.as_object()?.values().next()?.as_str())
}
