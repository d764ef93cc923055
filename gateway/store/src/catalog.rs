//! Every entity at one version, with its indices. Pure and synchronous.
//!
//! A catalog is cheap to copy and a copy never changes: readers hold one as long as they like, a transaction works on
//! its own. Expired rows are not there for anybody who asks.

use crate::clock::Clock;
use crate::layout::{Layout, layout, layouts};
use crate::row::{Fingerprint, Row, fingerprint};
use crate::sorted::Sorted;
use serde_json::Value;
use std::ops::Bound;
use std::sync::Arc;
use uuid::Uuid;

mod edit;
mod page;
#[cfg(test)]
mod tests;

pub use page::{Page, Query, TagFilter};

/// Every entity at one version.
#[derive(Debug, Clone)]
pub struct Catalog {
    version: u64,
    clock: Clock,
    collections: Vec<Arc<Collection>>,
}

#[derive(Debug, Clone, Default)]
struct Collection {
    rows: Sorted<Uuid, Arc<Row>>,
    /// One index per unique key of the layout.
    unique: Vec<Sorted<Fingerprint, Uuid>>,
    /// One index per link of the layout: the id that is pointed to, the row.
    links: Vec<Sorted<(Uuid, Uuid), ()>>,
    /// Unix milliseconds, row.
    expiries: Sorted<(u64, Uuid), ()>,
}

impl Collection {
    fn new(layout: &Layout) -> Self {
        Self {
            unique: vec![Sorted::default(); layout.unique.len()],
            links: vec![Sorted::default(); layout.links.len()],
            ..Self::default()
        }
    }

    fn expired(&self, now: u64) -> impl Iterator<Item = Uuid> + use<'_> {
        let all = self.expiries.iter();
        all.take_while(move |((at, _), ())| *at <= now)
            .map(|((_, id), ())| *id)
    }
}

impl Catalog {
    pub(crate) fn empty(clock: Clock) -> Self {
        Self {
            version: 0,
            clock,
            collections: layouts()
                .iter()
                .map(|layout| Arc::new(Collection::new(layout)))
                .collect(),
        }
    }

    /// The number of the newest change in it.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Names of all collections, parents ahead of their children; memberships are one of them.
    pub fn collections(&self) -> impl Iterator<Item = &'static str> + use<> {
        layouts().iter().map(|layout| layout.name)
    }

    /// How many entities a collection has; 0 for one that does not exist.
    #[must_use]
    pub fn len(&self, collection: &str) -> usize {
        self.collection(collection).map_or(0, |(_, collection)| {
            collection.rows.len() - collection.expired(self.clock.now()).count()
        })
    }

    /// Whether there is no entity at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        layouts().iter().all(|layout| self.len(layout.name) == 0)
    }

    /// The entity with this id.
    #[must_use]
    pub fn get(&self, collection: &str, id: Uuid) -> Option<&Arc<Row>> {
        let (_, collection) = self.collection(collection)?;
        collection.rows.get(&id).filter(|row| self.is_alive(row))
    }

    /// As [`Self::get`], whether it has expired or not.
    pub(crate) fn stored(&self, collection: &str, id: Uuid) -> Option<&Arc<Row>> {
        self.collection(collection)?.1.rows.get(&id)
    }

    /// The entity with this value in a unique field. None as well when the field is not unique by itself.
    #[must_use]
    pub fn find(&self, collection: &str, field: &str, value: &str) -> Option<&Arc<Row>> {
        let value = Value::from(value);
        self.find_together(collection, &[(field, &value)])
    }

    /// The entity with these values in a unique combination, e.g. `upstream` and `target` of a target. The fields may
    /// come in any order; references are `{"id": x}`.
    #[must_use]
    pub fn find_together(&self, collection: &str, values: &[(&str, &Value)]) -> Option<&Arc<Row>> {
        let (layout, collection) = self.collection(collection)?;
        let is_same = |fields: &[&str]| {
            let given = |field: &&str| values.iter().any(|(name, _)| name == field);
            fields.len() == values.len() && fields.iter().all(given)
        };
        let number = layout.unique.iter().position(|fields| is_same(fields))?;
        let given = |field: &&str| values.iter().find(|(name, _)| name == field).map(|(_, v)| *v);
        let print = fingerprint(&mut layout.unique.get(number)?.iter().map(given))?;
        let id = collection.unique.get(number)?.get(&print)?;
        collection.rows.get(id).filter(|row| self.is_alive(row))
    }

    /// Every entity of a collection, in order of their ids.
    pub fn rows(&self, collection: &str) -> impl Iterator<Item = &Arc<Row>> {
        let rows = self
            .collection(collection)
            .map(|(_, collection)| collection.rows.iter());
        let now = self.clock.now();
        rows.into_iter()
            .flatten()
            .map(|(_, row)| row)
            .filter(move |row| is_alive(row, now))
    }

    /// The entities whose reference field points to a parent, in order of their ids.
    pub fn children(&self, collection: &str, field: &str, parent: Uuid) -> impl Iterator<Item = &Arc<Row>> {
        self.children_from(collection, field, parent, Bound::Unbounded)
    }

    fn children_from(
        &self,
        collection: &str,
        field: &str,
        parent: Uuid,
        from: Bound<Uuid>,
    ) -> impl Iterator<Item = &Arc<Row>> {
        let now = self.clock.now();
        let found = self.collection(collection).and_then(|(layout, collection)| {
            let number = layout.links.iter().position(|link| link.field == field)?;
            Some((collection.links.get(number)?, collection))
        });
        let from = match from {
            Bound::Included(id) => Bound::Included((parent, id)),
            Bound::Excluded(id) => Bound::Excluded((parent, id)),
            Bound::Unbounded => Bound::Included((parent, Uuid::nil())),
        };
        found
            .into_iter()
            .flat_map(move |(index, collection)| {
                let pairs = index.range(from.as_ref());
                let own = pairs.take_while(move |((of, _), ())| *of == parent);
                own.filter_map(|((_, id), ())| collection.rows.get(id))
            })
            .filter(move |row| is_alive(row, now))
    }

    fn is_alive(&self, row: &Row) -> bool {
        row.expires_at().is_none_or(|at| at > self.clock.now())
    }

    fn collection(&self, name: &str) -> Option<(&'static Layout, &Arc<Collection>)> {
        let (at, layout) = layout(name)?;
        Some((layout, self.collections.get(at)?))
    }
}

fn is_alive(row: &Row, now: u64) -> bool {
    row.expires_at().is_none_or(|at| at > now)
}
