//! Takes the nesting apart: every entity becomes a draft that knows where it stood and who its parent is.

use super::collections;
use super::header::{self, Header};
use super::report::{EntityPlace, Fault, Report, key};
use serde_json::{Map, Value};
use tidegate_model::entity_table::{EntityType, entity_table, entity_type};
use tidegate_model::schema::PathSegment;
use uuid::Uuid;

/// An entity as the user wrote it, before checks.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) entity: &'static EntityType,
    /// Its position in its list, from 0.
    pub(super) index: usize,
    /// The draft it is nested in, and the field of it that this makes up for.
    pub(super) parent: Option<(usize, &'static str)>,
    /// What was written, without nested children.
    pub(super) input: Map<String, Value>,
    /// Written or made up; nil until ids are given.
    pub(super) id: Uuid,
}

/// A consumer's membership in a group, by reference.
#[derive(Debug)]
pub(super) struct Membership {
    pub(super) path: Vec<PathSegment>,
    /// The draft in which it was written: a consumer or a group.
    pub(super) draft: usize,
    /// The other side.
    pub(super) reference: Value,
}

/// All entities of a file, parents before children.
#[derive(Debug, Default)]
pub(super) struct Drafts {
    pub(super) list: Vec<Draft>,
    pub(super) memberships: Vec<Membership>,
}

impl Drafts {
    /// The draft of the entity at that position of its collection. Without faults, drafts and entities go side by side.
    pub(super) fn find(&self, collection: &str, index: usize) -> Option<usize> {
        let of_collection = |(_, draft): &(usize, &Draft)| draft.entity.collection == collection;
        let mut drafts = self.list.iter().enumerate().filter(of_collection);
        drafts.nth(index).map(|(at, _)| at)
    }

    /// Steps from the root to an entity.
    pub(super) fn path(&self, draft: usize) -> Vec<PathSegment> {
        let mut path = Vec::with_capacity(6);
        let mut at = Some(draft);
        while let Some(draft) = at.and_then(|at| self.list.get(at)) {
            path.push(PathSegment::Index(draft.index));
            path.push(key(draft.entity.collection));
            at = draft.parent.map(|(parent, _)| parent);
        }
        path.reverse();
        path
    }

    /// Steps from the root to a field of an entity.
    pub(super) fn field_path(&self, draft: usize, field: &str) -> Vec<PathSegment> {
        let mut path = self.path(draft);
        path.push(key(field));
        path
    }

    /// The entity of a fault.
    pub(super) fn place(&self, draft: usize) -> EntityPlace {
        let collection = self.list.get(draft).map_or("", |draft| draft.entity.collection);
        EntityPlace {
            draft,
            collection,
            depth: self.path(draft).len(),
        }
    }
}

/// Takes all entities out of the root. What remains is unknown and reported.
pub(super) fn flatten(mut root: Map<String, Value>, header: &Header, report: &mut Report) -> Drafts {
    let mut flattener = Flattener {
        header,
        report,
        drafts: Drafts::default(),
    };
    for entity in entity_table() {
        if let Some(list) = root.shift_remove(entity.collection) {
            flattener.list(entity, list, None);
        }
    }
    for (name, _) in root {
        flattener.leftover(&name);
    }
    flattener.drafts
}

struct Flattener<'f> {
    header: &'f Header,
    report: &'f mut Report,
    drafts: Drafts,
}

