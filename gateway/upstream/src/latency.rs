//! Peak EWMA: a response time that rises at once with a slow answer and sinks over seconds.
//!
//! Value and time of the last sample share one word, so a reader never sees one without the other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// After this long, a sample counts for 1/e of what it did (kong-core F.2: 10 s).
const DECAY_MILLIS: f32 = 10_000.0;

/// Microseconds as `f32` in the upper half, the millisecond of the last sample in the lower one. 0: no sample yet.
#[derive(Debug, Default)]
pub(crate) struct PeakEwma(AtomicU64);

/// A clock of milliseconds as samples keep it; it wraps after 49 days.
pub(crate) fn wrapped(tick: u64) -> u32 {
    (tick & 0xffff_ffff) as u32
}

fn pack(micros: f32, tick: u32) -> u64 {
    u64::from(micros.to_bits()) << 32 | u64::from(tick)
}

fn unpack(word: u64) -> (f32, u32) {
    let (value, tick) = ((word >> 32) as u32, word & 0xffff_ffff);
    (f32::from_bits(value), u32::try_from(tick).unwrap_or(0))
}

fn decay(since: u32, tick: u32) -> f32 {
    let age = tick.wrapping_sub(since);
    // A reader whose clock was read just before the sample's sees an age below zero.
    let age = if age > u32::MAX / 2 { 0 } else { age };
    (-(age as f32) / DECAY_MILLIS).exp()
}

impl PeakEwma {
    /// Takes a sample at `tick` milliseconds.
    pub(crate) fn sample(&self, took: Duration, tick: u32) {
        // At least one microsecond: zero stands for "no sample".
        let took = (took.as_secs_f32() * 1_000_000.0).max(1.0);
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let (value, since) = unpack(word);
            let next = if took >= value {
                took
            } else {
                let kept = decay(since, tick);
                (value * kept + took * (1.0 - kept)).max(1.0)
            };
            match self
                .0
                .compare_exchange_weak(word, pack(next, tick), Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
    }

    /// Starts at `micros` unless there is a sample already.
    pub(crate) fn seed(&self, micros: f32, tick: u32) {
        // Whoever was faster has a real sample: that one counts.
        let _ = self
            .0
            .compare_exchange(0, pack(micros, tick), Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Microseconds, sinking while nothing is heard; `None` without a sample.
    pub(crate) fn micros(&self, tick: u32) -> Option<f32> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            word => {
                let (value, since) = unpack(word);
                Some(value * decay(since, tick))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(cell: &PeakEwma, tick: u32, expected: f32) {
        let micros = cell.micros(tick).unwrap();
        assert!(
            (micros - expected).abs() < expected * 0.01,
            "{micros} for {expected}"
        );
    }

    #[test]
    fn a_slow_answer_counts_in_full_at_once() {
        let cell = PeakEwma::default();
        assert_eq!(cell.micros(0), None);
        cell.sample(Duration::from_millis(2), 10);
        cell.sample(Duration::from_millis(50), 11);
        near(&cell, 11, 50_000.0);
    }

    #[test]
    fn fast_answers_bring_it_down_over_the_decay_time() {
        let cell = PeakEwma::default();
        cell.sample(Duration::from_millis(100), 0);
        cell.sample(Duration::from_millis(10), 10_000);
        near(
            &cell,
            10_000,
            100_000.0 / std::f32::consts::E + 10_000.0 * (1.0 - 1.0 / std::f32::consts::E),
        );
    }

    #[test]
    fn silence_brings_it_down_as_well_and_the_clock_may_wrap() {
        let cell = PeakEwma::default();
        cell.sample(Duration::from_millis(100), u32::MAX - 4_999);
        near(&cell, 5_000, 100_000.0 / std::f32::consts::E);
    }

    #[test]
    fn a_seed_never_replaces_a_sample() {
        let cell = PeakEwma::default();
        cell.seed(500.0, 0);
        near(&cell, 0, 500.0);
        cell.seed(900.0, 0);
        near(&cell, 0, 500.0);
    }
}
