//! The request body on its way from the client to the upstream.

use crate::filters::Channel;
use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tidegate_net::http1::{BodyFraming, RequestStream};
use tidegate_net::watchdog::Deadline;

/// Why a request body could not be read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyFault {
    /// Longer than `client_max_body_size`.
    #[error("request body is larger than client_max_body_size")]
    TooLarge,
    /// The client stalled.
    #[error("client sent no request body in time")]
    Timeout,
    /// The client left, or its framing is broken.
    #[error("client connection broke in the request body")]
    Broken,
}

/// How far the request body got; shared with the side that waits for the response.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Bytes received from the client.
    pub(crate) received: Cell<u64>,
    /// The last byte went out.
    pub(crate) is_finished: Cell<bool>,
    /// Anything was taken: the body cannot be repeated.
    pub(crate) is_started: Cell<bool>,
    /// It failed.
    pub(crate) fault: Cell<Option<BodyFault>>,
    /// When the connection to the upstream last took a chunk.
    pub(crate) last_taken: Cell<Instant>,
    /// The upstream would take more, the client has not sent it yet.
    pub(crate) waits_for_client: Cell<bool>,
}

impl Progress {
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self {
            received: Cell::new(0),
            is_finished: Cell::new(false),
            is_started: Cell::new(false),
            fault: Cell::new(None),
            last_taken: Cell::new(Instant::now()),
            waits_for_client: Cell::new(false),
        })
    }
}

/// A request body on its connection.
pub(crate) enum ClientStream {
    /// HTTP/1.1.
    Http1(RequestStream),
    /// One stream of HTTP/2.
    Http2(Incoming),
}

impl ClientStream {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let frame = match self {
            Self::Http1(stream) => ready!(Pin::new(stream).poll_frame(cx)).map(Result::ok),
            Self::Http2(incoming) => ready!(Pin::new(incoming).poll_frame(cx)).map(Result::ok),
        };
        Poll::Ready(frame.map(|frame| frame.ok_or(BodyFault::Broken)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(stream) => stream.is_end_stream(),
            Self::Http2(incoming) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(stream) => stream.size_hint(),
            Self::Http2(incoming) => incoming.size_hint(),
        }
    }
}

/// The client's body while the request is being handled.
pub(crate) enum BodySource {
    /// There is none.
    Empty,
    /// In hand: can be sent again.
    Whole(Bytes),
    /// Still with the client.
    Stream(Box<UpstreamStream>),
    /// On its way through filters, with its length when that is known.
    Filtered(Rc<Channel>, Option<u64>),
}

/// A request body as it is sent.
pub(crate) enum UpstreamBody {
    /// No body.
    Empty,
    /// Bytes in hand.
    Whole(Option<Bytes>),
    /// Streamed from the client.
    Stream(Box<UpstreamStream>),
    /// Streamed through filters.
    Filtered(Box<FilteredBody>),
}

/// A body that filters let go on.
pub(crate) struct FilteredBody {
    channel: Rc<Channel>,
    length: Option<u64>,
    progress: Rc<Progress>,
}

/// A body that is read from the client as the upstream takes it.
pub(crate) struct UpstreamStream {
    prefix: Option<Bytes>,
    incoming: ClientStream,
    deadline: Deadline,
    timeout: Duration,
    max_bytes: u64,
    progress: Rc<Progress>,
}

impl UpstreamStream {
    pub(crate) fn new(
        incoming: ClientStream,
        deadline: Deadline,
        timeout: Duration,
        max_bytes: u64,
        progress: Rc<Progress>,
    ) -> Self {
        Self {
            prefix: None,
            incoming,
            deadline,
            timeout,
            max_bytes,
            progress,
        }
    }

    /// Whether its length is within `max`, or unknown.
    pub(crate) fn may_be_short(&self, max: usize) -> bool {
        self.prefix.is_none()
            && self
                .incoming
                .size_hint()
                .upper()
                .is_none_or(|upper| upper <= max as u64)
    }

    /// Reads the body whole. A longer one than `max` stays a stream, nothing lost.
    pub(crate) async fn gather(mut self: Box<Self>, max: usize) -> Result<BodySource, BodyFault> {
        if self.incoming.size_hint().lower() > max as u64 {
            return Ok(BodySource::Stream(self));
        }
        let mut first: Option<Bytes> = None;
        let mut rest = BytesMut::new();
        let bytes = loop {
            match poll_fn(|cx| self.poll_chunk(cx)).await {
                None => break join(first, &rest),
                Some(Err(fault)) => return Err(fault),
                Some(Ok(frame)) => {
                    let Ok(chunk) = frame.into_data() else { continue };
                    match &first {
                        None => first = Some(chunk),
                        Some(_) => rest.extend_from_slice(&chunk),
                    }
                    if first.as_ref().map_or(0, Bytes::len) + rest.len() > max {
                        self.prefix = Some(join(first, &rest));
                        return Ok(BodySource::Stream(self));
                    }
                }
            }
        };
        self.progress.is_finished.set(true);
        Ok(BodySource::Whole(bytes))
    }

