//! The target state: what the files say, with every reference resolved and every id given.

mod draft;
mod shorthand;

pub(crate) use draft::{Draft, drafts};

use crate::compare::drop_unset;
use crate::content::Info;
use crate::defaults::Schemas;
use crate::error::Error;
use crate::fetch::membership;
use crate::kinds::Kind;
use crate::label::own_name;
use crate::matching;
use crate::state::{Entity, State};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// What the target is built with.
pub(crate) struct Surroundings<'s> {
    /// Where entities are found again.
    pub current: &'s State,
    /// Entities that can be referred to although they are not in the files.
    pub lookups: &'s [&'s State],
    pub schemas: &'s Schemas,
    pub info: &'s Info,
    /// Added to every entity.
    pub tags: &'s [String],
}

/// Builds the target state.
///
/// # Errors
/// A reference that leads nowhere, or an entity that is there twice.
pub(crate) fn build(drafts: Vec<Draft>, surroundings: &Surroundings<'_>) -> Result<State, Error> {
    let mut order: Vec<usize> = (0..drafts.len()).collect();
    order.sort_by_key(|at| drafts.get(*at).map(|draft| draft.kind));
    let mut builder = Builder {
        surroundings,
        state: State::default(),
        ids: vec![String::new(); drafts.len()],
    };
    let mut drafts: Vec<Option<Draft>> = drafts.into_iter().map(Some).collect();
    for at in order {
        if let Some(draft) = drafts.get_mut(at).and_then(Option::take) {
            let kind = draft.kind;
            builder.add(at, draft).map_err(|error| {
                let doing = match kind {
                    Kind::Membership => "building state".to_owned(),
                    kind => format!("inserting {} into state", kind.row().label),
                };
                match error {
                    Error::Input(_) => error.during("building state"),
                    error => error.during(doing),
                }
            })?;
        }
    }
    Ok(builder.state)
}

struct Builder<'s> {
    surroundings: &'s Surroundings<'s>,
    state: State,
    /// Ids by the position of the draft.
    ids: Vec<String>,
}

impl Builder<'_> {
    fn add(&mut self, at: usize, draft: Draft) -> Result<(), Error> {
        let Draft {
            kind,
            mut body,
            parent,
        } = draft;
        if let Some(defaults) = self.surroundings.info.defaults_of(kind) {
            fill(&mut body, defaults);
        }
        shorthand::expand(kind, &mut body).map_err(Error::input)?;
        if let Some((field, parent)) = parent {
            let id = self.ids.get(parent).cloned().unwrap_or_default();
            body.insert(field.to_owned(), json!({ "id": id }));
        }
        for (field, target) in kind.references() {
            if parent.is_none_or(|(owned, _)| owned != field) {
                self.resolve(kind, &mut body, field, target)?;
            }
        }
        if kind == Kind::Membership {
            // Both the consumer and the group may tell.
            let reference = |field| crate::state::referred(&body, field).unwrap_or_default();
            self.state
                .insert(membership(reference("consumer"), reference("consumer_group")));
            return Ok(());
        }
        add_tags(&mut body, self.surroundings.tags);
        if kind.is_written_with_defaults() {
            self.surroundings.schemas.fill(kind, &mut body);
        }
        drop_unset(&mut body);
        let id = self.id(kind, &body);
        body.insert("id".to_owned(), Value::String(id.clone()));
        if let Some(slot) = self.ids.get_mut(at) {
            slot.clone_from(&id);
        }
        let entity = Entity { kind, id, body };
        let name = own_name(&entity);
        if self.state.insert(entity) {
            return Ok(());
        }
        let doing = format!("inserting {} {name}", kind.row().label);
        Err(Error::input("entity already exists").during(doing))
    }

    /// The id that is written, that the server has, or a new one.
    fn id(&self, kind: Kind, body: &Map<String, Value>) -> String {
        if let Some(id) = body.get("id").and_then(Value::as_str) {
            return id.to_owned();
        }
        let keys = matching::keys(kind, body);
        let known = keys
            .iter()
            .find_map(|key| self.surroundings.current.find(kind, key));
        match known {
            Some(known) => known.id.clone(),
            None => Uuid::new_v4().to_string(),
        }
    }

    fn resolve(
        &self,
        kind: Kind,
        body: &mut Map<String, Value>,
        field: &str,
        target: Kind,
    ) -> Result<(), Error> {
        let names: Vec<String> = match body.get(field) {
            None | Some(Value::Null) => {
                body.shift_remove(field);
                return Ok(());
            }
            Some(Value::Object(reference)) => {
                let fields = std::iter::once("id").chain(target.row().names.iter().copied());
                fields
                    .filter_map(|field| reference.get(field)?.as_str().map(str::to_owned))
                    .collect()
            }
            Some(Value::String(name)) => vec![name.clone()],
            Some(_) => Vec::new(),
        };
        let states = std::iter::once(&self.state).chain(self.surroundings.lookups.iter().copied());
        let found = states
            .flat_map(|state| names.iter().map(move |name| state.find_named(target, name)))
            .find_map(|found| Some(found?.id.clone()));
        // Certificates are often kept by other means.
        let is_kept_elsewhere = matches!(target, Kind::Certificate | Kind::CaCertificate);
        let given = names
            .first()
            .filter(|name| is_kept_elsewhere && Uuid::parse_str(name).is_ok());
        let Some(id) = found.or_else(|| given.cloned()) else {
            let own = match kind {
                Kind::Membership => "member",
                kind => kind.row().names.first().copied().unwrap_or("name"),
            };
            let own = body.get(own).and_then(Value::as_str).unwrap_or_default();
            return Err(Error::input(format!(
                "{} {} for {} {own}: entity not found",
                target.row().label,
                names.first().map_or("", String::as_str),
                kind.row().label
            )));
        };
        body.insert(field.to_owned(), json!({ "id": id }));
        Ok(())
    }
}

/// Fills what is not set; records are filled member by member.
pub(crate) fn fill(body: &mut Map<String, Value>, defaults: &Map<String, Value>) {
    for (name, default) in defaults {
        match (body.get_mut(name), default) {
            (None | Some(Value::Null), _) => {
                body.insert(name.clone(), default.clone());
            }
            (Some(Value::Object(written)), Value::Object(default)) => fill(written, default),
            _ => {}
        }
    }
}

fn add_tags(body: &mut Map<String, Value>, tags: &[String]) {
    if tags.is_empty() {
        return;
    }
    let own = body.entry("tags").or_insert(Value::Null);
    if own.is_null() {
        *own = json!([]);
    }
    if let Value::Array(own) = own {
        for tag in tags {
            if !own.iter().any(|known| known == tag) {
                own.push(Value::String(tag.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests;
