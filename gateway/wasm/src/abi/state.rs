//! What host functions act on: the data of a store.

use super::calls::callouts::count;
use super::instance::Callback;
use crate::deadline::Meter;
use crate::failure::Remains;
use crate::generation::Generation;
use crate::host::metrics::Metric;
use crate::limits::Limiter;
use crate::module::AbiVersion;
use bytes::{Bytes, BytesMut};
use futures_util::future::{AbortHandle, LocalBoxFuture};
use futures_util::stream::LocalBoxStream;
use http::HeaderMap;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;
use tidegate_plugin::filter::{OutboundError, OutboundEvent, OutboundResponse, OutboundSender};
use tidegate_plugin::{Direction, Reply};
use wasmtime::{Memory, TypedFunc};

/// The data of one instance's store.
pub(crate) struct State {
    pub(crate) generation: Arc<Generation>,
    /// ABI that the guest declares.
    pub(crate) abi: AbiVersion,
    /// See [`crate::FilterModule::is_rust`].
    pub(crate) is_rust: bool,
    pub(crate) memory: Option<Memory>,
    pub(crate) allocator: Option<TypedFunc<i32, i32>>,
    pub(crate) in_allocator: bool,
    /// Of the callback that runs.
    pub(crate) meter: Meter,
    pub(crate) limiter: Limiter,
    /// Mostly one: in place, so that no other memory is touched for it.
    pub(crate) streams: SmallVec<[Stream; 1]>,
    /// The guest asked for something that the run has to see to: an answer, a reset, to go on, a call.
    pub(crate) asks: bool,
    /// Where in its memory the guest had the last name of a header that it set: mostly a constant, so the next is near.
    pub(crate) last_key: u32,
    /// The plugin context.
    pub(crate) root: u32,
    /// The context that host calls act on.
    pub(crate) current: u32,
    pub(crate) moment: Moment,
    pub(crate) last_context: u32,
    pub(crate) last_token: u32,
    /// The answer that is being delivered.
    pub(crate) delivery: Option<Delivery>,
    /// Calls that are outstanding.
    pub(crate) calls: Vec<CallEntry>,
    /// Calls issued and not yet polled by anybody.
    pub(crate) new_calls: Vec<NewCall>,
    pub(crate) tick_period: Option<Duration>,
    pub(crate) foreign_arguments: Bytes,
    pub(crate) metrics: Vec<Arc<Metric>>,
    pub(crate) log_lines: u32,
    pub(crate) log_ring: VecDeque<String>,
    /// How far the plugin context is from its end.
    pub(crate) root_ending: Ending,
    pub(crate) exit_code: Option<i32>,
    /// The guest registered a queue: it waits for items.
    pub(crate) has_queues: bool,
    /// Reused by calls that return data.
    pub(crate) scratch: Vec<u8>,
}

/// Which call into the guest is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// `_initialize`, `_start`, `main`.
    Start,
    VmStart,
    Configure,
    /// Anything on the plugin context that is none of the above.
    Root,
    /// A phase of a stream.
    Phase,
    Done,
    Log,
    Delete,
}

/// One request and its response, as the guest knows it.
pub(crate) struct Stream {
    pub(crate) id: u32,
    pub(crate) request: Lane,
    pub(crate) response: Lane,
    pub(crate) reply: Option<Box<Reply>>,
    /// A local response was sent, now or earlier.
    pub(crate) has_replied: bool,
    pub(crate) wants_close: bool,
    pub(crate) ending: Ending,
    /// Wakes the run that polls this stream, when something else gave it work.
    pub(crate) waker: Option<Waker>,
}

/// How far a stream is from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Alive,
    /// `on_done` answered false: `proxy_done` is awaited.
    Deferred,
    /// `proxy_done` was called.
    Confirmed,
}

/// One direction of a stream.
#[derive(Default)]
pub(crate) struct Lane {
    pub(crate) head: Head,
    /// Body bytes that are here and have not gone on.
    pub(crate) body: Bytes,
    /// Whether the guest may see `body`.
    pub(crate) is_body_open: bool,
    pub(crate) trailers: Option<Box<HeaderMap>>,
    /// Whether the guest may change `trailers`.
    pub(crate) is_trailers_open: bool,
    /// The last body bytes are here, or there are none.
    pub(crate) is_complete: bool,
    pub(crate) is_paused: bool,
    /// The guest asked to go on.
    pub(crate) wants_resume: bool,
    /// `Content-Length` when the head went on.
    pub(crate) announced: Option<u64>,
    /// Body bytes that went on.
    pub(crate) passed: u64,
    /// The guest wrote to the body.
    pub(crate) is_body_changed: bool,
}

