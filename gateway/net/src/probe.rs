//! Asks a backend whether it lives: one connection, one question, nothing kept.

mod grpc;

use crate::connect::{ConnectError, Connected, UpstreamAddress, connect};
use crate::tls::UpstreamTls;
use rustls::pki_types::ServerName;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub enum Question<'a> {
    /// Whether a connection comes about, TLS included.
    Connection,
    /// The status of the answer to these bytes, an HTTP/1.1 request.
    Status(&'a [u8]),
    /// `grpc.health.v1.Health/Check` of the whole server, under this authority.
    Serving(&'a str),
}

/// What a backend made of it.
#[derive(Debug)]
pub enum Finding {
    /// It is there: connected, or serving.
    Alive,
    /// The status of its answer; 0 when the answer is none of HTTP.
    Status(u16),
    /// It answers, and says that it does not serve; the text is the gRPC status or the word of the health protocol.
    NotServing(Box<str>),
    /// No connection, or one that broke before the answer; TLS that failed.
    Failed(ProbeError),
    /// Neither in time.
    Timeout,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// What the peer is to be verified by is no server name.
    #[error("'{0}' is not a server name")]
    ServerName(Box<str>),
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    /// The connection ended before the answer.
    #[error("the connection ended before the answer")]
    Closed,
    /// HTTP/2 failed.
    #[error("HTTP/2 failed: {0}")]
    Http2(#[from] h2::Error),
    /// The question cannot be put into a request.
    #[error("the probe is no valid request: {0}")]
    Request(#[from] http::Error),
}

/// Longest status line.
const MAX_STATUS_LINE: usize = 8_192;

/// Asks, with `timeout` over all of it; over TLS under a server name when `tls` is given.
pub async fn ask(
    address: UpstreamAddress<'_>,
    timeout: Duration,
    tls: Option<(&Arc<UpstreamTls>, &str)>,
    question: Question<'_>,
) -> Finding {
    let scheme = if tls.is_some() { "https" } else { "http" };
    let asking = async {
        let tls = match tls {
            Some((tls, name)) => Some((tls, server_name(name)?)),
            None => None,
        };
        let mut connected = connect(address, timeout, tls).await?;
        Ok(match question {
            Question::Connection => Finding::Alive,
            Question::Status(request) => Finding::Status(status(&mut connected, request).await?),
            Question::Serving(authority) => grpc::check(connected, scheme, authority).await?,
        })
    };
    match tokio::time::timeout(timeout, asking).await {
        Ok(Ok(finding)) => finding,
        Ok(Err(ProbeError::Connect(ConnectError::Timeout))) | Err(_) => Finding::Timeout,
        Ok(Err(error)) => Finding::Failed(error),
    }
}

fn server_name(name: &str) -> Result<ServerName<'static>, ProbeError> {
    ServerName::try_from(name.to_owned()).map_err(|_| ProbeError::ServerName(name.into()))
}

/// Sends a request and reads no more than the first line of what comes back.
async fn status(connected: &mut Connected, request: &[u8]) -> Result<u16, ProbeError> {
    connected.write_all(request).await?;
    connected.flush().await?;
    let mut line = Vec::with_capacity(256);
    loop {
        if let Some(end) = memchr::memchr(b'\n', &line) {
            return Ok(line.get(..end).and_then(status_of).unwrap_or(0));
        }
        if line.len() >= MAX_STATUS_LINE {
            return Ok(0);
        }
        if connected.read_buf(&mut line).await? == 0 {
            return Err(ProbeError::Closed);
        }
    }
}

/// The number in `HTTP/1.1 200 OK`.
fn status_of(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let number = rest.get(1..)?.strip_prefix(b" ")?.get(..3)?;
    let is_whole = rest.get(5).is_none_or(|next| matches!(next, b' ' | b'\r'));
    let number = std::str::from_utf8(number).ok()?.parse().ok()?;
    (is_whole && number >= 100).then_some(number)
}

#[cfg(test)]
mod tests;
