//! Handshakes with clients.

use super::certificates::version_name;
use super::server::ServerTls;
use rustls::{CipherSuite, ServerConnection};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::server::TlsStream;

/// Bytes that a session holds back for a slow client, at most.
const BUFFER: usize = 32 << 10;

/// What a handshake agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFacts {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite by its OpenSSL name.
    pub cipher: &'static str,
    /// The server name that the client asked for.
    pub sni: Option<Box<str>>,
    /// HTTP/2 was agreed on.
    pub http2: bool,
    /// `NONE`: clients are not asked for certificates.
    pub client_verify: &'static str,
}

/// Why a handshake came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// It took too long.
    #[error("TLS handshake did not end in time")]
    Timeout,
    /// The client sent something else, left, or refused the certificate.
    #[error("TLS handshake failed: {0}")]
    Failed(#[from] io::Error),
}

/// Performs the handshake within `deadline`.
///
/// # Errors
/// See [`AcceptError`].
pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    tls: &ServerTls,
    stream: S,
    deadline: Duration,
) -> Result<(TlsStream<S>, TlsFacts), AcceptError> {
    let bound = |session: &mut ServerConnection| session.set_buffer_limit(Some(BUFFER));
    let handshake = tls.acceptor().accept_with(stream, bound);
    let stream = tokio::time::timeout(deadline, handshake)
        .await
        .map_err(|_| AcceptError::Timeout)??;
    let facts = facts(stream.get_ref().1);
    Ok((stream, facts))
}

fn facts(session: &ServerConnection) -> TlsFacts {
    TlsFacts {
        version: session.protocol_version().map_or("unknown", version_name),
        cipher: session
            .negotiated_cipher_suite()
            .map_or("unknown", |suite| cipher_name(suite.suite())),
        sni: session.server_name().map(Into::into),
        http2: session.alpn_protocol() == Some(b"h2"),
        client_verify: "NONE",
    }
}

const fn cipher_name(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => "ECDHE-ECDSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => "ECDHE-ECDSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-ECDSA-CHACHA20-POLY1305",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => "ECDHE-RSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "ECDHE-RSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-RSA-CHACHA20-POLY1305",
        _ => "unknown",
    }
}
