//! Certificates, which are written together with their server names and found by any of them.

use super::table_row;
use crate::crud::Place;
use crate::errors::ApiError;
use crate::keys::Key;
use crate::records::{self, Record, parse_uuid, reference_id};
use crate::shown;
use crate::writing::{Desk, Writing};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;
use tidegate_model::entity_table::EntityType;
use tidegate_model::schema::{PathSegment, Violation};
use tidegate_store::{Catalog, Row};
use uuid::Uuid;

const FIELD: &str = "snis";

/// The certificate that a path means: by its id or by one of its names.
pub(crate) fn place(
    desk: &Desk,
    catalog: &Catalog,
    entity: &'static EntityType,
    name: &str,
) -> Result<Place, ApiError> {
    if let Some(id) = parse_uuid(name) {
        return Ok(Place::of_id(entity, id));
    }
    let sni = table_row("snis")?;
    match catalog.find("snis", "name", name) {
        Some(row) => {
            let id = reference_id(&row.value(), "certificate").ok_or_else(ApiError::missing)?;
            Ok(Place::of_id(entity, id))
        }
        None => {
            Key::Name("name", name.to_owned()).check(desk, sni)?;
            Err(ApiError::Message(
                http::StatusCode::NOT_FOUND,
                "SNI not found".to_owned(),
            ))
        }
    }
}

/// As [`place`], but a name that nobody has yet means a new certificate.
pub(crate) fn place_to_write(
    desk: &Desk,
    catalog: &Catalog,
    entity: &'static EntityType,
    name: &str,
) -> Result<Place, ApiError> {
    match place(desk, catalog, entity, name) {
        Err(ApiError::Message(..)) => Ok(Place::of_id(entity, Uuid::new_v4())),
        other => other,
    }
}

/// What happens to the names of a certificate that is written.
pub(crate) struct Names(Option<Vec<String>>);

impl Names {
    /// Takes them out of what was sent. Left out, they stay as they are.
    pub(crate) fn take(desk: &Desk, sent: &mut Record) -> Result<Self, ApiError> {
        let names = match sent.shift_remove(FIELD) {
            None => return Ok(Self(None)),
            Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => items,
            Some(Value::Object(members)) if members.is_empty() => Vec::new(),
            Some(_) => return Err(ApiError::violation(FIELD, "expected a set")),
        };
        let mut violations = Vec::new();
        let mut texts = Vec::with_capacity(names.len());
        for (index, name) in names.into_iter().enumerate() {
            if let Some(message) = name_fault(desk, &name)? {
                let violation = Violation {
                    path: vec![PathSegment::Key(FIELD.to_owned()), PathSegment::Index(index)],
                    message,
                    is_entity_check: false,
                };
                violations.push(violation);
            }
            texts.extend(name.as_str().map(str::to_owned));
        }
        if let Some(refusal) = ApiError::from_violations(&violations) {
            return Err(refusal);
        }
        let mut seen = HashSet::new();
        match texts.iter().find(|name| !seen.insert(name.as_str())) {
            Some(twice) => Err(ApiError::violation(FIELD, format!("{twice} is duplicated"))),
            None => Ok(Self(Some(texts))),
        }
    }

    /// PUT: left out, there are none.
    pub(crate) fn or_none(self) -> Self {
        Self(Some(self.0.unwrap_or_default()))
    }

    /// Names that belong to another certificate cannot be had.
    pub(crate) fn check_free(&self, catalog: &Catalog, own: Option<Uuid>) -> Result<(), ApiError> {
        for name in self.0.iter().flatten() {
            let owner = catalog
                .find("snis", "name", name)
                .and_then(|row| reference_id(&row.value(), "certificate"));
            if let Some(owner) = owner.filter(|owner| Some(*owner) != own) {
                let text = format!("{name} already associated with existing certificate '{owner}'");
                return Err(ApiError::violation(FIELD, text));
            }
        }
        Ok(())
    }

    /// Writes them as rows of their own.
    pub(crate) fn write(
        &self,
        desk: &Desk,
        writing: &mut Writing<'_, '_>,
        certificate: &Row,
    ) -> Result<(), ApiError> {
        let Some(wanted) = &self.0 else {
            return Ok(());
        };
        let entity = table_row("snis")?;
        let old: Vec<Arc<Row>> = writing
            .children("snis", "certificate", certificate.id())
            .cloned()
            .collect();
        let known = shown::snis(writing, certificate);
        for row in old {
            let name = row.value().get("name").and_then(Value::as_str).map(str::to_owned);
            if name.is_none_or(|name| !wanted.contains(&name)) {
                writing.delete("snis", None, row.id())?;
            }
        }
        for name in wanted.iter().filter(|name| !known.contains(name)) {
            let sent = json!({ "name": name, "certificate": { "id": certificate.id().to_string() } });
            if let Value::Object(sent) = sent {
                let record = records::whole(desk, writing, entity, sent)?;
                writing.insert("snis", &record)?;
            }
        }
        Ok(())
    }
}

/// What is wrong with a name, by the table of `snis`.
fn name_fault(desk: &Desk, name: &Value) -> Result<Option<String>, ApiError> {
    let only = Record::from_iter([("name".to_owned(), name.clone())]);
    let processed = table_row("snis")?.schema().process_with(&only, &desk.context);
    let is_own = |path: &[PathSegment]| matches!(path, [PathSegment::Key(first)] if first == "name");
    let fault = processed
        .violations
        .into_iter()
        .find(|violation| is_own(&violation.path));
    Ok(fault.map(|violation| violation.message))
}
