//! The gate as a byte stream: follows the framing of what the client sends and decides what may pass.
//!
//! Invariant: every byte that passes belongs to a request whose head was found good, or to a stand-in of ours.

use super::chunked::{ChunkScanner, Outcome};
use super::fault::RequestFault;
use super::head::{BodyLength, HeadParser, Progress};
use super::limits::GateLimits;
use super::rewrite;
use super::state::{ConnectionState, Reading, RequestFacts, Upgrade};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// Bytes read and thrown away while the answer to a refused request is written.
const MAX_DISCARDED: usize = 65_536;
/// Bytes held back after a request that asks for an upgrade, while it is undecided.
const MAX_HELD_FOR_UPGRADE: usize = 16_384;

/// What the next byte of the client belongs to.
#[derive(Debug)]
enum Framing {
    Head,
    Sized(u64),
    Chunked(Box<ChunkScanner>),
    AwaitsUpgrade,
    Refused,
    Broken(RequestFault),
}

/// The decision about some bytes: so many may pass, and then.
struct Judged {
    pass: usize,
    then: Then,
}

enum Then {
    /// Nothing is left.
    Done,
    /// The rest is held until more bytes arrive or an upgrade is decided.
    Hold,
    /// The next bytes, so many, are replaced.
    Replace { consumed: usize, by: Vec<u8> },
    /// The rest is thrown away and a stand-in takes its place.
    Refuse { by: Vec<u8> },
    /// The rest breaks the framing of a body.
    Break,
}

/// A client connection behind the request gate; `S` is the stream of bytes after TLS.
#[derive(Debug)]
pub struct Gate<S> {
    stream: S,
    limits: Rc<GateLimits>,
    state: Rc<ConnectionState>,
    framing: Framing,
    parser: HeadParser,
    /// The request just read asks for another protocol.
    wants_upgrade: bool,
    /// Bytes that may pass and did not find room yet.
    ready: Vec<u8>,
    ready_from: usize,
    /// Bytes of the client that are held.
    held: Vec<u8>,
    /// `held` has bytes that were not judged.
    held_unjudged: bool,
    discarded: usize,
    linger: Linger,
}

#[derive(Debug, Default)]
enum Linger {
    #[default]
    Open,
    Draining {
        until: Pin<Box<Sleep>>,
        left: usize,
    },
    Closed,
}

impl<S> Gate<S> {
    /// Puts the gate before `stream`, from which `prefix` was read already.
    #[must_use]
    pub fn new(stream: S, limits: Rc<GateLimits>, state: Rc<ConnectionState>, prefix: Vec<u8>) -> Self {
        state.count_read(prefix.len());
        Self {
            stream,
            limits,
            state,
            framing: Framing::Head,
            parser: HeadParser::default(),
            wants_upgrade: false,
            ready: Vec::new(),
            ready_from: 0,
            held_unjudged: !prefix.is_empty(),
            held: prefix,
            discarded: 0,
            linger: Linger::Open,
        }
    }

    /// The stream, and the bytes that were read from it and not passed on.
    #[must_use]
    pub fn into_parts(mut self) -> (S, Vec<u8>) {
        let mut rest = self.ready.split_off(self.ready_from.min(self.ready.len()));
        rest.append(&mut self.held);
        (self.stream, rest)
    }

    fn judge(&mut self, input: &[u8]) -> Judged {
        let mut pass = 0;
        loop {
            let rest = input.get(pass..).unwrap_or_default();
            if rest.is_empty() && !matches!(self.framing, Framing::Sized(0)) {
                return Judged {
                    pass,
                    then: Then::Done,
                };
            }
            match &mut self.framing {
                Framing::Head => match self.parser.advance(rest, &self.limits) {
                    Progress::Incomplete => {
                        return Judged {
                            pass,
                            then: Then::Hold,
                        };
                    }
                    Progress::Complete(len) => match self.accept_head(rest.get(..len).unwrap_or_default()) {
                        None => pass += len,
                        Some(by) => {
                            return Judged {
                                pass,
                                then: Then::Replace { consumed: len, by },
                            };
                        }
                    },
                    Progress::Refused(fault) => {
                        return Judged {
                            pass,
                            then: self.refuse(fault, rest),
                        };
                    }
                },
                Framing::Sized(left) => {
                    let taken = usize::try_from(*left).map_or(rest.len(), |left| left.min(rest.len()));
                    *left -= taken as u64;
                    pass += taken;
                    if *left == 0 {
                        self.end_message();
                    }
                }
                Framing::Chunked(scanner) => {
                    let scanned = scanner.scan(rest, &self.limits);
                    pass += scanned.used;
                    match scanned.outcome {
                        Outcome::GoesOn => {}
                        Outcome::Ended => self.end_message(),
                        Outcome::Broken(fault) => {
                            self.state.break_body(fault);
                            self.framing = Framing::Broken(fault);
                            return Judged {
                                pass,
                                then: Then::Break,
                            };
                        }
                    }
                }
                Framing::AwaitsUpgrade => match self.state.upgrade() {
                    Upgrade::Undecided | Upgrade::Accepted => {
                        return Judged {
                            pass,
                            then: Then::Hold,
                        };
                    }
                    Upgrade::Declined => self.framing = Framing::Head,
                },
                Framing::Refused | Framing::Broken(_) => {
                    return Judged {
                        pass,
                        then: Then::Break,
                    };
                }
            }
        }
    }

