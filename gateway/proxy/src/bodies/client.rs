//! The response body on its way to the client, through the body filters; the exchange ends with it.

use super::upstream::UpstreamBody;
use crate::phases::Flow;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tidegate_net::pool::{Http1Lease, StreamLease};
use tidegate_net::watchdog::Deadline;

/// Where the bytes come from.
pub(crate) enum Origin {
    /// In hand.
    Whole(Option<Bytes>),
    /// Streamed from the upstream.
    Upstream(UpstreamResponse),
    /// Streamed from the upstream, or in hand, through filters.
    Filtered,
    /// Nothing: the connection is cut.
    Reset,
}

impl Default for Origin {
    fn default() -> Self {
        Self::Whole(None)
    }
}

/// A response body that gives its connection back at its end.
pub(crate) struct UpstreamResponse {
    stream: ResponseStream,
    deadline: Deadline,
    timeout: Duration,
}

/// The connection that a response body is read from.
pub(crate) enum ResponseStream {
    /// HTTP/1.1.
    Http1(Http1Lease<UpstreamBody>),
    /// One stream of HTTP/2.
    Http2 {
        incoming: Incoming,
        /// Counts the stream.
        _lease: StreamLease<UpstreamBody>,
    },
    /// The body ended, or broke.
    Ended,
}

impl ResponseStream {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ResponseBroken>>> {
        let frame =
            match self {
                Self::Http1(lease) => ready!(lease.connection.poll_frame(cx))
                    .map(|frame| frame.map_err(|_| ResponseBroken::Cut)),
                Self::Http2 { incoming, .. } => ready!(Pin::new(incoming).poll_frame(cx))
                    .map(|frame| frame.map_err(|_| ResponseBroken::Cut)),
                Self::Ended => None,
            };
        match &frame {
            Some(Err(_)) => *self = Self::Ended,
            None | Some(Ok(_)) => self.end_if_complete(),
        }
        Poll::Ready(frame)
    }

    /// Gives the connection back as soon as its last byte is here.
    fn end_if_complete(&mut self) {
        let is_complete = match self {
            Self::Http1(lease) => lease.connection.is_end(),
            Self::Http2 { incoming, .. } => incoming.is_end_stream(),
            Self::Ended => return,
        };
        if is_complete && let Self::Http1(lease) = std::mem::replace(self, Self::Ended) {
            lease.give_back();
        }
    }

    fn is_end(&self) -> bool {
        matches!(self, Self::Ended)
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(lease) => lease
                .connection
                .remaining()
                .map_or_else(SizeHint::new, SizeHint::with_exact),
            Self::Http2 { incoming, .. } => incoming.size_hint(),
            Self::Ended => SizeHint::with_exact(0),
        }
    }
}

impl UpstreamResponse {
    pub(crate) fn new(mut stream: ResponseStream, deadline: Deadline, timeout: Duration) -> Self {
        stream.end_if_complete();
        Self {
            stream,
            deadline,
            timeout,
        }
    }

    /// Whether its last byte is here.
    pub(crate) fn is_end(&self) -> bool {
        self.stream.is_end()
    }

    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseBroken>>> {
        match self.stream.poll_frame(cx) {
            Poll::Pending if self.deadline.is_expired() => {
                self.stream = ResponseStream::Ended;
                Poll::Ready(Some(Err(ResponseBroken::Stalled)))
            }
            Poll::Pending => {
                if !self.deadline.is_armed() {
                    self.deadline.arm(Instant::now() + self.timeout, cx.waker());
                }
                Poll::Pending
            }
            Poll::Ready(frame) => {
                self.deadline.disarm();
                Poll::Ready(frame)
            }
        }
    }

    /// Reads the body whole; longer than `max` is a fault. Trailers are lost.
    pub(crate) async fn gather(mut self, max: usize) -> Result<Bytes, ResponseBroken> {
        let mut all = BytesMut::new();
        while let Some(frame) = poll_fn(|cx| self.poll_frame(cx)).await {
            if let Ok(chunk) = frame?.into_data() {
                if all.len() + chunk.len() > max {
                    return Err(ResponseBroken::TooLarge);
                }
                all.extend_from_slice(&chunk);
            }
        }
        Ok(all.freeze())
    }
}

/// The upstream did not finish its response: the client's connection is cut, since the head is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResponseBroken {
    #[error("upstream closed its connection within the response body")]
    Cut,
    #[error("response is larger than response_buffer_max")]
    TooLarge,
    #[error("upstream sent nothing for longer than read_timeout")]
    Stalled,
    #[error("a filter cut the response off")]
    Filter,
}

