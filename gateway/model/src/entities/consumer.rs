//! Consumers and their credentials (kong-core A.6, A.12).

use crate::ids::{ConsumerGroupId, ConsumerId, CredentialId, ForeignKey};
use crate::record;
use crate::schema::{self, EntityCheck, array, boolean, foreign, name, number, string, tags, timestamp};

mod credentials;

pub use credentials::hash_password;

record! {
    /// A user or a client of the services.
    pub struct Consumer {
        /// Unique id.
        pub id: ConsumerId = schema::uuid().required(),
        /// Unix seconds of creation.
        pub created_at: Option<i64> = timestamp(),
        /// Unix seconds of the last change.
        pub updated_at: Option<i64> = timestamp(),
        /// Unique name.
        pub username: Option<String> = string().unique(),
        /// Unique id in another system.
        pub custom_id: Option<String> = string().unique(),
        /// Labels.
        pub tags: Option<Vec<String>> = tags(),
    }
    checks [ EntityCheck::AtLeastOneOf(&["custom_id", "username"]) ]
}

record! {
    /// A group of consumers that plugins can be scoped to.
    pub struct ConsumerGroup {
        /// Unique id.
        pub id: ConsumerGroupId = schema::uuid().required(),
        /// Unix seconds of creation.
        pub created_at: Option<i64> = timestamp(),
        /// Unix seconds of the last change.
        pub updated_at: Option<i64> = timestamp(),
        /// Unique name.
        pub name: String = name().required(),
        /// Labels.
        pub tags: Option<Vec<String>> = tags(),
    }
}

record! {
    /// An API key.
    pub struct KeyAuthCredential {
        /// Unique id.
        pub id: CredentialId = schema::uuid().required(),
        /// Unix seconds of creation.
        pub created_at: Option<i64> = timestamp(),
        /// Owner.
        pub consumer: ForeignKey<ConsumerId> = foreign("consumers").cascade().required(),
        /// The key; generated when absent.
        pub key: String = string().unique().secret().referenceable().required(),
        /// Seconds to live.
        pub ttl: Option<f64> = number().between(0, 100_000_000),
        /// Labels.
        pub tags: Option<Vec<String>> = tags(),
    }
    transforms [ credentials::generated_key() ]
}

record! {
    /// A user name and password.
    pub struct BasicAuthCredential {
        /// Unique id.
        pub id: CredentialId = schema::uuid().required(),
        /// Unix seconds of creation.
        pub created_at: Option<i64> = timestamp(),
        /// Owner.
        pub consumer: ForeignKey<ConsumerId> = foreign("consumers").cascade().required(),
        /// Unique user name.
        pub username: String = string().unique().required(),
        /// SHA-1 of password and consumer id, in hex.
        pub password: String = string().secret().referenceable().required(),
        /// Labels.
        pub tags: Option<Vec<String>> = tags(),
    }
}

record! {
    /// A key and secret that JWTs are signed with.
    pub struct JwtSecret {
        /// Unique id.
        pub id: CredentialId = schema::uuid().required(),
        /// Unix seconds of creation.
        pub created_at: Option<i64> = timestamp(),
        /// Owner.
        pub consumer: ForeignKey<ConsumerId> = foreign("consumers").cascade().required(),
        /// Issuer key; generated when absent.
        pub key: Option<String> = string().unique(),
        /// HMAC secret; generated when absent.
        pub secret: Option<String> = string().secret().referenceable(),
        /// PEM public key.
        pub rsa_public_key: Option<String> = string(),
        /// Signature algorithm.
        pub algorithm: Option<String> = string().one_of([
            "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512",
            "EdDSA",
        ]).default("HS256"),
        /// Labels.
        pub tags: Option<Vec<String>> = tags(),
    }
    checks [ credentials::public_key_of_algorithm() ]
    transforms [ credentials::generated_key(), credentials::generated_secret() ]
}

record! {
    /// A user name and secret for signed requests.
    pub struct HmacAuthCredential {
        /// Unique id.
        pub id: CredentialId = schema::uuid().required(),
        /// Unix seconds of creation.
        pub created_at: Option<i64> = timestamp(),
        /// Owner.
        pub consumer: ForeignKey<ConsumerId> = foreign("consumers").cascade().required(),
        /// Unique user name.
        pub username: String = string().unique().required(),
        /// Shared secret; generated when absent.
        pub secret: Option<String> = string().secret().referenceable(),
        /// Labels.
        pub tags: Option<Vec<String>> = tags(),
    }
    transforms [ credentials::generated_secret() ]
}

record! {
    /// Membership of a consumer in an ACL group.
    pub struct Acl {
        /// Unique id.
        pub id: CredentialId = schema::uuid().required(),
        /// Unix seconds of creation.
        pub created_at: Option<i64> = timestamp(),
        /// Member.
        pub consumer: ForeignKey<ConsumerId> = foreign("consumers").cascade().required(),
        /// Group name.
        pub group: String = string().required(),
        /// Labels.
        pub tags: Option<Vec<String>> = tags(),
    }
}

record! {
    /// An OAuth 2.0 client.
    pub struct OAuth2Credential {
        /// Unique id.
        pub id: CredentialId = schema::uuid().required(),
        /// Unix seconds of creation.
        pub created_at: Option<i64> = timestamp(),
        /// Owner.
        pub consumer: ForeignKey<ConsumerId> = foreign("consumers").cascade().required(),
        /// Name of the application.
        pub name: String = string().required(),
        /// Client id; generated when absent.
        pub client_id: Option<String> = string().unique(),
        /// Client secret; generated when absent.
        pub client_secret: Option<String> = string().secret(),
        /// Whether the secret is stored hashed.
        pub hash_secret: bool = boolean().required().default(false),
        /// Redirect URIs.
        pub redirect_uris: Option<Vec<String>> = array(string()),
        /// `confidential` or `public`.
        pub client_type: String = string().required().default("confidential").one_of(["confidential", "public"]),
        /// Labels.
        pub tags: Option<Vec<String>> = tags(),
    }    transforms [ credentials::generated_client_id(), credentials::generated_client_secret() ]
}
