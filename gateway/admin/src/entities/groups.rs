//! Consumer groups and their members, in the forms that decK and Kong's own tools use.

use super::table_row;
use crate::arguments::Arguments;
use crate::crud::{self, Place};
use crate::errors::ApiError;
use crate::lists::Paging;
use crate::records::{Record, reference_id};
use crate::writing::{Desk, Writing};
use serde_json::{Value, json};
use std::sync::Arc;
use tidegate_store::{Catalog, MEMBERSHIPS, Query, Row, membership_id};
use uuid::Uuid;

const CONSUMERS: &str = "consumers";
const GROUPS: &str = "consumer_groups";

/// From which side memberships are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Consumers of a group.
    OfGroup,
    /// Groups of a consumer.
    OfConsumer,
}

impl Side {
    /// The collection of the entity that is looked from.
    const fn own(self) -> &'static str {
        match self {
            Self::OfGroup => GROUPS,
            Self::OfConsumer => CONSUMERS,
        }
    }

    /// The collection of those that are listed.
    const fn other(self) -> &'static str {
        match self {
            Self::OfGroup => CONSUMERS,
            Self::OfConsumer => GROUPS,
        }
    }

    const fn own_field(self) -> &'static str {
        match self {
            Self::OfGroup => "consumer_group",
            Self::OfConsumer => "consumer",
        }
    }

    const fn other_field(self) -> &'static str {
        match self {
            Self::OfGroup => "consumer",
            Self::OfConsumer => "consumer_group",
        }
    }

    /// What the body of a POST calls the other side.
    const fn word(self) -> &'static str {
        match self {
            Self::OfGroup => "consumer",
            Self::OfConsumer => "group",
        }
    }

    fn membership(self, own: Uuid, other: Uuid) -> Uuid {
        match self {
            Self::OfGroup => membership_id(other, own),
            Self::OfConsumer => membership_id(own, other),
        }
    }
}

/// The group or consumer of a path.
pub(crate) fn own(desk: &Desk, catalog: &Catalog, side: Side, name: &str) -> Result<Arc<Row>, ApiError> {
    crud::read(desk, catalog, &Place::new(table_row(side.own())?, name)?)
}

/// `GET /consumer_groups/{g}`: the group with its consumers, unless `?list_consumers=false`.
pub(crate) fn show(catalog: &Catalog, group: &Row, arguments: &Arguments) -> String {
    let members: Vec<String> = if arguments.get("list_consumers") == Some("false") {
        Vec::new()
    } else {
        let memberships = catalog.children(MEMBERSHIPS, "consumer_group", group.id());
        memberships
            .filter_map(|row| other(catalog, Side::OfGroup, row))
            .map(|row| row.text().to_owned())
            .collect()
    };
    let plugins: Vec<String> = catalog
        .children("plugins", "consumer_group", group.id())
        .map(|row| row.text().to_owned())
        .collect();
    // The fields of the group stand beside the record, too: clients that treat all entities alike read them there.
    let open = group.text().strip_suffix('}').unwrap_or_default();
    format!(
        "{open},\"consumer_group\":{},\"consumers\":[{}],\"plugins\":[{}]}}",
        group.text(),
        members.join(","),
        plugins.join(",")
    )
}

fn other(catalog: &Catalog, side: Side, membership: &Row) -> Option<Arc<Row>> {
    let id = reference_id(&membership.value(), side.other_field())?;
    catalog.get(side.other(), id).cloned()
}

/// One page of the other side, under `data` and under its own name.
pub(crate) fn page(
    catalog: &Catalog,
    side: Side,
    own: &Row,
    paging: &Paging<'_>,
) -> Result<String, ApiError> {
    let after = paging.arguments.get("offset").map(Uuid::try_parse);
    let after = match after {
        Some(Err(_)) => {
            return Err(ApiError::InvalidOffset {
                offset: paging.arguments.get("offset").unwrap_or_default().to_owned(),
                reason: "not an id",
            });
        }
        Some(Ok(id)) => Some(id),
        None => None,
    };
    let page = catalog.page(&Query {
        collection: MEMBERSHIPS,
        of: Some((side.own_field(), own.id())),
        tags: None,
        after,
        size: paging.size()?,
    });
    let rows: Vec<Arc<Row>> = page
        .rows
        .iter()
        .filter_map(|row| other(catalog, side, row))
        .collect();
    let texts: Vec<&str> = rows.iter().map(|row| row.text()).collect();
    let texts = texts.join(",");
    let mut body = format!("{{\"{}\":[{texts}],\"data\":[{texts}", side.other());
    paging.close(&mut body, page.next.map(|id| id.to_string()).as_deref());
    Ok(body)
}

/// `POST`: adds one or several, by id or name.
pub(crate) fn add(
    desk: &Desk,
    writing: &mut Writing<'_, '_>,
    side: Side,
    own: &Row,
    sent: &Record,
) -> Result<Value, ApiError> {
    let named = sent.get(side.word()).or_else(|| sent.get(side.other_field()));
    let names: Vec<&str> = match named {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        Some(Value::Object(members)) => members.get("id").and_then(Value::as_str).into_iter().collect(),
        _ => Vec::new(),
    };
    if names.is_empty() {
        return Err(ApiError::violation(side.word(), "required field missing"));
    }
    let mut added = Vec::with_capacity(names.len());
    for name in names {
        let place = Place::new(table_row(side.other())?, name)?;
        let other = place.find(writing).ok_or_else(|| place.key.not_found())?;
        let record = json!({
            "id": side.membership(own.id(), other.id()).to_string(),
            side.own_field(): { "id": own.id().to_string() },
            side.other_field(): { "id": other.id().to_string() },
            "created_at": desk.now.floor(),
        });
        if let Value::Object(record) = record {
            writing.upsert(MEMBERSHIPS, None, &record)?;
        }
        added.push(Value::Object(other.value()));
    }
    Ok(json!({ side.own_field(): own.value(), side.other(): added }))
}

/// The one of the other side that belongs to this one.
pub(crate) fn member(catalog: &Catalog, side: Side, own: &Row, name: &str) -> Result<Arc<Row>, ApiError> {
    let place = Place::new(table_row(side.other())?, name)?;
    let other = place.find(catalog).ok_or_else(ApiError::missing)?;
    match catalog.get(MEMBERSHIPS, side.membership(own.id(), other.id())) {
        Some(_) => Ok(other),
        None => Err(ApiError::missing()),
    }
}

/// `DELETE` of one: it need not be a member.
pub(crate) fn remove(
    writing: &mut Writing<'_, '_>,
    side: Side,
    own: &Row,
    name: &str,
) -> Result<(), ApiError> {
    let place = Place::new(table_row(side.other())?, name)?;
    if let Some(other) = place.find(writing) {
        writing.delete(MEMBERSHIPS, None, side.membership(own.id(), other.id()))?;
    }
    Ok(())
}

/// `DELETE` of all.
pub(crate) fn clear(writing: &mut Writing<'_, '_>, side: Side, own: &Row) -> Result<(), ApiError> {
    let memberships = writing.children(MEMBERSHIPS, side.own_field(), own.id());
    let ids: Vec<Uuid> = memberships.map(|row| row.id()).collect();
    for id in ids {
        writing.delete(MEMBERSHIPS, None, id)?;
    }
    Ok(())
}
