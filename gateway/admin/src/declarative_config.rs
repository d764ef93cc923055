//! `/config`: all entities of a gateway without a database at once, from a declarative text and back to one.

use crate::arguments::is_yes;
use crate::bodies::Content;
use crate::errors::ApiError;
use crate::records;
use crate::writing::Desk;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use tidegate_config::declarative::{Limits, LoadOptions, Loaded, Source, content_hash, dump, load};
use tidegate_model::entities::EntitySet;
use tidegate_model::entity_table::entity_type;
use tidegate_model::ids::{ConsumerGroupId, ConsumerId};
use tidegate_store::{Catalog, Conflict, MEMBERSHIPS, Transaction, membership_id};

/// The hash of no configuration.
pub(crate) const NO_CONFIGURATION: &str = "00000000000000000000000000000000";

/// What is refused where there is a database.
pub(crate) const NEEDS_NO_DATABASE: &str =
    "this endpoint is only available when Kong is configured to not use a database";

/// A text to load.
#[derive(Debug)]
pub(crate) struct Request {
    name: &'static str,
    bytes: Vec<u8>,
    /// A tree is always taken; a text may be the one that is loaded already.
    is_text: bool,
    options: Map<String, Value>,
}

impl Request {
    /// From the content of a request; `body` is what a JSON tree was parsed from.
    pub(crate) fn read(content: Content, body: &[u8]) -> Result<Self, ApiError> {
        let expected = || ApiError::bad_request("expected a declarative configuration");
        let text = |text: &str, options| Self {
            name: "config",
            bytes: text.as_bytes().to_vec(),
            is_text: true,
            options,
        };
        match content {
            Content::Nothing => Err(expected()),
            Content::Yaml(yaml) => Ok(Self {
                name: "config.yaml",
                ..text(&yaml, Map::new())
            }),
            Content::Form(arguments) => {
                let config = arguments.get("config").ok_or_else(expected)?;
                let options = arguments
                    .iter()
                    .map(|(name, value)| (name.to_owned(), value.into()));
                Ok(text(
                    config,
                    options.filter(|(name, _)| name != "config").collect(),
                ))
            }
            Content::Json(mut members) => match members.shift_remove("config") {
                Some(Value::String(config)) => Ok(text(&config, members)),
                Some(_) if !members.contains_key("_format_version") => Err(expected()),
                _ => Ok(Self {
                    name: "config.json",
                    // An empty list counts as an empty object, as everywhere.
                    bytes: if members.is_empty() {
                        b"{}".to_vec()
                    } else {
                        body.to_vec()
                    },
                    is_text: false,
                    options: Map::new(),
                }),
            },
        }
    }

    /// Whether the body says yes to an option.
    pub(crate) fn is_on(&self, option: &str) -> bool {
        match self.options.get(option) {
            Some(Value::Bool(on)) => *on,
            Some(Value::String(text)) => is_yes(text),
            Some(Value::Number(number)) => number.as_u64() == Some(1),
            _ => false,
        }
    }

    /// Whether it is what is loaded already.
    pub(crate) fn is_same(&self, hash: &str) -> bool {
        self.is_text && content_hash(&self.bytes) == hash
    }

    /// Reads and checks it.
    pub(crate) fn load(&self, desk: &Desk, limits: Limits, flatten: bool) -> Result<Loaded, ApiError> {
        let inspector = |entities: &EntitySet| desk.node.inspect_all(entities);
        let options = LoadOptions {
            context: desk.context,
            limits,
            now: Some(desk.now),
            inspector: Some(&inspector),
            ..LoadOptions::new(&*desk.plugins)
        };
        let source = Source {
            name: self.name,
            bytes: &self.bytes,
        };
        load(&source, &options).map_err(|faults| {
            let errors = faults.to_kong_fields(flatten);
            ApiError::InvalidConfiguration(Box::new(errors.to_body(flatten)))
        })
    }
}

/// Puts entities in the place of everything that is there. What did not change counts as unchanged.
///
/// # Errors
/// When they do not belong together: the loader saw to it that they do.
pub(crate) fn replace_all(
    desk: &Desk,
    transaction: &mut Transaction<'_>,
    entities: &EntitySet,
) -> Result<(), Conflict> {
    transaction.clear();
    for (collection, list) in entities.records() {
        for mut record in list {
            finish(desk, collection, &mut record);
            transaction.insert(collection, &record)?;
        }
    }
    for (group, consumer) in &entities.consumer_group_members {
        let record = json!({
            "id": membership_id(consumer.0, group.0).to_string(),
            "consumer": { "id": consumer.to_string() },
            "consumer_group": { "id": group.to_string() },
        });
        if let Value::Object(record) = record {
            transaction.upsert(MEMBERSHIPS, &record)?;
        }
    }
    Ok(())
}

/// From a typed entity to the record that the Admin API shows.
fn finish(desk: &Desk, collection: &str, record: &mut Map<String, Value>) {
    let hides = |name: &str| {
        let field = entity_type(collection).and_then(|entity| entity.schema().field(name));
        field.is_some_and(|field| field.hidden_when_unset || field.only_with.is_some())
    };
    record.retain(|name, value| !(value.is_null() && hides(name)));
    records::dress(desk, collection, record);
}

/// `{collection: {id: entity}}`, as the answer to a load shows what there is now.
pub(crate) fn flattened(catalog: &Catalog) -> String {
    let mut body = String::from("{");
    for collection in catalog.collections().filter(|name| *name != MEMBERSHIPS) {
        let mut rows = catalog.rows(collection).peekable();
        if rows.peek().is_none() {
            continue;
        }
        if body.len() > 1 {
            body.push(',');
        }
        body.push_str(&format!("\"{collection}\":{{"));
        for (position, row) in rows.enumerate() {
            let comma = if position > 0 { "," } else { "" };
            body.push_str(&format!("{comma}\"{}\":{}", row.id(), row.text()));
        }
        body.push('}');
    }
    body.push('}');
    body
}

/// `GET /config`
pub(crate) fn export(catalog: &Catalog) -> Result<Value, ApiError> {
    Ok(json!({ "config": dump(&entities(catalog)?) }))
}

/// Everything that is stored, typed.
pub(crate) fn entities(catalog: &Catalog) -> Result<EntitySet, ApiError> {
    let mut set = EntitySet::default();
    for collection in catalog.collections() {
        for row in catalog.rows(collection) {
            let record = row.value();
            if collection == MEMBERSHIPS {
                let id = |field| records::reference_id(&record, field);
                let pair = id("consumer_group").zip(id("consumer"));
                let pair = pair.map(|(group, consumer)| (ConsumerGroupId(group), ConsumerId(consumer)));
                set.consumer_group_members.extend(pair);
                continue;
            }
            set.push(collection, record).map_err(|fault| {
                ApiError::Message(http::StatusCode::INTERNAL_SERVER_ERROR, fault.to_string())
            })?;
        }
    }
    Ok(set)
}

/// A transaction that replaces everything, for the writer thread.
pub(crate) fn replacement(
    desk: Desk,
    entities: Arc<EntitySet>,
) -> impl FnMut(&mut Transaction<'_>) -> Result<(), Conflict> + Send + 'static {
    move |transaction| replace_all(&desk, transaction, &entities)
}
