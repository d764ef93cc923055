//! Bounds retries by a share of the requests, so that they cannot multiply the load on an upstream that fails.

use std::sync::atomic::{AtomicI64, Ordering};

/// A retry costs this much; a request pays its percentage in.
const RETRY: i64 = 100;
/// What is there without any requests: ten retries.
const START: i64 = 10 * RETRY;
/// What can be saved up: a hundred retries.
const MOST: i64 = 100 * RETRY;

#[derive(Debug)]
pub(crate) struct RetryBudget(AtomicI64);

impl Default for RetryBudget {
    fn default() -> Self {
        Self(AtomicI64::new(START))
    }
}

impl RetryBudget {
    /// Counts a request.
    pub(crate) fn pay_in(&self, percent: u8) {
        if self.0.load(Ordering::Relaxed) < MOST {
            self.0.fetch_add(i64::from(percent), Ordering::Relaxed);
        }
    }

    /// Whether one more retry is within the budget; it is counted.
    pub(crate) fn take(&self) -> bool {
        if self.0.fetch_sub(RETRY, Ordering::Relaxed) >= RETRY {
            return true;
        }
        self.0.fetch_add(RETRY, Ordering::Relaxed);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(budget: &RetryBudget) -> usize {
        (0..1_000).take_while(|_| budget.take()).count()
    }

    #[test]
    fn retries_are_a_share_of_requests_after_the_first_ten() {
        let budget = RetryBudget::default();
        assert_eq!(taken(&budget), 10);
        for _ in 0..100 {
            budget.pay_in(20);
        }
        assert_eq!(taken(&budget), 20);
        assert_eq!(taken(&budget), 0);
    }

    #[test]
    fn a_quiet_time_saves_up_no_more_than_a_hundred() {
        let budget = RetryBudget::default();
        for _ in 0..100_000 {
            budget.pay_in(100);
        }
        assert_eq!(taken(&budget), 100);
    }
}
