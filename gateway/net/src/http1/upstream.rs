//! A connection to an upstream and the exchange that goes over it.

use super::Http1Error;
use super::head::{HeadLimits, Parsed, ResponseHead, take_head};
use super::incoming::{Incoming, MIN_READ};
use super::outgoing::{BodyFraming, Outgoing};
use crate::connect::Connected;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, ReadBuf};

/// A connection to an upstream. `B` is the type of request bodies.
pub struct UpstreamConnection<B> {
    io: Connected,
    limits: HeadLimits,
    _counted: Counted,
    request: Outgoing<B>,
    /// The upstream takes no more of the request.
    is_given_up: bool,
    response: Response,
}

struct Response {
    incoming: Incoming,
    phase: Phase,
    is_head_request: bool,
    keeps_alive: bool,
    /// Interim responses that were passed over.
    interim: u8,
    /// Bytes of a head that was not whole when it was looked at last.
    incomplete: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Head,
    Body,
    /// No longer HTTP.
    Tunnel,
}

/// Interim responses before the final one; an upstream that sends more is broken.
const MAX_INTERIM: u8 = 32;

/// Whether a head that was not whole at `incomplete` bytes is worth another look: its end may have come, or so much that
/// what is wrong with it should be found. An upstream that sends byte by byte costs no more than one that does not.
fn may_be_head(read: &[u8], incomplete: usize, limits: HeadLimits) -> bool {
    let length = read.len();
    if incomplete == 0 || length >= limits.max_bytes {
        return length > 0;
    }
    if length == incomplete {
        return false;
    }
    // The end is an empty line, which may have begun in what was seen before.
    let fresh = read.get(incomplete.saturating_sub(2)..).unwrap_or_default();
    let mut ends = memchr::memchr_iter(b'\n', fresh);
    let is_end = |at: usize| matches!(fresh.get(at + 1..), Some([b'\n', ..] | [b'\r', b'\n', ..]));
    length >= 2 * incomplete || ends.any(is_end)
}

/// Counts a connection for as long as it lives.
struct Counted(Rc<Cell<u64>>);

impl Counted {
    fn new(open: Rc<Cell<u64>>) -> Self {
        open.set(open.get() + 1);
        Self(open)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

impl<B> UpstreamConnection<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    /// Over a fresh connection; `open` counts it for as long as it lives.
    #[must_use]
    pub fn new(io: Connected, limits: HeadLimits, open: Rc<Cell<u64>>) -> Self {
        Self {
            io,
            limits,
            _counted: Counted::new(open),
            request: Outgoing::new(),
            is_given_up: false,
            response: Response {
                incoming: Incoming::new(),
                phase: Phase::Head,
                is_head_request: false,
                keeps_alive: true,
                interim: 0,
                incomplete: 0,
            },
        }
    }

    /// Begins an exchange. The head must be written into the buffer that this returns, up to and including its empty
    /// line, with the framing given here.
    pub fn begin(&mut self, body: Option<B>, framing: BodyFraming, is_head_request: bool) -> &mut BytesMut {
        self.request.begin(framing);
        self.request.body = body;
        self.is_given_up = false;
        let response = &mut self.response;
        response.phase = Phase::Head;
        response.is_head_request = is_head_request;
        response.keeps_alive = true;
        response.interim = 0;
        response.incomplete = 0;
        &mut self.request.head
    }

    /// Whether anything of the request was written.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        self.request.is_begun
    }

    /// The body of a request of which nothing was written, unless it was taken in hand already.
    #[must_use]
    pub fn take_body(&mut self) -> Option<B> {
        self.request.body.take()
    }

    /// Writes the request and waits for the response's head; interim responses are passed over. Until it is there, and
    /// again while the body is read, each poll also writes what the request body has to offer.
    ///
    /// # Errors
    /// See [`Http1Error`].
    pub fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, Http1Error>> {
        self.drive_request(cx)?;
        loop {
            let response = &mut self.response;
            let read = &mut response.incoming.read;
            if may_be_head(read, response.incomplete, self.limits) {
                if let Some(parsed) = take_head(read, self.limits, response.is_head_request)? {
                    response.incomplete = 0;
                    if self.accept_head(&parsed)? {
                        return Poll::Ready(Ok(parsed.head));
                    }
                    continue;
                }
                response.incomplete = read.len();
            }
            let had = response.incoming.read.len();
            if ready!(response.incoming.poll_fill(&mut self.io, cx, MIN_READ))? == 0 {
                return Poll::Ready(Err(if had == 0 && response.interim == 0 {
                    Http1Error::Closed
                } else {
                    Http1Error::Truncated
                }));
            }
        }
    }

