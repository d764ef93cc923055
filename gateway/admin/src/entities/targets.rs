//! Targets, which exist below their upstream alone and are named by host and port.

use super::table_row;
use crate::crud::{self, Place};
use crate::errors::ApiError;
use crate::keys::Within;
use crate::lists::Paging;
use crate::records::{Record, parse_uuid};
use crate::writing::{Desk, Writing};
use serde_json::{Value, json};
use std::sync::Arc;
use tidegate_model::host::HostPort;
use tidegate_store::{Catalog, Row};
use uuid::Uuid;

/// Port of a target that names none.
const DEFAULT_PORT: u16 = 8_000;

/// The upstream of a path.
pub(crate) fn upstream(desk: &Desk, catalog: &Catalog, name: &str) -> Result<Arc<Row>, ApiError> {
    crud::read(desk, catalog, &Place::new(table_row("upstreams")?, name)?)
}

pub(crate) fn within(upstream: &Row) -> Within {
    Within {
        field: "upstream",
        parent: upstream.id(),
    }
}

/// A target by its id, or by host and port in any spelling.
pub(crate) fn find(catalog: &Catalog, upstream: &Row, name: &str) -> Option<Arc<Row>> {
    if let Some(id) = parse_uuid(name) {
        let place = Place {
            within: Some(within(upstream)),
            ..Place::of_id(table_row("targets").ok()?, id)
        };
        return place.find(catalog);
    }
    let target = HostPort::parse(name).ok()?.with_default_port(DEFAULT_PORT);
    let (target, upstream) = (Value::from(target), json!({ "id": upstream.id().to_string() }));
    let found = catalog.find_together("targets", &[("upstream", &upstream), ("target", &target)]);
    found.cloned()
}

/// PUT and PATCH change a target that is there; decK's PUT of an id that is not there makes a new one.
pub(crate) fn write(
    desk: &Desk,
    writing: &mut Writing<'_, '_>,
    upstream: &Row,
    name: &str,
    is_put: bool,
    mut sent: Record,
) -> Result<Arc<Row>, ApiError> {
    let entity = table_row("targets")?;
    match find(writing, upstream, name) {
        Some(existing) => {
            let place = Place {
                within: Some(within(upstream)),
                ..Place::of_id(entity, existing.id())
            };
            crud::change_row(desk, writing, &place, &existing, sent)
        }
        None => {
            let id = parse_uuid(name)
                .filter(|_| is_put)
                .ok_or_else(ApiError::missing)?;
            if writing.get("targets", id).is_some() {
                return Err(ApiError::missing());
            }
            sent.insert("id".to_owned(), Value::from(id.to_string()));
            crud::create(desk, writing, entity, Some(within(upstream)), sent)
        }
    }
}

/// The targets of an upstream, newest first.
pub(crate) fn newest_first(catalog: &Catalog, upstream: Uuid) -> Vec<Arc<Row>> {
    let mut rows: Vec<(f64, Arc<Row>)> = catalog
        .children("targets", "upstream", upstream)
        .map(|row| {
            let created = row.value().get("created_at").and_then(Value::as_f64);
            (created.unwrap_or_default(), Arc::clone(row))
        })
        .collect();
    rows.sort_by(|(a, first), (b, second)| b.total_cmp(a).then_with(|| second.id().cmp(&first.id())));
    rows.into_iter().map(|(_, row)| row).collect()
}

/// One page of them. The offset is the id of the last row that was shown.
pub(crate) fn page(catalog: &Catalog, upstream: &Row, paging: &Paging<'_>) -> Result<String, ApiError> {
    let size = paging.size()?;
    let rows = newest_first(catalog, upstream.id());
    let shown_last = paging.arguments.get("offset").and_then(parse_uuid);
    let start = shown_last.and_then(|id| rows.iter().position(|row| row.id() == id));
    let rest = rows.get(start.map_or(0, |at| at + 1)..).unwrap_or_default();
    let page = rest.get(..size.min(rest.len())).unwrap_or_default();
    let mut body = String::from("{\"data\":[");
    for (position, row) in page.iter().enumerate() {
        if position > 0 {
            body.push(',');
        }
        body.push_str(row.text());
    }
    let last = page
        .last()
        .filter(|_| rest.len() > size)
        .map(|row| row.id().to_string());
    paging.close(&mut body, last.as_deref());
    Ok(body)
}
