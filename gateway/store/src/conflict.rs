//! What keeps a change out, as facts: whoever asked finds the words.

use serde_json::Value;
use uuid::Uuid;

/// Why a row was not written. The transaction goes on as if it had not been tried.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Conflict {
    /// The id is taken.
    #[error("there is already an entity {id} in '{collection}'")]
    PrimaryKey {
        /// Where.
        collection: &'static str,
        /// The id.
        id: Uuid,
    },
    /// Another entity has the same value in a unique field, or the same values in a unique combination.
    #[error("another entity of '{collection}' ({by}) has the same {}", names(.fields))]
    Unique {
        /// Where.
        collection: &'static str,
        /// The fields with their values, in the order of the table; unset ones are null.
        fields: Vec<(&'static str, Value)>,
        /// Who has them.
        by: Uuid,
    },
    /// A reference leads nowhere.
    #[error("'{collection}.{field}' points to {id}, which is not in '{target}'")]
    MissingReference {
        /// The collection of the row.
        collection: &'static str,
        /// The field that points.
        field: &'static str,
        /// The collection that it points to.
        target: &'static str,
        /// The id that is not there.
        id: Uuid,
    },
    /// A delete is refused: a row points to the entity and does not go with it.
    #[error("{id} in '{collection}' is still referenced by {referrer} in '{by}'")]
    Referenced {
        /// The collection of the entity.
        collection: &'static str,
        /// The entity.
        id: Uuid,
        /// The collection of the row that points to it.
        by: &'static str,
        /// That row.
        referrer: Uuid,
    },
    /// A delete is refused: the entity stands in a list of ids (a CA certificate that is trusted).
    #[error("{id} in '{collection}' is still in use by {user} in '{by}'")]
    InUse {
        /// The collection of the entity.
        collection: &'static str,
        /// The entity.
        id: Uuid,
        /// The collection of the row that lists it.
        by: &'static str,
        /// That row.
        user: Uuid,
    },
    /// There is nothing to replace.
    #[error("there is no entity {id} in '{collection}'")]
    NotFound {
        /// Where.
        collection: &'static str,
        /// The id.
        id: Uuid,
    },
    /// The record cannot be kept: no such collection, or an id or a reference that is none.
    #[error("not an entity of '{collection}': {reason}")]
    Malformed {
        /// Where.
        collection: &'static str,
        /// What is wrong.
        reason: String,
    },
}

fn names(fields: &[(&'static str, Value)]) -> String {
    let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}
