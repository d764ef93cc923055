//! Handshakes with clients.

use super::certificates::version_name;
use super::ciphers::openssl_name;
use super::server::ServerTls;
use rustls::ServerConnection;
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
            .map_or("unknown", |suite| openssl_name(suite.suite())),
        sni: session.server_name().map(Into::into),
        http2: session.alpn_protocol() == Some(b"h2"),
        client_verify: "NONE",
    }
}
