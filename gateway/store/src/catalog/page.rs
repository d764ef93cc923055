//! Lists in pages, ordered by id.

use super::Catalog;
use crate::row::Row;
use std::ops::Bound;
use std::sync::Arc;
use uuid::Uuid;

/// What to list.
#[derive(Debug, Clone)]
pub struct Query<'q> {
    /// The collection.
    pub collection: &'q str,
    /// Only those whose reference field points to this entity.
    pub of: Option<(&'q str, Uuid)>,
    /// Only those with these labels.
    pub tags: Option<TagFilter>,
    /// Begin behind this id.
    pub after: Option<Uuid>,
    /// Rows at most.
    pub size: usize,
}

/// Which labels an entity must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagFilter {
    /// Every one of them.
    All(Vec<String>),
    /// At least one of them.
    Any(Vec<String>),
}

impl TagFilter {
    /// Whether the entity has them.
    #[must_use]
    pub fn accepts(&self, row: &Row) -> bool {
        let has = |wanted: &String| row.tags().any(|tag| tag == wanted);
        match self {
            Self::All(wanted) => wanted.iter().all(has),
            Self::Any(wanted) => wanted.iter().any(has),
        }
    }
}

/// Part of a list.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The rows.
    pub rows: Vec<Arc<Row>>,
    /// Where the next page begins: the id of the last row. None when there are no more.
    pub next: Option<Uuid>,
}

impl Catalog {
    /// One page; empty for a collection that does not exist.
    #[must_use]
    pub fn page(&self, query: &Query<'_>) -> Page {
        let from = query.after.map_or(Bound::Unbounded, Bound::Excluded);
        match query.of {
            Some((field, parent)) => {
                let mut children = self.children_from(query.collection, field, parent, from);
                fill(&mut children, query)
            }
            None => match self.collection(query.collection) {
                Some((_, collection)) => {
                    let rows = collection.rows.range(from.as_ref()).map(|(_, row)| row);
                    fill(&mut rows.filter(|row| self.is_alive(row)), query)
                }
                None => Page::default(),
            },
        }
    }
}

fn fill(rows: &mut dyn Iterator<Item = &Arc<Row>>, query: &Query<'_>) -> Page {
    let accepted = |row: &&Arc<Row>| query.tags.as_ref().is_none_or(|tags| tags.accepts(row));
    let mut rows = rows.filter(accepted);
    let page: Vec<Arc<Row>> = rows.by_ref().take(query.size).cloned().collect();
    let has_more = rows.next().is_some();
    Page {
        next: page.last().filter(|_| has_more).map(|row| row.id()),
        rows: page,
    }
}
