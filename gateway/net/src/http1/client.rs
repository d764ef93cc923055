//! A client's connection: requests read behind the gate, responses written to it.

mod response;

pub use response::{Asked, ResponseWriter};

use super::Http1Error;
use super::incoming::{Incoming, MIN_READ};
use super::request::{RequestHead, take_request};
use crate::gate::Gate;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

/// A connection; the body of the request in hand shares it.
pub struct ClientConnection<S>(Rc<RefCell<Client<S>>>);

struct Client<S> {
    io: Gate<S>,
    max_headers: usize,
    request: Incoming,
    continues: Continue,
    /// The client closed its side, or the connection failed.
    is_gone: bool,
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
            request: Incoming::new(),
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
                if !client.request.read.is_empty()
                    && let Some(head) = take_request(&mut client.request.read, client.max_headers)?
                {
                    client.accept(&head);
                    return Poll::Ready(Ok(Some(head)));
                }
                if client.is_gone {
                    return Poll::Ready(Ok(None));
                }
                match client.request.poll_fill(&mut client.io, cx, MIN_READ) {
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
        let has_body = !self.0.borrow().request.is_done();
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
        held.splice(0..0, client.request.read);
        Some((stream, held))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    fn accept(&mut self, head: &RequestHead) {
        self.request.begin(head.body);
        self.continues = if head.expects_continue && self.request.read.is_empty() {
            Continue::Due
        } else {
            Continue::NotAsked
        };
    }

    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.request.is_done() && !self.is_gone && self.request.read.len() < MAX_READ_AHEAD {
            match ready!(self.request.poll_fill(&mut self.io, cx, MIN_READ)) {
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
            match self.request.take_frame() {
                Ok(Some(taken)) => return Poll::Ready(taken.map(Ok)),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
            if self.continues != Continue::NotAsked
                && let Err(error) = ready!(self.poll_continue(cx))
            {
                return Poll::Ready(Some(Err(error.into())));
            }
            if let Err(error) = ready!(self.request.poll_more(&mut self.io, cx)) {
                self.is_gone |= matches!(error, Http1Error::Truncated);
                return Poll::Ready(Some(Err(error)));
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
        let request = &self.borrow().request;
        (request.is_done(), request.remaining())
    }

    fn release_buffers(&self) {
        if let Ok(mut client) = self.try_borrow_mut() {
            client.request.shrink();
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