/// The response body on its way, as a part of its flow.
#[derive(Default)]
pub(crate) struct Sending {
    origin: Origin,
    has_filters: bool,
    /// `last` was given to the filters.
    is_finished: bool,
    trailers: Option<Box<HeaderMap>>,
}

/// Response body as it is sent to the client. Dropping it drops the flow, which ends the exchange.
pub(crate) enum ClientBody {
    /// The body of an exchange.
    Flow(Box<Flow>),
    /// A body that belongs to no exchange.
    Bare(Option<Bytes>),
}

impl ClientBody {
    pub(crate) fn new(origin: Origin, mut flow: Box<Flow>) -> Self {
        flow.sending = Sending {
            origin,
            has_filters: flow.has_body_filters(),
            is_finished: false,
            trailers: None,
        };
        Self::Flow(flow)
    }

    /// Takes down the size of the head that was written.
    pub(crate) fn note_head(&mut self, bytes: usize) {
        if let Self::Flow(flow) = self {
            flow.x.response_head_bytes = Some(bytes as u64);
        }
    }
}

impl Flow {
    fn filter(&mut self, chunk: Bytes, last: bool) -> Bytes {
        self.sending.is_finished |= last;
        if self.sending.has_filters {
            self.body_filter(chunk, last)
        } else {
            chunk
        }
    }

    fn data(&mut self, chunk: Bytes) -> Frame<Bytes> {
        self.x.response_body_bytes += chunk.len() as u64;
        Frame::data(chunk)
    }

    /// The end of the upstream's body: filters that held bytes back let them go.
    fn end_body(&mut self) -> Option<Frame<Bytes>> {
        if !self.sending.is_finished {
            let held = self.filter(Bytes::new(), true);
            if !held.is_empty() {
                return Some(self.data(held));
            }
        }
        self.sending
            .trailers
            .take()
            .map(|trailers| Frame::trailers(*trailers))
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ResponseBroken>>> {
        loop {
            let (frame, last) = match &mut self.sending.origin {
                Origin::Whole(bytes) => match bytes.take() {
                    None => return Poll::Ready(self.end_body().map(Ok)),
                    Some(bytes) => (Frame::data(bytes), true),
                },
                Origin::Upstream(upstream) => match ready!(upstream.poll_frame(cx)) {
                    None => return Poll::Ready(self.end_body().map(Ok)),
                    Some(Ok(frame)) => (frame, upstream.stream.is_end()),
                    Some(Err(broken)) => {
                        self.upstream_broke(broken);
                        return Poll::Ready(Some(Err(broken)));
                    }
                },
                Origin::Filtered => match ready!(self.poll_filtered(cx)) {
                    None => return Poll::Ready(self.end_body().map(Ok)),
                    Some(Ok(frame)) => (frame, self.is_filtered_to_end()),
                    Some(Err(broken)) => {
                        self.upstream_broke(broken);
                        return Poll::Ready(Some(Err(broken)));
                    }
                },
                Origin::Reset => return Poll::Ready(Some(Err(ResponseBroken::Filter))),
            };
            match frame.into_data() {
                Ok(chunk) => {
                    let chunk = self.filter(chunk, last);
                    if !chunk.is_empty() {
                        return Poll::Ready(Some(Ok(self.data(chunk))));
                    }
                }
                Err(frame) => {
                    self.sending.trailers = frame.into_trailers().ok().map(Box::new);
                    if let Some(frame) = self.end_body() {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                }
            }
        }
    }
}

impl Sending {
    fn is_end(&self) -> bool {
        let is_filtered = !self.has_filters || self.is_finished;
        match &self.origin {
            Origin::Whole(None) => is_filtered,
            Origin::Whole(Some(bytes)) => bytes.is_empty() && !self.has_filters,
            Origin::Upstream(upstream) => upstream.stream.is_end() && self.trailers.is_none() && is_filtered,
            Origin::Filtered | Origin::Reset => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.origin {
            _ if self.has_filters => SizeHint::new(),
            Origin::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Origin::Upstream(upstream) => upstream.stream.size_hint(),
            Origin::Filtered | Origin::Reset => SizeHint::new(),
        }
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = ResponseBroken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseBroken>>> {
        match self.get_mut() {
            Self::Flow(flow) => flow.poll_body(cx),
            Self::Bare(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Flow(flow) => flow.sending.is_end(),
            Self::Bare(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Flow(flow) => flow.sending.size_hint(),
            Self::Bare(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
        }
    }
}
