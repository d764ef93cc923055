//! Changes to a catalog: checked ones for transactions, unchecked ones for what a backend says.

use super::{Catalog, Collection};
use crate::change::RowChange;
use crate::clock::Clock;
use crate::conflict::Conflict;
use crate::layout::{Layout, LinkKind, incoming, layout, layouts};
use crate::row::{Keys, Row};
use serde_json::{Map, Value};
use std::sync::Arc;
use uuid::Uuid;

/// A row that is checked and may be placed.
pub(crate) struct Checked {
    at: usize,
    row: Arc<Row>,
    keys: Keys,
}

impl Catalog {
    pub(crate) fn set_version(&mut self, version: u64) {
        self.version = version;
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
    }

    /// Makes a row of the record and checks it against every rule between entities. Nothing is changed.
    pub(crate) fn check(
        &self,
        collection: &'static str,
        record: &Map<String, Value>,
    ) -> Result<Checked, Conflict> {
        let malformed = |reason: String| Conflict::Malformed { collection, reason };
        let (at, layout) =
            layout(collection).ok_or_else(|| malformed("there is no such collection".into()))?;
        let (row, keys) = Row::new(layout, record).map_err(malformed)?;
        let own = self.collections.get(at);
        for (number, print) in &keys.unique {
            let holder = own
                .and_then(|own| own.unique.get(*number))
                .and_then(|index| index.get(print));
            if let Some(by) = holder.filter(|by| **by != row.id()) {
                return Err(taken(layout, *number, record, *by));
            }
        }
        for (number, id) in &keys.links {
            let Some(link) = layout
                .links
                .get(*number)
                .filter(|link| link.kind != LinkKind::List)
            else {
                continue;
            };
            let is_there = self
                .collections
                .get(link.target)
                .is_some_and(|target| target.rows.get(id).is_some());
            if !is_there {
                return Err(Conflict::MissingReference {
                    collection,
                    field: link.field,
                    target: layouts().get(link.target).map_or("", |target| target.name),
                    id: *id,
                });
            }
        }
        Ok(Checked {
            at,
            row: Arc::new(row),
            keys,
        })
    }

    /// Puts a checked row in the place of the one with its id, if there is one.
    pub(crate) fn place(&mut self, checked: Checked) -> Arc<Row> {
        let Checked { at, row, keys } = checked;
        self.put(at, &row, &keys);
        row
    }

    /// Everything that goes when this row goes, children first.
    pub(crate) fn going(&self, at: usize, id: Uuid, going: &mut Vec<(usize, Uuid)>) -> Result<(), Conflict> {
        let pointing = |collection: &Collection, number: usize| {
            let index = collection.links.get(number)?;
            let first = index.range(std::ops::Bound::Included(&(id, Uuid::nil()))).next();
            first.filter(|((of, _), ())| *of == id).map(|((_, by), ())| *by)
        };
        for (from, number, link) in incoming(at) {
            let Some(collection) = self.collections.get(from) else {
                continue;
            };
            if let Some(by) = pointing(collection, number).filter(|_| link.kind != LinkKind::Cascade) {
                return Err(refusal(at, id, from, by, link.kind));
            }
        }
        for (from, number, _) in incoming(at) {
            let index = self.collections.get(from).and_then(|own| own.links.get(number));
            let children = index.into_iter().flat_map(|index| {
                let pairs = index.range(std::ops::Bound::Included(&(id, Uuid::nil())));
                pairs.take_while(|((of, _), ())| *of == id)
            });
            for ((_, child), ()) in children {
                self.going(from, *child, going)?;
            }
        }
        going.push((at, id));
        Ok(())
    }

    /// Takes a row out of its collection and the indices.
    pub(crate) fn take(&mut self, at: usize, id: Uuid) -> Option<Arc<Row>> {
        let layout = layouts().get(at)?;
        let own = Arc::make_mut(self.collections.get_mut(at)?);
        let row = own.rows.remove(&id)?;
        let keys = Keys::of_row(layout, &row);
        own.forget(&row, &keys);
        Some(row)
    }

    /// Empties every collection; returns what was there, children first.
    pub(crate) fn clear(&mut self) -> Vec<(&'static str, Uuid)> {
        let mut gone = Vec::new();
        for (layout, own) in layouts().iter().zip(&mut self.collections).rev() {
            gone.extend(own.rows.iter().map(|(id, _)| (layout.name, *id)));
            *own = Arc::new(Collection::new(layout));
        }
        gone
    }