    /// Whether its last byte was taken.
    pub(crate) fn is_end(&self) -> bool {
        self.prefix.is_none() && self.incoming.is_end_stream()
    }

    pub(crate) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        if let Some(prefix) = self.prefix.take() {
            return Poll::Ready(Some(Ok(Frame::data(prefix))));
        }
        match self.incoming.poll_frame(cx) {
            Poll::Pending if self.deadline.is_expired() => {
                Poll::Ready(Some(Err(self.fail(BodyFault::Timeout))))
            }
            Poll::Pending => {
                if !self.deadline.is_armed() {
                    self.deadline.arm(Instant::now() + self.timeout, cx.waker());
                }
                Poll::Pending
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Ready(Some(Err(fault))) => Poll::Ready(Some(Err(self.fail(fault)))),
            Poll::Ready(Some(Ok(frame))) => {
                self.deadline.disarm();
                let received = self.progress.received.get() + frame.data_ref().map_or(0, Bytes::len) as u64;
                self.progress.received.set(received);
                if self.max_bytes != 0 && received > self.max_bytes {
                    return Poll::Ready(Some(Err(self.fail(BodyFault::TooLarge))));
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn fail(&self, fault: BodyFault) -> BodyFault {
        self.progress.fault.set(Some(fault));
        fault
    }
}

fn join(first: Option<Bytes>, rest: &[u8]) -> Bytes {
    match first {
        None => Bytes::new(),
        Some(first) if rest.is_empty() => first,
        Some(first) => {
            let mut all = BytesMut::with_capacity(first.len() + rest.len());
            all.extend_from_slice(&first);
            all.extend_from_slice(rest);
            all.freeze()
        }
    }
}

impl UpstreamBody {
    /// Whether it is sent as it comes, rather than from memory.
    pub(crate) fn is_streaming(&self) -> bool {
        matches!(self, Self::Stream(_) | Self::Filtered(_))
    }

    /// How its length is told to the upstream. The length of a stream is what the client announced.
    pub(crate) fn framing(&self) -> BodyFraming {
        match self {
            Self::Empty => BodyFraming::Empty,
            body => body
                .size_hint()
                .exact()
                .map_or(BodyFraming::Chunked, BodyFraming::Sized),
        }
    }

    /// Back to what the request is handled with, when nothing was taken of it.
    pub(crate) fn into_source(self) -> BodySource {
        match self {
            Self::Empty | Self::Whole(None) => BodySource::Empty,
            Self::Whole(Some(bytes)) => BodySource::Whole(bytes),
            Self::Stream(stream) => BodySource::Stream(stream),
            Self::Filtered(body) => BodySource::Filtered(body.channel, body.length),
        }
    }
}

impl UpstreamBody {
    /// A body to be sent; `progress` is told how far it gets.
    pub(crate) fn new(source: BodySource, progress: &Rc<Progress>) -> Self {
        match source {
            BodySource::Empty => Self::Empty,
            BodySource::Whole(bytes) => Self::Whole(Some(bytes)),
            BodySource::Stream(stream) => Self::Stream(stream),
            BodySource::Filtered(channel, length) => Self::Filtered(Box::new(FilteredBody {
                channel,
                length,
                progress: Rc::clone(progress),
            })),
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(stream) => {
                let polled = stream.poll_chunk(cx);
                stream.progress.waits_for_client.set(polled.is_pending());
                if let Poll::Ready(taken) = &polled {
                    stream.progress.is_started.set(true);
                    stream.progress.last_taken.set(Instant::now());
                    if taken.is_none() || stream.incoming.is_end_stream() {
                        stream.progress.is_finished.set(true);
                    }
                }
                polled
            }
            Self::Filtered(body) => {
                let polled = body.channel.poll_frame(cx);
                let progress = &body.progress;
                progress.waits_for_client.set(polled.is_pending());
                if let Poll::Ready(taken) = &polled {
                    progress.is_started.set(true);
                    progress.last_taken.set(Instant::now());
                    if taken.is_none() || body.channel.is_drained() {
                        progress.is_finished.set(true);
                    }
                }
                polled
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty | Self::Whole(None) => true,
            Self::Whole(Some(_)) => false,
            Self::Stream(stream) => stream.is_end(),
            Self::Filtered(body) => body.channel.is_drained(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty | Self::Whole(None) => SizeHint::with_exact(0),
            Self::Whole(Some(bytes)) => SizeHint::with_exact(bytes.len() as u64),
            Self::Filtered(body) => body.length.map_or_else(SizeHint::new, SizeHint::with_exact),
            Self::Stream(stream) => match &stream.prefix {
                None => stream.incoming.size_hint(),
                Some(prefix) => {
                    let (rest, mut hint) = (stream.incoming.size_hint(), SizeHint::new());
                    hint.set_lower(rest.lower() + prefix.len() as u64);
                    if let Some(upper) = rest.upper() {
                        hint.set_upper(upper + prefix.len() as u64);
                    }
                    hint
                }
            },
        }
    }
}
