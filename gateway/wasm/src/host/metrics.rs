//! Metrics that filters define: one per name and labels in the process, summed over all instances.

use crate::meta::LabelPatterns;
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
    /// Name as the filter gave it, without what stands for labels.
    pub name: String,
    /// Labels with their values: those of a component, or taken out of the name by the filter's metadata.
    pub labels: Labels,
    /// Type.
    pub kind: MetricKind,
    /// Value of a counter or gauge; 0 for a histogram.
    pub value: i64,
    /// What a histogram observed.
    pub observed: Option<Observed>,
}

/// Names and values of labels.
pub type Labels = Vec<(String, String)>;

/// The values that a histogram observed.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// Upper bounds of the buckets, inclusive and ascending.
    pub bounds: Vec<f64>,
    /// Values up to each bound, and of all values at the end.
    pub cumulative: Vec<u64>,
    /// Sum of all values.
    pub sum: f64,
}

/// Upper bounds of histograms that name none: 1, 2, 4, ... 2^17, as ngx_wasm has them.
pub(crate) fn powers_of_two() -> Vec<f64> {
    (0..18_u32).map(|power| f64::from(1_u32 << power)).collect()
}

/// Filter, name and labels.
type Key = (Arc<str>, String, Labels);

/// All metrics, by filter and name.
#[derive(Default)]
pub(crate) struct MetricTable {
    by_name: RwLock<BTreeMap<Key, Arc<Metric>>>,
    /// What takes labels out of names, by filter.
    patterns: RwLock<BTreeMap<Arc<str>, Arc<LabelPatterns>>>,
}

/// One metric. Counters have a cell per worker, so that workers do not write one cache line.
pub(crate) struct Metric {
    pub(crate) kind: MetricKind,
    cells: Box<[Cell64]>,
    histogram: Option<Histogram>,
}

struct Histogram {
    bounds: Box<[f64]>,
    /// One for each bound, and one for all above.
    counts: Box<[AtomicU64]>,
    /// Bits of a double.
    sum: AtomicU64,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Cell64(AtomicI64);

const COUNTER_CELLS: usize = 8;

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
    /// The metric of a name; the name may hold labels that the filter's metadata knows.
    pub(crate) fn define(
        &self,
        filter: &Arc<str>,
        name: &str,
        kind: MetricKind,
        max: usize,
    ) -> Result<Arc<Metric>, DefineError> {
        self.define_labelled(filter, (name, Labels::new()), (kind, &[]), max)
    }

    /// As [`MetricTable::define`], with labels of its own. A histogram that is there keeps its bounds; without any they
    /// are [`powers_of_two`].
    pub(crate) fn define_labelled(
        &self,
        filter: &Arc<str>,
        (name, labels): (&str, Labels),
        (kind, bounds): (MetricKind, &[f64]),
        max: usize,
    ) -> Result<Arc<Metric>, DefineError> {
        let key = (Arc::clone(filter), name.to_owned(), labels);
        if let Some(metric) = self.by_name.read().get(&key) {
            return metric.check(kind);
        }
        let mut all = self.by_name.write();
        if let Some(metric) = all.get(&key) {
            return metric.check(kind);
        }
        if all.keys().filter(|(owner, ..)| owner == filter).count() >= max {
            return Err(DefineError::TooMany);
        }
        let metric = Arc::new(Metric::new(kind, bounds));
        all.insert(key, Arc::clone(&metric));
        Ok(metric)
    }

    /// Sets what takes labels out of the names of a filter's metrics.
    pub(crate) fn label_by(&self, filter: &Arc<str>, patterns: &Arc<LabelPatterns>) {
        self.patterns
            .write()
            .insert(Arc::clone(filter), Arc::clone(patterns));
    }

    pub(crate) fn values(&self) -> Vec<MetricValue> {
        let patterns = self.patterns.read();
        let all = self.by_name.read();
        let values = all.iter().map(|((filter, name, own), metric)| {
            let (name, mut labels) = match patterns.get(filter) {
                Some(patterns) => patterns.split(name),
                None => (name.clone(), Labels::new()),
            };
            labels.extend_from_slice(own);
            MetricValue {
                filter: Arc::clone(filter),
                name,
                labels,
                kind: metric.kind,
                value: metric.value(),
                observed: metric.histogram.as_ref().map(Histogram::observed),
            }
        });
        values.collect()
    }
}

impl Metric {
    fn new(kind: MetricKind, bounds: &[f64]) -> Self {
        let cells = match kind {
            MetricKind::Counter => COUNTER_CELLS,
            MetricKind::Gauge => 1,
            MetricKind::Histogram => 0,
        };
        Self {
            kind,
            cells: (0..cells).map(|_| Cell64::default()).collect(),
            histogram: (kind == MetricKind::Histogram).then(|| Histogram::new(bounds)),
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
            #[allow(clippy::cast_precision_loss, reason = "Prometheus has doubles only")]
            MetricKind::Histogram => self.observe(value as f64),
        }
    }

    /// Notes a value, if it is a histogram.
    pub(crate) fn observe(&self, value: f64) {
        if let Some(histogram) = &self.histogram {
            histogram.observe(value);
        }
    }

    pub(crate) fn value(&self) -> i64 {
        self.cells
            .iter()
            .fold(0, |sum, cell| sum.wrapping_add(cell.0.load(Ordering::Relaxed)))
    }
}

impl Histogram {
    fn new(bounds: &[f64]) -> Self {
        let bounds = if bounds.is_empty() {
            powers_of_two()
        } else {
            bounds.to_vec()
        };
        Self {
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            bounds: bounds.into(),
            sum: AtomicU64::new(0),
        }
    }

    fn observe(&self, value: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let add = |sum: u64| Some((f64::from_bits(sum) + value).to_bits());
        let _ = self.sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    fn observed(&self) -> Observed {
        let mut sum = 0;
        let cumulative = self.counts.iter().map(|count| {
            sum += count.load(Ordering::Relaxed);
            sum
        });
        Observed {
            bounds: self.bounds.to_vec(),
            cumulative: cumulative.collect(),
            sum: f64::from_bits(self.sum.load(Ordering::Relaxed)),
        }
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
        let observed = table.values().remove(0).observed.expect("observations");
        assert_eq!(observed.bounds[..3], [1.0, 2.0, 4.0]);
        assert_eq!(observed.cumulative[..3], [2, 2, 3]);
        assert_eq!(
            (observed.cumulative.len(), observed.cumulative.last()),
            (19, Some(&4))
        );
        assert!((observed.sum - f64::from((1 << 30) + 4)).abs() < f64::EPSILON);
    }

    #[test]
    fn a_histogram_keeps_the_bounds_that_it_was_defined_with() {
        let table = MetricTable::default();
        let define = |bounds: &[f64]| {
            let labels = vec![("l".to_owned(), "v".to_owned())];
            table.define_labelled(&"f".into(), ("m", labels), (MetricKind::Histogram, bounds), 10)
        };
        for value in [0.05, 0.1, 3.0] {
            define(&[0.1, 1.0]).expect("a metric").observe(value);
        }
        define(&[7.0]).expect("the same metric").observe(0.5);
        let value = table.values().remove(0);
        assert_eq!(value.labels, [("l".to_owned(), "v".to_owned())]);
        let observed = value.observed.expect("observations");
        assert_eq!(
            (observed.bounds, observed.cumulative),
            (vec![0.1, 1.0], vec![2, 3, 4])
        );
    }
}
