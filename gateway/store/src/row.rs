//! One stored entity, and the keys under which indices know it.

use crate::layout::{Layout, LinkKind};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use smallvec::SmallVec;
use std::borrow::Cow;
use tidegate_model::schema::{Field, RecordSchema};
use uuid::Uuid;

/// One stored entity. Immutable and shared.
#[derive(Debug)]
pub struct Row {
    id: Uuid,
    /// Unix milliseconds.
    expires_at: Option<u64>,
    /// Joined by commas, which no tag contains.
    tags: Option<Box<str>>,
    text: Box<str>,
}

impl Row {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The entity as a JSON object, compact, with every field of its table.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The same, parsed.
    #[must_use]
    pub fn value(&self) -> Map<String, Value> {
        // Every row was parsed or serialised before it became one.
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// Its labels.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        self.tags.as_deref().into_iter().flat_map(|tags| tags.split(','))
    }

    /// When it ceases to be, in Unix milliseconds: `created_at` plus `ttl`. None: never.
    #[must_use]
    pub fn expires_at(&self) -> Option<u64> {
        self.expires_at
    }

    /// From a record of the caller.
    pub(crate) fn new(layout: &Layout, record: &Map<String, Value>) -> Result<(Self, Keys), String> {
        let text = serde_json::to_string(record).map_err(|fault| fault.to_string())?;
        Self::with_text(layout, record, text)
    }

    /// From stored text. Fields that came into the tables since it was written get their defaults.
    pub(crate) fn stored(layout: &Layout, text: Cow<'_, str>) -> Result<(Self, Keys), String> {
        let mut record: Map<String, Value> =
            serde_json::from_str(&text).map_err(|fault| fault.to_string())?;
        let text = match layout.schema {
            Some(schema) if complete(&mut record, schema) => {
                serde_json::to_string(&record).map_err(|fault| fault.to_string())?
            }
            _ => text.into_owned(),
        };
        Self::with_text(layout, &record, text)
    }

    fn with_text(layout: &Layout, record: &Map<String, Value>, text: String) -> Result<(Self, Keys), String> {
        let id = record.get("id").and_then(uuid).ok_or("its id is no UUID")?;
        let keys = Keys::of(layout, record)?;
        let tags = record.get("tags").and_then(Value::as_array);
        let tags: Vec<&str> = tags.into_iter().flatten().filter_map(Value::as_str).collect();
        let row = Self {
            id,
            expires_at: layout.has_ttl.then(|| expiry(record)).flatten(),
            tags: (!tags.is_empty()).then(|| tags.join(",").into()),
            text: text.into_boxed_str(),
        };
        Ok((row, keys))
    }
}

/// Adds what is missing; tells whether anything was.
fn complete(record: &mut Map<String, Value>, schema: &RecordSchema) -> bool {
    let is_due =
        |field: &&Field| !field.hidden_when_unset && field.only_with.is_none() && field.name != "ttl";
    let before = record.len();
    for field in schema.fields.iter().filter(is_due) {
        if !record.contains_key(field.name) {
            let default = field.default.clone().unwrap_or_default();
            record.insert(field.name.to_owned(), default);
        }
    }
    record.len() > before
}

fn expiry(record: &Map<String, Value>) -> Option<u64> {
    let seconds = |field: &str| record.get(field).and_then(Value::as_f64);
    let ttl = seconds("ttl").filter(|ttl| *ttl > 0.0)?;
    let milliseconds = (seconds("created_at")? + ttl) * 1_000.0;
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates"
    )]
    Some(milliseconds as u64)
}

fn uuid(value: &Value) -> Option<Uuid> {
    value.as_str().and_then(|text| Uuid::try_parse(text).ok())
}

/// Stands for the values of a unique key. 128 bits of SHA-256: nobody finds two values that share one, and an index
/// needs no copy of the values.
pub(crate) type Fingerprint = u128;

/// Under what the indices know a row.
#[derive(Debug)]
pub(crate) struct Keys {
    /// Position of the unique key in the layout, fingerprint.
    pub(crate) unique: SmallVec<[(usize, Fingerprint); 3]>,
    /// Position of the link in the layout, id that it points to.
    pub(crate) links: SmallVec<[(usize, Uuid); 3]>,
}

impl Keys {
    /// The keys of a row that is stored.
    pub(crate) fn of_row(layout: &Layout, row: &Row) -> Self {
        // The row has been through `of` already.
        Self::of(layout, &row.value()).unwrap_or(Self {
            unique: SmallVec::new(),
            links: SmallVec::new(),
        })
    }

    fn of(layout: &Layout, record: &Map<String, Value>) -> Result<Self, String> {
        let unique = layout.unique.iter().enumerate().filter_map(|(number, fields)| {
            let mut values = fields.iter().map(|field| record.get(*field));
            fingerprint(&mut values).map(|print| (number, print))
        });
        let mut links = SmallVec::new();
        for (number, link) in layout.links.iter().enumerate() {
            if link.kind == LinkKind::List {
                let listed = list(record, link.field).filter_map(uuid);
                links.extend(listed.map(|id| (number, id)));
                continue;
            }
            match record.get(link.field) {
                None | Some(Value::Null) => {}
                Some(reference) => {
                    let id = reference.get("id").and_then(uuid);
                    let id = id.ok_or_else(|| format!("'{}' is no reference by id", link.field))?;
                    links.push((number, id));
                }
            }
        }
        Ok(Self {
            unique: unique.collect(),
            links,
        })
    }
}

/// The elements of a list that may stand one level down.
fn list<'r>(record: &'r Map<String, Value>, path: &str) -> impl Iterator<Item = &'r Value> {
    let value = match path.split_once('.') {
        Some((outer, inner)) => record.get(outer).and_then(|outer| outer.get(inner)),
        None => record.get(path),
    };
    value.and_then(Value::as_array).into_iter().flatten()
}

/// None when the first value is unset.
pub(crate) fn fingerprint(values: &mut dyn Iterator<Item = Option<&Value>>) -> Option<Fingerprint> {
    let mut hash = Sha256::new();
    for (number, value) in values.enumerate() {
        match value {
            None | Some(Value::Null) if number == 0 => return None,
            None | Some(Value::Null) => hash.update([0]),
            Some(Value::String(text)) => {
                hash.update([1]);
                hash.update((text.len() as u64).to_be_bytes());
                hash.update(text);
            }
            Some(other) => match other.get("id").and_then(uuid) {
                Some(id) => {
                    hash.update([2]);
                    hash.update(id.as_bytes());
                }
                None => {
                    let text = other.to_string();
                    hash.update([3]);
                    hash.update((text.len() as u64).to_be_bytes());
                    hash.update(text);
                }
            },
        }
    }
    let digest = hash.finalize();
    let half = digest.first_chunk::<16>()?;
    Some(u128::from_be_bytes(*half))
}
