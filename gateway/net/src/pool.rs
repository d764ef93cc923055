//! Keep-alive connections to upstreams, one pool per worker.
//!
//! HTTP/1.1 connections are kept last-in first-out, so that a quiet pool shrinks to the connections in use. HTTP/2
//! connections are shared by as many streams as the upstream allows, and more are opened when those are full.

use bytes::Bytes;
use hashbrown::HashMap;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::TokioTimer;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Everything that makes a connection different from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PoolKey {
    /// Peer.
    pub address: SocketAddr,
    /// Identity of the TLS set-up: trust, verification, client certificate, server name; 0: cleartext.
    pub tls: u64,
    /// HTTP/2 (gRPC) or HTTP/1.1.
    pub is_http2: bool,
}

/// Bounds of a pool (kong-core F.6).
#[derive(Clone, Copy, Debug)]
pub struct PoolSettings {
    /// Idle connections kept per key; 0: none.
    pub size: usize,
    /// Requests per connection; 0: unlimited.
    pub max_requests: u32,
    /// Longest idle time; zero: unlimited.
    pub idle_timeout: Duration,
    /// Most headers accepted in a response.
    pub max_headers: usize,
    /// Most bytes of a response head.
    pub max_head_bytes: usize,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            size: 512,
            max_requests: 10_000,
            idle_timeout: Duration::from_secs(60),
            max_headers: 1_000,
            max_head_bytes: 256 * 1_024,
        }
    }
}

/// Streams on one HTTP/2 connection before another is opened.
const MAX_STREAMS: u32 = 100;

/// The connections of one worker. `B` is the type of request bodies.
pub struct Pool<B> {
    settings: PoolSettings,
    idle: RefCell<ByKey<VecDeque<Idle<B>>>>,
    shared: RefCell<ByKey<Vec<Rc<Shared<B>>>>>,
    open: Rc<Cell<u64>>,
}

type ByKey<V> = HashMap<PoolKey, V, foldhash::fast::RandomState>;

struct Idle<B> {
    sender: http1::SendRequest<B>,
    tunnel: oneshot::Receiver<TunnelEnd>,
    uses: u32,
    since: Instant,
}

struct Shared<B> {
    sender: http2::SendRequest<B>,
    streams: Cell<u32>,
    uses: Cell<u32>,
}

/// A connection in use for one exchange.
pub enum Lease<B> {
    /// HTTP/1.1: used by nobody else until it is given back.
    Http1 {
        /// The connection.
        sender: http1::SendRequest<B>,
        /// Exchanges so far, this one included.
        uses: u32,
        /// The connection itself, once hyper lets go of it after a 101.
        tunnel: oneshot::Receiver<TunnelEnd>,
        /// Where it goes back to.
        key: PoolKey,
        /// The pool.
        pool: Rc<Pool<B>>,
    },
    /// HTTP/2: one stream of a shared connection.
    Http2(StreamLease<B>),
}

/// A connection that is no longer HTTP.
pub struct TunnelEnd {
    /// The socket.
    pub io: Box<dyn TunnelIo>,
    /// Bytes that were read after the 101.
    pub read_ahead: Bytes,
}

/// What a tunnel reads from and writes to.
pub trait TunnelIo: hyper::rt::Read + hyper::rt::Write + Unpin {}
impl<I: hyper::rt::Read + hyper::rt::Write + Unpin> TunnelIo for I {}

/// A stream of a shared connection; counts itself out when dropped.
pub struct StreamLease<B>(Rc<Shared<B>>);

impl<B> Drop for StreamLease<B> {
    fn drop(&mut self) {
        self.0.streams.set(self.0.streams.get().saturating_sub(1));
    }
}

