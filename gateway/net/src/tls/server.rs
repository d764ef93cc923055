//! The TLS settings of a listener.

use super::TlsError;
use super::ciphers::{CipherSelection, approved_by_fips};
use super::resumption::Resumption;
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::server::ResolvesServerCert;
use rustls::version::{TLS12, TLS13};
use rustls::{NamedGroup, ServerConfig, SupportedCipherSuite};
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsAcceptor;

/// Settings of TLS towards clients.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerTlsSettings {
    /// TLS 1.2 is spoken.
    pub tls12: bool,
    /// TLS 1.3 is spoken.
    pub tls13: bool,
    /// Cipher suites that are offered.
    pub ciphers: CipherPolicy,
    /// The order of our suites decides, not the client's.
    pub prefer_server_ciphers: bool,
    /// Sessions are resumed from encrypted tickets that clients keep.
    pub session_tickets: bool,
    /// Time in which a session can be resumed; with tickets at most 12 hours.
    pub session_timeout: Duration,
    /// Sessions kept in memory for resumption when there are no tickets; 0: none.
    pub session_cache_size: usize,
    /// HTTP/2 is offered by ALPN before HTTP/1.1.
    pub http2: bool,
}

/// Cipher suites that a listener offers.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum CipherPolicy {
    /// All there are.
    #[default]
    All,
    /// AES-GCM with keys agreed on NIST curves, as FIPS 140-3 approves. The module itself is not a certified one.
    Fips,
    /// Those of a list.
    Listed(CipherSelection),
}

impl CipherPolicy {
    fn suites(&self) -> Vec<SupportedCipherSuite> {
        match self {
            Self::All => aws_lc_rs::DEFAULT_CIPHER_SUITES.to_vec(),
            Self::Fips => approved_by_fips(),
            Self::Listed(selection) => {
                let mut suites = selection.tls13.clone();
                if suites.is_empty() {
                    let all = aws_lc_rs::DEFAULT_CIPHER_SUITES.iter();
                    suites.extend(all.filter(|suite| matches!(suite, SupportedCipherSuite::Tls13(_))));
                }
                suites.extend(&selection.tls12);
                suites
            }
        }
    }

    fn groups(&self) -> Vec<&'static dyn SupportedKxGroup> {
        let mut groups = aws_lc_rs::DEFAULT_KX_GROUPS.to_vec();
        if *self == Self::Fips {
            groups = aws_lc_rs::ALL_KX_GROUPS.to_vec();
            groups.retain(|group| {
                matches!(
                    group.name(),
                    NamedGroup::secp256r1 | NamedGroup::secp384r1 | NamedGroup::secp256r1MLKEM768
                )
            });
        }
        groups
    }

    fn provider(&self) -> Arc<CryptoProvider> {
        if *self == Self::All {
            return super::provider();
        }
        Arc::new(CryptoProvider {
            cipher_suites: self.suites(),
            kx_groups: self.groups(),
            ..(*super::provider()).clone()
        })
    }
}

impl Default for ServerTlsSettings {
    fn default() -> Self {
        Self {
            tls12: true,
            tls13: true,
            ciphers: CipherPolicy::All,
            prefer_server_ciphers: false,
            session_tickets: true,
            session_timeout: Duration::from_secs(86_400),
            session_cache_size: 4_096,
            http2: true,
        }
    }
}

/// TLS of a listener, shared by all its connections and all workers.
#[derive(Clone)]
pub struct ServerTls {
    acceptor: TlsAcceptor,
}

impl ServerTls {
    /// Builds the settings once; `certificates` may change behind it.
    ///
    /// # Errors
    /// Fails when no version is enabled, when no cipher suite is left for one, and when no ticket key can be made.
    pub fn build(
        settings: &ServerTlsSettings,
        certificates: Arc<dyn ResolvesServerCert>,
    ) -> Result<Self, TlsError> {
        let versions: &[_] = match (settings.tls12, settings.tls13) {
            (true, true) => &[&TLS13, &TLS12],
            (true, false) => &[&TLS12],
            (false, true) => &[&TLS13],
            (false, false) => return Err(TlsError::NoVersion),
        };
        let suites = settings.ciphers.suites();
        let has_tls12 = suites
            .iter()
            .any(|suite| matches!(suite, SupportedCipherSuite::Tls12(_)));
        if settings.tls12 && !has_tls12 {
            return Err(TlsError::NoCipher("TLSv1.2"));
        }
        let mut config = ServerConfig::builder_with_provider(settings.ciphers.provider())
            .with_protocol_versions(versions)?
            .with_no_client_auth()
            .with_cert_resolver(certificates);
        config.ignore_client_order = settings.prefer_server_ciphers;
        let resumption = Resumption {
            tickets: settings.session_tickets,
            cache_size: settings.session_cache_size,
            timeout: settings.session_timeout,
        };
        resumption.apply(&mut config)?;
        config.alpn_protocols = if settings.http2 {
            vec![b"h2".to_vec(), b"http/1.1".to_vec()]
        } else {
            vec![b"http/1.1".to_vec()]
        };
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
        })
    }

    pub(super) const fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}
