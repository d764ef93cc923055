//! What the gateway adds to an entity: ids, times, random secrets, hashes.

use serde_json::{Map, Value};
use sha1::{Digest, Sha1};
use tidegate_model::entity_table::EntityType;
use tidegate_model::schema::{RecordSchema, is_reference};
use uuid::Uuid;

/// Characters of a generated key or secret.
const RANDOM_LENGTH: usize = 32;

/// Fields that get random text when they are left out.
const RANDOM_FIELDS: [(&str, &str); 6] = [
    ("keyauth_credentials", "key"),
    ("jwt_secrets", "key"),
    ("jwt_secrets", "secret"),
    ("hmacauth_credentials", "secret"),
    ("oauth2_credentials", "client_id"),
    ("oauth2_credentials", "client_secret"),
];

/// Fills id, times and random secrets.
pub fn missing(entity: &EntityType, input: &mut Map<String, Value>, id: Uuid, now: f64) {
    if is_unset(input, "id") {
        input.insert("id".to_owned(), Value::String(id.to_string()));
    }
    for field in ["created_at", "updated_at"] {
        if has_field(entity.schema(), field) && is_unset(input, field) {
            input.insert(field.to_owned(), time(entity.collection, now));
        }
    }
    for (_, field) in RANDOM_FIELDS
        .iter()
        .filter(|(name, _)| *name == entity.collection)
    {
        if is_unset(input, field) {
            input.insert((*field).to_owned(), Value::String(random_text()));
        }
    }
}

fn is_unset(input: &Map<String, Value>, field: &str) -> bool {
    input.get(field).is_none_or(Value::is_null)
}

fn has_field(schema: &RecordSchema, name: &str) -> bool {
    schema.fields.iter().any(|field| field.name == name)
}

/// Whole seconds, but milliseconds for targets (kong-core A.1).
#[allow(clippy::cast_possible_truncation, reason = "seconds since 1970 fit an i64")]
fn time(collection: &str, now: f64) -> Value {
    if collection == "targets" {
        Value::from((now * 1000.0).round() / 1000.0)
    } else {
        Value::from(now as i64)
    }
}

/// Letters and digits from the operating system's random source, by way of random UUIDs.
fn random_text() -> String {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    /// Bytes from here on would make some characters more likely than others.
    const FAIR: u8 = 248;
    let mut text = String::with_capacity(RANDOM_LENGTH);
    while text.len() < RANDOM_LENGTH {
        // Bytes 6 and 8 hold the version and the variant.
        let bytes = Uuid::new_v4().into_bytes();
        let random = bytes
            .iter()
            .enumerate()
            .filter(|(at, _)| !matches!(at, 6 | 8))
            .map(|(_, byte)| *byte);
        let characters = random
            .filter(|byte| *byte < FAIR)
            .filter_map(|byte| ALPHABET.get(usize::from(byte) % ALPHABET.len()));
        text.extend(
            characters
                .take(RANDOM_LENGTH - text.len())
                .map(|byte| char::from(*byte)),
        );
    }
    text
}

/// Replaces the password by the SHA-1 of password and consumer id. A vault reference stays: its value is hashed when it
/// is resolved.
pub fn hash_password(record: &mut Map<String, Value>) {
    let consumer = record
        .get("consumer")
        .and_then(|consumer| consumer.get("id"))
        .and_then(Value::as_str);
    let password = record.get("password").and_then(Value::as_str);
    if let (Some(consumer), Some(password)) = (consumer, password)
        && !is_reference(password)
    {
        let hash = password_hash(password, consumer);
        record.insert("password".to_owned(), Value::String(hash));
    }
}

/// Kong's stored form of a basic-auth password (kong-core A.6).
#[must_use]
pub fn password_hash(password: &str, consumer_id: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(password);
    hash.update(consumer_id);
    hex::encode(hash.finalize())
}

/// Before format 3.0: a path with anything beyond letters, digits and `.-_~/%` is a regex, and gets the mark of one.
pub(super) fn mark_regex_paths(route: &mut Map<String, Value>) {
    let Some(Value::Array(paths)) = route.get_mut("paths") else {
        return;
    };
    for path in paths {
        if let Value::String(text) = path {
            let is_plain = text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b".-_~/%".contains(&b));
            if !is_plain && !text.starts_with('~') {
                text.insert(0, '~');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn generated_secrets_are_32_alphanumeric_characters_and_differ() {
        let (first, second) = (random_text(), random_text());
        assert_eq!(first.len(), RANDOM_LENGTH);
        assert!(first.bytes().all(|b| b.is_ascii_alphanumeric()), "{first}");
        assert_ne!(first, second);
    }

    #[test]
    fn a_password_is_hashed_with_the_id_of_its_consumer() {
        let mut record =
            json!({ "password": "secret", "consumer": { "id": "11111111-1111-4111-8111-111111111111" } });
        let record = record.as_object_mut().expect("an object");
        hash_password(record);
        assert_eq!(record["password"], "daaa0c42d6ef59eea2e255212f12ec4db9f6c0c6");
    }

    #[test]
    fn only_paths_that_look_like_regexes_get_the_mark() {
        let mut route = json!({ "paths": ["/plain/a-b_c~d.e%20", "/a/\\d+", "~/b/.*", "/(x)", "/é"] });
        let route = route.as_object_mut().expect("an object");
        mark_regex_paths(route);
        assert_eq!(
            route["paths"],
            json!(["/plain/a-b_c~d.e%20", "~/a/\\d+", "~/b/.*", "~/(x)", "~/é"])
        );
    }
}
