//! TLS towards upstreams, built from the fields of a service (kong-core F.7).

use super::TlsError;
use super::pem::{certified_keys, parse_chain};
use super::trust_all::TrustAll;
use super::verify_depth::BoundedVerifier;
use hashbrown::HashMap;
use parking_lot::Mutex;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

/// The certificate that the gateway shows to an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientCertificate {
    /// PEM chain.
    pub cert: Arc<str>,
    /// PEM private key.
    pub key: Arc<str>,
}

/// Everything that makes one kind of TLS connection different from another, apart from address and server name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct UpstreamTlsOptions {
    /// Verify the upstream's certificate and name.
    pub verify: bool,
    /// Intermediate certificates between the upstream's and a trusted one, at most; `None`: no bound.
    pub verify_depth: Option<u8>,
    /// PEM texts of CA certificates that replace the trust store of the system; empty: the system's.
    pub ca_certificates: Vec<Arc<str>>,
    /// The system's trust store counts beside `ca_certificates`.
    pub trusts_system: bool,
    /// Shown when the upstream asks.
    pub client_certificate: Option<ClientCertificate>,
    /// HTTP/2 is offered by ALPN, and nothing else (gRPC); otherwise HTTP/1.1.
    pub http2: bool,
}

/// TLS settings ready for use; connections with the same one may share a pool.
#[derive(Debug)]
pub struct UpstreamTls {
    id: u64,
    config: Arc<ClientConfig>,
}

/// Settings by content, so that services with equal fields share sessions and memory.
#[derive(Debug, Default)]
pub struct UpstreamTlsCache(Mutex<HashMap<UpstreamTlsOptions, Weak<UpstreamTls>>>);

impl UpstreamTls {
    /// Builds the settings.
    ///
    /// # Errors
    /// Fails on a bad certificate or key, and when verification is wanted and nothing is trusted.
    pub fn build(options: &UpstreamTlsOptions) -> Result<Arc<Self>, TlsError> {
        let builder = ClientConfig::builder_with_provider(super::provider())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier(options)?);
        let mut config = match &options.client_certificate {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let (key, _) = certified_keys(&pair.cert, &pair.key, None)?;
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)))
            }
        };
        config.alpn_protocols = vec![if options.http2 {
            b"h2".to_vec()
        } else {
            b"http/1.1".to_vec()
        }];
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        Ok(Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            config: Arc::new(config),
        }))
    }

    /// Tells these settings from all others of the process; never 0 and never used again.
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// The settings as rustls takes them.
    #[must_use]
    pub const fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }
}

impl UpstreamTlsCache {
    /// The settings for these options, built on first use and for as long as someone holds them.
    ///
    /// # Errors
    /// As [`UpstreamTls::build`].
    pub fn get_or_build(&self, options: &UpstreamTlsOptions) -> Result<Arc<UpstreamTls>, TlsError> {
        let mut known = self.0.lock();
        if let Some(tls) = known.get(options).and_then(Weak::upgrade) {
            return Ok(tls);
        }
        let tls = UpstreamTls::build(options)?;
        known.retain(|_, tls| tls.strong_count() > 0);
        known.insert(options.clone(), Arc::downgrade(&tls));
        Ok(tls)
    }
}

fn verifier(options: &UpstreamTlsOptions) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    let provider = super::provider();
    if !options.verify {
        return Ok(Arc::new(TrustAll(
            provider.signature_verification_algorithms.supported_schemes(),
        )));
    }
    let roots = if options.ca_certificates.is_empty() {
        system_roots()
    } else {
        own_roots(options)?
    };
    let inner = WebPkiServerVerifier::builder_with_provider(roots, provider)
        .build()
        .map_err(|_| TlsError::NoRoots)?;
    Ok(match options.verify_depth {
        None => inner,
        Some(depth) => Arc::new(BoundedVerifier {
            inner,
            depth: usize::from(depth),
        }),
    })
}

fn own_roots(options: &UpstreamTlsOptions) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = if options.trusts_system {
        (*system_roots()).clone()
    } else {
        RootCertStore::empty()
    };
    for pem in &options.ca_certificates {
        for certificate in parse_chain(pem)? {
            roots.add(certificate)?;
        }
    }
    Ok(Arc::new(roots))
}

/// Read once per process; certificates that cannot be read are left out.
fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    Arc::clone(ROOTS.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (added, ignored) = roots.add_parsable_certificates(found.certs);
        tracing::debug!(
            added,
            ignored,
            errors = found.errors.len(),
            "system trust store read"
        );
        Arc::new(roots)
    }))
}
