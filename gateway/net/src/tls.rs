//! TLS on both sides: certificates by server name for clients, verified or unverified connections to upstreams.
//!
//! rustls types stay in this crate as far as possible. The crypto provider is always given explicitly, so that no
//! process-wide default is needed.

mod accept;
mod certificates;
mod ciphers;
mod fallback;
mod pem;
mod resumption;
mod server;
mod trust_all;
mod upstream;
mod verify_depth;

pub use accept::{AcceptError, TlsFacts, accept};
pub use certificates::{CertificateInput, CertificatePair, CertificateStore, SwappableCertificates};
pub use ciphers::CipherSelection;
pub use fallback::self_signed_pair;
pub use pem::{
    PemError, ca_certificate_fault, certificate_digest, check_certificate, check_key, check_pair, expiry,
};
pub use server::{CipherPolicy, ServerTls, ServerTlsSettings};
pub use upstream::{ClientCertificate, UpstreamTls, UpstreamTlsCache, UpstreamTlsOptions};

use rustls::crypto::CryptoProvider;
use std::sync::{Arc, OnceLock};

/// The crypto provider of the process.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider())))
}

/// A TLS setting that cannot be honoured.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate or key is bad.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// An SNI names a certificate that was not given.
    #[error("SNI {name} refers to a certificate that does not exist")]
    DanglingSni {
        /// The server name.
        name: String,
    },
    /// No protocol version is left.
    #[error("no TLS version is enabled")]
    NoVersion,
    /// No cipher suite is left for a version that is to be spoken.
    #[error("no cipher suite is left for {0}")]
    NoCipher(&'static str),
    /// No trusted certificate was found.
    #[error("no trusted CA certificate is available to verify upstreams")]
    NoRoots,
    /// The TLS library refuses the combination.
    #[error("TLS settings are refused")]
    Library(#[from] rustls::Error),
}

#[cfg(test)]
mod tests;
