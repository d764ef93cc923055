//! The response body on its way to the client, through the body filters; the exchange ends with it.

use super::upstream::UpstreamBody;
use crate::phases::Flow;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tidegate_net::pool::Lease;
use tidegate_net::watchdog::Deadline;

/// Where the bytes come from.
pub(crate) enum Origin {
    /// In hand.
    Whole(Option<Bytes>),
    /// Streamed from the upstream.
    Upstream(UpstreamResponse),
}

/// A response body that gives its connection back at its end.
pub(crate) struct UpstreamResponse {
    incoming: Incoming,
    lease: Option<Lease<UpstreamBody>>,
    deadline: Deadline,
    timeout: Duration,
}

impl UpstreamResponse {
    pub(crate) fn new(
        incoming: Incoming,
        lease: Lease<UpstreamBody>,
        deadline: Deadline,
        timeout: Duration,
    ) -> Self {
        Self {
            incoming,
            lease: Some(lease),
            deadline,
            timeout,
        }
    }

    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseBroken>>> {
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Pending if self.deadline.is_expired() => {
                self.lease = None;
                Poll::Ready(Some(Err(ResponseBroken::Stalled)))
            }
            Poll::Pending => {
                if !self.deadline.is_armed() {
                    self.deadline.arm(Instant::now() + self.timeout, cx.waker());
                }
                Poll::Pending
            }
            Poll::Ready(Some(Err(_))) => {
                self.lease = None;
                Poll::Ready(Some(Err(ResponseBroken::Cut)))
            }
            Poll::Ready(frame) => {
                self.deadline.disarm();
                if frame.is_none() || self.incoming.is_end_stream() {
                    self.give_back();
                }
                Poll::Ready(frame.map(|frame| frame.map_err(|_| ResponseBroken::Cut)))
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

    fn give_back(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }
}

impl Drop for UpstreamResponse {
    fn drop(&mut self) {
        if self.incoming.is_end_stream() {
            self.give_back();
        }
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
}

/// Response body as hyper sends it to the client. Dropping it drops the flow, which ends the exchange.
pub(crate) struct ClientBody {
    origin: Origin,
    flow: Option<Box<Flow>>,
    has_filters: bool,
    /// `last` was given to the filters.
    is_finished: bool,
    trailers: Option<HeaderMap>,
}

impl ClientBody {
    pub(crate) fn new(origin: Origin, flow: Box<Flow>) -> Self {
        let has_filters = flow.has_body_filters();
        Self {
            origin,
            has_filters,
            flow: Some(flow),
            is_finished: false,
            trailers: None,
        }
    }

    /// A body that belongs to no exchange.
    pub(crate) fn bare(bytes: Bytes) -> Self {
        Self {
            origin: Origin::Whole(Some(bytes)),
            flow: None,
            has_filters: false,
            is_finished: false,
            trailers: None,
        }
    }

    fn filter(&mut self, chunk: Bytes, last: bool) -> Bytes {
        self.is_finished |= last;
        match &mut self.flow {
            Some(flow) if self.has_filters => flow.body_filter(chunk, last),
            _ => chunk,
        }
    }

    fn data(&mut self, chunk: Bytes) -> Frame<Bytes> {
        if let Some(flow) = &mut self.flow {
            flow.x.response_body_bytes += chunk.len() as u64;
        }
        Frame::data(chunk)
    }

    /// The end of the upstream's body: filters that held bytes back let them go.
    fn finish(&mut self) -> Option<Frame<Bytes>> {
        if !self.is_finished {
            let held = self.filter(Bytes::new(), true);
            if !held.is_empty() {
                return Some(self.data(held));
            }
        }
        self.trailers.take().map(Frame::trailers)
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = ResponseBroken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseBroken>>> {
        let this = self.get_mut();
        loop {
            let frame = match &mut this.origin {
                Origin::Whole(bytes) => {
                    let Some(bytes) = bytes.take() else {
                        return Poll::Ready(this.finish().map(Ok));
                    };
                    let chunk = this.filter(bytes, true);
                    if chunk.is_empty() {
                        continue;
                    }
                    return Poll::Ready(Some(Ok(this.data(chunk))));
                }
                Origin::Upstream(upstream) => match upstream.poll_frame(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(None) => return Poll::Ready(this.finish().map(Ok)),
                    Poll::Ready(Some(Err(broken))) => {
                        if let Some(flow) = &mut this.flow {
                            flow.upstream_broke(broken);
                        }
                        return Poll::Ready(Some(Err(broken)));
                    }
                    Poll::Ready(Some(Ok(frame))) => frame,
                },
            };
            match frame.into_data() {
                Ok(chunk) => {
                    let last = matches!(&this.origin, Origin::Upstream(upstream) if upstream.incoming.is_end_stream());
                    let chunk = this.filter(chunk, last);
                    if !chunk.is_empty() {
                        return Poll::Ready(Some(Ok(this.data(chunk))));
                    }
                }
                Err(frame) => {
                    this.trailers = frame.into_trailers().ok();
                    if let Some(frame) = this.finish() {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.origin {
            Origin::Whole(None) => !self.has_filters || self.is_finished,
            Origin::Whole(Some(bytes)) => bytes.is_empty() && !self.has_filters,
            Origin::Upstream(upstream) => {
                upstream.incoming.is_end_stream()
                    && self.trailers.is_none()
                    && (!self.has_filters || self.is_finished)
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        if self.has_filters {
            return SizeHint::new();
        }
        match &self.origin {
            Origin::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Origin::Upstream(upstream) => upstream.incoming.size_hint(),
        }
    }
}
