//! Services: what requests are forwarded to.

use crate::ids::{CaCertificateId, CertificateId, ForeignKey, ServiceId};
use crate::record;
use crate::schema::{
    self, Condition, EntityCheck, array, boolean, foreign, host, integer, name, string, tags, timeout,
    timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

mod url;

/// Protocol of a service, a route or a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// gRPC over cleartext HTTP/2.
    Grpc,
    /// gRPC over TLS.
    Grpcs,
    /// Cleartext HTTP.
    Http,
    /// HTTP over TLS.
    Https,
    /// Cleartext TCP.
    Tcp,
    /// TLS, terminated here.
    Tls,
    /// TLS, forwarded as it is.
    TlsPassthrough,
    /// UDP.
    Udp,
}

impl Protocol {
    /// Every protocol, in the order in which Kong lists them in error texts.
    pub const ALL: [&'static str; 8] = [
        "grpc",
        "grpcs",
        "http",
        "https",
        "tcp",
        "tls",
        "tls_passthrough",
        "udp",
    ];

    /// The name in configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Grpcs => "grpcs",
            Self::Http => "http",
            Self::Https => "https",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::TlsPassthrough => "tls_passthrough",
            Self::Udp => "udp",
        }
    }

    /// Handled by the HTTP side (the rest is stream proxying).
    #[must_use]
    pub const fn is_http_family(self) -> bool {
        matches!(self, Self::Grpc | Self::Grpcs | Self::Http | Self::Https)
    }

    /// The connection is encrypted.
    #[must_use]
    pub const fn is_tls(self) -> bool {
        matches!(self, Self::Grpcs | Self::Https | Self::Tls | Self::TlsPassthrough)
    }

    /// gRPC, encrypted or not.
    #[must_use]
    pub const fn is_grpc(self) -> bool {
        matches!(self, Self::Grpc | Self::Grpcs)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

record! {
    /// A backend (kong-core A.2).
    pub struct Service {
        /// Unique id.
        pub id: ServiceId = schema::uuid().required(),
        /// Unix seconds of creation.
        pub created_at: Option<i64> = timestamp(),
        /// Unix seconds of the last change.
        pub updated_at: Option<i64> = timestamp(),
        /// Unique name.
        pub name: Option<String> = name(),
        /// Further tries after a failed one, 0 to 32767.
        pub retries: u16 = integer().between(0, 32_767).default(5),
        /// Protocol spoken to the backend.
        pub protocol: Protocol = string().one_of(Protocol::ALL).required().default("http"),
        /// Host name, address, or name of an Upstream.
        pub host: String = host().required(),
        /// Port.
        pub port: u16 = schema::port().required().default(80),
        /// Path prefix of the backend.
        pub path: Option<String> = schema::path(),
        /// Milliseconds to connect.
        pub connect_timeout: u32 = timeout().default(60_000),
        /// Milliseconds between two writes.
        pub write_timeout: u32 = timeout().default(60_000),
        /// Milliseconds between two reads.
        pub read_timeout: u32 = timeout().default(60_000),
        /// Labels.
        pub tags: Option<Vec<String>> = tags(),
        /// Certificate shown to the backend.
        pub client_certificate: Option<ForeignKey<CertificateId>> = foreign("certificates"),
        /// Whether the backend's certificate is verified; null: the global setting.
        pub tls_verify: Option<bool> = boolean(),
        /// Longest accepted chain, 0 to 64.
        pub tls_verify_depth: Option<u8> = integer().between(0, 64),
        /// CA certificates that replace the trust store.
        pub ca_certificates: Option<Vec<CaCertificateId>> = array(schema::uuid()),
        /// A disabled service's routes leave the router.
        pub enabled: bool = boolean().required().default(true),
    }
    checks [
        null_unless("path", &["http", "https", "tls_passthrough"]),
        null_unless("client_certificate", &["https", "tls"]),
        null_unless("tls_verify", &["https", "tls"]),
        null_unless("tls_verify_depth", &["https", "tls"]),
        null_unless("ca_certificates", &["https", "tls"]),
    ]
    shorthands [ url::shorthand() ]
}

/// The field means something only with these protocols.
fn null_unless(field: &'static str, protocols: &[&str]) -> EntityCheck {
    let others = Protocol::ALL
        .into_iter()
        .filter(|protocol| !protocols.contains(protocol));
    EntityCheck::Conditional {
        if_field: "protocol",
        if_one_of: others.map(Value::from).collect(),
        then_field: field,
        then: Condition::MustBeNull,
    }
}
