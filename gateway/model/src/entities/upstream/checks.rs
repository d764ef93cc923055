//! Rules on hashing and the stored form of targets (kong-core A.4, A.5).

use crate::host::HostPort;
use crate::schema::{Condition, Context, EntityCheck, Moment, Transform};
use serde_json::{Map, Value};

/// Port of a target that names none.
const DEFAULT_TARGET_PORT: u16 = 8_000;

/// A selector comes with the field that says what it selects.
pub(super) fn needs(selector: &'static str, value: &str, field: &'static str) -> EntityCheck {
    EntityCheck::Conditional {
        if_field: selector,
        if_one_of: vec![Value::from(value)],
        then_field: field,
        then: Condition::Required,
    }
}

/// What may stand in when the value of `hash_on` is missing.
pub(super) fn fallback(hash_on: &str, accepted: &[&str]) -> EntityCheck {
    EntityCheck::Conditional {
        if_field: "hash_on",
        if_one_of: vec![Value::from(hash_on)],
        then_field: "hash_fallback",
        then: Condition::OneOf(accepted.iter().copied().map(Value::from).collect()),
    }
}

/// Old files say only `hash_on` where they mean an algorithm. What is written decides, not what it was written over: an
/// upstream that is read back and written again with `hash_on: none` loses `consistent-hashing`, as in Kong.
pub(super) fn algorithm_follows_hash_on() -> Transform {
    fn apply(record: &mut Map<String, Value>, _: &Context) {
        let ignores_hash = matches!(
            record.get("algorithm").and_then(Value::as_str),
            Some("least-connections" | "latency" | "sticky-sessions")
        );
        if ignores_hash {
            // A value that is no text stays, so that its fault is told.
            if record.get("hash_on").is_some_and(Value::is_string) {
                record.insert("hash_on".to_owned(), Value::from("none"));
            }
            return;
        }
        let algorithm = match record.get("hash_on").and_then(Value::as_str) {
            None => return,
            Some("none") => "round-robin",
            Some(_) => "consistent-hashing",
        };
        if record
            .get("algorithm")
            .is_none_or(|value| value.is_null() || value.is_string())
        {
            record.insert("algorithm".to_owned(), Value::from(algorithm));
        }
    }
    Transform {
        name: "algorithm_follows_hash_on",
        moment: Moment::AsSent,
        apply,
    }
}

pub(super) fn target_in_stored_form() -> Transform {
    fn apply(record: &mut Map<String, Value>, _: &Context) {
        let parsed = record.get("target").and_then(Value::as_str).map(HostPort::parse);
        if let Some(Ok(target)) = parsed {
            record.insert(
                "target".to_owned(),
                Value::from(target.with_default_port(DEFAULT_TARGET_PORT)),
            );
        }
    }
    Transform {
        name: "target_in_stored_form",
        moment: Moment::AfterValidation,
        apply,
    }
}
