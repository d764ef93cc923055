//! What can be done with any entity (kong-core G.2).

use crate::errors::ApiError;
use crate::keys::{Key, Within};
use crate::records::{self, Record};
use crate::writing::{Desk, Writing};
use serde_json::{Value, json};
use std::sync::Arc;
use tidegate_model::entity_table::EntityType;
use tidegate_store::{Catalog, Row};
use uuid::Uuid;

/// Which entity a path means.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) entity: &'static EntityType,
    pub(crate) key: Key,
    pub(crate) within: Option<Within>,
}

impl Place {
    pub(crate) fn new(entity: &'static EntityType, name: &str) -> Result<Self, ApiError> {
        Ok(Self {
            entity,
            key: Key::read(entity, name)?,
            within: None,
        })
    }

    pub(crate) fn within(entity: &'static EntityType, name: &str, within: Within) -> Result<Self, ApiError> {
        Ok(Self {
            within: Some(within),
            ..Self::new(entity, name)?
        })
    }

    pub(crate) fn of_id(entity: &'static EntityType, id: Uuid) -> Self {
        Self {
            entity,
            key: Key::Id(id),
            within: None,
        }
    }

    pub(crate) fn find(&self, catalog: &Catalog) -> Option<Arc<Row>> {
        self.key.find(catalog, self.entity, self.within)
    }

    /// The unique field that names the entity, unless that is the id.
    fn by(&self) -> Option<&'static str> {
        let field = self.key.by()?;
        let is_unique = self.entity.schema().field(field)?.unique;
        is_unique.then_some(field)
    }
}

/// The entity, or the plain 404.
pub(crate) fn read(desk: &Desk, catalog: &Catalog, place: &Place) -> Result<Arc<Row>, ApiError> {
    match place.find(catalog) {
        Some(row) => Ok(row),
        None => {
            place.key.check(desk, place.entity)?;
            Err(ApiError::missing())
        }
    }
}

pub(crate) fn create(
    desk: &Desk,
    writing: &mut Writing<'_, '_>,
    entity: &EntityType,
    within: Option<Within>,
    mut sent: Record,
) -> Result<Arc<Row>, ApiError> {
    preset(&mut sent, within);
    let record = records::whole(desk, writing, entity, sent)?;
    writing.insert(entity.collection, &record)
}

/// PUT: an entity that is there is replaced as a whole, but keeps its id and the time of its creation.
pub(crate) fn replace(
    desk: &Desk,
    writing: &mut Writing<'_, '_>,
    place: &Place,
    mut sent: Record,
) -> Result<Arc<Row>, ApiError> {
    let entity = place.entity;
    let existing = place.find(writing);
    if existing.is_none() {
        place.key.check(desk, entity)?;
        // It may be there and belong to another parent.
        if let (Key::Id(id), Some(_)) = (&place.key, place.within)
            && writing.get(entity.collection, *id).is_some()
        {
            return Err(ApiError::missing());
        }
    }
    preset(&mut sent, place.within);
    match &place.key {
        Key::Id(id) => {
            sent.insert("id".to_owned(), Value::from(id.to_string()));
        }
        Key::Name(field, name) => {
            sent.insert((*field).to_owned(), Value::from(name.as_str()));
            if let Some(row) = &existing {
                sent.insert("id".to_owned(), Value::from(row.id().to_string()));
            }
        }
    }
    if let Some(row) = &existing
        && sent.get("created_at").is_none_or(Value::is_null)
        && let Some(created) = row.value().get("created_at")
    {
        sent.insert("created_at".to_owned(), created.clone());
    }
    let record = records::whole(desk, writing, entity, sent)?;
    writing.upsert(entity.collection, place.by(), &record)
}

/// PATCH: what is sent changes, the rest stays.
pub(crate) fn change(
    desk: &Desk,
    writing: &mut Writing<'_, '_>,
    place: &Place,
    sent: Record,
) -> Result<Arc<Row>, ApiError> {
    let Some(existing) = place.find(writing) else {
        place.key.check(desk, place.entity)?;
        return Err(match place.within {
            Some(_) => ApiError::missing(),
            None => place.key.not_found(),
        });
    };
    change_row(desk, writing, place, &existing, sent)
}

pub(crate) fn change_row(
    desk: &Desk,
    writing: &mut Writing<'_, '_>,
    place: &Place,
    existing: &Row,
    mut sent: Record,
) -> Result<Arc<Row>, ApiError> {
    preset(&mut sent, place.within);
    let record = records::merged(desk, writing, place.entity, &existing.value(), sent)?;
    writing.update(place.entity.collection, place.by(), &record)
}

/// DELETE: one that is not there is gone already.
pub(crate) fn remove(desk: &Desk, writing: &mut Writing<'_, '_>, place: &Place) -> Result<(), ApiError> {
    match place.find(writing) {
        Some(row) => {
            writing.delete(place.entity.collection, place.by(), row.id())?;
            Ok(())
        }
        None => place.key.check(desk, place.entity),
    }
}

/// The path says who the parent is.
fn preset(sent: &mut Record, within: Option<Within>) {
    if let Some(Within { field, parent }) = within {
        sent.insert(field.to_owned(), json!({ "id": parent.to_string() }));
    }
}
