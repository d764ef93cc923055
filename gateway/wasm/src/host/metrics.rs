//! Metrics that filters define: one per name in the process, summed over all instances.

use parking_lot::RwLock;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

/// Types of metrics; the numbers are the ABI's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the field's own names")]
pub enum MetricKind {
    Counter = 0,
    Gauge = 1,
    Histogram = 2,
}

/// A metric and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricValue {
    /// The filter that defined it.
    pub filter: Arc<str>,
    /// Name as the filter gave it.
    pub name: String,
    /// Type.
    pub kind: MetricKind,
    /// Value of a counter or gauge, sum of a histogram.
    pub value: i64,
    /// Histograms: counts of values below 2^n, for each n, cumulative, and of all values at the end.
    pub buckets: Vec<u64>,
}

/// Filter and name.
type Key = (Arc<str>, String);

/// All metrics, by filter and name.
#[derive(Default)]
pub(crate) struct MetricTable {
    by_name: RwLock<BTreeMap<Key, Arc<Metric>>>,
}

/// One metric. Counters have a cell per worker, so that workers do not write one cache line.
pub(crate) struct Metric {
    pub(crate) kind: MetricKind,
    cells: Box<[Cell64]>,
    buckets: Box<[AtomicU64]>,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Cell64(AtomicI64);

const COUNTER_CELLS: usize = 8;
/// Values below 1, 2, 4, ... 2^17, and all others.
const BUCKETS: usize = 19;

thread_local! {
    static OWN_CELL: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Why a metric was not defined.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum DefineError {
    /// The name has another type.
    OtherKind,
    /// There are too many.
    TooMany,
}

impl MetricTable {
    pub(crate) fn define(
        &self,
        filter: &Arc<str>,
        name: &str,
        kind: MetricKind,
        max: usize,
    ) -> Result<Arc<Metric>, DefineError> {
        let key = (Arc::clone(filter), name.to_owned());
        if let Some(metric) = self.by_name.read().get(&key) {
            return metric.check(kind);
        }
        let mut all = self.by_name.write();
        if let Some(metric) = all.get(&key) {
            return metric.check(kind);
        }
        if all.keys().filter(|(owner, _)| owner == filter).count() >= max {
            return Err(DefineError::TooMany);
        }
        let metric = Arc::new(Metric::new(kind));
        all.insert(key, Arc::clone(&metric));
        Ok(metric)
    }

    pub(crate) fn values(&self) -> Vec<MetricValue> {
        let all = self.by_name.read();
        let values = all.iter().map(|((filter, name), metric)| MetricValue {
            filter: Arc::clone(filter),
            name: name.clone(),
            kind: metric.kind,
            value: metric.value(),
            buckets: metric.cumulative(),
        });
        values.collect()
    }
}

impl Metric {
    fn new(kind: MetricKind) -> Self {
        let cells = if kind == MetricKind::Counter {
            COUNTER_CELLS
        } else {
            1
        };
        let buckets = if kind == MetricKind::Histogram { BUCKETS } else { 0 };
        Self {
            kind,
            cells: (0..cells).map(|_| Cell64::default()).collect(),
            buckets: (0..buckets).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    fn check(self: &Arc<Self>, kind: MetricKind) -> Result<Arc<Self>, DefineError> {
        if self.kind == kind {
            Ok(Arc::clone(self))
        } else {
            Err(DefineError::OtherKind)
        }
    }

    pub(crate) fn add(&self, delta: i64) {
        if let Some(cell) = self.cells.get(own_cell() % self.cells.len().max(1)) {
            cell.0.fetch_add(delta, Ordering::Relaxed);
        }
    }

    /// Counters add, gauges are set, histograms observe.
    pub(crate) fn record(&self, value: i64) {
        match self.kind {
            MetricKind::Counter => self.add(value),
            MetricKind::Gauge => {
                if let Some(cell) = self.cells.first() {
                    cell.0.store(value, Ordering::Relaxed);
                }
            }
            MetricKind::Histogram => {
                self.add(value);
                let bits = usize::try_from(u64::BITS - value.max(0).unsigned_abs().leading_zeros())
                    .unwrap_or(usize::MAX);
                if let Some(bucket) = self.buckets.get(bits.min(BUCKETS - 1)) {
                    bucket.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    pub(crate) fn value(&self) -> i64 {
        self.cells
            .iter()
            .fold(0, |sum, cell| sum.wrapping_add(cell.0.load(Ordering::Relaxed)))
    }

    fn cumulative(&self) -> Vec<u64> {
        let mut sum = 0;
        let counts = self.buckets.iter().map(|bucket| {
            sum += bucket.load(Ordering::Relaxed);
            sum
        });
        counts.collect()
    }
}

/// A count that workers add to without writing one cache line.
#[derive(Debug, Default)]
pub struct Count {
    cells: [Cell64; COUNTER_CELLS],
}

impl Count {
    pub(crate) fn add(&self, delta: u64) {
        if let Some(cell) = self.cells.get(own_cell() % COUNTER_CELLS) {
            cell.0.fetch_add(delta.cast_signed(), Ordering::Relaxed);
        }
    }

    /// The sum over all workers.
    #[must_use]
    pub fn value(&self) -> u64 {
        let sum = self
            .cells
            .iter()
            .map(|cell| cell.0.load(Ordering::Relaxed))
            .sum::<i64>();
        sum.cast_unsigned()
    }
}

fn own_cell() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    OWN_CELL.with(|own| {
        if own.get() == usize::MAX {
            own.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        own.get()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table_with(kind: MetricKind) -> (MetricTable, Arc<Metric>) {
        let table = MetricTable::default();
        let metric = table.define(&"f".into(), "m", kind, 10).expect("a metric");
        (table, metric)
    }

    #[test]
    fn one_name_is_one_metric_of_one_kind_within_a_bound() {
        let (table, metric) = table_with(MetricKind::Counter);
        let again = table
            .define(&"f".into(), "m", MetricKind::Counter, 10)
            .expect("the same");
        assert!(Arc::ptr_eq(&metric, &again));
        let other = table.define(&"f".into(), "m", MetricKind::Gauge, 10).err();
        assert_eq!(other, Some(DefineError::OtherKind));
        let third = table.define(&"f".into(), "n", MetricKind::Gauge, 1).err();
        assert_eq!(third, Some(DefineError::TooMany));
        assert!(
            table.define(&"g".into(), "n", MetricKind::Gauge, 1).is_ok(),
            "the bound is each filter's"
        );
    }

    #[test]
    fn counters_add_over_threads_gauges_are_set_histograms_observe() {
        let (_, counter) = table_with(MetricKind::Counter);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| counter.add(10));
            }
        });
        counter.record(2);
        assert_eq!(counter.value(), 42);
        let (_, gauge) = table_with(MetricKind::Gauge);
        gauge.record(7);
        gauge.add(-2);
        assert_eq!(gauge.value(), 5);
        let (table, histogram) = table_with(MetricKind::Histogram);
        for value in [0, 1, 3, 1 << 30] {
            histogram.record(value);
        }
        let buckets = table.values().remove(0).buckets;
        assert_eq!(buckets[..3], [1, 2, 3]);
        assert_eq!(buckets.last(), Some(&4));
    }
}
