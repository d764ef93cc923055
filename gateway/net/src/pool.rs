//! Keep-alive connections to upstreams, one pool per worker.
//!
//! HTTP/1.1 connections are kept last-in first-out, so that a quiet pool shrinks to the connections in use. HTTP/2
//! connections are shared by as many streams as the upstream allows, and more are opened when those are full.

use crate::connect::{Connected, UpstreamAddress};
use crate::http1::{HeadLimits, UpstreamConnection};
use bytes::Bytes;
use hashbrown::HashMap;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::client::conn::{TrySendError, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::rc::Rc;
use std::sync::Weak;
use std::time::{Duration, Instant};

/// Everything that makes a connection different from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PoolKey {
    /// Peer.
    pub address: UpstreamAddress<'static>,
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
/// Idle connections keep their buffers this long.
const BUFFERS_KEPT: Duration = Duration::from_secs(1);

/// Whose connections they are: when nobody holds it any more (a target that was taken away), they are closed.
pub type Owner = Weak<dyn Any + Send + Sync>;

/// The connections of one worker. `B` is the type of request bodies.
pub struct Pool<B> {
    settings: PoolSettings,
    idle: RefCell<ByKey<VecDeque<Idle<B>>>>,
    shared: RefCell<ByKey<Vec<Rc<Shared<B>>>>>,
    open: Rc<Cell<u64>>,
}

type ByKey<V> = HashMap<PoolKey, V, foldhash::fast::RandomState>;

struct Idle<B> {
    connection: Box<UpstreamConnection<B>>,
    uses: u32,
    owner: Option<Owner>,
    /// Set by the first sweep that finds it idle, so that no clock is read per request.
    since: Option<Instant>,
}

struct Shared<B> {
    sender: http2::SendRequest<B>,
    streams: Cell<u32>,
    uses: Cell<u32>,
    owner: Option<Owner>,
}

/// A connection in use for one exchange.
pub enum Lease<B> {
    /// HTTP/1.1: used by nobody else until it is given back.
    Http1(Http1Lease<B>),
    /// HTTP/2: one stream of a shared connection.
    Http2(StreamLease<B>),
}

/// An HTTP/1.1 connection in use. Dropping it closes the connection.
pub struct Http1Lease<B> {
    /// The connection.
    pub connection: Box<UpstreamConnection<B>>,
    uses: u32,
    key: PoolKey,
    owner: Option<Owner>,
    pool: Rc<Pool<B>>,
}

/// A stream of a shared connection; counts itself out when dropped.
pub struct StreamLease<B>(Rc<Shared<B>>);

impl<B> Drop for StreamLease<B> {
    fn drop(&mut self) {
        self.0.streams.set(self.0.streams.get().saturating_sub(1));
    }
}

impl<B> Pool<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
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
        while let Some(mut candidate) = queue.pop_back() {
            if candidate.connection.is_alive() {
                return Some(Lease::Http1(Http1Lease {
                    connection: candidate.connection,
                    uses: candidate.uses + 1,
                    key,
                    owner: candidate.owner,
                    pool: Rc::clone(self),
                }));
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

    /// Speaks HTTP on a fresh connection, which is kept for as long as its owner is there.
    ///
    /// # Errors
    /// When the HTTP/2 preface cannot be exchanged.
    pub async fn open(
        self: &Rc<Self>,
        key: PoolKey,
        io: Connected,
        owner: Option<Owner>,
    ) -> Result<Lease<B>, hyper::Error> {
        if key.is_http2 {
            return self.open_http2(key, io, owner).await;
        }
        let limits = HeadLimits {
            max_headers: self.settings.max_headers,
            max_bytes: self.settings.max_head_bytes,
        };
        Ok(Lease::Http1(Http1Lease {
            connection: Box::new(UpstreamConnection::new(io, limits, Rc::clone(&self.open))),
            uses: 1,
            key,
            owner,
            pool: Rc::clone(self),
        }))
    }

    async fn open_http2(
        self: &Rc<Self>,
        key: PoolKey,
        io: Connected,
        owner: Option<Owner>,
    ) -> Result<Lease<B>, hyper::Error> {
        let (sender, connection) = http2::Builder::new(LocalExecutor)
            .timer(TokioTimer::new())
            .max_concurrent_reset_streams(64)
            .handshake(TokioIo::new(io))
            .await?;
        self.drive(async move { drop(connection.await) });
        let shared = Rc::new(Shared {
            sender,
            streams: Cell::new(1),
            uses: Cell::new(1),
            owner,
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

    fn give_back(&self, lease: Http1Lease<B>) {
        let Http1Lease {
            connection,
            uses,
            key,
            owner,
            pool: _,
        } = lease;
        let max = self.settings.max_requests;
        if self.settings.size == 0 || !connection.is_reusable() || (max != 0 && uses >= max) {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        let queue = idle.entry(key).or_default();
        if queue.len() >= self.settings.size {
            queue.pop_front();
        }
        queue.push_back(Idle {
            connection,
            uses,
            owner,
            since: None,
        });
    }

    /// Closes what was idle too long, what the upstream closed and what nobody owns any more; a shared connection ends
    /// with its last stream. Call about once a second.
    pub fn sweep(&self, now: Instant) {
        let limit = self.settings.idle_timeout;
        self.idle.borrow_mut().retain(|_, queue| {
            queue.retain_mut(|idle| {
                let age = now.saturating_duration_since(*idle.since.get_or_insert(now));
                if age >= BUFFERS_KEPT {
                    idle.connection.shrink();
                }
                (limit.is_zero() || age < limit)
                    && is_owned(idle.owner.as_ref())
                    && idle.connection.is_alive()
            });
            !queue.is_empty()
        });
        self.shared.borrow_mut().retain(|_, connections| {
            connections
                .retain(|connection| !connection.sender.is_closed() && is_owned(connection.owner.as_ref()));
            !connections.is_empty()
        });
    }

    /// Forgets every idle connection: at drain, and when trust changes.
    pub fn clear(&self) {
        self.idle.borrow_mut().clear();
        self.shared.borrow_mut().clear();
    }
}

/// What never had an owner is everybody's.
fn is_owned(owner: Option<&Owner>) -> bool {
    owner.is_none_or(|owner| owner.strong_count() > 0)
}

impl<B> Lease<B> {
    /// Whether the connection served another exchange before: it may have died unnoticed.
    #[must_use]
    pub fn is_reused(&self) -> bool {
        match self {
            Self::Http1(lease) => lease.uses > 1,
            Self::Http2(stream) => stream.0.uses.get() > 1,
        }
    }
}

impl<B> Http1Lease<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Returns the connection to its pool, if it can be used again; closes it otherwise.
    pub fn give_back(self) {
        let pool = Rc::clone(&self.pool);
        pool.give_back(self);
    }
}

impl<B> StreamLease<B>
where
    B: Body + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Sends a request and waits for the response head.
    ///
    /// # Errors
    /// The error carries the request back when nothing of it was written.
    pub async fn send(&self, request: Request<B>) -> Result<Response<Incoming>, TrySendError<Request<B>>> {
        self.0.sender.clone().try_send_request(request).await
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
