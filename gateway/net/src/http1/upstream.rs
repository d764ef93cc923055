//! A connection to an upstream and the exchange that goes over it.

use super::Http1Error;
use super::buffer::{MAX_READ, MIN_READ, make_room};
use super::chunks::{ChunkDecoder, Piece};
use super::head::{Framing, HeadLimits, Parsed, ResponseHead, take_head};
use super::outgoing::{BodyFraming, Outgoing};
use crate::connect::Connected;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

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
    read: BytesMut,
    /// Bytes to make room for before reading a body.
    read_size: usize,
    state: State,
    is_head_request: bool,
    keeps_alive: bool,
    /// Interim responses that were passed over.
    interim: u8,
}

enum State {
    Head,
    Sized(u64),
    Chunked(ChunkDecoder),
    UntilClose,
    Tunnel,
    Done,
}

/// Interim responses before the final one; an upstream that sends more is broken.
const MAX_INTERIM: u8 = 32;

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
                read: BytesMut::new(),
                read_size: MIN_READ,
                state: State::Head,
                is_head_request: false,
                keeps_alive: true,
                interim: 0,
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
        response.state = State::Head;
        response.is_head_request = is_head_request;
        response.keeps_alive = true;
        response.interim = 0;
        &mut self.request.head
    }

    /// Whether anything of the request was written.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        self.request.is_begun
    }

    /// The body of a request of which nothing was written.
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
            if !self.response.read.is_empty()
                && let Some(parsed) = take_head(
                    &mut self.response.read,
                    self.limits,
                    self.response.is_head_request,
                )?
            {
                if self.accept_head(&parsed)? {
                    return Poll::Ready(Ok(parsed.head));
                }
                continue;
            }
            let had = self.response.read.len();
            if ready!(self.poll_fill(cx, MIN_READ))? == 0 {
                return Poll::Ready(Err(if had == 0 && self.response.interim == 0 {
                    Http1Error::Closed
                } else {
                    Http1Error::Truncated
                }));
            }
        }
    }

    /// Notes the framing of a final head; `false`: it is interim.
    fn accept_head(&mut self, parsed: &Parsed) -> Result<bool, Http1Error> {
        let response = &mut self.response;
        if parsed.head.status.is_informational() && parsed.framing != Framing::Tunnel {
            response.interim += 1;
            if response.interim > MAX_INTERIM {
                return Err(Http1Error::Malformed("too many interim responses"));
            }
            return Ok(false);
        }
        response.keeps_alive = parsed.keeps_alive;
        response.state = match parsed.framing {
            Framing::Empty => State::Done,
            Framing::Sized(length) => State::Sized(length),
            Framing::Chunked => State::Chunked(ChunkDecoder::default()),
            Framing::UntilClose => State::UntilClose,
            Framing::Tunnel => State::Tunnel,
        };
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
        loop {
            match self.take_frame() {
                Ok(Some(taken)) => return Poll::Ready(taken.map(Ok)),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
            let want = match &self.response.state {
                State::Sized(left) => usize::try_from(*left)
                    .unwrap_or(MAX_READ)
                    .min(self.response.read_size),
                _ => self.response.read_size,
            };
            match ready!(self.poll_fill(cx, want)) {
                Ok(0) if matches!(self.response.state, State::UntilClose) => {
                    self.response.state = State::Done
                }
                Ok(0) => return Poll::Ready(Some(Err(Http1Error::Truncated))),
                Ok(count) => self.adapt(count, want),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }

    /// Takes what is in hand: `Some(None)` at the end of the body, `None` when more must be read.
    fn take_frame(&mut self) -> Result<Option<Option<Frame<Bytes>>>, Http1Error> {
        let Response { read, state, .. } = &mut self.response;
        match state {
            State::Done | State::Tunnel | State::Head => Ok(Some(None)),
            State::Sized(_) | State::UntilClose if read.is_empty() => Ok(None),
            State::UntilClose => Ok(Some(Some(Frame::data(read.split().freeze())))),
            State::Sized(left) => {
                let taken = usize::try_from(*left).map_or(read.len(), |left| left.min(read.len()));
                *left -= taken as u64;
                let data = read.split_to(taken).freeze();
                if *left == 0 {
                    *state = State::Done;
                }
                Ok(Some(Some(Frame::data(data))))
            }
            State::Chunked(decoder) => {
                let Some(piece) = decoder.next(read)? else {
                    return Ok(None);
                };
                let frame = match piece {
                    Piece::Data(data) => {
                        decoder.look_for_end(read);
                        Some(Frame::data(data))
                    }
                    Piece::Trailers(trailers) => Some(Frame::trailers(trailers)),
                    Piece::End => None,
                };
                if decoder.is_done() {
                    *state = State::Done;
                }
                Ok(Some(frame))
            }
        }
    }

    /// Whether the response was read to its end.
    #[must_use]
    pub fn is_end(&self) -> bool {
        matches!(self.response.state, State::Done)
    }

    /// Bytes of the body that are still to come, when that is known.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        match self.response.state {
            State::Done => Some(0),
            State::Sized(left) => Some(left),
            _ => None,
        }
    }

    /// Whether another exchange may follow: both messages ended, nothing is left over, and both sides keep it open.
    #[must_use]
    pub fn is_reusable(&self) -> bool {
        self.is_end()
            && self.response.keeps_alive
            && self.response.read.is_empty()
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
        self.response.read = BytesMut::new();
        self.response.read_size = MIN_READ;
        self.request.shrink();
    }

    /// After a 101: the connection and the bytes that were read beyond the head.
    #[must_use]
    pub fn into_tunnel(mut self) -> Option<(Connected, Bytes)> {
        matches!(self.response.state, State::Tunnel).then(|| (self.io, self.response.read.split().freeze()))
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, want: usize) -> Poll<Result<usize, Http1Error>> {
        let read = &mut self.response.read;
        make_room(read, want);
        let filling = pin!(self.io.read_buf(read));
        filling.poll(cx).map_err(Http1Error::Io)
    }

    /// Reads grow while they fill their room and shrink when they leave most of it empty.
    fn adapt(&mut self, count: usize, want: usize) {
        let size = &mut self.response.read_size;
        if count >= want && want >= *size {
            *size = (*size * 2).min(MAX_READ);
        } else if count < *size / 4 {
            *size = (*size / 2).max(MIN_READ);
        }
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
