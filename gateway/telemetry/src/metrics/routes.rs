//! Series per route: names are resolved when a snapshot is compiled, cells appear with a route's first request.
//!
//! A series is known by its labels, so it survives reloads, and two snapshots that are alive at once share it. A route
//! that is gone keeps its numbers until the place is needed.

use super::cell::{Counter, Histogram};
use super::codes::CodeTable;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// Upper bounds of `kong_kong_latency_ms` (plugins/prometheus.md).
pub(super) static GATEWAY_BOUNDS_MS: [u64; 17] = [
    1, 2, 5, 7, 10, 15, 20, 30, 50, 75, 100, 200, 500, 750, 1_000, 3_000, 6_000,
];
/// Upper bounds of `kong_upstream_latency_ms` and `kong_request_latency_ms`.
pub(super) static UPSTREAM_BOUNDS_MS: [u64; 13] = [
    25, 50, 80, 100, 250, 400, 700, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000,
];

/// What one worker counted for one route.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct RouteCells {
    pub(super) codes: CodeTable,
    pub(super) ingress_bytes: Counter,
    pub(super) egress_bytes: Counter,
    pub(super) gateway: Histogram<17>,
    pub(super) upstream: Histogram<13>,
    pub(super) request: Histogram<13>,
}

impl Default for RouteCells {
    fn default() -> Self {
        Self {
            codes: CodeTable::default(),
            ingress_bytes: Counter::default(),
            egress_bytes: Counter::default(),
            gateway: Histogram::new(&GATEWAY_BOUNDS_MS),
            upstream: Histogram::new(&UPSTREAM_BOUNDS_MS),
            request: Histogram::new(&UPSTREAM_BOUNDS_MS),
        }
    }
}

/// The cells of all workers for one route; each worker fills its own place.
#[derive(Debug)]
pub(super) struct SeriesCells(Box<[OnceLock<Box<RouteCells>>]>);

impl SeriesCells {
    fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| OnceLock::new()).collect())
    }

    /// The cells of one worker, made on first use.
    pub(super) fn of(&self, worker: usize) -> Option<&RouteCells> {
        self.0.get(worker).map(|cells| &**cells.get_or_init(Box::default))
    }

    /// The cells of the workers that have any.
    pub(super) fn filled(&self) -> impl Iterator<Item = &RouteCells> {
        self.0
            .iter()
            .filter_map(|cells| cells.get().map(|cells| &**cells))
    }
}

/// The series of one route.
#[derive(Debug)]
pub struct RouteSeries {
    /// Service and route label with a NUL between them.
    labels: Arc<str>,
    cells: OnceLock<Arc<SeriesCells>>,
    catalog: Arc<CatalogShared>,
}

impl RouteSeries {
    /// The value of the label `service`: the service's name, else its host, else nothing.
    #[must_use]
    pub fn service(&self) -> &str {
        self.labels.split_once('\0').map_or("", |(service, _)| service)
    }

    /// The value of the label `route`: the route's name, else its id.
    #[must_use]
    pub fn route(&self) -> &str {
        self.labels.split_once('\0').map_or("", |(_, route)| route)
    }

    /// The cells to count in: its own, or those that late-comers share.
    pub(super) fn cells(&self) -> &SeriesCells {
        self.cells.get_or_init(|| self.catalog.admit())
    }
}

/// The series of a snapshot's routes, by their place in the snapshot.
#[derive(Debug, Clone, Default)]
pub struct RouteTable(Arc<[Arc<RouteSeries>]>);

impl RouteTable {
    /// The series of the route at `index`.
    #[must_use]
    pub fn get(&self, index: u32) -> Option<&RouteSeries> {
        self.0.get(usize::try_from(index).ok()?).map(|series| &**series)
    }

    /// How many routes it knows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it knows none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[derive(Debug)]
struct CatalogShared {
    workers: usize,
    max_series: usize,
    admitted: AtomicUsize,
    other: Arc<SeriesCells>,
}

impl CatalogShared {
    fn admit(&self) -> Arc<SeriesCells> {
        let place = self
            .admitted
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |admitted| {
                (admitted < self.max_series).then_some(admitted + 1)
            });
        match place {
            Ok(_) => Arc::new(SeriesCells::new(self.workers)),
            Err(_) => Arc::clone(&self.other),
        }
    }
}

/// All series, found by label.
#[derive(Debug)]
pub(super) struct Catalog {
    shared: Arc<CatalogShared>,
    known: Mutex<HashMap<Arc<str>, Arc<RouteSeries>>>,
}

impl Catalog {
    pub(super) fn new(workers: usize, max_series: usize) -> Self {
        let shared = CatalogShared {
            workers,
            max_series,
            admitted: AtomicUsize::new(0),
            other: Arc::new(SeriesCells::new(workers)),
        };
        Self {
            shared: Arc::new(shared),
            known: Mutex::default(),
        }
    }

    /// The table of a snapshot whose routes carry these labels, service first, in their order.
    pub(super) fn table<'a>(&self, routes: impl Iterator<Item = (&'a str, &'a str)>) -> RouteTable {
        let mut known = self.known.lock();
        let mut labels = String::new();
        let table = routes
            .map(|(service, route)| {
                labels.clear();
                labels.push_str(service);
                labels.push('\0');
                labels.push_str(route);
                self.series(&mut known, &labels)
            })
            .collect();
        let table = RouteTable(table);
        self.forget_unused(&mut known);
        table
    }

    fn series(&self, known: &mut HashMap<Arc<str>, Arc<RouteSeries>>, labels: &str) -> Arc<RouteSeries> {
        if let Some(found) = known.get(labels) {
            return Arc::clone(found);
        }
        let series = Arc::new(RouteSeries {
            labels: labels.into(),
            cells: OnceLock::new(),
            catalog: Arc::clone(&self.shared),
        });
        known.insert(Arc::clone(&series.labels), Arc::clone(&series));
        series
    }

    /// Drops series that no snapshot holds: those without cells at once, those with cells when the bound is reached.
    fn forget_unused(&self, known: &mut HashMap<Arc<str>, Arc<RouteSeries>>) {
        let is_full = self.shared.admitted.load(Ordering::Relaxed) >= self.shared.max_series;
        known.retain(|_, series| {
            if Arc::strong_count(series) > 1 {
                return true;
            }
            match series.cells.get() {
                None => false,
                Some(_) if !is_full => true,
                Some(cells) => {
                    if !Arc::ptr_eq(cells, &self.shared.other) {
                        self.shared.admitted.fetch_sub(1, Ordering::Relaxed);
                    }
                    false
                }
            }
        });
    }

    /// Calls back with the labels and cells of each series that counted something; the shared one comes last, as
    /// route `other`.
    pub(super) fn for_each(&self, mut each: impl FnMut(&str, &str, &SeriesCells)) {
        let mut used: Vec<Arc<RouteSeries>> = Vec::new();
        for series in self.known.lock().values() {
            if series
                .cells
                .get()
                .is_some_and(|cells| !Arc::ptr_eq(cells, &self.shared.other))
            {
                used.push(Arc::clone(series));
            }
        }
        used.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        for series in &used {
            each(series.service(), series.route(), series.cells());
        }
        if self.shared.other.filled().next().is_some() {
            each("", "other", &self.shared.other);
        }
    }
}

#[cfg(test)]
mod tests;