    /// Notes a good head; returns its rewritten form when it cannot pass as it is.
    fn accept_head(&mut self, head: &[u8]) -> Option<Vec<u8>> {
        let rewritten = self
            .parser
            .needs_rewrite()
            .then(|| rewrite::good_head(&self.parser, head));
        self.state.deliver(RequestFacts {
            head_bytes: head.len(),
            fault: None,
        });
        self.wants_upgrade = self.parser.wants_upgrade();
        match self.parser.body_length() {
            BodyLength::None => self.end_message(),
            BodyLength::Sized(length) => self.framing = Framing::Sized(length),
            BodyLength::Chunked => self.framing = Framing::Chunked(Box::new(ChunkScanner::new())),
        }
        self.parser = HeadParser::default();
        rewritten
    }

    fn refuse(&mut self, fault: RequestFault, received: &[u8]) -> Then {
        let by = rewrite::stand_in(&self.parser, received);
        self.state.deliver(RequestFacts {
            head_bytes: received.len(),
            fault: Some(fault),
        });
        self.framing = Framing::Refused;
        Then::Refuse { by }
    }

    fn end_message(&mut self) {
        self.framing = if std::mem::take(&mut self.wants_upgrade) {
            self.state.expect_upgrade();
            Framing::AwaitsUpgrade
        } else {
            Framing::Head
        };
    }

    /// Judges the held bytes and moves those that may pass.
    fn judge_held(&mut self) {
        let mut held = std::mem::take(&mut self.held);
        self.held_unjudged = false;
        let judged = self.judge(&held);
        let rest = match judged.then {
            Then::Replace { consumed, .. } => held.split_off((judged.pass + consumed).min(held.len())),
            _ => held.split_off(judged.pass.min(held.len())),
        };
        held.truncate(judged.pass);
        self.ready = held;
        self.ready_from = 0;
        match judged.then {
            Then::Done | Then::Hold => self.held = rest,
            Then::Replace { by, .. } => {
                self.ready.extend_from_slice(&by);
                self.held_unjudged = !rest.is_empty();
                self.held = rest;
            }
            Then::Refuse { by } => self.ready.extend_from_slice(&by),
            Then::Break => {}
        }
    }

    /// Judges the bytes of `buf` from `start` on and leaves only those that may pass.
    fn judge_filled(&mut self, buf: &mut ReadBuf<'_>, start: usize) {
        let fresh = buf.filled().get(start..).unwrap_or_default();
        let judged = self.judge(fresh);
        match judged.then {
            Then::Done | Then::Break => {}
            Then::Hold => {
                self.held
                    .extend_from_slice(fresh.get(judged.pass..).unwrap_or_default());
            }
            Then::Replace { consumed, by } => {
                self.held
                    .extend_from_slice(fresh.get(judged.pass + consumed..).unwrap_or_default());
                self.held_unjudged = !self.held.is_empty();
                self.ready = by;
                self.ready_from = 0;
            }
            Then::Refuse { by } => {
                self.ready = by;
                self.ready_from = 0;
            }
        }
        buf.set_filled(start + judged.pass);
    }

    fn deliver_ready(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let waiting = self.ready.get(self.ready_from..).unwrap_or_default();
        if waiting.is_empty() {
            return false;
        }
        let count = waiting.len().min(buf.remaining());
        buf.put_slice(waiting.get(..count).unwrap_or_default());
        self.ready_from += count;
        if self.ready_from == self.ready.len() {
            // Rarely used, so an idle connection keeps nothing.
            self.ready = Vec::new();
            self.ready_from = 0;
        }
        true
    }

