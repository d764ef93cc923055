//! The three cells that numbers are kept in.
//!
//! A cell has one writer, the worker that owns it, and any number of readers, the scrapes. With one writer a relaxed
//! load and a relaxed store are enough: no locked instruction, no cache line that travels between cores.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one. Only the owning worker may call it.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds `amount`. Only the owning worker may call it.
    pub fn add(&self, amount: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(amount), Relaxed);
    }

    /// The value as some scrape may see it.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// Adds one. Only the owning worker may call it.
    pub fn increment(&self) {
        self.0.store(self.0.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// Takes one away. Only the owning worker may call it.
    pub fn decrement(&self) {
        self.0.store(self.0.load(Relaxed).wrapping_sub(1), Relaxed);
    }

    /// Replaces the value. Only the owning worker may call it.
    pub fn set(&self, value: u64) {
        self.0.store(i64::try_from(value).unwrap_or(i64::MAX), Relaxed);
    }

    /// The value; never below zero, whatever order the stores became visible in.
    #[must_use]
    pub fn value(&self) -> u64 {
        u64::try_from(self.0.load(Relaxed)).unwrap_or(0)
    }
}

/// A histogram over `N` upper bounds, in milliseconds, and one open bucket.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    bounds: &'static [u64; N],
    buckets: [Counter; N],
    above: Counter,
    sum_micros: Counter,
}

impl<const N: usize> Histogram<N> {
    /// An empty histogram; `bounds` ascend.
    #[must_use]
    pub fn new(bounds: &'static [u64; N]) -> Self {
        Self {
            bounds,
            buckets: std::array::from_fn(|_| Counter::default()),
            above: Counter::default(),
            sum_micros: Counter::default(),
        }
    }

    /// Counts one duration. Only the owning worker may call it.
    pub fn observe(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = self
            .bounds
            .partition_point(|bound| bound.saturating_mul(1_000) < micros);
        self.buckets.get(bucket).unwrap_or(&self.above).increment();
        self.sum_micros.add(micros);
    }

    /// Adds what was counted here to a sum over workers.
    pub(super) fn add_to(&self, total: &mut HistogramTotal) {
        total.bounds = self.bounds;
        total.buckets.resize(N + 1, 0);
        for (sum, cell) in total
            .buckets
            .iter_mut()
            .zip(self.buckets.iter().chain([&self.above]))
        {
            *sum += cell.value();
        }
        total.sum_micros += self.sum_micros.value();
    }
}

/// A histogram summed over workers.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct HistogramTotal {
    /// Upper bounds in milliseconds.
    pub(super) bounds: &'static [u64],
    /// Observations per bucket, the open one last; not cumulated.
    pub(super) buckets: Vec<u64>,
    /// Sum of all observations.
    pub(super) sum_micros: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    static BOUNDS: [u64; 3] = [1, 5, 10];

    fn totals(observations: &[u64]) -> HistogramTotal {
        let histogram = Histogram::new(&BOUNDS);
        for micros in observations {
            histogram.observe(Duration::from_micros(*micros));
        }
        let mut total = HistogramTotal::default();
        histogram.add_to(&mut total);
        total
    }

    #[test]
    fn a_value_on_a_bound_belongs_to_the_bucket_of_that_bound() {
        assert_eq!(totals(&[1_000, 5_000, 10_000]).buckets, [1, 1, 1, 0]);
        assert_eq!(totals(&[1_001, 5_001, 10_001]).buckets, [0, 1, 1, 1]);
    }

    #[test]
    fn the_sum_keeps_microseconds() {
        assert_eq!(totals(&[1, 2, 3_000_000]).sum_micros, 3_000_003);
    }

    #[test]
    fn a_gauge_read_below_zero_shows_zero() {
        let gauge = Gauge::default();
        gauge.decrement();
        assert_eq!(gauge.value(), 0);
        gauge.increment();
        gauge.increment();
        assert_eq!(gauge.value(), 1);
    }
}
