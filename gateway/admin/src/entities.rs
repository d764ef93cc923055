//! What single kinds of entities have beyond what all have (kong-core G.4).

pub(crate) mod certificates;
pub(crate) mod consumers;
pub(crate) mod filters;
pub(crate) mod groups;
pub(crate) mod health;
pub(crate) mod targets;

use crate::errors::ApiError;
use tidegate_model::entity_table::{EntityType, entity_type};

/// The row of the table for a collection that is known to be in it.
pub(crate) fn table_row(collection: &str) -> Result<&'static EntityType, ApiError> {
    entity_type(collection).ok_or_else(ApiError::missing)
}
