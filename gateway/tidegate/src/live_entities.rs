//! The entities of a store in the form that is planned from, kept in step with its changes.

use serde_json::Value;
use std::collections::HashSet;
use std::sync::Arc;
use tidegate_config::vault::may_refer;
use tidegate_model::entities::EntitySet;
use tidegate_model::entity_table::entity_type;
use tidegate_model::ids::{ConsumerGroupId, ConsumerId};
use tidegate_store::{MEMBERSHIPS, Row, RowChange, Store, membership_id};
use uuid::Uuid;

/// Every entity of a store as of one version. An edit costs what it changes.
#[derive(Debug, Default)]
pub(crate) struct LiveEntities {
    version: u64,
    entities: Arc<EntitySet>,
    /// Entities that hold vault references.
    referring: HashSet<(&'static str, Uuid)>,
    /// What serves came from elsewhere: nothing was taken in, and the next change is a reason to take in everything.
    is_unread: bool,
}

impl LiveEntities {
    /// Everything that a store holds now.
    pub(crate) fn read(store: &Store) -> Self {
        let catalog = store.catalog();
        let mut live = Self {
            version: catalog.version(),
            ..Self::default()
        };
        for collection in catalog.collections() {
            for row in catalog.rows(collection) {
                live.put(collection, row);
            }
        }
        live
    }

    /// The entities of a version that serves and need not be held as well.
    pub(crate) fn unread(version: u64) -> Self {
        Self {
            version,
            is_unread: true,
            ..Self::default()
        }
    }

    /// Takes in what changed since. Returns whether anything did.
    pub(crate) fn catch_up(&mut self, store: &Store) -> bool {
        let changes = store.changes_since(self.version);
        let changes = changes.filter(|changes| !self.is_unread || changes.is_empty());
        let Some(changes) = changes else {
            *self = Self::read(store);
            return true;
        };
        for change in &changes {
            for row in change.rows.iter() {
                self.apply(row);
            }
            self.version = change.version;
        }
        !changes.is_empty()
    }

    /// The version of the store that these are of.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// The entities in order of their ids, references as they are written.
    pub(crate) fn entities(&self) -> &Arc<EntitySet> {
        &self.entities
    }

    /// Whether any of them holds a vault reference.
    pub(crate) fn has_references(&self) -> bool {
        !self.referring.is_empty()
    }

    fn apply(&mut self, change: &RowChange) {
        let collection = change.collection;
        match &change.row {
            Some(row) => self.put(collection, row),
            None => {
                self.referring.remove(&(collection, change.id));
                let entities = Arc::make_mut(&mut self.entities);
                if collection == MEMBERSHIPS {
                    let members = &mut entities.consumer_group_members;
                    members.retain(|(group, consumer)| membership_id(consumer.0, group.0) != change.id);
                } else {
                    entities.remove(collection, change.id);
                }
            }
        }
    }

    fn put(&mut self, collection: &'static str, row: &Row) {
        let entities = Arc::make_mut(&mut self.entities);
        if collection == MEMBERSHIPS {
            if let Some(member) = membership(row) {
                let members = &mut entities.consumer_group_members;
                if let Err(place) = members.binary_search(&member) {
                    members.insert(place, member);
                }
            }
            return;
        }
        let key = (collection, row.id());
        if may_refer(row.text()) {
            self.referring.insert(key);
        } else {
            self.referring.remove(&key);
        }
        if entities.put(collection, row.text()).is_ok() {
            return;
        }
        // Written by another release, whose table had other fields.
        let put = completed(collection, row).and_then(|text| entities.put(collection, &text).ok());
        if put.is_none() {
            tracing::error!(collection, id = %row.id(), "an entity of the store cannot be read and is left out");
        }
    }
}

/// The entity with the fields that this release knows, defaults filled in.
fn completed(collection: &str, row: &Row) -> Option<String> {
    let schema = entity_type(collection)?.schema();
    let mut value = row.value();
    value.retain(|name, _| schema.fields.iter().any(|field| field.name == name));
    let processed = schema.process(&value);
    processed
        .violations
        .is_empty()
        .then(|| Value::Object(processed.value).to_string())
}

fn membership(row: &Row) -> Option<(ConsumerGroupId, ConsumerId)> {
    let value = row.value();
    let id = |field: &str| value.get(field)?.get("id")?.as_str()?.parse().ok();
    Some((
        ConsumerGroupId(id("consumer_group")?),
        ConsumerId(id("consumer")?),
    ))
}
