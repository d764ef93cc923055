//! What one worker counts.

use super::cell::{Counter, Gauge};
use super::codes::{AnsweredBy, CodeTable};
use super::routes::RouteSeries;
use parking_lot::Mutex;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

/// The cells of one worker. Only that worker writes them; scrapes read them.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct WorkerCells {
    /// Client connections accepted.
    pub connections_accepted: Counter,
    /// Client connections that were served; the rest was refused at once, for instance by a connection limit.
    pub connections_handled: Counter,
    /// Client connections open now.
    pub connections_open: Gauge,
    /// Requests being answered now.
    pub requests_in_flight: Gauge,
    /// Requests accepted, whatever became of them.
    pub requests: Counter,
    /// TLS handshakes with clients that did not succeed.
    pub tls_handshake_failures: Counter,
    /// Connections opened to upstreams.
    pub upstream_connections_opened: Counter,
    /// Attempts to open one that failed.
    pub upstream_connections_failed: Counter,
    /// Exchanges that went over a connection from the pool.
    pub upstream_connections_reused: Counter,
    /// Upstream connections in use now.
    pub upstream_connections_active: Gauge,
    /// Upstream connections waiting in the pool now.
    pub upstream_connections_idle: Gauge,
    /// Repeated attempts of an exchange.
    pub upstream_retries: Counter,
    /// Exchanges whose handler panicked.
    pub panics: Counter,
    unrouted: CodeTable,
    refused: Mutex<Vec<(&'static str, u64)>>,
}

/// A finished request.
#[derive(Debug, Clone, Copy)]
pub struct Answered {
    /// Status sent to the client.
    pub status: u16,
    /// Who made the answer.
    pub by: AnsweredBy,
    /// Bytes received for it, head and body.
    pub request_bytes: u64,
    /// Bytes sent for it, head and body.
    pub response_bytes: u64,
    /// From the first byte of the request to the last of the answer.
    pub total: Duration,
    /// Share of the gateway itself.
    pub gateway: Duration,
    /// Wait for the upstream; `None` when none was asked.
    pub upstream: Option<Duration>,
}

/// The hand of one worker in the metrics; lives on that worker's thread.
#[derive(Debug)]
pub struct WorkerMetrics {
    index: usize,
    cells: Arc<WorkerCells>,
}

impl WorkerMetrics {
    pub(super) fn new(index: usize, cells: Arc<WorkerCells>) -> Self {
        Self { index, cells }
    }

    /// Counts a finished request; `route` is the matched one's series, `None` when no route matched.
    pub fn request(&self, route: Option<&RouteSeries>, answered: &Answered) {
        let Some(cells) = route.and_then(|route| route.cells().of(self.index)) else {
            self.cells.unrouted.count(answered.status, answered.by);
            return;
        };
        cells.codes.count(answered.status, answered.by);
        cells.ingress_bytes.add(answered.request_bytes);
        cells.egress_bytes.add(answered.response_bytes);
        cells.gateway.observe(answered.gateway);
        cells.request.observe(answered.total);
        if let Some(upstream) = answered.upstream {
            cells.upstream.observe(upstream);
        }
    }

    /// Counts a request or connection that was turned away before routing, under a fixed name such as `header_too_large`.
    pub fn refused(&self, reason: &'static str) {
        // Uncontended but for a scrape: each worker has its own.
        let mut refused = self.cells.refused.lock();
        match refused.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => refused.push((reason, 1)),
        }
    }
}

impl Deref for WorkerMetrics {
    type Target = WorkerCells;

    fn deref(&self) -> &WorkerCells {
        &self.cells
    }
}

impl WorkerCells {
    pub(super) fn unrouted(&self) -> &CodeTable {
        &self.unrouted
    }

    pub(super) fn refusals(&self) -> Vec<(&'static str, u64)> {
        self.refused.lock().clone()
    }
}
