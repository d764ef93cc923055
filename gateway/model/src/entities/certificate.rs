//! Certificates, SNIs and CA certificates (kong-core A.8).

use crate::ids::{CaCertificateId, CertificateId, ForeignKey, SniId};
use crate::record;
use crate::schema::{self, EntityCheck, foreign, string, tags, timestamp, wildcard_host};

record! {
    /// A certificate chain and its key, with an optional pair of the other key type.
    pub struct Certificate {
        /// Unique id.
        pub id: CertificateId = schema::uuid().required(),
        /// Unix seconds of creation.
        pub created_at: Option<i64> = timestamp(),
        /// Unix seconds of the last change.
        pub updated_at: Option<i64> = timestamp(),
        /// PEM chain.
        pub cert: String = string().required().referenceable(),
        /// PEM private key.
        pub key: String = string().required().referenceable().secret(),
        /// PEM chain of the other key type.
        pub cert_alt: Option<String> = string().referenceable(),
        /// PEM private key of the other key type.
        pub key_alt: Option<String> = string().referenceable().secret(),
        /// Labels.
        pub tags: Option<Vec<String>> = tags(),
    }
    checks [ EntityCheck::MutuallyRequired(&["cert_alt", "key_alt"]) ]
}

record! {
    /// A server name that a certificate serves.
    pub struct Sni {
        /// Unique id.
        pub id: SniId = schema::uuid().required(),
        /// Unix seconds of creation.
        pub created_at: Option<i64> = timestamp(),
        /// Unix seconds of the last change.
        pub updated_at: Option<i64> = timestamp(),
        /// Server name; `*` may be its first or last character.
        pub name: String = wildcard_host().required().unique(),
        /// The certificate.
        pub certificate: ForeignKey<CertificateId> = foreign("certificates").required(),
        /// Labels.
        pub tags: Option<Vec<String>> = tags(),
    }
}

record! {
    /// A certificate of an authority.
    pub struct CaCertificate {
        /// Unique id.
        pub id: CaCertificateId = schema::uuid().required(),
        /// Unix seconds of creation.
        pub created_at: Option<i64> = timestamp(),
        /// Unix seconds of the last change.
        pub updated_at: Option<i64> = timestamp(),
        /// One PEM certificate.
        pub cert: String = string().required(),
        /// SHA-256 in hex, computed.
        pub cert_digest: Option<String> = string().unique(),
        /// Labels.
        pub tags: Option<Vec<String>> = tags(),
    }
}
