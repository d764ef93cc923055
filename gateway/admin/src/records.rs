//! From what was sent to a finished record: references followed, ids and times given, every rule applied.

use crate::errors::ApiError;
use crate::writing::Desk;
use serde_json::{Map, Value};
use tidegate_config::declarative::fill;
use tidegate_model::entity_table::EntityType;
use tidegate_model::schema::{Processed, Violation};
use tidegate_store::Catalog;
use uuid::Uuid;

mod plugins;
mod references;
mod ttl;

pub(crate) use ttl::left as ttl_left;

pub(crate) type Record = Map<String, Value>;

/// A record for an entity that is new, or is to be replaced as a whole.
pub(crate) fn whole(
    desk: &Desk,
    catalog: &Catalog,
    entity: &EntityType,
    mut sent: Record,
) -> Result<Record, ApiError> {
    references::resolve(catalog, entity, &mut sent)?;
    ttl::take(entity, &mut sent)?;
    let id = uuid_of(sent.get("id")).unwrap_or_else(Uuid::new_v4);
    if uuid_of(sent.get("id")).is_some() {
        sent.insert("id".to_owned(), Value::String(id.to_string()));
    }
    if sent.contains_key("updated_at") {
        sent.insert("updated_at".to_owned(), Value::Null);
    }
    fill::missing(entity, &mut sent, id, desk.now);
    let processed = match entity.collection {
        "plugins" => plugins::process(desk, sent),
        _ => entity.schema().process_with(&sent, &desk.context),
    };
    let mut record = finish(desk, catalog, entity, processed)?;
    if entity.collection == "basicauth_credentials" && desk.hashes_passwords {
        fill::hash_password(&mut record);
    }
    Ok(record)
}

/// A record for an entity of which a part is to change.
pub(crate) fn merged(
    desk: &Desk,
    catalog: &Catalog,
    entity: &EntityType,
    existing: &Record,
    mut sent: Record,
) -> Result<Record, ApiError> {
    references::resolve(catalog, entity, &mut sent)?;
    ttl::take(entity, &mut sent)?;
    ttl::count_from_creation(existing, &mut sent, desk.now);
    sent.insert("id".to_owned(), existing.get("id").cloned().unwrap_or_default());
    if entity.schema().field("updated_at").is_some() {
        sent.insert("updated_at".to_owned(), Value::Null);
    }
    let has_new_password = sent.get("password").is_some_and(Value::is_string);
    let mut processed = match entity.collection {
        "plugins" => plugins::process_part(desk, existing, sent),
        _ => {
            let mut merged = entity.schema().merge(existing, &sent, &desk.context);
            fill::missing(entity, &mut merged.value, Uuid::nil(), desk.now);
            let mut processed = entity.schema().process_merged(&merged.value, &desk.context);
            merged.violations.append(&mut processed.violations);
            Processed {
                violations: merged.violations,
                ..processed
            }
        }
    };
    processed.violations.iter_mut().for_each(tell_of_update);
    let mut record = finish(desk, catalog, entity, processed)?;
    if entity.collection == "basicauth_credentials" && desk.hashes_passwords && has_new_password {
        fill::hash_password(&mut record);
    }
    Ok(record)
}

/// Only what is wrong with an entity by its own table; what it points to need not be there.
pub(crate) fn violations(desk: &Desk, entity: &EntityType, mut sent: Record) -> Vec<Violation> {
    references::assume(entity, &mut sent);
    fill::missing(entity, &mut sent, Uuid::new_v4(), desk.now);
    let processed = match entity.collection {
        "plugins" => plugins::process(desk, sent),
        _ => entity.schema().process_with(&sent, &desk.context),
    };
    match processed.violations.is_empty() {
        true => desk.node.inspect(entity.collection, &processed.value),
        false => processed.violations,
    }
}

fn finish(
    desk: &Desk,
    catalog: &Catalog,
    entity: &EntityType,
    processed: Processed,
) -> Result<Record, ApiError> {
    let Processed {
        mut value,
        mut violations,
    } = processed;
    if violations.is_empty() {
        violations = desk.node.inspect(entity.collection, &value);
    }
    if violations.is_empty() && entity.collection == "plugins" {
        violations.extend(plugins::protocol_disagreement(catalog, &value));
    }
    if let Some(refusal) = ApiError::from_violations(&violations) {
        return Err(refusal);
    }
    dress(desk, entity.collection, &mut value);
    Ok(value)
}

/// What a checked record has beyond its table, or lacks of it, when it is shown.
pub(crate) fn dress(desk: &Desk, collection: &str, record: &mut Record) {
    if collection == "plugins" {
        plugins::show_old_names(desk, record);
    }
    ttl::hide_where_nothing_expires(desk, record);
}

/// Kong says of this one rule that it was an update that broke it.
fn tell_of_update(violation: &mut Violation) {
    if violation.is_entity_check && violation.message.starts_with("at least one of these fields") {
        violation.message.insert_str(0, "when updating, ");
    }
}

/// A UUID in its usual form: 36 characters.
pub(crate) fn uuid_of(value: Option<&Value>) -> Option<Uuid> {
    value.and_then(Value::as_str).and_then(parse_uuid)
}

pub(crate) fn parse_uuid(text: &str) -> Option<Uuid> {
    (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten()
}

/// The id that a reference field of a record holds.
pub(crate) fn reference_id(record: &Record, field: &str) -> Option<Uuid> {
    uuid_of(record.get(field)?.get("id"))
}
