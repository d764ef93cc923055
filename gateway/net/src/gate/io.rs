//! The gate as hyper wants its connections.

use super::limits::GateLimits;
use super::state::ConnectionState;
use super::stream::Gate;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A client connection behind the request gate, for hyper's HTTP/1 server.
#[derive(Debug)]
pub struct GatedIo<S> {
    io: TokioIo<Shared<S>>,
}

/// Gets a connection back after an upgrade.
///
/// hyper's own way needs `Send`; this one does not. The service calls [`ConnectionState::accept_upgrade`] and answers
/// 101; hyper writes the answer and its connection future ends; once that future is dropped, the stream is here.
#[derive(Debug)]
pub struct UpgradeHandle<S>(Shared<S>);

impl<S> GatedIo<S> {
    /// Puts the gate before `stream`.
    #[must_use]
    pub fn new(stream: S, limits: Rc<GateLimits>, state: Rc<ConnectionState>) -> Self {
        Self::with_prefix(stream, limits, state, Vec::new())
    }

    /// Puts the gate before `stream`, from which `prefix` was read already.
    #[must_use]
    pub fn with_prefix(
        stream: S,
        limits: Rc<GateLimits>,
        state: Rc<ConnectionState>,
        prefix: Vec<u8>,
    ) -> Self {
        Self {
            io: TokioIo::new(Shared(Rc::new(RefCell::new(Gate::new(
                stream, limits, state, prefix,
            ))))),
        }
    }

    /// A handle to get the stream back after an upgrade.
    #[must_use]
    pub fn upgrade_handle(&self) -> UpgradeHandle<S> {
        UpgradeHandle(self.io.inner().clone())
    }
}

impl<S> UpgradeHandle<S> {
    /// The stream, and the bytes of the client that were read after the request and come first; `None` while hyper
    /// holds the connection.
    #[must_use]
    pub fn into_stream(self) -> Option<(S, Vec<u8>)> {
        Rc::into_inner(self.0.0).map(|gate| gate.into_inner().into_parts())
    }
}

/// The gate, owned by hyper's connection and by the handle. Borrows never last beyond one call.
#[derive(Debug)]
struct Shared<S>(Rc<RefCell<Gate<S>>>);

impl<S> Clone for Shared<S> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Shared<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Shared<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.borrow().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + Unpin> Read for GatedIo<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Write for GatedIo<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, slices)
    }
}