/// Where a head is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Head {
    #[default]
    Unseen,
    /// The guest may change it.
    Held,
    Released,
}

/// An answer while it is delivered; its maps and buffers are readable.
pub(crate) enum Delivery {
    Http {
        /// Absent when the call failed.
        response: Option<OutboundResponse>,
        error: Option<OutboundError>,
    },
    Grpc {
        metadata: HeaderMap,
        trailers: HeaderMap,
        message: Bytes,
        status: i32,
        status_message: String,
    },
}

/// What kind of call a token stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallKind {
    Http,
    GrpcUnary,
    GrpcStream,
}

/// An outstanding call.
pub(crate) struct CallEntry {
    pub(crate) token: u32,
    /// Stream or plugin context that issued it.
    pub(crate) owner: u32,
    pub(crate) kind: CallKind,
    pub(crate) abort: AbortHandle,
    pub(crate) sender: Option<Box<dyn OutboundSender>>,
    /// Received bytes of a gRPC stream that are no whole message yet.
    pub(crate) received: BytesMut,
}

/// A call that somebody has to poll.
pub(crate) struct NewCall {
    pub(crate) owner: u32,
    pub(crate) future: LocalBoxFuture<'static, Option<CallEvent>>,
}

pub(crate) type EventStream = LocalBoxStream<'static, Result<OutboundEvent, OutboundError>>;

/// What a call brought.
pub(crate) struct CallEvent {
    pub(crate) token: u32,
    pub(crate) news: CallNews,
}

pub(crate) enum CallNews {
    Answer(Result<OutboundResponse, OutboundError>),
    /// The next event of a stream, `None` at its end, and what comes after it.
    Event(Option<Result<OutboundEvent, OutboundError>>, EventStream),
}

const LOG_RING: usize = 20;
/// Bytes that are set aside for a body because its length was announced.
const MOST_AHEAD: usize = 1 << 20;

impl State {
    pub(crate) fn stream_mut(&mut self, id: u32) -> Option<&mut Stream> {
        self.streams.iter_mut().rev().find(|stream| stream.id == id)
    }

    pub(crate) fn stream(&self, id: u32) -> Option<&Stream> {
        self.streams.iter().rev().find(|stream| stream.id == id)
    }

    /// The stream that host calls act on; none for the plugin context.
    pub(crate) fn current_stream(&mut self) -> Option<&mut Stream> {
        self.stream_mut(self.current)
    }

    /// An id that no live context has. 0 is reserved.
    pub(crate) fn next_context(&mut self) -> u32 {
        loop {
            self.last_context = self.last_context.wrapping_add(1);
            let id = self.last_context;
            if id != 0 && id != self.root && self.stream(id).is_none() {
                return id;
            }
        }
    }

    /// A call's token: odd for gRPC calls, even for gRPC streams, as in Envoy.
    pub(crate) fn next_token(&mut self, kind: CallKind) -> u32 {
        loop {
            self.last_token = self.last_token.wrapping_add(1);
            let token = self.last_token;
            let fits = match kind {
                CallKind::Http => true,
                CallKind::GrpcUnary => token & 1 == 1,
                CallKind::GrpcStream => token & 1 == 0,
            };
            if token != 0 && fits && self.calls.iter().all(|call| call.token != token) {
                return token;
            }
        }
    }

    pub(crate) fn outstanding(&self, owner: u32) -> usize {
        self.calls.iter().filter(|call| call.owner == owner).count()
    }

    /// Forgets the calls of a context and stops them.
    pub(crate) fn cancel_calls(&mut self, owner: u32) {
        self.new_calls.retain(|call| call.owner != owner);
        self.calls.retain(|call| {
            if call.owner == owner {
                call.abort.abort();
            }
            call.owner != owner
        });
    }

    pub(crate) fn remains(&self) -> Remains<'_> {
        Remains {
            has_exited: self.exit_code.is_some(),
            denied: self.limiter.denied,
            log: &self.log_ring,
        }
    }

    pub(crate) fn remember_line(&mut self, line: String) {
        if self.log_ring.len() == LOG_RING {
            self.log_ring.pop_front();
        }
        self.log_ring.push_back(line);
    }
}