impl<B> Pool<B>
where
    B: Body + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// An empty pool.
    #[must_use]
    pub fn new(settings: PoolSettings) -> Rc<Self> {
        Rc::new(Self {
            settings,
            idle: RefCell::default(),
            shared: RefCell::default(),
            open: Rc::default(),
        })
    }

    /// Connections that are open, idle or not.
    #[must_use]
    pub fn open_connections(&self) -> u64 {
        self.open.get()
    }

    /// Connections that wait for their next request.
    #[must_use]
    pub fn idle_connections(&self) -> u64 {
        self.idle.borrow().values().map(|queue| queue.len() as u64).sum()
    }

    /// A connection that is ready for another request, if there is one.
    #[must_use]
    pub fn reuse(self: &Rc<Self>, key: PoolKey) -> Option<Lease<B>> {
        if key.is_http2 {
            return self.reuse_shared(key);
        }
        let mut idle = self.idle.borrow_mut();
        let queue = idle.get_mut(&key)?;
        while let Some(candidate) = queue.pop_back() {
            if candidate.sender.is_ready() {
                return Some(Lease::Http1 {
                    sender: candidate.sender,
                    uses: candidate.uses + 1,
                    tunnel: candidate.tunnel,
                    key,
                    pool: Rc::clone(self),
                });
            }
        }
        None
    }

    fn reuse_shared(&self, key: PoolKey) -> Option<Lease<B>> {
        let mut shared = self.shared.borrow_mut();
        let connections = shared.get_mut(&key)?;
        connections.retain(|connection| !connection.sender.is_closed());
        let max = self.settings.max_requests;
        let free = connections.iter().find(|connection| {
            connection.streams.get() < MAX_STREAMS && (max == 0 || connection.uses.get() < max)
        })?;
        free.streams.set(free.streams.get() + 1);
        free.uses.set(free.uses.get() + 1);
        Some(Lease::Http2(StreamLease(Rc::clone(free))))
    }

    /// Speaks HTTP on a fresh connection.
    ///
    /// # Errors
    /// When the HTTP/2 preface cannot be exchanged.
    pub async fn open<I>(self: &Rc<Self>, key: PoolKey, io: I) -> Result<Lease<B>, hyper::Error>
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
    {
        if key.is_http2 {
            self.open_http2(key, io).await
        } else {
            self.open_http1(key, io).await
        }
    }

    async fn open_http1<I>(self: &Rc<Self>, key: PoolKey, io: I) -> Result<Lease<B>, hyper::Error>
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
    {
        let mut builder = http1::Builder::new();
        builder
            .title_case_headers(true)
            .max_buf_size(self.settings.max_head_bytes);
        if self.settings.max_headers > 100 {
            builder.max_headers(self.settings.max_headers);
        }
        let (sender, mut connection) = builder.handshake(io).await?;
        let (give, tunnel) = oneshot::channel();
        self.drive(async move {
            let ended = poll_fn(|cx| connection.poll_without_shutdown(cx)).await;
            if ended.is_ok() && !give.is_closed() {
                let parts = connection.into_parts();
                drop(give.send(TunnelEnd {
                    io: Box::new(parts.io),
                    read_ahead: parts.read_buf,
                }));
            }
        });
        Ok(Lease::Http1 {
            sender,
            uses: 1,
            tunnel,
            key,
            pool: Rc::clone(self),
        })
    }

    async fn open_http2<I>(self: &Rc<Self>, key: PoolKey, io: I) -> Result<Lease<B>, hyper::Error>
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
    {
        let (sender, connection) = http2::Builder::new(LocalExecutor)
            .timer(TokioTimer::new())
            .max_concurrent_reset_streams(64)
            .handshake(io)
            .await?;
        self.drive(async move { drop(connection.await) });
        let shared = Rc::new(Shared {
            sender,
            streams: Cell::new(1),
            uses: Cell::new(1),
        });
        self.shared
            .borrow_mut()
            .entry(key)
            .or_default()
            .push(Rc::clone(&shared));
        Ok(Lease::Http2(StreamLease(shared)))
    }

    fn drive(&self, connection: impl Future<Output = ()> + 'static) {
        let open = Rc::clone(&self.open);
        open.set(open.get() + 1);
        tokio::task::spawn_local(async move {
            connection.await;
            open.set(open.get().saturating_sub(1));
        });
    }

    fn give_back(
        &self,
        key: PoolKey,
        sender: http1::SendRequest<B>,
        tunnel: oneshot::Receiver<TunnelEnd>,
        uses: u32,
    ) {
        let max = self.settings.max_requests;
        if self.settings.size == 0 || sender.is_closed() || (max != 0 && uses >= max) {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        let queue = idle.entry(key).or_default();
        if queue.len() >= self.settings.size {
            queue.pop_front();
        }
        queue.push_back(Idle {
            sender,
            tunnel,
            uses,
            since: Instant::now(),
        });
    }

    /// Closes what was idle too long. Call about once a second.
    pub fn sweep(&self, now: Instant) {
        let limit = self.settings.idle_timeout;
        self.idle.borrow_mut().retain(|_, queue| {
            queue.retain(|idle| {
                !idle.sender.is_closed() && (limit.is_zero() || now.duration_since(idle.since) < limit)
            });
            !queue.is_empty()
        });
        self.shared.borrow_mut().retain(|_, connections| {
            connections.retain(|connection| !connection.sender.is_closed());
            !connections.is_empty()
        });
    }

    /// Forgets every idle connection: at drain, and when trust changes.
    pub fn clear(&self) {
        self.idle.borrow_mut().clear();
        self.shared.borrow_mut().clear();
    }
}

impl<B> Lease<B>
where
    B: Body + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Whether the connection served another exchange before: it may have died unnoticed.
    #[must_use]
    pub fn is_reused(&self) -> bool {
        match self {
            Self::Http1 { uses, .. } => *uses > 1,
            Self::Http2(stream) => stream.0.uses.get() > 1,
        }
    }

    /// Sends a request and waits for the response head.
    ///
    /// # Errors
    /// The error carries the request back when nothing of it was written.
    pub async fn send(
        &mut self,
        request: Request<B>,
    ) -> Result<Response<Incoming>, TrySendError<Request<B>>> {
        match self {
            Self::Http1 { sender, .. } => sender.try_send_request(request).await,
            Self::Http2(stream) => stream.0.sender.clone().try_send_request(request).await,
        }
    }

    /// Takes the connection out of HTTP after a 101.
    #[must_use]
    pub fn into_tunnel(self) -> Option<oneshot::Receiver<TunnelEnd>> {
        match self {
            Self::Http1 { tunnel, .. } => Some(tunnel),
            Self::Http2(_) => None,
        }
    }

    /// Returns the connection to its pool. Only after both bodies ended cleanly.
    pub fn give_back(self) {
        match self {
            Self::Http1 {
                sender,
                uses,
                tunnel,
                key,
                pool,
            } => pool.give_back(key, sender, tunnel, uses),
            Self::Http2(stream) => drop(stream),
        }
    }
}

/// Runs HTTP/2 connections' tasks on the worker's own thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalExecutor;

impl<F> hyper::rt::Executor<F> for LocalExecutor
where
    F: Future + 'static,
{
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move { drop(future.await) });
    }
}
