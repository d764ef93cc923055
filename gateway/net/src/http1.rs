//! HTTP/1.1 on both sides of the gateway, driven by the exchange itself.
//!
//! No connection has a task beside the one that serves the client: an exchange polls the connections that it holds,
//! writes heads straight into their buffers and reads bodies from them. While a response is read the rest of the
//! request is still written, so an upstream may answer early.

mod chunks;
mod client;
mod head;
mod incoming;
mod outgoing;
mod request;
mod upstream;
mod write;

pub use client::{Asked, Buffers, ClientConnection, ClientError, RequestStream, ResponseWriter};
pub use head::{HeadLimits, ResponseHead};
pub use outgoing::BodyFraming;
pub use request::RequestHead;
pub use upstream::UpstreamConnection;
pub use write::{put_decimal, put_header};

use std::io;

/// Why an exchange over an upstream connection failed. The connection cannot be used again.
#[derive(Debug, thiserror::Error)]
pub enum Http1Error {
    /// The upstream closed the connection before it sent anything of the response.
    #[error("upstream closed its connection before it answered")]
    Closed,
    /// The upstream closed the connection within the response.
    #[error("upstream closed its connection within the response")]
    Truncated,
    /// The message is not HTTP/1.
    #[error("message is malformed: {0}")]
    Malformed(&'static str),
    /// The response's head is longer than allowed.
    #[error("upstream's response head is too large")]
    HeadTooLarge,
    /// The socket failed.
    #[error("connection failed: {0}")]
    Io(#[from] io::Error),
    /// A body could not be read to its end, or is not as long as announced.
    #[error("body failed")]
    Body,
}
