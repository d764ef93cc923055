//! What a transaction may do. It sees the catalog with its own changes.

use crate::catalog::Catalog;
use crate::change::RowChange;
use crate::conflict::Conflict;
use crate::layout::{layout, layouts};
use crate::row::Row;
use serde_json::{Map, Value};
use std::ops::Deref;
use std::sync::Arc;
use uuid::Uuid;

/// A catalog to change. Everything that a [`Catalog`] answers is answered here as well, with the changes in it.
///
/// Records are finished by the caller: checked by the table of their collection, with every field. `id` is a UUID,
/// references are `{"id": x}` or null.
#[derive(Debug)]
pub struct Transaction<'a> {
    catalog: &'a mut Catalog,
    log: &'a mut Vec<RowChange>,
}

impl Deref for Transaction<'_> {
    type Target = Catalog;

    fn deref(&self) -> &Catalog {
        self.catalog
    }
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(catalog: &'a mut Catalog, log: &'a mut Vec<RowChange>) -> Self {
        Self { catalog, log }
    }

    /// Adds an entity; its id must be new.
    ///
    /// # Errors
    ///
    /// What stands against it; nothing is changed then.
    pub fn insert(
        &mut self,
        collection: &'static str,
        record: &Map<String, Value>,
    ) -> Result<Arc<Row>, Conflict> {
        self.write(collection, record, |known, id| {
            (!known)
                .then_some(())
                .ok_or(Conflict::PrimaryKey { collection, id })
        })
    }

    /// Replaces the entity that has the record's id.
    ///
    /// # Errors
    ///
    /// What stands against it; nothing is changed then.
    pub fn update(
        &mut self,
        collection: &'static str,
        record: &Map<String, Value>,
    ) -> Result<Arc<Row>, Conflict> {
        self.write(collection, record, |known, id| {
            known.then_some(()).ok_or(Conflict::NotFound { collection, id })
        })
    }

    /// Adds an entity, or replaces the one that has the record's id.
    ///
    /// # Errors
    ///
    /// What stands against it; nothing is changed then.
    pub fn upsert(
        &mut self,
        collection: &'static str,
        record: &Map<String, Value>,
    ) -> Result<Arc<Row>, Conflict> {
        self.write(collection, record, |_, _| Ok(()))
    }

    /// Deletes an entity and everything that goes with it. False when it is not there.
    ///
    /// # Errors
    ///
    /// Who keeps it from going; nothing is changed then.
    pub fn delete(&mut self, collection: &'static str, id: Uuid) -> Result<bool, Conflict> {
        if self.catalog.get(collection, id).is_none() {
            return Ok(false);
        }
        let Some((at, _)) = layout(collection) else {
            return Ok(false);
        };
        let mut going = Vec::new();
        self.catalog.going(at, id, &mut going)?;
        for (at, id) in going {
            self.take(at, id);
        }
        Ok(true)
    }

    /// Deletes everything. What is then written with its old id and content counts as unchanged.
    pub fn clear(&mut self) {
        let gone = self.catalog.clear();
        self.log
            .extend(gone.into_iter().map(|(collection, id)| RowChange {
                collection,
                id,
                row: None,
            }));
    }

    /// Does several things or none of them: a failure takes back what `steps` did, and the transaction goes on.
    ///
    /// # Errors
    ///
    /// What `steps` failed with.
    pub fn attempt<T, E>(&mut self, steps: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E> {
        let before = self.catalog.clone();
        let mark = self.log.len();
        steps(self).inspect_err(|_| {
            *self.catalog = before;
            self.log.truncate(mark);
        })
    }

    /// Removes what has expired.
    pub(crate) fn sweep(&mut self) {
        for (at, id) in self.catalog.expired() {
            self.take(at, id);
        }
    }

    fn take(&mut self, at: usize, id: Uuid) {
        if self.catalog.take(at, id).is_some()
            && let Some(layout) = layouts().get(at)
        {
            self.log.push(RowChange {
                collection: layout.name,
                id,
                row: None,
            });
        }
    }

    fn write(
        &mut self,
        collection: &'static str,
        record: &Map<String, Value>,
        may: impl FnOnce(bool, Uuid) -> Result<(), Conflict>,
    ) -> Result<Arc<Row>, Conflict> {
        let id = record.get("id").and_then(Value::as_str);
        let id = id.and_then(|id| Uuid::try_parse(id).ok());
        if let Some(id) = id {
            may(self.catalog.get(collection, id).is_some(), id)?;
        }
        let checked = self.catalog.check(collection, record)?;
        let row = self.catalog.place(checked);
        self.log.push(RowChange {
            collection,
            id: row.id(),
            row: Some(Arc::clone(&row)),
        });
        Ok(row)
    }
}
