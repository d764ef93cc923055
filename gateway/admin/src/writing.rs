//! What a change works with: the entities as they are, and the right to change them, or the refusal of a gateway
//! without a database.

use crate::errors::ApiError;
use crate::node::Node;
use serde_json::{Map, Value};
use std::ops::Deref;
use std::sync::Arc;
use tidegate_config::declarative::PluginSchemas;
use tidegate_model::schema::Context;
use tidegate_store::{Catalog, Conflict, Row, Transaction};
use uuid::Uuid;

/// What checks depend on, for one request.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) context: Context,
    pub(crate) plugins: Arc<dyn PluginSchemas + Send + Sync>,
    pub(crate) node: Arc<dyn Node>,
    /// Unix seconds.
    pub(crate) now: f64,
    /// Whether there is a database: without one nothing is written here.
    pub(crate) has_database: bool,
    /// Whether passwords come in clear text.
    pub(crate) hashes_passwords: bool,
}

/// The entities, with the changes made so far.
pub(crate) enum Writing<'w, 'a> {
    Open(&'w mut Transaction<'a>),
    /// Everything is checked as if it were to be written; then it is refused.
    Closed(&'w Catalog),
}

impl Deref for Writing<'_, '_> {
    type Target = Catalog;

    fn deref(&self) -> &Catalog {
        match self {
            Self::Open(transaction) => transaction,
            Self::Closed(catalog) => catalog,
        }
    }
}

type Record = Map<String, Value>;

impl Writing<'_, '_> {
    pub(crate) fn insert(&mut self, collection: &'static str, record: &Record) -> Result<Arc<Row>, ApiError> {
        self.write("create", collection, None, |open| open.insert(collection, record))
    }

    /// `by` is the field that the path named the entity by, unless that was the id.
    pub(crate) fn update(
        &mut self,
        collection: &'static str,
        by: Option<&str>,
        record: &Record,
    ) -> Result<Arc<Row>, ApiError> {
        self.write("update", collection, by, |open| open.update(collection, record))
    }

    pub(crate) fn upsert(
        &mut self,
        collection: &'static str,
        by: Option<&str>,
        record: &Record,
    ) -> Result<Arc<Row>, ApiError> {
        self.write("create or update", collection, by, |open| {
            open.upsert(collection, record)
        })
    }

    pub(crate) fn delete(
        &mut self,
        collection: &'static str,
        by: Option<&str>,
        id: Uuid,
    ) -> Result<bool, ApiError> {
        self.write("remove", collection, by, |open| open.delete(collection, id))
    }

    fn write<T>(
        &mut self,
        verb: &str,
        collection: &str,
        by: Option<&str>,
        change: impl FnOnce(&mut Transaction<'_>) -> Result<T, Conflict>,
    ) -> Result<T, ApiError> {
        match self {
            Self::Open(transaction) => Ok(change(transaction)?),
            Self::Closed(_) => {
                let by = by.map_or_else(String::new, |field| format!("by '{field}' "));
                Err(ApiError::Unsupported(format!(
                    "cannot {verb} '{collection}' entities {by}when not using a database"
                )))
            }
        }
    }
}
