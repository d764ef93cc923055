//! The PROXY protocol, versions 1 and 2: who the client is when a load balancer stands in front.
//!
//! Never reads beyond the header, so the stream goes on with the first byte of the client.

mod v1;
mod v2;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes that tell the versions apart; no header is shorter.
const START: usize = 12;

/// The addresses of the connection that the load balancer took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProxyHeader {
    /// The client and the address it connected to; `None` when the header says nothing (`UNKNOWN`, `LOCAL`, another
    /// address family): the addresses of the socket hold then.
    pub addresses: Option<ProxiedAddresses>,
}

/// Source and destination of a proxied connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxiedAddresses {
    /// The client.
    pub source: SocketAddr,
    /// What the client connected to.
    pub destination: SocketAddr,
}

/// Why a connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
pub enum ProxyProtocolError {
    /// The connection does not begin with a header.
    #[error("connection does not begin with a PROXY protocol header")]
    Absent,
    /// The header breaks a rule.
    #[error("malformed PROXY protocol header: {0}")]
    Malformed(&'static str),
    /// The header did not arrive in time.
    #[error("PROXY protocol header did not arrive in time")]
    Timeout,
    /// Reading failed.
    #[error("cannot read the PROXY protocol header")]
    Io(#[from] io::Error),
}

/// Reads the header at the start of a connection.
///
/// # Errors
/// Fails when there is none, when it is malformed or too long, when `deadline` passes, and when reading fails.
pub async fn read_header<S: AsyncRead + Unpin>(
    stream: &mut S,
    deadline: Duration,
) -> Result<ProxyHeader, ProxyProtocolError> {
    let reading = async {
        let mut start = [0; START];
        stream.read_exact(&mut start).await?;
        if start == v2::SIGNATURE {
            v2::read(stream).await
        } else if start.starts_with(v1::SIGNATURE) {
            v1::read(stream, &start).await
        } else {
            Err(ProxyProtocolError::Absent)
        }
    };
    tokio::time::timeout(deadline, reading)
        .await
        .unwrap_or(Err(ProxyProtocolError::Timeout))
}

#[cfg(test)]
mod tests;