    /// What has expired, wherever it is.
    pub(crate) fn expired(&self) -> Vec<(usize, Uuid)> {
        let now = self.clock.now();
        let all = self.collections.iter().enumerate();
        all.flat_map(|(at, own)| own.expired(now).map(move |id| (at, id)))
            .collect()
    }

    /// When the next row expires, in Unix milliseconds.
    pub(crate) fn next_expiry(&self) -> Option<u64> {
        let firsts = self
            .collections
            .iter()
            .filter_map(|own| own.expiries.iter().next());
        firsts.map(|((at, _), ())| *at).min()
    }

    /// Takes over what is durable already, without any check.
    pub(crate) fn apply(&mut self, change: &RowChange) {
        let Some((at, layout)) = layout(change.collection) else {
            return;
        };
        match &change.row {
            Some(row) => {
                let keys = Keys::of_row(layout, row);
                self.put(at, row, &keys);
            }
            None => {
                self.take(at, change.id);
            }
        }
    }

    /// Takes over a row while everything is read.
    pub(crate) fn load(&mut self, at: usize, row: Row, keys: &Keys) {
        self.put(at, &Arc::new(row), keys);
    }

    /// What must change to make this catalog the other one.
    pub(crate) fn difference(&self, other: &Self) -> Vec<RowChange> {
        let mut changes = Vec::new();
        for (layout, (own, theirs)) in layouts()
            .iter()
            .zip(self.collections.iter().zip(&other.collections))
        {
            let change = |id: Uuid, row| RowChange {
                collection: layout.name,
                id,
                row,
            };
            let gone = own.rows.iter().filter(|(id, _)| theirs.rows.get(id).is_none());
            changes.extend(gone.map(|(id, _)| change(*id, None)));
            let is_new = |id: &Uuid, row: &Row| own.rows.get(id).is_none_or(|own| own.text() != row.text());
            let new = theirs.rows.iter().filter(|(id, row)| is_new(id, row));
            changes.extend(new.map(|(id, row)| change(*id, Some(Arc::clone(row)))));
        }
        changes
    }

    fn put(&mut self, at: usize, row: &Arc<Row>, keys: &Keys) {
        self.take(at, row.id());
        let Some(own) = self.collections.get_mut(at).map(Arc::make_mut) else {
            return;
        };
        own.rows.insert(row.id(), Arc::clone(row));
        for (number, print) in &keys.unique {
            if let Some(index) = own.unique.get_mut(*number) {
                index.insert(*print, row.id());
            }
        }
        for (number, id) in &keys.links {
            if let Some(index) = own.links.get_mut(*number) {
                index.insert((*id, row.id()), ());
            }
        }
        if let Some(expiry) = row.expires_at() {
            own.expiries.insert((expiry, row.id()), ());
        }
    }
}

impl Collection {
    fn forget(&mut self, row: &Row, keys: &Keys) {
        for (number, print) in &keys.unique {
            if let Some(index) = self.unique.get_mut(*number)
                && index.get(print) == Some(&row.id())
            {
                index.remove(print);
            }
        }
        for (number, id) in &keys.links {
            if let Some(index) = self.links.get_mut(*number) {
                index.remove(&(*id, row.id()));
            }
        }
        if let Some(expiry) = row.expires_at() {
            self.expiries.remove(&(expiry, row.id()));
        }
    }
}

fn taken(layout: &Layout, number: usize, record: &Map<String, Value>, by: Uuid) -> Conflict {
    let fields = layout.unique.get(number).copied().unwrap_or_default();
    let value = |field: &'static str| (field, record.get(field).cloned().unwrap_or_default());
    Conflict::Unique {
        collection: layout.name,
        fields: fields.iter().map(|field| value(field)).collect(),
        by,
    }
}

fn refusal(at: usize, id: Uuid, from: usize, referrer: Uuid, kind: LinkKind) -> Conflict {
    let name = |at: usize| layouts().get(at).map_or("", |layout| layout.name);
    let (collection, by) = (name(at), name(from));
    match kind {
        LinkKind::List => Conflict::InUse {
            collection,
            id,
            by,
            user: referrer,
        },
        LinkKind::Refuse | LinkKind::Cascade => Conflict::Referenced {
            collection,
            id,
            by,
            referrer,
        },
    }
}
