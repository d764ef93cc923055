//! `/tags`: which entity carries which tag, over all collections (kong-core G.4).

use crate::errors::ApiError;
use crate::lists::Paging;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tidegate_model::entity_table::entity_table;
use tidegate_model::schema::{PathSegment, RecordSchema};
use tidegate_store::{Catalog, Query, Row, TagFilter};
use uuid::Uuid;

/// Rows that are looked at in one go; most entities have no tags.
const STRIDE: usize = 1_000;

/// Where a page begins: behind so many tags of this row of this collection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Position {
    collection: usize,
    after: Option<Uuid>,
    /// Tags of the row behind `after` that were shown already.
    shown: usize,
}

/// One page of all tags, or of the entities that have one tag.
pub(crate) fn page(catalog: &Catalog, tag: Option<&str>, paging: &Paging<'_>) -> Result<String, ApiError> {
    let size = paging.size()?;
    let start = match paging.arguments.get("offset") {
        Some(text) => Position::read(text).ok_or_else(|| ApiError::InvalidOffset {
            offset: text.to_owned(),
            reason: "bad json encoding",
        })?,
        None => Position::default(),
    };
    let mut body = String::from("{\"data\":[");
    let mut listed = Listed {
        body: &mut body,
        left: size,
        next: None,
    };
    walk(catalog, tag, start, &mut listed);
    let mut next = listed.next;
    // Without a database the end shows as an empty page, as in Kong.
    let is_end = start.collection >= entity_table().len();
    if next.is_none() && !paging.has_database && !is_end {
        next = Some(Position {
            collection: entity_table().len(),
            ..Position::default()
        });
    }
    paging.close(&mut body, next.map(Position::text).as_deref());
    Ok(body)
}

/// What is wrong with a tag in a path, by the table.
pub(crate) fn check(schema: &RecordSchema, tag: &str) -> Result<(), ApiError> {
    let Value::Object(only) = json!({ "tags": [tag] }) else {
        return Ok(());
    };
    let violations = schema.process(&only).violations;
    let own = violations
        .into_iter()
        .find(|violation| matches!(violation.path.first(), Some(PathSegment::Key(first)) if first == "tags"));
    match own {
        Some(violation) => Err(ApiError::InvalidUnique {
            field: "tag",
            reason: violation.message,
        }),
        None => Ok(()),
    }
}

struct Listed<'l> {
    body: &'l mut String,
    left: usize,
    next: Option<Position>,
}

fn walk(catalog: &Catalog, tag: Option<&str>, start: Position, listed: &mut Listed<'_>) {
    let mut position = start;
    while let Some(entity) = entity_table().get(position.collection) {
        let page = catalog.page(&Query {
            collection: entity.collection,
            of: None,
            tags: tag.map(|tag| TagFilter::All(vec![tag.to_owned()])),
            after: position.after,
            size: STRIDE,
        });
        for row in &page.rows {
            if !add(entity.collection, row, tag, &mut position, listed) {
                listed.next = Some(position);
                return;
            }
            position.after = Some(row.id());
            position.shown = 0;
        }
        if page.next.is_none() {
            position = Position {
                collection: position.collection + 1,
                ..Position::default()
            };
        }
    }
}

/// Adds the tags of a row. False when the page was full before all of them.
fn add(
    collection: &str,
    row: &Row,
    tag: Option<&str>,
    position: &mut Position,
    listed: &mut Listed<'_>,
) -> bool {
    let wanted = |own: &&str| tag.is_none_or(|tag| tag == *own);
    for own in row.tags().filter(wanted).skip(position.shown) {
        if listed.left == 0 {
            return false;
        }
        if !listed.body.ends_with('[') {
            listed.body.push(',');
        }
        let shown = json!({ "entity_name": collection, "entity_id": row.id().to_string(), "tag": own });
        listed.body.push_str(&shown.to_string());
        listed.left -= 1;
        position.shown += 1;
    }
    true
}

impl Position {
    fn text(self) -> String {
        let after = self.after.map(|id| id.to_string());
        URL_SAFE_NO_PAD.encode(json!([self.collection, after, self.shown]).to_string())
    }

    fn read(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (collection, after, shown): (usize, Option<Uuid>, usize) = serde_json::from_slice(&bytes).ok()?;
        Some(Self {
            collection,
            after,
            shown,
        })
    }
}
