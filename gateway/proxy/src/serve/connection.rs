//! Facts of one client connection, shared by its requests.

use crate::tunnel::PendingTunnel;
use crate::worker::Worker;
use http::HeaderValue;
use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::task::Waker;
use std::time::Instant;
use tidegate_net::gate::{
    ClientDeadlines, ConnectionState, ConnectionWatch, GateLimits, Overdue, RequestFault,
};
use tidegate_net::http1::Buffers;
use tidegate_plugin::exchange::Tls;

/// A client connection.
pub(crate) struct Connection {
    pub(crate) scheme: &'static str,
    pub(crate) peer_address: Option<IpAddr>,
    /// Client before any header is looked at: the peer, or what PROXY protocol said.
    pub(crate) client_address: Option<IpAddr>,
    pub(crate) client_port: u16,
    pub(crate) is_trusted: bool,
    pub(crate) server_address: Option<IpAddr>,
    pub(crate) server_port: u16,
    pub(crate) serial: u64,
    pub(crate) requests: Cell<u64>,
    pub(crate) tls: Option<Rc<Tls>>,
    /// `X-Real-IP` and the last entry of `X-Forwarded-For`.
    pub(crate) peer_header: HeaderValue,
    /// `X-Forwarded-Port`.
    pub(crate) port_header: HeaderValue,
    /// Bounds of request heads.
    pub(crate) limits: Rc<GateLimits>,
    /// HTTP/1.1 only.
    pub(crate) gate: Option<Rc<ConnectionState>>,
    head_size: Cell<u64>,
    in_flight: Cell<u32>,
    closes: Cell<bool>,
    tunnel: RefCell<Option<PendingTunnel>>,
    worker: Rc<Worker>,
}

/// Addresses of a connection.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ends {
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) client: Option<SocketAddr>,
    pub(crate) server: Option<SocketAddr>,
}

impl Connection {
    pub(crate) fn new(
        worker: &Rc<Worker>,
        ends: Ends,
        tls: Option<Rc<Tls>>,
        limits: Rc<GateLimits>,
        is_http1: bool,
    ) -> Rc<Self> {
        let settings = &worker.settings;
        let inside = ends.server.map_or(0, |server| server.port());
        let server_port = settings.port_maps.get(&inside).copied().unwrap_or(inside);
        let peer_address = ends.peer.map(|peer| peer.ip().to_canonical());
        let is_trusted = settings.trusted.contains(peer_address);
        let believes_proxy = is_trusted && settings.real_ip.header.is_none();
        let client = if believes_proxy {
            ends.client.or(ends.peer)
        } else {
            ends.peer
        };
        let peer_text = peer_address.map_or_else(|| "unix:".to_owned(), |address| address.to_string());
        Rc::new(Self {
            scheme: if tls.is_some() { "https" } else { "http" },
            peer_address,
            client_address: client.map(|client| client.ip().to_canonical()),
            client_port: client.map_or(0, |client| client.port()),
            is_trusted,
            server_address: ends.server.map(|server| server.ip().to_canonical()),
            server_port,
            serial: worker.connection_opened(),
            requests: Cell::new(0),
            tls,
            peer_header: HeaderValue::from_str(&peer_text).unwrap_or_else(|_| HeaderValue::from_static("")),
            port_header: HeaderValue::from(server_port),
            limits,
            gate: is_http1.then(Rc::default),
            head_size: Cell::new(0),
            in_flight: Cell::new(0),
            closes: Cell::new(false),
            tunnel: RefCell::new(None),
            worker: Rc::clone(worker),
        })
    }

    /// A request begins: counts it and returns why the gate refused it, if it did.
    pub(crate) fn begin_request(&self) -> Option<RequestFault> {
        self.requests.set(self.requests.get() + 1);
        self.in_flight.set(self.in_flight.get() + 1);
        let limits = &self.worker.settings.client;
        let limit = match self.gate {
            Some(_) => limits.keepalive_requests,
            None => limits.http2_keepalive_requests,
        };
        if (limit != 0 && self.requests.get() >= limit) || self.worker.shared.is_draining() {
            self.closes.set(true);
        }
        let facts = self.gate.as_ref().and_then(|gate| gate.begin_request());
        self.head_size
            .set(facts.map_or(0, |facts| facts.head_bytes as u64));
        facts.and_then(|facts| facts.fault)
    }

    pub(crate) fn take_head_size(&self) -> u64 {
        self.head_size.take()
    }

    /// The response is complete or given up.
    pub(crate) fn response_done(&self) {
        self.in_flight.set(self.in_flight.get().saturating_sub(1));
        if let Some(gate) = &self.gate {
            gate.finish_request();
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.get() == 0 && self.gate.as_ref().is_none_or(|gate| gate.is_idle())
    }

    pub(crate) fn close_after_response(&self) {
        self.closes.set(true);
    }

    pub(crate) fn closes_after_response(&self) -> bool {
        self.closes.get() || self.worker.shared.is_draining()
    }

    /// The response is a 101: the connection becomes a tunnel.
    pub(crate) fn upgrade(&self, pending: PendingTunnel) {
        if let Some(gate) = &self.gate {
            gate.accept_upgrade();
        }
        *self.tunnel.borrow_mut() = Some(pending);
    }

    pub(crate) fn take_tunnel(&self) -> Option<PendingTunnel> {
        self.tunnel.borrow_mut().take()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.worker.connection_closed();
    }
}

/// A connection in the round of the worker's housekeeping.
pub(crate) struct Watched {
    state: Rc<ConnectionState>,
    watch: RefCell<ConnectionWatch>,
    waker: RefCell<Option<Waker>>,
    overdue: Cell<Option<Overdue>>,
    buffers: Buffers,
    /// Requests read when it was last found idle.
    idle_at: Cell<Option<u64>>,
}

impl Watched {
    pub(crate) fn new(state: Rc<ConnectionState>, buffers: Buffers) -> Rc<Self> {
        let watch = RefCell::new(ConnectionWatch::new(Instant::now()));
        Rc::new(Self {
            state,
            watch,
            waker: RefCell::new(None),
            overdue: Cell::new(None),
            buffers,
            idle_at: Cell::new(None),
        })
    }

    /// Looks at the connection; wakes it when it is overdue or when it should notice a drain.
    pub(crate) fn look(&self, now: Instant, deadlines: &ClientDeadlines, is_draining: bool) {
        let overdue = self.watch.borrow_mut().observe(&self.state, now, deadlines);
        if overdue.is_some() {
            self.overdue.set(overdue);
        }
        self.rest();
        if (overdue.is_some() || is_draining)
            && let Some(waker) = &*self.waker.borrow()
        {
            waker.wake_by_ref();
        }
    }

    /// A connection that was idle from one look to the next keeps no buffers.
    fn rest(&self) {
        let idle_at = self.state.is_idle().then(|| self.state.heads_read());
        if idle_at.is_some() && self.idle_at.get() == idle_at {
            self.buffers.release();
        }
        self.idle_at.set(idle_at);
    }

    pub(crate) fn overdue(&self) -> Option<Overdue> {
        self.overdue.get()
    }

    pub(crate) fn remember(&self, waker: &Waker) {
        let mut known = self.waker.borrow_mut();
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
    }
}