impl Flattener<'_> {
    fn leftover(&mut self, name: &str) {
        let path = vec![key(name)];
        if collections::IGNORED.contains(&name) {
            self.report
                .warn(Fault::new(path, format!("'{name}' has no effect here and is left out")).at_key());
            return;
        }
        let hint = collections::unsupported(name)
            .map(str::to_owned)
            .or_else(|| nearest(name, collections::names()));
        self.report
            .fault(Fault::new(path, "unknown field").at_key().maybe_hint(hint));
    }

    fn list(&mut self, entity: &'static EntityType, value: Value, parent: Option<(usize, &'static str)>) {
        let list_path = |drafts: &Drafts| {
            let mut path = parent.map(|(parent, _)| drafts.path(parent)).unwrap_or_default();
            path.push(key(entity.collection));
            path
        };
        let list = match value {
            Value::Array(list) => list,
            Value::Null => return,
            // Kong's own exports write an empty list as an empty map.
            Value::Object(members) if members.is_empty() => return,
            _ => {
                let path = list_path(&self.drafts);
                return self.report.fault(Fault::new(path, "expected an array"));
            }
        };
        for (index, item) in list.into_iter().enumerate() {
            match item {
                Value::Object(input) => self.entity(entity, input, index, parent),
                _ => {
                    let mut path = list_path(&self.drafts);
                    path.push(PathSegment::Index(index));
                    let hint = plain_name_hint(entity.collection, &item);
                    self.report
                        .fault(Fault::new(path, "expected a record").maybe_hint(hint));
                }
            }
        }
    }

    fn entity(
        &mut self,
        entity: &'static EntityType,
        input: Map<String, Value>,
        index: usize,
        parent: Option<(usize, &'static str)>,
    ) {
        let at = self.drafts.list.len();
        self.drafts.list.push(Draft {
            entity,
            index,
            parent,
            input,
            id: Uuid::nil(),
        });
        let Some(mut input) = self
            .drafts
            .list
            .get_mut(at)
            .map(|draft| std::mem::take(&mut draft.input))
        else {
            return;
        };
        if input.contains_key("_comment") || input.contains_key("_ignore") {
            let path = self.drafts.path(at);
            header::take_notes(&mut input, &path, self.report);
        }
        if let Some((_, field)) = parent {
            self.refuse_parent_field(&mut input, at, field);
        }
        self.take_memberships(&mut input, at);
        for child in entity.children {
            let Some(list) = input.shift_remove(child.collection) else {
                continue;
            };
            if let Some(child_entity) = entity_type(child.collection) {
                self.list(child_entity, list, Some((at, child.field)));
            }
        }
        if let Some(defaults) = self.header.defaults.of(entity.collection) {
            fill(&mut input, defaults);
        }
        add_tags(&mut input, &self.header.select_tags);
        if let Some(draft) = self.drafts.list.get_mut(at) {
            draft.input = input;
        }
    }

    /// The nesting says who the parent is; saying it again is an error in Kong, even when both agree.
    fn refuse_parent_field(&mut self, input: &mut Map<String, Value>, at: usize, field: &str) {
        if input.shift_remove(field).is_some_and(|value| !value.is_null()) {
            let fault =
                Fault::new(self.drafts.field_path(at, field), "value must be null").of(self.drafts.place(at));
            self.report.fault(fault.hint(format!(
                "the place in the file already says which {field} it belongs to: leave `{field}` out"
            )));
        }
    }

    /// decK writes membership in groups as `groups` of a consumer or `consumers` of a group.
    fn take_memberships(&mut self, input: &mut Map<String, Value>, at: usize) {
        let list_name = match self.drafts.list.get(at).map(|draft| draft.entity.collection) {
            Some("consumers") => "groups",
            Some("consumer_groups") => "consumers",
            _ => return,
        };
        let Some(list) = input.shift_remove(list_name) else {
            return;
        };
        let path = self.drafts.field_path(at, list_name);
        match list {
            Value::Null => {}
            Value::Array(list) => {
                for (index, reference) in list.into_iter().enumerate() {
                    let path = path.iter().cloned().chain([PathSegment::Index(index)]).collect();
                    self.drafts.memberships.push(Membership {
                        path,
                        draft: at,
                        reference,
                    });
                }
            }
            _ => self
                .report
                .fault(Fault::new(path, "expected an array").of(self.drafts.place(at))),
        }
    }
}

/// The known name that is closest to a misspelt one.
pub(super) fn nearest(name: &str, known: impl IntoIterator<Item: AsRef<str>>) -> Option<String> {
    let distances = known
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(name, known.as_ref()), known));
    let (distance, known) = distances.min_by_key(|(distance, _)| *distance)?;
    let allowed = (name.chars().count() / 3).clamp(1, 3);
    (distance <= allowed).then(|| format!("did you mean '{}'?", known.as_ref()))
}

fn plain_name_hint(collection: &str, item: &Value) -> Option<String> {
    let text = item.as_str()?;
    match collection {
        "snis" | "plugins" => Some(format!("write `- name: {text}`")),
        "acls" => Some(format!("write `- group: {text}`")),
        "targets" => Some(format!("write `- target: {text}`")),
        _ => None,
    }
}

/// Fills what is absent or null; records merge member by member.
fn fill(input: &mut Map<String, Value>, defaults: &Map<String, Value>) {
    for (name, default) in defaults {
        match (input.get_mut(name), default) {
            (None | Some(Value::Null), _) => {
                input.insert(name.clone(), default.clone());
            }
            (Some(Value::Object(written)), Value::Object(default)) => fill(written, default),
            _ => {}
        }
    }
}

/// Adds the tags that are missing. Anything but a list is left to the checks of the field.
fn add_tags(input: &mut Map<String, Value>, select_tags: &[String]) {
    if select_tags.is_empty() {
        return;
    }
    let tags = input.entry("tags").or_insert(Value::Null);
    if tags.is_null() {
        *tags = Value::Array(Vec::new());
    }
    if let Value::Array(list) = tags {
        for tag in select_tags {
            if !list.iter().any(|known| known == tag) {
                list.push(Value::String(tag.clone()));
            }
        }
    }
}
