//! Keys and key sets (kong-core A.9).

use crate::ids::{ForeignKey, KeyId, KeySetId};
use crate::record;
use crate::schema::{self, Context, EntityCheck, Violation, foreign, record, string, tags, timestamp};
use serde_json::{Map, Value};

record! {
    /// A PEM pair.
    pub struct KeyPem {
        /// Private key.
        pub private_key: Option<String> = string().secret().referenceable(),
        /// Public key.
        pub public_key: Option<String> = string().referenceable(),
    }
    checks [ EntityCheck::AtLeastOneOf(&["private_key", "public_key"]) ]
}

record! {
    /// A named set of keys.
    pub struct KeySet {
        /// Unique id.
        pub id: KeySetId = schema::uuid().required(),
        /// Unix seconds of creation.
        pub created_at: Option<i64> = timestamp(),
        /// Unix seconds of the last change.
        pub updated_at: Option<i64> = timestamp(),
        /// Unique name.
        pub name: Option<String> = string().unique(),
        /// Labels.
        pub tags: Option<Vec<String>> = tags(),
    }
}

record! {
    /// One key, as JWK or PEM.
    pub struct Key {
        /// Unique id.
        pub id: KeyId = schema::uuid().required(),
        /// Unix seconds of creation.
        pub created_at: Option<i64> = timestamp(),
        /// Unix seconds of the last change.
        pub updated_at: Option<i64> = timestamp(),
        /// Its set.
        pub set: Option<ForeignKey<KeySetId>> = foreign("key_sets").cascade(),
        /// Unique name.
        pub name: Option<String> = string().unique(),
        /// Key id, unique in its set.
        pub kid: String = string().required(),
        /// JSON web key as text.
        pub jwk: Option<String> = string().secret().referenceable(),
        /// PEM pair.
        pub pem: Option<KeyPem> = record::<KeyPem>().optional(),
        /// Labels.
        pub tags: Option<Vec<String>> = tags(),
    }
    checks [
        EntityCheck::OnlyOneOf(&["jwk", "pem"]),
        EntityCheck::AtLeastOneOf(&["jwk", "pem"]),
        EntityCheck::Among { name: "jwk_fits_kid", fields: &["jwk", "kid"], even_if_at_fault: false, check: jwk_fits_kid },
    ]
}

/// The text must be a JSON web key that carries the same key id.
fn jwk_fits_kid(record: &Map<String, Value>, _: &Context) -> Vec<Violation> {
    let Some(text) = record.get("jwk").and_then(Value::as_str) else {
        return Vec::new();
    };
    let Ok(jwk) = serde_json::from_str::<Value>(text) else {
        return vec![Violation::entity("could not json decode jwk string")];
    };
    if jwk.get("kid") != record.get("kid") {
        return vec![Violation::entity("kid in jwk.kid must be equal to keys.kid")];
    }
    if !jwk.get("kty").is_some_and(Value::is_string) {
        return vec![Violation::entity("could not load JWK, likely not a valid key")];
    }
    Vec::new()
}