    fn note_reading(&self) {
        let reading = match &self.framing {
            Framing::Head if self.held.is_empty() || !self.parser.has_begun(self.held.len()) => Reading::Idle,
            Framing::Head => Reading::Head,
            Framing::Sized(_) | Framing::Chunked(_) => Reading::Body,
            Framing::AwaitsUpgrade if self.state.upgrade() == Upgrade::Accepted => Reading::Tunnel,
            Framing::AwaitsUpgrade => Reading::AwaitsUpgrade,
            Framing::Refused | Framing::Broken(_) => Reading::Closed,
        };
        self.state.set_reading(reading);
    }

    /// The client has sent nothing that is still unread as far as the framing tells.
    fn is_at_boundary(&self) -> bool {
        match self.framing {
            Framing::Head | Framing::AwaitsUpgrade => self.held.is_empty(),
            Framing::Sized(_) | Framing::Chunked(_) | Framing::Refused | Framing::Broken(_) => false,
        }
    }
}

impl<S: AsyncRead + Unpin> Gate<S> {
    /// Reads into `buf` and returns the number of bytes read; 0 at the end of the stream.
    fn fill(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        let start = buf.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {
                let count = buf.filled().len() - start;
                self.state.count_read(count);
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                self.state.set_read_blocked();
                Poll::Pending
            }
        }
    }

    /// Throws away what a refused client still sends. Its end of stream is no news: the answer is on its way.
    fn discard(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let start = buf.filled().len();
        while self.discarded < MAX_DISCARDED {
            let count = ready!(self.fill(cx, buf))?;
            buf.set_filled(start);
            if count == 0 {
                break;
            }
            self.discarded += count;
        }
        Poll::Pending
    }

    fn read_more(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        let start = buf.filled().len();
        let count = ready!(self.fill(cx, buf))?;
        if count == 0 {
            if matches!(self.framing, Framing::Head) {
                // A request that never became whole is dropped with its connection.
                self.held = Vec::new();
            }
            return Poll::Ready(Ok(0));
        }
        if self.held.is_empty() {
            self.judge_filled(buf, start);
        } else {
            self.held
                .extend_from_slice(buf.filled().get(start..).unwrap_or_default());
            buf.set_filled(start);
            self.held_unjudged = true;
        }
        Poll::Ready(Ok(count))
    }

    fn poll_pass(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let start = buf.filled().len();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            if buf.filled().len() > start || self.deliver_ready(buf) {
                return Poll::Ready(Ok(()));
            }
            if matches!(self.framing, Framing::AwaitsUpgrade) {
                match self.state.upgrade() {
                    Upgrade::Undecided => self.state.wake_when_decided(cx.waker()),
                    Upgrade::Declined => self.held_unjudged = !self.held.is_empty(),
                    // The bytes of the other protocol are not for the HTTP server.
                    Upgrade::Accepted => return Poll::Pending,
                }
            }
            if self.held_unjudged {
                self.judge_held();
                continue;
            }
            match self.framing {
                Framing::Refused => return self.discard(cx, buf),
                Framing::Broken(fault) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, fault.reason)));
                }
                Framing::AwaitsUpgrade if self.held.len() >= MAX_HELD_FOR_UPGRADE => return Poll::Pending,
                _ => {}
            }
            if ready!(self.read_more(cx, buf))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut scratch = [0_u8; 4_096];
        loop {
            let Linger::Draining { until, left } = &mut self.linger else {
                return Poll::Ready(Ok(()));
            };
            if *left == 0 || until.as_mut().poll(cx).is_ready() {
                break;
            }
            let mut buf = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buf) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    *left = left.saturating_sub(buf.filled().len())
                }
                Poll::Ready(_) => break,
            }
        }
        self.linger = Linger::Closed;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gate<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = this.poll_pass(cx, buf);
        this.note_reading();
        polled
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Gate<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(cx, bytes);
        note_write(&this.state, polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        note_write(&this.state, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if matches!(this.linger, Linger::Open) {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            this.linger = if this.is_at_boundary() {
                Linger::Closed
            } else {
                // Closing with unread bytes would reset the connection and might destroy the answer on its way.
                Linger::Draining {
                    until: Box::pin(tokio::time::sleep(this.limits.linger)),
                    left: this.limits.max_linger_bytes,
                }
            };
        }
        this.poll_linger(cx)
    }
}

fn note_write(state: &ConnectionState, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
    match &polled {
        Poll::Ready(Ok(count)) => state.count_written(*count),
        Poll::Ready(Err(_)) => {}
        Poll::Pending => state.set_write_blocked(),
    }
    polled
}
