//! Calls that filters and plugins make over the gateway's own connections.

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::LocalBoxStream;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::sync::Arc;
use std::time::Duration;

/// Carries out calls. One value serves all workers; a call runs on the worker that polls it.
pub trait Outbound: Send + Sync + 'static {
    /// Whether `target` can be called at all: an Upstream or Service by name, or `host[:port]`. Asked when the filter
    /// issues a call, so that a wrong name is refused at once. Does not wait and does not resolve names.
    ///
    /// # Errors
    /// [`OutboundError::UnknownTarget`] or [`OutboundError::Forbidden`].
    fn check(&self, target: &str) -> Result<(), OutboundError>;

    /// One request and its whole answer. Dropping the future cancels the call.
    fn dispatch(
        &self,
        call: OutboundCall,
    ) -> LocalBoxFuture<'static, Result<OutboundResponse, OutboundError>>;

    /// Opens a stream over HTTP/2, for gRPC. `call.body` and `call.trailers` are not used.
    fn open(&self, call: OutboundCall) -> OutboundStream;
}

/// A request to be sent.
#[derive(Debug, Clone)]
pub struct OutboundCall {
    /// An Upstream or Service name, or `host[:port]`.
    pub target: Arc<str>,
    /// Method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// `:authority`; `None`: the host of the target.
    pub authority: Option<HeaderValue>,
    /// Whether to use TLS; `None`: as the target is configured, else plain.
    pub tls: Option<bool>,
    /// Whether only HTTP/2 will do.
    pub http2: bool,
    /// Header fields; hop-by-hop ones are not among them.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// Trailers.
    pub trailers: Option<HeaderMap>,
    /// For the whole call, connecting included; `None`: the target's own deadlines.
    pub timeout: Option<Duration>,
    /// A longer answer is [`OutboundError::TooLarge`].
    pub max_response_bytes: usize,
}

/// An answer.
#[derive(Debug, Clone, Default)]
pub struct OutboundResponse {
    /// Status; 5xx are answers too.
    pub status: StatusCode,
    /// Header fields.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// Trailers.
    pub trailers: Option<HeaderMap>,
}

/// An open stream. Dropping both halves cancels it.
pub struct OutboundStream {
    /// What is sent.
    pub sender: Box<dyn OutboundSender>,
    /// What arrives; ends after trailers or an error.
    pub events: LocalBoxStream<'static, Result<OutboundEvent, OutboundError>>,
}

/// The sending half of a stream.
pub trait OutboundSender {
    /// Queues bytes; `end` closes this half.
    ///
    /// # Errors
    /// When the stream is gone or too much is queued.
    fn send(&mut self, data: Bytes, end: bool) -> Result<(), OutboundError>;
}

/// What arrives on a stream.
#[derive(Debug, Clone)]
pub enum OutboundEvent {
    /// Status and header fields.
    Head(StatusCode, HeaderMap),
    /// Some bytes.
    Data(Bytes),
    /// Trailers; the last event.
    Trailers(HeaderMap),
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// No such target.
    #[error("unknown target")]
    UnknownTarget,
    /// The target is not allowed, e.g. a loopback or metadata address.
    #[error("target is not allowed")]
    Forbidden,
    /// Its name does not resolve.
    #[error("resolver failure")]
    Resolve,
    /// Nobody accepts the connection.
    #[error("connect failure")]
    Connect,
    /// TLS could not be agreed on.
    #[error("tls handshake failure")]
    Tls,
    /// The deadline passed.
    #[error("timeout")]
    Timeout,
    /// The connection broke.
    #[error("broken connection")]
    Reset,
    /// The answer is longer than the caller takes.
    #[error("response too large")]
    TooLarge,
}

/// No calls at all: every target is unknown.
#[derive(Debug, Default, Clone, Copy)]
pub struct NoOutbound;

impl Outbound for NoOutbound {
    fn check(&self, _target: &str) -> Result<(), OutboundError> {
        Err(OutboundError::UnknownTarget)
    }
    fn dispatch(
        &self,
        _call: OutboundCall,
    ) -> LocalBoxFuture<'static, Result<OutboundResponse, OutboundError>> {
        Box::pin(std::future::ready(Err(OutboundError::UnknownTarget)))
    }
    fn open(&self, _call: OutboundCall) -> OutboundStream {
        OutboundStream {
            sender: Box::new(Self),
            events: Box::pin(futures_util::stream::iter([Err(OutboundError::UnknownTarget)])),
        }
    }
}

impl OutboundSender for NoOutbound {
    fn send(&mut self, _data: Bytes, _end: bool) -> Result<(), OutboundError> {
        Err(OutboundError::UnknownTarget)
    }
}
