//! Certificates, SNIs and CA certificates (kong-core A.8).

use crate::ids::{CaCertificateId, CertificateId, ForeignKey, SniId};
use crate::record;
use crate::schema::{
    self, Context, EntityCheck, Moment, Transform, Violation, foreign, pem, string, tags, timestamp,
    wildcard_host,
};
use serde_json::{Map, Value};

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
        pub cert: String = schema::certificate().required().referenceable(),
        /// PEM private key.
        pub key: String = schema::private_key().required().referenceable().secret(),
        /// PEM chain of the other key type.
        pub cert_alt: Option<String> = schema::certificate().referenceable(),
        /// PEM private key of the other key type.
        pub key_alt: Option<String> = schema::private_key().referenceable().secret(),
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
        pub certificate: ForeignKey<CertificateId> = foreign("certificates").cascade().required(),
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
        pub cert: String = schema::certificate().required(),
        /// SHA-256 in hex, computed.
        pub cert_digest: Option<String> = string().unique(),
        /// Labels.
        pub tags: Option<Vec<String>> = tags(),
    }    checks [
        EntityCheck::Among { name: "one_certificate", fields: &["cert"], even_if_at_fault: false, check: is_one_certificate },
    ]
    transforms [
        Transform { name: "digest", moment: Moment::AfterValidation, apply: fill_digest },
    ]
}

fn is_one_certificate(record: &Map<String, Value>, _: &Context) -> Vec<Violation> {
    let text = record.get("cert").and_then(Value::as_str).unwrap_or_default();
    if text.matches("-----BEGIN CERTIFICATE-----").count() > 1 {
        return vec![Violation::entity("please submit only one certificate at a time")];
    }
    Vec::new()
}

/// Computed always: a digest that was sent along could be of another certificate.
fn fill_digest(record: &mut Map<String, Value>, _: &Context) {
    let digest = record.get("cert").and_then(Value::as_str).and_then(pem::digest);
    record.insert("cert_digest".to_owned(), digest.into());
}
