//! How long a credential lives. Stored is the time from its creation, shown is what is left of it.

use super::Record;
use crate::errors::ApiError;
use crate::writing::Desk;
use serde_json::Value;
use tidegate_model::entity_table::EntityType;

const FIELD: &str = "ttl";
const LONGEST: f64 = 100_000_000.0;

/// Checks the option; 0 is for ever.
pub(super) fn take(entity: &EntityType, sent: &mut Record) -> Result<(), ApiError> {
    if entity.schema().field(FIELD).is_none() {
        return Ok(());
    }
    let Some(value) = sent.get_mut(FIELD).filter(|value| !value.is_null()) else {
        return Ok(());
    };
    let whole = value.as_f64().filter(|ttl| ttl.fract() == 0.0);
    let Some(ttl) = whole.filter(|ttl| (0.0..=LONGEST).contains(ttl)) else {
        return Err(ApiError::InvalidOption {
            option: FIELD,
            reason: "must be an integer between 0 and 100000000".to_owned(),
        });
    };
    if ttl == 0.0 {
        *value = Value::Null;
    }
    Ok(())
}

/// A time that is sent later counts from now.
pub(super) fn count_from_creation(existing: &Record, sent: &mut Record, now: f64) {
    let created = existing.get("created_at").and_then(Value::as_f64);
    if let (Some(created), Some(ttl)) = (created, sent.get_mut(FIELD))
        && let Some(seconds) = ttl.as_f64()
    {
        *ttl = Value::from(now.floor() - created + seconds);
    }
}

/// Without a database nothing expires, and Kong shows no such field.
pub(super) fn hide_where_nothing_expires(desk: &Desk, record: &mut Record) {
    if !desk.has_database && record.get(FIELD).is_some_and(Value::is_null) {
        record.shift_remove(FIELD);
    }
}

/// What is left at a moment (Unix seconds) of a life that ends in Unix milliseconds; whole seconds.
pub(crate) fn left(expires_at: u64, now: f64) -> u64 {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates"
    )]
    let now = (now * 1_000.0) as u64;
    expires_at.saturating_sub(now) / 1_000
}