    /// How far the response's head came: interim responses, and bytes after them. It differs after each read.
    #[must_use]
    pub fn head_progress(&self) -> (u8, usize) {
        (self.response.interim, self.response.incoming.read.len())
    }

    /// Notes the framing of a final head; `false`: it is interim.
    fn accept_head(&mut self, parsed: &Parsed) -> Result<bool, Http1Error> {
        let response = &mut self.response;
        let Some(framing) = parsed.framing else {
            response.phase = Phase::Tunnel;
            return Ok(true);
        };
        if parsed.head.status.is_informational() {
            response.interim += 1;
            if response.interim > MAX_INTERIM {
                return Err(Http1Error::Malformed("too many interim responses"));
            }
            return Ok(false);
        }
        response.keeps_alive = parsed.keeps_alive;
        response.incoming.begin(framing);
        response.phase = Phase::Body;
        Ok(true)
    }

    /// The next part of the response body.
    ///
    /// # Errors
    /// See [`Http1Error`].
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Http1Error>>> {
        if let Err(error) = self.drive_request(cx) {
            return Poll::Ready(Some(Err(error)));
        }
        if self.response.phase != Phase::Body {
            return Poll::Ready(None);
        }
        let incoming = &mut self.response.incoming;
        loop {
            match incoming.take_frame() {
                Ok(Some(taken)) => return Poll::Ready(taken.map(Ok)),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
            if let Err(error) = ready!(incoming.poll_more(&mut self.io, cx)) {
                return Poll::Ready(Some(Err(error)));
            }
        }
    }

    /// Whether the response was read to its end.
    #[must_use]
    pub fn is_end(&self) -> bool {
        self.response.phase == Phase::Body && self.response.incoming.is_done()
    }

    /// Bytes of the body that are still to come, when that is known.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        self.response.incoming.remaining()
    }

    /// Whether another exchange may follow: both messages ended, nothing is left over, and both sides keep it open.
    #[must_use]
    pub fn is_reusable(&self) -> bool {
        self.is_end()
            && self.response.keeps_alive
            && self.response.incoming.read.is_empty()
            && self.request.is_written()
            && !self.is_given_up
    }

    /// Whether an idle connection is still there: not closed, and nothing was said without being asked.
    #[must_use]
    pub fn is_alive(&mut self) -> bool {
        let mut byte = [0];
        let mut probe = ReadBuf::new(&mut byte);
        let mut cx = Context::from_waker(Waker::noop());
        Pin::new(&mut self.io).poll_read(&mut cx, &mut probe).is_pending()
    }

    /// Gives up the buffers of a connection that is idle for long.
    pub fn shrink(&mut self) {
        self.response.incoming.shrink();
        self.request.shrink();
    }

    /// After a 101: the connection and the bytes that were read beyond the head.
    #[must_use]
    pub fn into_tunnel(mut self) -> Option<(Connected, Bytes)> {
        let read_ahead = self.response.incoming.read.split().freeze();
        (self.response.phase == Phase::Tunnel).then_some((self.io, read_ahead))
    }

    /// Writes as much as goes. A failed write is no error yet: the upstream may have answered before it closed.
    fn drive_request(&mut self, cx: &mut Context<'_>) -> Result<(), Http1Error> {
        if self.is_given_up || self.request.is_written() {
            return Ok(());
        }
        match self.poll_write_request(cx) {
            Poll::Ready(Err(Http1Error::Io(_))) => {
                self.is_given_up = true;
                Ok(())
            }
            Poll::Ready(outcome) => outcome,
            Poll::Pending => Ok(()),
        }
    }

    fn poll_write_request(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Http1Error>> {
        loop {
            let waits_for_body = self.request.take_chunk(cx)?.is_pending();
            let is_last = waits_for_body || self.request.body.is_none();
            ready!(self.request.poll_write(&mut self.io, is_last, cx))?;
            if waits_for_body {
                return Poll::Pending;
            }
            if self.request.is_written() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

#[cfg(test)]
mod tests;
