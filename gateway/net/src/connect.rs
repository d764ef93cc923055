//! Opens connections to upstreams.

use crate::tls::UpstreamTls;
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Bytes that a TLS session holds back for a slow peer, at most.
const TLS_BUFFER: usize = 64 << 10;

/// Where an upstream listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UpstreamAddress<'a> {
    /// An address and port.
    Tcp(SocketAddr),
    /// A socket file.
    Unix(&'a Path),
}

impl From<SocketAddr> for UpstreamAddress<'_> {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

/// Why an upstream cannot be reached. Nothing of a request was sent, so another try is always allowed.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Neither the connection nor the handshake came about in time.
    #[error("connection timed out")]
    Timeout,
    /// Nothing listens there.
    #[error("connection refused")]
    Refused,
    /// The TLS handshake failed, or the certificate was not accepted.
    #[error("TLS handshake failed: {0}")]
    Tls(#[source] io::Error),
    /// Another failure.
    #[error("cannot connect: {0}")]
    Io(#[source] io::Error),
}

/// An open upstream connection.
#[derive(Debug)]
pub enum Connected {
    /// Cleartext TCP.
    Tcp(TcpStream),
    /// TLS over TCP.
    TcpTls(Box<TlsStream<TcpStream>>),
    /// A cleartext unix socket.
    Unix(UnixStream),
    /// TLS over a unix socket.
    UnixTls(Box<TlsStream<UnixStream>>),
}

/// Connects, with `timeout` over all of it; speaks TLS when `tls` is given.
///
/// # Errors
/// See [`ConnectError`].
pub async fn connect(
    address: impl Into<UpstreamAddress<'_>>,
    timeout: Duration,
    tls: Option<(&Arc<UpstreamTls>, ServerName<'static>)>,
) -> Result<Connected, ConnectError> {
    let connecting = open(address.into(), tls);
    tokio::time::timeout(timeout, connecting)
        .await
        .unwrap_or(Err(ConnectError::Timeout))
}

impl Connected {
    /// The peer agreed on HTTP/2 by ALPN.
    #[must_use]
    pub fn is_http2(&self) -> bool {
        let agreed = match self {
            Self::Tcp(_) | Self::Unix(_) => None,
            Self::TcpTls(stream) => stream.get_ref().1.alpn_protocol(),
            Self::UnixTls(stream) => stream.get_ref().1.alpn_protocol(),
        };
        agreed == Some(b"h2")
    }

    /// Encrypted.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        matches!(self, Self::TcpTls(_) | Self::UnixTls(_))
    }

    /// Our end of a TCP connection.
    #[must_use]
    pub fn local_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.local_addr().ok(),
            Self::TcpTls(stream) => stream.get_ref().0.local_addr().ok(),
            Self::Unix(_) | Self::UnixTls(_) => None,
        }
    }
}

/// Host and port of `host:port`, `[address]:port`, or a host alone; the host is without brackets.
#[must_use]
pub fn split_port(target: &str) -> (&str, Option<u16>) {
    let (host, port) = match target.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (target, None),
        },
        _ => (target, None),
    };
    (host.trim_start_matches('[').trim_end_matches(']'), port)
}

async fn open(
    address: UpstreamAddress<'_>,
    tls: Option<(&Arc<UpstreamTls>, ServerName<'static>)>,
) -> Result<Connected, ConnectError> {
    match address {
        UpstreamAddress::Tcp(address) => {
            let stream = TcpStream::connect(address).await.map_err(classify)?;
            stream.set_nodelay(true).map_err(ConnectError::Io)?;
            Ok(match tls {
                None => Connected::Tcp(stream),
                Some((tls, name)) => Connected::TcpTls(Box::new(handshake(stream, tls, name).await?)),
            })
        }
        UpstreamAddress::Unix(path) => {
            let stream = UnixStream::connect(path).await.map_err(classify)?;
            Ok(match tls {
                None => Connected::Unix(stream),
                Some((tls, name)) => Connected::UnixTls(Box::new(handshake(stream, tls, name).await?)),
            })
        }
    }
}

async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    tls: &UpstreamTls,
    name: ServerName<'static>,
) -> Result<TlsStream<S>, ConnectError> {
    let connector = TlsConnector::from(Arc::clone(tls.config()));
    let bound = |session: &mut rustls::ClientConnection| session.set_buffer_limit(Some(TLS_BUFFER));
    connector
        .connect_with(name, stream, bound)
        .await
        .map_err(ConnectError::Tls)
}

fn classify(error: io::Error) -> ConnectError {
    match error.kind() {
        // A unix socket without its file is a backend that is not there.
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => ConnectError::Refused,
        io::ErrorKind::TimedOut => ConnectError::Timeout,
        _ => ConnectError::Io(error),
    }
}

impl AsyncRead for Connected {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::TcpTls(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::UnixTls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Connected {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::TcpTls(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::UnixTls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::TcpTls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::UnixTls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::TcpTls(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
            Self::UnixTls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(_) | Self::Unix(_) => Poll::Ready(Ok(())),
            Self::TcpTls(stream) => Pin::new(stream).poll_flush(cx),
            Self::UnixTls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::TcpTls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::UnixTls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests;
