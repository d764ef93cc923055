//! A message on its way out: head, body in its framing, trailers. The same for requests and responses.

use super::Http1Error;
use super::write::put_header;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body;
use std::fmt::Write as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// How the length of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFraming {
    /// No body.
    Empty,
    /// So many bytes.
    Sized(u64),
    /// In chunks, with trailers.
    Chunked,
    /// By the end of the connection: responses to HTTP/1.0 clients.
    UntilClose,
}

/// A buffer that grew beyond this is not kept.
const MAX_KEPT: usize = 32 * 1_024;

/// The message as far as it is not written.
pub(super) struct Outgoing<B> {
    /// Head and chunk framing; goes before `chunk`.
    pub(super) head: BytesMut,
    /// Bytes of the body.
    chunk: Bytes,
    /// Goes after `chunk`.
    tail: &'static [u8],
    pub(super) body: Option<B>,
    framing: BodyFraming,
    /// Anything of this message was written.
    pub(super) is_begun: bool,
    /// Something was written since the last flush.
    is_unflushed: bool,
}

impl<B> Outgoing<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    pub(super) fn new() -> Self {
        Self {
            head: BytesMut::new(),
            chunk: Bytes::new(),
            tail: b"",
            body: None,
            framing: BodyFraming::Empty,
            is_begun: false,
            is_unflushed: false,
        }
    }

    /// A new message; its head is to be written into `head`, its body to be put beside it.
    pub(super) fn begin(&mut self, framing: BodyFraming) {
        self.head.clear();
        self.chunk = Bytes::new();
        self.tail = b"";
        self.body = None;
        self.framing = framing;
        self.is_begun = false;
    }

    /// Gives up the buffer.
    pub(super) fn shrink(&mut self) {
        self.head = BytesMut::new();
    }

    fn has_bytes(&self) -> bool {
        !self.head.is_empty() || !self.chunk.is_empty() || !self.tail.is_empty()
    }

    /// Everything was handed to the connection and flushed.
    pub(super) fn is_written(&self) -> bool {
        self.body.is_none() && !self.has_bytes() && !self.is_unflushed
    }

    /// Takes the next chunk of the body once the last one is written, so that a head and its body go out in one write.
    /// Pending: the body has nothing to offer yet.
    pub(super) fn take_chunk(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Http1Error> {
        while self.chunk.is_empty() && self.tail.is_empty() {
            let Some(body) = &mut self.body else {
                break;
            };
            match Pin::new(body).poll_frame(cx) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(None) => {
                    self.body = None;
                    self.end_body(None)?;
                }
                Poll::Ready(Some(Err(_))) => return Err(Http1Error::Body),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.put_chunk(data)?,
                    Err(frame) => {
                        self.body = None;
                        self.end_body(frame.into_trailers().ok())?;
                    }
                },
            }
        }
        Ok(Poll::Ready(()))
    }

    fn put_chunk(&mut self, data: Bytes) -> Result<(), Http1Error> {
        if data.is_empty() {
            return Ok(());
        }
        let is_last = self.body.as_ref().is_some_and(Body::is_end_stream);
        match &mut self.framing {
            BodyFraming::Empty => return Err(Http1Error::Body),
            BodyFraming::Sized(left) => {
                *left = left.checked_sub(data.len() as u64).ok_or(Http1Error::Body)?;
                if is_last && *left != 0 {
                    return Err(Http1Error::Body);
                }
            }
            BodyFraming::Chunked => {
                let _ = write!(self.head, "{:x}\r\n", data.len());
                self.tail = if is_last { b"\r\n0\r\n\r\n" } else { b"\r\n" };
            }
            BodyFraming::UntilClose => {}
        }
        if is_last {
            self.body = None;
        }
        self.chunk = data;
        Ok(())
    }

    fn end_body(&mut self, trailers: Option<HeaderMap>) -> Result<(), Http1Error> {
        match self.framing {
            BodyFraming::Empty | BodyFraming::UntilClose | BodyFraming::Sized(0) => {}
            BodyFraming::Sized(_) => return Err(Http1Error::Body),
            BodyFraming::Chunked => {
                self.head.put_slice(b"0\r\n");
                for (name, value) in &trailers.unwrap_or_default() {
                    put_header(&mut self.head, name.as_str(), value.as_bytes());
                }
                self.head.put_slice(b"\r\n");
            }
        }
        Ok(())
    }

    /// Writes what was taken; ready when nothing is left of it. With `flush` it also reached the peer.
    pub(super) fn poll_write<W>(
        &mut self,
        io: &mut W,
        flush: bool,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>>
    where
        W: AsyncWrite + Unpin,
    {
        while self.has_bytes() {
            let count = ready!(self.poll_write_once(io, cx))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(count);
        }
        if flush && self.is_unflushed {
            ready!(Pin::new(io).poll_flush(cx))?;
            self.is_unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_once<W>(&mut self, io: &mut W, cx: &mut Context<'_>) -> Poll<io::Result<usize>>
    where
        W: AsyncWrite + Unpin,
    {
        let io = Pin::new(io);
        if self.chunk.is_empty() && self.tail.is_empty() {
            return io.poll_write(cx, &self.head);
        }
        if !io.is_write_vectored() && !self.head.is_empty() && self.chunk.len() <= MAX_KEPT {
            // One record of TLS instead of three.
            self.head.put_slice(&self.chunk);
            self.head.put_slice(self.tail);
            self.chunk = Bytes::new();
            self.tail = b"";
            return io.poll_write(cx, &self.head);
        }
        let slices = [&self.head[..], &self.chunk, self.tail].map(IoSlice::new);
        let first = usize::from(self.head.is_empty());
        io.poll_write_vectored(cx, slices.get(first..).unwrap_or_default())
    }

    fn advance(&mut self, count: usize) {
        self.is_begun = true;
        self.is_unflushed = true;
        let of_head = count.min(self.head.len());
        self.head.advance(of_head);
        let of_chunk = (count - of_head).min(self.chunk.len());
        self.chunk.advance(of_chunk);
        self.tail = self.tail.get(count - of_head - of_chunk..).unwrap_or_default();
        if self.head.is_empty() && self.head.capacity() > MAX_KEPT * 2 {
            self.head = BytesMut::new();
        }
    }
}