impl Stream {
    pub(crate) fn new(id: u32) -> Self {
        Self {
            id,
            request: Lane::default(),
            response: Lane::default(),
            reply: None,
            has_replied: false,
            wants_close: false,
            ending: Ending::Alive,
            waker: None,
        }
    }

    pub(crate) fn lane(&mut self, direction: Direction) -> &mut Lane {
        match direction {
            Direction::Request => &mut self.request,
            Direction::Response => &mut self.response,
        }
    }

    pub(crate) fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Delivery {
    /// What the callback is told beside the token: numbers of headers, body bytes and trailers of an answer, or the one
    /// number of a gRPC callback.
    pub(crate) fn numbers(&self, callback: Callback) -> (i32, i32, i32) {
        let length = |bytes: &Bytes| i32::try_from(bytes.len()).unwrap_or(i32::MAX);
        match (self, callback) {
            (
                Self::Http {
                    response: Some(response),
                    ..
                },
                _,
            ) => (
                // The status is one of the entries.
                count(Some(&response.headers)).saturating_add(1),
                length(&response.body),
                count(response.trailers.as_ref()),
            ),
            (Self::Http { response: None, .. }, _) => (0, 0, 0),
            (Self::Grpc { metadata, .. }, Callback::GrpcInitialMetadata) => (count(Some(metadata)), 0, 0),
            (Self::Grpc { trailers, .. }, Callback::GrpcTrailingMetadata) => (count(Some(trailers)), 0, 0),
            (Self::Grpc { message, .. }, Callback::GrpcReceive) => (length(message), 0, 0),
            (Self::Grpc { status, .. }, _) => (*status, 0, 0),
        }
    }
}

impl Lane {
    /// Adds bytes to those that are held.
    pub(crate) fn append(&mut self, chunk: Bytes) {
        if self.body.is_empty() {
            self.body = chunk;
        } else if !chunk.is_empty() {
            let held = std::mem::take(&mut self.body);
            let mut held = held.try_into_mut().unwrap_or_else(|shared| {
                let announced = usize::try_from(self.announced.unwrap_or(0)).unwrap_or(0);
                let mut whole =
                    BytesMut::with_capacity(announced.clamp(shared.len(), MOST_AHEAD.max(shared.len())));
                whole.extend_from_slice(&shared);
                whole
            });
            held.extend_from_slice(&chunk);
            self.body = held.freeze();
        }
    }

    /// Puts `new` in place of `size` bytes from `start`; both are cut to the bytes that are there.
    pub(crate) fn splice(&mut self, start: usize, size: usize, new: &[u8]) {
        let length = self.body.len();
        let start = start.min(length);
        let end = start.saturating_add(size).min(length);
        self.is_body_changed = true;
        if start == 0 && end == length {
            self.body = Bytes::copy_from_slice(new);
            return;
        }
        let mut whole = BytesMut::with_capacity(start + new.len() + (length - end));
        whole.extend_from_slice(self.body.get(..start).unwrap_or_default());
        whole.extend_from_slice(new);
        whole.extend_from_slice(self.body.get(end..).unwrap_or_default());
        self.body = whole.freeze();
    }

    /// What is held goes on: the guest cannot change it any more.
    pub(crate) fn release(&mut self) {
        self.head = Head::Released;
        self.is_paused = false;
        self.wants_resume = false;
        self.is_body_open = false;
        self.is_trailers_open = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_spliced_anywhere() {
        let cases: [(usize, usize, &[u8], &[u8]); 8] = [
            (0, 0, b"x", b"xabcdef"),
            (0, 6, b"x", b"x"),
            (0, usize::MAX, b"x", b"x"),
            (2, 2, b"XYZ", b"abXYZef"),
            (6, 0, b"x", b"abcdefx"),
            (100, 5, b"x", b"abcdefx"),
            (4, usize::MAX, b"", b"abcd"),
            (3, 0, b"", b"abcdef"),
        ];
        for (start, size, new, expected) in cases {
            let mut lane = Lane {
                body: Bytes::from_static(b"abcdef"),
                ..Lane::default()
            };
            lane.splice(start, size, new);
            assert_eq!(lane.body, expected, "splice({start}, {size}, {new:?})");
        }
    }

    #[test]
    fn held_bytes_are_kept_in_order() {
        let mut lane = Lane::default();
        for chunk in ["a", "", "bc", "d"] {
            lane.append(Bytes::from_static(chunk.as_bytes()));
        }
        assert_eq!(lane.body, "abcd");
    }
}
