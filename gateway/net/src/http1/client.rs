//! A client's connection: requests read behind the gate, responses written to it.

mod response;

pub use response::{Asked, ResponseWriter};

use super::Http1Error;
use super::buffer::{MAX_READ, MIN_READ, make_room};
use super::chunks::{ChunkDecoder, Piece};
use super::request::{RequestBodyFraming, RequestHead, take_request};
use crate::gate::Gate;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// A connection; the body of the request in hand shares it.
pub struct ClientConnection<S>(Rc<RefCell<Client<S>>>);

struct Client<S> {
    io: Gate<S>,
    max_headers: usize,
    read: BytesMut,
    /// Bytes to make room for before reading a body.
    read_size: usize,
    body: BodyState,
    continues: Continue,
    /// The client closed its side, or the connection failed.
    is_gone: bool,
}

enum BodyState {
    Done,
    Sized(u64),
    Chunked(ChunkDecoder),
    Broken,
}

/// `100 Continue`: due once the body is first asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Continue {
    NotAsked,
    Due,
    /// So many bytes of it are written.
    Partly(usize),
}

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// Bytes of later requests that are read while one is answered.
const MAX_READ_AHEAD: usize = 16 * 1_024;
/// Bytes of an unread request body that are thrown away to keep the connection.
const MAX_DISCARDED: usize = 64 * 1_024;

