//! Filters: what the runner drives over one exchange when a plugin may pause, see bodies as they pass and answer late.
//!
//! A native plugin is called and is done. A filter is a small state machine that lives as long as its exchange:
//!
//! ```text
//! Plugin::filter() ─► Filter::start(x) ─► FilterRun
//!   head ─► body* ─► trailers? (request) ─► head ─► body* ─► trailers? (response) ─► finish
//!     │        │          │                      │        │          │
//!     └─ Pause: nothing of that direction goes on until poll_event gives Resume, Reply, Close or Fail ─┘
//! ```
//!
//! Rules for the runner:
//! - Filters of a chain run first to last in both directions. What one lets go on is handed to the next.
//! - Body and trailers are given away with the call. [`Flow::Continue`] means that [`FilterRun::take_body`] and
//!   [`FilterRun::take_trailers`] now give what goes on; while a filter pauses, it keeps them, within its own limit.
//! - [`FilterRun::poll_event`] is polled whenever the runner waits for anything, also while the filter is not paused:
//!   answers of its calls arrive there. It is cheap and may be dropped at any time. A filter that waits for nothing says
//!   so ([`FilterRun::listens`]) and is left alone.
//! - [`FilterRun::finish`] is called exactly once. A run that is dropped without it releases what it holds, silently.
//! - Failure policy, deadlines and the wait for a paused filter are the filter's own: the runner sees
//!   [`Flow::Fail`] only when the exchange has to end.

mod hints;
mod outbound;

pub use hints::Hints;
pub use outbound::{
    NoOutbound, Outbound, OutboundCall, OutboundError, OutboundEvent, OutboundResponse, OutboundSender,
    OutboundStream,
};

use crate::exchange::Exchange;
use crate::kind::Fault;
use crate::reply::Reply;
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use http::{HeaderMap, StatusCode};
use std::sync::Arc;
use std::task::{Context, Poll};

/// One of the two ways through the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the upstream.
    Request,
    /// From the upstream, or the gateway, to the client.
    Response,
}

/// What a filter wants to be called for beside the heads. Asked once, when the snapshot is compiled; parts that are not
/// wanted pass it by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field names the part")]
pub struct FilterNeeds {
    pub request_body: bool,
    pub request_trailers: bool,
    pub response_body: bool,
    pub response_trailers: bool,
    /// The end of the exchange, where it may read both heads once more.
    pub end: bool,
}

/// A configured filter, shared by all workers.
pub trait Filter: Send + Sync + 'static {
    /// See [`FilterNeeds`].
    fn needs(&self) -> FilterNeeds;

    /// Begins the filter's part in an exchange, before [`FilterRun::head`]. `None`: it takes no part in this one
    /// (it is out of service and its failure policy is `open`).
    ///
    /// # Errors
    /// When no instance can be had and the failure policy is `closed`.
    fn start(&self, x: &mut Exchange) -> Result<Option<Box<dyn FilterRun>>, Box<FilterFault>>;

    /// [`Filter::start`] comes soon on this thread: what it will touch may be fetched.
    fn prepare(&self) {}

    /// Whether it is not there at all, so that requests that need it fail: the gateway is not ready.
    fn is_absent(&self) -> bool {
        false
    }

    /// What the filter does on a worker outside of exchanges: ticks, queues, calls that outlive their exchange. Spawned
    /// once per worker and snapshot that holds the filter, dropped with the snapshot. `worker` counts from 0.
    /// `None`: nothing to do.
    fn background(self: Arc<Self>, worker: usize) -> Option<LocalBoxFuture<'static, ()>> {
        let _ = worker;
        None
    }
}

/// The filter's part in one exchange.
pub trait FilterRun {
    /// A head, which may be changed until it goes on: the request's when it is routed, the response's when it is in hand,
    /// whoever made it. `end_of_stream`: there is no body.
    fn head(&mut self, x: &mut Exchange, direction: Direction, end_of_stream: bool) -> Flow;
    /// The next bytes of a body, possibly none when `end_of_stream` is only known now.
    fn body(&mut self, x: &mut Exchange, direction: Direction, chunk: Bytes, end_of_stream: bool) -> Flow;
    /// Trailers of a message, after its last body bytes.
    fn trailers(&mut self, x: &mut Exchange, direction: Direction, trailers: HeaderMap) -> Flow;

    /// What the next call will touch. Asked once, after the start.
    fn hints(&self) -> Hints {
        Hints::default()
    }

    /// Whether [`FilterRun::poll_event`] may have something to tell before the next call. Asked after each call and each
    /// event.
    fn listens(&self) -> bool;

    /// What happened to the filter while the runner waited. Ready as long as there is something to tell.
    fn poll_event(&mut self, x: &mut Exchange, cx: &mut Context<'_>) -> Poll<FilterEvent>;

    /// Body bytes that go on, after [`Flow::Continue`] or [`FilterEvent::Resume`]; empty when there are none.
    fn take_body(&mut self, direction: Direction) -> Bytes;
    /// Trailers that go on; also those that the filter added to a message without any.
    fn take_trailers(&mut self, direction: Direction) -> Option<HeaderMap>;

    /// The exchange is over, also when the client left or nothing was answered: the filter's `done`, `log` and `delete`.
    fn finish(self: Box<Self>, x: &mut Exchange);
}

/// How a filter answers a callback.
#[must_use]
#[derive(Debug)]
pub enum Flow {
    /// It goes on: to the next filter, then to the other side.
    Continue,
    /// The head goes on and the message ends with it: what follows of the body is discarded.
    ContinueAndEnd,
    /// Nothing of this direction goes on.
    Pause(Hold),
    /// The exchange is answered with this. Before the response head is sent it takes the place of whatever was on its
    /// way; the response callbacks of every filter that saw the request run for it.
    Reply(Box<Reply>),
    /// The connection to the client is reset.
    Close,
    /// The filter failed and its policy is `closed`.
    Fail(Box<FilterFault>),
}

/// What the runner does with the rest of a message while a filter pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Goes on calling this filter with the chunks that arrive: the filter buffers.
    Body,
    /// Reads nothing: the sender feels back-pressure.
    All,
}

/// What [`FilterRun::poll_event`] tells.
#[must_use]
#[derive(Debug)]
pub enum FilterEvent {
    /// The direction that was paused goes on, with what `take_body` and `take_trailers` give. The runner goes on with
    /// the next filter.
    Resume(Direction),
    /// The direction stays paused, from now on in this way. Body bytes that `take_body` gives go on already, whenever
    /// there is room for them; the filter may wait for that.
    Pause(Direction, Hold),
    /// As [`Flow::Reply`].
    Reply(Box<Reply>),
    /// As [`Flow::Close`].
    Close,
    /// As [`Flow::Fail`].
    Fail(Box<FilterFault>),
}

/// Why a filter ends an exchange.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct FilterFault {
    /// Answer while the head is not sent; afterwards the connection is reset. 500 for a failed filter, 503 while it is
    /// out of service, 413 and 502 for bodies that are larger than it may hold.
    pub status: StatusCode,
    /// Seconds for `Retry-After`.
    pub retry_after: Option<u32>,
    /// For the log.
    pub fault: Fault,
}
