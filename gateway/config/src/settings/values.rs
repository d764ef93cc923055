//! Types of settings that mean more than a number or a text.

mod access_log;
mod enabled;
mod headers;
mod names;
mod pem;
mod secret;
mod sources;

pub use access_log::LogTarget;
pub use enabled::EnabledNames;
pub use headers::{ReplyHeaders, UpstreamHeaders};
pub use names::{NameServer, RecordType};
pub(super) use pem::holds_key_material;
pub use pem::{PemSource, TrustAnchor};
pub use secret::Secret;
pub use sources::{PortMap, RealIpHeader, TrustedSource};
pub use tidegate_model::schema::RouterFlavor;

use super::choice::choices;
use super::spec::Spec;
use super::value::{Value, number};
use std::num::NonZeroUsize;

/// Number of workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// One for each core the process may use.
    Auto,
    /// That many.
    Exactly(NonZeroUsize),
}

impl Workers {
    /// The number to start.
    #[must_use]
    pub fn count(self) -> NonZeroUsize {
        match self {
            Self::Auto => std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            Self::Exactly(count) => count,
        }
    }
}

impl Value for Workers {
    fn read(text: &str, spec: &Spec) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        number(text, spec)
            .and_then(|n| usize::try_from(n).ok())
            .and_then(NonZeroUsize::new)
            .map(Self::Exactly)
            .ok_or_else(|| spec.refuse(text))
    }
}

choices! {
    /// Severity from which the process log keeps lines; the words are Kong's.
    LogLevel {
        /// Everything.
        Debug = "debug",
        /// What happens.
        Info = "info",
        /// What an operator should know.
        Notice = "notice",
        /// What may become a fault.
        Warn = "warn",
        /// What went wrong.
        Error = "error",
        /// What stops a part of the gateway.
        Crit = "crit",
        /// What needs a person.
        Alert = "alert",
        /// What stops the gateway.
        Emerg = "emerg",
    }
}

choices! {
    /// Form of the lines of the process log.
    LogFormat {
        /// One line for people.
        Text = "text",
        /// One JSON object.
        Json = "json",
    }
}

choices! {
    /// Form of the lines of the access log.
    AccessLogFormat {
        /// The combined format with the request id at its end.
        Combined = "combined",
        /// One JSON object.
        Json = "json",
    }
}

choices! {
    /// Media type of an error body when the request gives no hint (kong-core E.3).
    ErrorType {
        /// Plain text.
        Plain = "text/plain",
        /// JSON.
        Json = "application/json",
        /// HTML.
        Html = "text/html",
        /// XML.
        Xml = "application/xml",
        /// Trailers of gRPC, no body.
        Grpc = "application/grpc",
    }
}

/// The names of [`RouterFlavor`].
pub const ROUTER_FLAVORS: &[&str] = &["traditional_compatible", "traditional", "expressions"];

impl Value for RouterFlavor {
    fn read(text: &str, spec: &Spec) -> Result<Self, String> {
        Self::from_name(text).ok_or_else(|| spec.refuse(text))
    }
}

choices! {
    /// Named sets of TLS versions and ciphers.
    CipherSuite {
        /// TLS 1.3 only.
        Modern = "modern",
        /// TLS 1.2 and 1.3, always with forward secrecy.
        Intermediate = "intermediate",
        /// As `intermediate`: older versions are not offered.
        Old = "old",
        /// AES-GCM on NIST curves; the module in use is not certified.
        Fips = "fips",
        /// `ssl_protocols` decides.
        Custom = "custom",
    }
}

choices! {
    /// Where entities live.
    Database {
        /// In the declarative file when one is given, else embedded.
        Auto = "auto",
        /// In the declarative file, or in memory.
        Off = "off",
        /// In a file of this node.
        Embedded = "embedded",
        /// In PostgreSQL.
        Postgres = "postgres",
    }
}

choices! {
    /// What the node is in a fleet.
    Role {
        /// One node by itself.
        Standalone = "standalone",
        /// One of several nodes at a database.
        Traditional = "traditional",
        /// Hands the configuration to data planes.
        ControlPlane = "control_plane",
        /// Serves traffic with the configuration of a control plane.
        DataPlane = "data_plane",
    }
}

/// TLS versions to offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsVersions {
    /// TLS 1.2.
    pub tls12: bool,
    /// TLS 1.3.
    pub tls13: bool,
}

/// Versions are separated by spaces or commas. TLS 1.0 and 1.1 are legal words, since files written for Kong have
/// them, but at least one version that is still safe must be named.
impl Value for TlsVersions {
    fn read(text: &str, spec: &Spec) -> Result<Self, String> {
        let mut versions = Self {
            tls12: false,
            tls13: false,
        };
        for word in text.split([' ', ',']).filter(|word| !word.is_empty()) {
            match word {
                "TLSv1.2" => versions.tls12 = true,
                "TLSv1.3" => versions.tls13 = true,
                "TLSv1" | "TLSv1.1" => {}
                _ => return Err(spec.refuse(text)),
            }
        }
        if versions.tls12 || versions.tls13 {
            Ok(versions)
        } else {
            Err(spec.refuse(text))
        }
    }
}
