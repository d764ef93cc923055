//! What a path names an entity by: its id, or the value of its endpoint key.

use crate::errors::ApiError;
use crate::records::{Record, parse_uuid, reference_id};
use crate::writing::Desk;
use serde_json::{Value, json};
use std::sync::Arc;
use tidegate_model::entity_table::EntityType;
use tidegate_model::schema::PathSegment;
use tidegate_store::{Catalog, Row};
use uuid::Uuid;

/// A name in a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    Id(Uuid),
    Name(&'static str, String),
}

/// The entity that an entity of a path must belong to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Within {
    pub(crate) field: &'static str,
    pub(crate) parent: Uuid,
}

impl Key {
    /// A text in the form of a UUID is an id, always.
    pub(crate) fn read(entity: &EntityType, text: &str) -> Result<Self, ApiError> {
        match (parse_uuid(text), entity.endpoint_key) {
            (Some(id), _) => Ok(Self::Id(id)),
            (None, Some(field)) => Ok(Self::Name(field, text.to_owned())),
            (None, None) => Err(ApiError::InvalidPrimaryKey(text.to_owned())),
        }
    }

    /// The field, unless it is the id.
    pub(crate) fn by(&self) -> Option<&'static str> {
        match self {
            Self::Id(_) => None,
            Self::Name(field, _) => Some(field),
        }
    }

    pub(crate) fn not_found(&self) -> ApiError {
        match self {
            Self::Id(id) => ApiError::NotFound {
                key: Box::new(json!({ "id": id.to_string() })),
                is_id: true,
            },
            Self::Name(field, name) => ApiError::NotFound {
                key: Box::new(json!({ *field: name })),
                is_id: false,
            },
        }
    }

    /// The entity, if it is there and belongs where the path says.
    pub(crate) fn find(
        &self,
        catalog: &Catalog,
        entity: &EntityType,
        within: Option<Within>,
    ) -> Option<Arc<Row>> {
        let collection = entity.collection;
        let row = match self {
            Self::Id(id) => catalog.get(collection, *id),
            Self::Name(field, name) if entity.schema().field(field).is_some_and(|field| field.unique) => {
                catalog.find(collection, field, name)
            }
            // A name that is unique below its parent alone.
            Self::Name(field, name) => {
                let Within { field: link, parent } = within?;
                let mut siblings = catalog.children(collection, link, parent);
                siblings.find(|row| row.value().get(*field).and_then(Value::as_str) == Some(name))
            }
        }?;
        let belongs = |within: Within| reference_id(&row.value(), within.field) == Some(within.parent);
        within.is_none_or(belongs).then(|| Arc::clone(row))
    }

    /// Whether anything could have this name.
    pub(crate) fn check(&self, desk: &Desk, entity: &EntityType) -> Result<(), ApiError> {
        let Self::Name(field, name) = self else {
            return Ok(());
        };
        let only = Record::from_iter([((*field).to_owned(), Value::from(name.as_str()))]);
        let processed = entity.schema().process_with(&only, &desk.context);
        let is_own = |path: &[PathSegment]| matches!(path, [PathSegment::Key(first)] if first == field);
        match processed
            .violations
            .into_iter()
            .find(|violation| is_own(&violation.path))
        {
            Some(violation) => Err(ApiError::InvalidUnique {
                field,
                reason: violation.message,
            }),
            None => Ok(()),
        }
    }
}
