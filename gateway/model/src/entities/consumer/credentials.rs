//! What credentials need beyond their fields: generated parts, hashed passwords (kong-core A.6).

use crate::ids::ConsumerId;
use crate::schema::{Condition, Context, EntityCheck, Moment, Transform, pem};
use serde_json::{Map, Value};
use sha1::{Digest, Sha1};
use uuid::Uuid;

/// How a basic-auth password is stored: SHA-1 of password and consumer id, in hexadecimal. Not part of the table, since a
/// file that was exported holds hashes already (`_transform: false`).
#[must_use]
pub fn hash_password(password: &str, consumer: ConsumerId) -> String {
    let mut hasher = Sha1::new();
    hasher.update(password.as_bytes());
    hasher.update(consumer.to_string().as_bytes());
    hex::encode(hasher.finalize())
}

/// Algorithms with a public key cannot do without one.
pub(super) fn public_key_of_algorithm() -> EntityCheck {
    let algorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA"];
    EntityCheck::Conditional {
        if_field: "algorithm",
        if_one_of: algorithms.map(Value::from).to_vec(),
        then_field: "rsa_public_key",
        then: Condition::RequiredAnd("key", pem::any_key),
    }
}

/// 32 random characters, where the user left the choice to the gateway.
fn fill(record: &mut Map<String, Value>, name: &str) {
    if record.get(name).is_none_or(Value::is_null) {
        record.insert(name.to_owned(), Value::from(Uuid::new_v4().simple().to_string()));
    }
}

const fn generated(apply: fn(&mut Map<String, Value>, &Context)) -> Transform {
    Transform {
        name: "generated",
        moment: Moment::BeforeDefaults,
        apply,
    }
}

pub(super) const fn generated_key() -> Transform {
    generated(|record, _| fill(record, "key"))
}

pub(super) const fn generated_secret() -> Transform {
    generated(|record, _| fill(record, "secret"))
}

pub(super) const fn generated_client_id() -> Transform {
    generated(|record, _| fill(record, "client_id"))
}

pub(super) const fn generated_client_secret() -> Transform {
    generated(|record, _| fill(record, "client_secret"))
}

#[cfg(test)]
mod tests {
    use super::hash_password;
    use crate::ids::ConsumerId;

    #[test]
    fn a_password_is_hashed_with_the_consumer_id() {
        let consumer = ConsumerId("00000000-0000-4000-8000-000000000031".parse().unwrap());
        assert_eq!(
            hash_password("p", consumer),
            "f2d9e9260847f01da72f15fa7edd8bd40dfc91aa"
        );
    }
}
