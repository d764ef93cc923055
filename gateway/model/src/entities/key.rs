//! Keys and key sets (kong-core A.9).

use crate::ids::{ForeignKey, KeyId, KeySetId};
use crate::record;
use crate::schema::{self, EntityCheck, any, foreign, name, string, tags, timestamp};

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
        pub name: Option<String> = name(),
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
        pub set: Option<ForeignKey<KeySetId>> = foreign("key_sets"),
        /// Unique name.
        pub name: Option<String> = name(),
        /// Key id, unique in its set.
        pub kid: String = string().required(),
        /// JSON web key as text.
        pub jwk: Option<String> = string().secret().referenceable(),
        /// PEM pair.
        pub pem: Option<KeyPem> = any(),
        /// Labels.
        pub tags: Option<Vec<String>> = tags(),
    }
    checks [ EntityCheck::ExactlyOneOf(&["jwk", "pem"]) ]
}
