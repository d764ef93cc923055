//! Lists in pages: `size`, `offset`, `tags` (kong-core G.2).

use crate::arguments::{Arguments, encoded};
use crate::errors::ApiError;
use crate::shown;
use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;
use tidegate_model::entity_table::EntityType;
use tidegate_store::{Catalog, Query, TagFilter};
use uuid::Uuid;

const DEFAULT_SIZE: usize = 100;
const LARGEST_SIZE: usize = 1_000;
const MOST_TAGS: usize = 5;
/// Kong's workspace where there is no database; part of its offsets there.
const WORKSPACE: &str = "0dc6f45b-8f8d-40d2-a504-473544ee190b";

/// Which page is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Paging<'a> {
    /// The path of the list, for the link to the next page.
    pub(crate) path: &'a str,
    pub(crate) arguments: &'a Arguments,
    pub(crate) has_database: bool,
    /// Unix seconds.
    pub(crate) now: f64,
}

impl Paging<'_> {
    /// Rows of a page.
    pub(crate) fn size(&self) -> Result<usize, ApiError> {
        let Some(text) = self.arguments.get("size") else {
            return Ok(DEFAULT_SIZE);
        };
        let number: f64 = text
            .trim()
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite())
            .ok_or(ApiError::InvalidSize("size must be a number"))?;
        let is_size = number.fract() == 0.0 && number >= 1.0;
        let size = text.trim().parse().ok().or_else(|| {
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "`1e2` is a size too; the cast saturates and the bound is checked below"
            )]
            is_size.then_some(number as usize)
        });
        size.filter(|size| is_size && *size <= LARGEST_SIZE)
            .ok_or(ApiError::InvalidSize(
                "size must be an integer between 1 and 1000",
            ))
    }

    /// The tags asked for: with `,` all of them, with `/` any.
    pub(crate) fn tags(&self) -> Result<Option<TagFilter>, ApiError> {
        let refused = |reason: &str| {
            Err(ApiError::InvalidOption {
                option: "tags",
                reason: reason.to_owned(),
            })
        };
        let Some(text) = self.arguments.get("tags") else {
            return Ok(None);
        };
        if text.is_empty() {
            return refused("cannot be null");
        }
        let separator = if text.contains('/') { '/' } else { ',' };
        let tags: Vec<String> = text.split(separator).map(str::to_owned).collect();
        let is_mixed = text.contains('/') && text.contains(',');
        if is_mixed || tags.iter().any(String::is_empty) {
            return refused("invalid filter syntax");
        }
        if tags.len() > MOST_TAGS {
            return refused("cannot query more than 5 tags");
        }
        Ok(Some(match separator {
            '/' => TagFilter::Any(tags),
            _ => TagFilter::All(tags),
        }))
    }

    /// The row behind which the page begins. Without a database a word that is no offset leads behind the end, as in
    /// Kong.
    fn after(&self) -> Result<After, ApiError> {
        let Some(text) = self.arguments.get("offset") else {
            return Ok(After::Start);
        };
        match (read_offset(text), self.has_database) {
            (Ok(id), _) => Ok(After::Row(id)),
            (Err(_), false) => Ok(After::End),
            (Err(reason), true) => Err(ApiError::InvalidOffset {
                offset: text.to_owned(),
                reason,
            }),
        }
    }

    /// What stands for a row in a link.
    fn offset(&self, entity: &EntityType, id: Uuid) -> String {
        if self.has_database {
            return URL_SAFE_NO_PAD.encode(format!("[\"{id}\"]"));
        }
        let workspace = if entity.is_workspaceable { WORKSPACE } else { "*" };
        URL_SAFE_NO_PAD.encode(format!("{}|{workspace}|*|{id}\0", entity.collection))
    }

    /// The end of a list: the link to the next page, and its offset.
    pub(crate) fn close(&self, body: &mut String, next: Option<&str>) {
        body.push_str("],\"next\":");
        let Some(offset) = next else {
            body.push_str("null}");
            return;
        };
        let mut link = format!("{}?offset={}", self.path, encoded(offset));
        for name in ["size", "tags"] {
            if let Some(value) = self.arguments.get(name) {
                link.push_str(&format!("&{name}={}", encoded(value)));
            }
        }
        body.push_str(&Value::from(link).to_string());
        body.push_str(",\"offset\":");
        body.push_str(&Value::from(offset).to_string());
        body.push('}');
    }
}

/// As forgiving as Kong's: padding or none, and whatever the last bits are.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const LENIENT_URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
const LENIENT_STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);

enum After {
    Start,
    Row(Uuid),
    End,
}

fn read_offset(text: &str) -> Result<Uuid, &'static str> {
    let bytes = LENIENT_URL_SAFE
        .decode(text)
        .or_else(|_| LENIENT_STANDARD.decode(text));
    let bytes = bytes.map_err(|_| "bad base64 encoding")?;
    let text = String::from_utf8_lossy(&bytes);
    let id = match serde_json::from_str::<Vec<String>>(&text) {
        Ok(list) => list.into_iter().next().unwrap_or_default(),
        Err(_) => text
            .trim_end_matches('\0')
            .rsplit_once('|')
            .map(|(_, id)| id.to_owned())
            .ok_or("bad json encoding")?,
    };
    Uuid::try_parse(&id).map_err(|_| "invalid offset")
}

/// One page of a collection, or of the children of an entity; there `tags` says nothing.
pub(crate) fn page(
    catalog: &Catalog,
    entity: &EntityType,
    of: Option<(&str, Uuid)>,
    paging: &Paging<'_>,
) -> Result<String, ApiError> {
    let size = paging.size()?;
    let after = paging.after()?;
    let tags = if of.is_none() { paging.tags()? } else { None };
    let page = match after {
        After::End => tidegate_store::Page::default(),
        After::Start | After::Row(_) => catalog.page(&Query {
            collection: entity.collection,
            of,
            tags,
            after: match after {
                After::Row(id) => Some(id),
                After::Start | After::End => None,
            },
            size,
        }),
    };
    let length: usize = page.rows.iter().map(|row| row.text().len() + 1).sum();
    let mut body = String::with_capacity(length + 200);
    body.push_str("{\"data\":[");
    for (position, row) in page.rows.iter().enumerate() {
        if position > 0 {
            body.push(',');
        }
        body.push_str(&shown::text(catalog, entity.collection, row, paging.now));
    }
    let next = page.next.map(|id| paging.offset(entity, id));
    paging.close(&mut body, next.as_deref());
    Ok(body)
}
