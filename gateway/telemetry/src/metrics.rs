//! Metrics: cells that each worker owns, summed when somebody scrapes.
//!
//! A request costs a handful of plain additions in memory that no other core writes. Label sets are resolved when a
//! snapshot is compiled; how many there can be is bounded. Names are Kong's where dashboards know them
//! (plugins/prometheus.md), `tidegate_*` otherwise.

mod cell;
mod codes;
mod exposition;
mod process;
mod render;
mod routes;
mod worker;

pub use cell::{Counter, Gauge, Histogram};
pub use codes::AnsweredBy;
pub use exposition::{Family, FamilyKind};
pub use routes::{RouteSeries, RouteTable};
pub use worker::{Answered, WorkerCells, WorkerMetrics};

use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What the metrics of a node are made from.
#[derive(Debug, Clone)]
pub struct Options {
    /// Worker threads.
    pub workers: usize,
    /// Routes with series of their own; those beyond share the series `other`.
    pub max_route_series: usize,
    /// The label `node_id`.
    pub node_id: String,
    /// Version of the product.
    pub version: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            workers: 1,
            max_route_series: 10_000,
            node_id: String::new(),
            version: String::new(),
        }
    }
}

type Source = Box<dyn Fn(&mut Vec<Family>) + Send + Sync>;

/// The metrics of this process.
pub struct Metrics {
    options: Options,
    workers: Box<[Arc<WorkerCells>]>,
    catalog: routes::Catalog,
    sources: Mutex<Vec<Source>>,
    snapshot_version: AtomicU64,
    reloads_accepted: AtomicU64,
    reloads_refused: AtomicU64,
    is_datastore_reachable: AtomicBool,
}

impl Metrics {
    /// Metrics for a node; nothing is counted yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            workers: (0..options.workers).map(|_| Arc::default()).collect(),
            catalog: routes::Catalog::new(options.workers, options.max_route_series),
            sources: Mutex::default(),
            snapshot_version: AtomicU64::new(0),
            reloads_accepted: AtomicU64::new(0),
            reloads_refused: AtomicU64::new(0),
            is_datastore_reachable: AtomicBool::new(true),
            options,
        }
    }

    /// The hand of worker `index`; `None` past the number of workers. One thread may use one index: two would lose
    /// counts of each other.
    #[must_use]
    pub fn worker(&self, index: usize) -> Option<WorkerMetrics> {
        self.workers
            .get(index)
            .map(|cells| WorkerMetrics::new(index, Arc::clone(cells)))
    }

    /// The series of a snapshot's routes, given as (service label, route label) in the order of their indexes. The
    /// service label is the service's name, else its host, else empty; the route label its name, else its id. Equal
    /// labels share a series, so counters survive reloads.
    pub fn routes<'a>(&self, labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> RouteTable {
        self.catalog.table(labels.into_iter())
    }

    /// Notes that a snapshot went live.
    pub fn snapshot_accepted(&self, version: u64) {
        self.snapshot_version.store(version, Ordering::Relaxed);
        self.reloads_accepted.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a new configuration was refused and the old snapshot serves on.
    pub fn snapshot_refused(&self) {
        self.reloads_refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes whether the store of the configuration answers.
    pub fn set_datastore_reachable(&self, is_reachable: bool) {
        self.is_datastore_reachable.store(is_reachable, Ordering::Relaxed);
    }

    /// Adds families that somebody else knows: drop counters of logs, caches, upstream health. Asked at each scrape;
    /// families of one name are merged.
    pub fn add_source(&self, source: impl Fn(&mut Vec<Family>) + Send + Sync + 'static) {
        self.sources.lock().push(Box::new(source));
    }

    /// Requests accepted since the start, over all workers.
    #[must_use]
    pub fn total_requests(&self) -> u64 {
        self.workers.iter().map(|worker| worker.requests.value()).sum()
    }

    /// Client connections now, over all workers.
    #[must_use]
    pub fn connections(&self) -> Connections {
        let mut all = Connections::default();
        for worker in &self.workers {
            all.accepted += worker.connections_accepted.value();
            all.handled += worker.connections_handled.value();
            all.active += worker.connections_open.value();
            all.writing += worker.requests_in_flight.value();
        }
        all.waiting = all.active.saturating_sub(all.writing);
        all
    }

    /// Everything in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        render::render(self)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Client connections by state, with the names that nginx gives them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// Accepted since the start.
    pub accepted: u64,
    /// Served since the start.
    pub handled: u64,
    /// Open now.
    pub active: u64,
    /// Requests being answered now; with HTTP/2 there may be several on a connection.
    pub writing: u64,
    /// Open connections that no request is on.
    pub waiting: u64,
}

#[cfg(test)]
mod tests;
