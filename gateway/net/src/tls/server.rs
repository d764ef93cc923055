//! The TLS settings of a listener.

use super::TlsError;
use rustls::ServerConfig;
use rustls::server::{NoServerSessionStorage, ResolvesServerCert, ServerSessionMemoryCache};
use rustls::version::{TLS12, TLS13};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// Settings of TLS towards clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTlsSettings {
    /// TLS 1.2 is spoken.
    pub tls12: bool,
    /// TLS 1.3 is spoken.
    pub tls13: bool,
    /// Sessions are resumed from encrypted tickets that clients keep.
    pub session_tickets: bool,
    /// Sessions kept in memory for resumption when there are no tickets; 0: none.
    pub session_cache_size: usize,
    /// HTTP/2 is offered by ALPN before HTTP/1.1.
    pub http2: bool,
}

impl Default for ServerTlsSettings {
    fn default() -> Self {
        Self {
            tls12: true,
            tls13: true,
            session_tickets: true,
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
    /// Fails when no version is enabled or no ticket key can be made.
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
        let mut config = ServerConfig::builder_with_provider(super::provider())
            .with_protocol_versions(versions)?
            .with_no_client_auth()
            .with_cert_resolver(certificates);
        if settings.session_tickets {
            config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
            // Tickets make a shared table of sessions, and its lock, needless.
            config.session_storage = Arc::new(NoServerSessionStorage {});
        } else if settings.session_cache_size > 0 {
            config.session_storage = ServerSessionMemoryCache::new(settings.session_cache_size);
        } else {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        // One ticket serves the next connection; each costs an encryption and a write per handshake.
        config.send_tls13_tickets = config.send_tls13_tickets.min(1);
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
