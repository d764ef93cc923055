//! Takes a filter out of service that fails over and over, and tries it again after a while.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// State of one filter, for all workers. While it is closed, asking costs one load.
#[derive(Default)]
pub(crate) struct Circuit {
    is_tripped: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    recent: Vec<Instant>,
    opens_at: Option<Instant>,
    pause: Duration,
    is_probing: bool,
}

/// Whether an exchange may begin.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    Free,
    /// Out of service, for that long.
    Tripped(Duration),
}

const WINDOW: Duration = Duration::from_secs(10);
const MAX_FAILURES: usize = 5;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

impl Circuit {
    pub(crate) fn ask(&self) -> Passage {
        if self.is_tripped.load(Ordering::Relaxed) {
            self.ask_at(Instant::now())
        } else {
            Passage::Free
        }
    }

    /// After the pause one exchange may try; the others wait for what becomes of it.
    fn ask_at(&self, now: Instant) -> Passage {
        let mut inner = self.inner.lock();
        let Some(opens_at) = inner.opens_at else {
            return Passage::Free;
        };
        if now < opens_at {
            return Passage::Tripped(opens_at - now);
        }
        if inner.is_probing {
            inner.opens_at = Some(now + FIRST_PAUSE);
            inner.is_probing = false;
            return Passage::Tripped(FIRST_PAUSE);
        }
        inner.is_probing = true;
        // Should the exchange never end, another may try later.
        inner.opens_at = Some(now + FIRST_PAUSE);
        Passage::Free
    }

    /// `true`: this failure took the filter out of service.
    pub(crate) fn fail(&self) -> bool {
        self.fail_at(Instant::now())
    }

    fn fail_at(&self, now: Instant) -> bool {
        let mut inner = self.inner.lock();
        inner
            .recent
            .retain(|then| now.saturating_duration_since(*then) < WINDOW);
        inner.recent.push(now);
        let trips = inner.is_probing || (inner.opens_at.is_none() && inner.recent.len() > MAX_FAILURES);
        if trips {
            inner.pause = (inner.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
            inner.opens_at = Some(now + inner.pause);
            inner.is_probing = false;
            inner.recent.clear();
            self.is_tripped.store(true, Ordering::Relaxed);
        }
        trips
    }

    /// An exchange ended well.
    pub(crate) fn succeed(&self) {
        if self.is_tripped.load(Ordering::Relaxed) {
            let mut inner = self.inner.lock();
            if inner.is_probing {
                *inner = Inner::default();
                self.is_tripped.store(false, Ordering::Relaxed);
            }
        }
    }

    /// Whether the filter is out of service.
    pub(crate) fn is_tripped(&self) -> bool {
        self.is_tripped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_failures_in_ten_seconds_take_a_filter_out_of_service_for_doubling_pauses() {
        let circuit = Circuit::default();
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        for second in 0..5 {
            assert!(!circuit.fail_at(at(second)));
        }
        assert_eq!(circuit.ask(), Passage::Free);
        assert!(circuit.fail_at(at(5)), "the sixth");
        assert_eq!(circuit.ask_at(at(5)), Passage::Tripped(FIRST_PAUSE));
        assert_eq!(circuit.ask_at(at(6)), Passage::Free, "one may try");
        assert!(
            matches!(circuit.ask_at(at(6)), Passage::Tripped(_)),
            "the others wait"
        );
        assert!(circuit.fail_at(at(6)), "the try failed");
        assert_eq!(circuit.ask_at(at(6)), Passage::Tripped(Duration::from_secs(2)));
        assert_eq!(circuit.ask_at(at(8)), Passage::Free);
        circuit.succeed();
        assert_eq!(circuit.ask(), Passage::Free);
        assert!(!circuit.fail_at(at(9)), "it begins anew");
    }

    #[test]
    fn failures_far_apart_do_no_harm() {
        let circuit = Circuit::default();
        let start = Instant::now();
        for minute in 0..20 {
            assert!(!circuit.fail_at(start + Duration::from_secs(60 * minute)));
        }
    }
}