/// Why a connection ends before its client closed it.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The client left while it was owed a response, or the socket failed.
    #[error("client left")]
    Left,
    /// The response could not be completed.
    #[error("response failed: {0}")]
    Response(#[from] Http1Error),
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> ClientConnection<S> {
    /// Over a connection behind its gate.
    #[must_use]
    pub fn new(io: Gate<S>, max_headers: usize) -> Self {
        Self(Rc::new(RefCell::new(Client {
            io,
            max_headers,
            read: BytesMut::new(),
            read_size: MIN_READ,
            body: BodyState::Done,
            continues: Continue::NotAsked,
            is_gone: false,
        })))
    }

    /// The next request; `None` at the end of the connection.
    ///
    /// # Errors
    /// When bytes passed the gate that are no request: the gate and this reader disagree, and nothing can be trusted.
    pub async fn next_request(&self) -> Result<Option<RequestHead>, Http1Error> {
        poll_fn(|cx| {
            let mut client = self.0.borrow_mut();
            let client = &mut *client;
            loop {
                if !client.read.is_empty()
                    && let Some(head) = take_request(&mut client.read, client.max_headers)?
                {
                    client.accept(&head);
                    return Poll::Ready(Ok(Some(head)));
                }
                if client.is_gone {
                    return Poll::Ready(Ok(None));
                }
                match client.poll_fill(cx, MIN_READ) {
                    Poll::Ready(Ok(count)) if count > 0 => {}
                    Poll::Ready(_) => client.is_gone = true,
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    }

    /// The body of the request just read; `None`: it has none.
    #[must_use]
    pub fn body(&self) -> Option<RequestStream> {
        let has_body = !matches!(self.0.borrow().body, BodyState::Done);
        has_body.then(|| RequestStream(Rc::clone(&self.0) as Rc<dyn BodyReader>))
    }

    /// Ready when the client left while it waits for its response. To be polled while the response is made.
    pub fn poll_left(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.borrow_mut().poll_left(cx)
    }

    /// Whether another request may follow: the body was read to its end, or what is left of it is already here.
    #[must_use]
    pub fn finish_request(&self, cx: &mut Context<'_>) -> bool {
        let mut client = self.0.borrow_mut();
        client.continues = Continue::NotAsked;
        let mut discarded = 0;
        while discarded <= MAX_DISCARDED {
            match client.poll_body(cx) {
                Poll::Ready(None) => return !client.is_gone,
                Poll::Ready(Some(Ok(frame))) => discarded += frame.data_ref().map_or(0, Bytes::len),
                Poll::Ready(Some(Err(_))) | Poll::Pending => return false,
            }
        }
        false
    }

    /// A handle to the buffers, for whoever finds the connection idle.
    #[must_use]
    pub fn buffers(&self) -> Buffers {
        let connection = Rc::downgrade(&self.0);
        Buffers(connection as Weak<dyn BodyReader>)
    }

    /// Closes the connection so that the last response is not lost.
    pub async fn shutdown(&self) {
        poll_fn(|cx| Pin::new(&mut self.0.borrow_mut().io).poll_shutdown(cx).map(drop)).await;
    }

    /// After an upgrade: the stream, and the bytes of the client that follow its request. `None` while a request body
    /// is still held.
    #[must_use]
    pub fn into_stream(self) -> Option<(S, Vec<u8>)> {
        let client = Rc::into_inner(self.0)?.into_inner();
        let (stream, mut held) = client.io.into_parts();
        held.splice(0..0, client.read);
        Some((stream, held))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    fn accept(&mut self, head: &RequestHead) {
        self.body = match head.body {
            RequestBodyFraming::Empty => BodyState::Done,
            RequestBodyFraming::Sized(length) => BodyState::Sized(length),
            RequestBodyFraming::Chunked => BodyState::Chunked(ChunkDecoder::default()),
        };
        self.continues = if head.expects_continue && self.read.is_empty() {
            Continue::Due
        } else {
            Continue::NotAsked
        };
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, want: usize) -> Poll<io::Result<usize>> {
        let read = &mut self.read;
        make_room(read, want);
        pin!(self.io.read_buf(read)).poll(cx)
    }

    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while matches!(self.body, BodyState::Done) && !self.is_gone && self.read.len() < MAX_READ_AHEAD {
            match ready!(self.poll_fill(cx, MIN_READ)) {
                Ok(count) if count > 0 => {}
                _ => self.is_gone = true,
            }
        }
        if self.is_gone {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Http1Error>>> {
        loop {
            match self.take_frame() {
                Ok(Some(taken)) => return Poll::Ready(taken.map(Ok)),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Some(Err(self.break_body(error)))),
            }
            if self.continues != Continue::NotAsked
                && let Err(error) = ready!(self.poll_continue(cx))
            {
                return Poll::Ready(Some(Err(self.break_body(error.into()))));
            }
            let want = match &self.body {
                BodyState::Sized(left) => usize::try_from(*left).unwrap_or(MAX_READ).min(self.read_size),
                _ => self.read_size,
            };
            match ready!(self.poll_fill(cx, want)) {
                Ok(0) => {
                    self.is_gone = true;
                    return Poll::Ready(Some(Err(self.break_body(Http1Error::Truncated))));
                }
                Ok(count) if count >= want && want >= self.read_size => {
                    self.read_size = (self.read_size * 2).min(MAX_READ);
                }
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(self.break_body(error.into())))),
            }
        }
    }

    fn break_body(&mut self, error: Http1Error) -> Http1Error {
        self.body = BodyState::Broken;
        self.read = BytesMut::new();
        error
    }

    /// Takes what is in hand: `Some(None)` at the end of the body, `None` when more must be read.
    fn take_frame(&mut self) -> Result<Option<Option<Frame<Bytes>>>, Http1Error> {
        let read = &mut self.read;
        match &mut self.body {
            BodyState::Done => Ok(Some(None)),
            BodyState::Broken => Err(Http1Error::Body),
            BodyState::Sized(_) if read.is_empty() => Ok(None),
            BodyState::Sized(left) => {
                let taken = usize::try_from(*left).map_or(read.len(), |left| left.min(read.len()));
                *left -= taken as u64;
                let data = read.split_to(taken).freeze();
                if *left == 0 {
                    self.body = BodyState::Done;
                    self.read_size = MIN_READ;
                }
                Ok(Some(Some(Frame::data(data))))
            }
            BodyState::Chunked(decoder) => {
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
                    self.body = BodyState::Done;
                }
                Ok(Some(frame))
            }
        }
    }

    /// Tells a client that waits for it to send its body.
    fn poll_continue(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut written = match self.continues {
            Continue::NotAsked => return Poll::Ready(Ok(())),
            Continue::Due => 0,
            Continue::Partly(written) => written,
        };
        while let Some(rest) = CONTINUE.get(written..).filter(|rest| !rest.is_empty()) {
            let mut writing = pin!(self.io.write(rest));
            match ready!(writing.as_mut().poll(cx))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => written += count,
            }
            self.continues = Continue::Partly(written);
        }
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        self.continues = Continue::NotAsked;
        Poll::Ready(Ok(()))
    }
}

/// The buffers of a connection. They come back by themselves with its next request.
pub struct Buffers(Weak<dyn BodyReader>);

impl Buffers {
    /// Gives up what holds no bytes.
    pub fn release(&self) {
        if let Some(connection) = self.0.upgrade() {
            connection.release_buffers();
        }
    }
}

/// The body of a client's request.
pub struct RequestStream(Rc<dyn BodyReader>);

/// A connection as the body of its request sees it.
trait BodyReader {
    fn poll_body(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Http1Error>>>;
    fn state(&self) -> (bool, Option<u64>);
    fn release_buffers(&self);
}

impl<S: AsyncRead + AsyncWrite + Unpin> BodyReader for RefCell<Client<S>> {
    fn poll_body(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Http1Error>>> {
        self.borrow_mut().poll_body(cx)
    }

    fn state(&self) -> (bool, Option<u64>) {
        match self.borrow().body {
            BodyState::Done => (true, Some(0)),
            BodyState::Sized(left) => (false, Some(left)),
            BodyState::Chunked(_) | BodyState::Broken => (false, None),
        }
    }

    fn release_buffers(&self) {
        if let Ok(mut client) = self.try_borrow_mut()
            && client.read.is_empty()
        {
            client.read = BytesMut::new();
            client.read_size = MIN_READ;
        }
    }
}

impl Body for RequestStream {
    type Data = Bytes;
    type Error = Http1Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Http1Error>>> {
        self.0.poll_body(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.state().0
    }

    fn size_hint(&self) -> SizeHint {
        self.0.state().1.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests;
