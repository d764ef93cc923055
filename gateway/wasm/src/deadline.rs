//! What happens when a guest has run for as long as it may.

use crate::engine::Ticker;
use std::fs;
use std::time::Duration;
use wasmtime::{Trap, UpdateDeadline};

/// Time that one callback has taken, over all the stretches in which it ran. What passes while it waits is not counted.
pub(crate) struct Meter {
    /// Ticks that it may take.
    budget: u64,
    /// Ticks that earlier stretches took.
    spent: u64,
    /// Tick at which this stretch began.
    entered: u64,
    /// CPU time that it took since the budget was first spent by the clock on the wall.
    overrun: Option<Overrun>,
}

#[derive(Clone, Copy)]
struct Overrun {
    taken: Duration,
    /// CPU time of the thread when this stretch of it began.
    since: Duration,
}

impl Meter {
    /// For a callback that runs in one stretch.
    pub(crate) const fn new(budget_ms: u64) -> Self {
        Self {
            budget: budget_ms,
            spent: 0,
            entered: 0,
            overrun: None,
        }
    }

    /// A stretch begins.
    pub(crate) fn enter(&mut self, ticker: &Ticker) {
        self.entered = ticker.ticks();
        if let Some(overrun) = &mut self.overrun
            && let Some(now) = thread_cpu_time()
        {
            overrun.since = now;
        }
    }

    /// It ends.
    pub(crate) fn leave(&mut self, ticker: &Ticker) {
        self.spent += ticker.ticks() - self.entered;
        if let Some(overrun) = &mut self.overrun
            && let Some(now) = thread_cpu_time()
        {
            overrun.taken += now.saturating_sub(overrun.since);
        }
    }

    /// The deadline of a callback that waits in between was reached: how much is left of its budget?
    pub(crate) fn reached_in_stretch(&mut self, ticker: &Ticker) -> wasmtime::Result<UpdateDeadline> {
        let spent = self.spent + (ticker.ticks() - self.entered);
        match self.budget.checked_sub(spent) {
            Some(left) if left > 0 => Ok(UpdateDeadline::Continue(left)),
            _ => self.reached(),
        }
    }

    /// The budget is spent. Ticks pass by the clock on the wall; a guest must not pay for a machine that is busy with
    /// something else. The first time it gets its budget once more, and from then on only CPU time counts.
    pub(crate) fn reached(&mut self) -> wasmtime::Result<UpdateDeadline> {
        let Some(now) = thread_cpu_time() else {
            return Err(Trap::Interrupt.into());
        };
        let overrun = *self.overrun.get_or_insert(Overrun {
            taken: Duration::ZERO,
            since: now,
        });
        // Half: the system counts in steps of some milliseconds.
        let limit = Duration::from_millis(self.budget) / 2;
        let taken = overrun.taken + now.saturating_sub(overrun.since);
        if !taken.is_zero() && taken >= limit {
            return Err(Trap::Interrupt.into());
        }
        Ok(UpdateDeadline::Continue(self.budget.max(1)))
    }
}

/// Of this thread, as the scheduler counts it.
fn thread_cpu_time() -> Option<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_moves_while_the_thread_works() {
        let before = thread_cpu_time().expect("the scheduler's figures");
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while thread_cpu_time().expect("the scheduler's figures") < before + Duration::from_millis(5) {
            assert!(std::time::Instant::now() < deadline, "it never moves");
        }
    }
}
