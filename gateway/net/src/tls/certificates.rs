//! The certificate for a server name (kong-core A.8).

use super::TlsError;
use super::pem::{certified_keys, is_ecdsa};
use arc_swap::ArcSwap;
use hashbrown::HashMap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, ProtocolVersion};
use std::sync::Arc;

/// A configured certificate.
#[derive(Clone, Copy, Debug)]
pub struct CertificateInput<'a> {
    /// PEM chain.
    pub cert: &'a str,
    /// PEM private key.
    pub key: &'a str,
    /// Chain and key of the other key type.
    pub alternative: Option<(&'a str, &'a str)>,
}

/// A certificate ready to serve, with its pair of the other key type.
#[derive(Clone, Debug)]
pub struct CertificatePair {
    /// Preferred, because its signatures are cheaper: the one of an elliptic curve when there are two.
    preferred: Arc<CertifiedKey>,
    other: Option<Arc<CertifiedKey>>,
}

/// Certificates by server name, fixed once built.
#[derive(Debug)]
pub struct CertificateStore {
    exact: HashMap<Box<str>, CertificatePair>,
    /// `*.rest`, by `rest`.
    left_wildcards: HashMap<Box<str>, CertificatePair>,
    /// `prefix.*`, by `prefix`.
    right_wildcards: HashMap<Box<str>, CertificatePair>,
    any: Option<CertificatePair>,
    default: CertificatePair,
}

/// The store of the current configuration; handshakes under way keep the certificate that they chose.
#[derive(Debug)]
pub struct SwappableCertificates(ArcSwap<CertificateStore>);

impl CertificatePair {
    /// Checks and loads a certificate.
    ///
    /// # Errors
    /// Fails when certificate and key are unreadable or do not match.
    pub fn load(input: &CertificateInput<'_>) -> Result<Self, TlsError> {
        let (main, alternative) = certified_keys(input.cert, input.key, input.alternative)?;
        Ok(match alternative {
            Some(alternative) if is_ecdsa(&alternative) => Self {
                preferred: alternative,
                other: Some(main),
            },
            other => Self {
                preferred: main,
                other,
            },
        })
    }

    /// The certificate that the client can verify; the preferred one when it says nothing.
    fn choose(&self, hello: &ClientHello<'_>) -> Arc<CertifiedKey> {
        let chosen = match &self.other {
            Some(other) if !is_usable(&self.preferred, hello) => other,
            _ => &self.preferred,
        };
        Arc::clone(chosen)
    }
}

impl CertificateStore {
    /// Builds a store from certificates, server names with the index of their certificate, and the certificate for all
    /// other names.
    ///
    /// # Errors
    /// Fails on the first bad certificate and on an index without a certificate.
    pub fn build(
        certificates: &[CertificateInput<'_>],
        snis: &[(&str, usize)],
        default: CertificatePair,
    ) -> Result<Self, TlsError> {
        let pairs = certificates
            .iter()
            .map(CertificatePair::load)
            .collect::<Result<Vec<_>, _>>()?;
        let mut store = Self {
            exact: HashMap::new(),
            left_wildcards: HashMap::new(),
            right_wildcards: HashMap::new(),
            any: None,
            default,
        };
        for &(name, index) in snis {
            let pair = pairs
                .get(index)
                .ok_or_else(|| TlsError::DanglingSni {
                    name: name.to_owned(),
                })?
                .clone();
            let name = name.to_ascii_lowercase();
            if name == "*" {
                store.any = Some(pair);
            } else if let Some(rest) = name.strip_prefix("*.") {
                store.left_wildcards.insert(rest.into(), pair);
            } else if let Some(prefix) = name.strip_suffix(".*") {
                store.right_wildcards.insert(prefix.into(), pair);
            } else {
                store.exact.insert(name.into(), pair);
            }
        }
        Ok(store)
    }

    /// The certificate for a server name; a wildcard stands for one label.
    #[must_use]
    pub fn find(&self, name: Option<&str>) -> &CertificatePair {
        let Some(name) = name else { return &self.default };
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return self.find_lower(&name.to_ascii_lowercase());
        }
        self.find_lower(name)
    }

    fn find_lower(&self, name: &str) -> &CertificatePair {
        self.exact
            .get(name)
            .or_else(|| self.left_wildcards.get(name.split_once('.')?.1))
            .or_else(|| self.right_wildcards.get(name.rsplit_once('.')?.0))
            .or(self.any.as_ref())
            .unwrap_or(&self.default)
    }
}

impl ResolvesServerCert for CertificateStore {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.find(hello.server_name()).choose(&hello))
    }
}

impl SwappableCertificates {
    /// Serves `store` until another one takes its place.
    #[must_use]
    pub fn new(store: CertificateStore) -> Self {
        Self(ArcSwap::from_pointee(store))
    }

    /// Takes another store for the handshakes from now on.
    pub fn swap(&self, store: CertificateStore) {
        self.0.store(Arc::new(store));
    }
}

impl ResolvesServerCert for SwappableCertificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load().resolve(hello)
    }
}

/// The client accepts signatures of the key, and (before TLS 1.3) a cipher suite for its type.
fn is_usable(key: &CertifiedKey, hello: &ClientHello<'_>) -> bool {
    let suits = |suite: &CipherSuite| {
        let tls13 = suite.as_str().is_some_and(|name| name.starts_with("TLS13_"));
        let ecdsa = suite
            .as_str()
            .is_some_and(|name| name.starts_with("TLS_ECDHE_ECDSA_"));
        tls13 || ecdsa == is_ecdsa(key)
    };
    key.key.choose_scheme(hello.signature_schemes()).is_some() && hello.cipher_suites().iter().any(suits)
}

/// The name of a version as nginx gives it.
pub(super) const fn version_name(version: ProtocolVersion) -> &'static str {
    match version {
        ProtocolVersion::TLSv1_3 => "TLSv1.3",
        ProtocolVersion::TLSv1_2 => "TLSv1.2",
        _ => "unknown",
    }
}
