//! What happens when a guest has run for as long as it may.

use super::super::state::State;
use std::fs;
use std::time::Duration;
use wasmtime::{Trap, UpdateDeadline};

/// Ticks pass by the clock on the wall; a guest must not pay for a machine that is busy with something else. The first
/// time its budget is spent it gets it once more, and from then on only CPU time counts.
pub(super) fn reached(state: &mut State) -> wasmtime::Result<UpdateDeadline> {
    let Some(now) = thread_cpu_time() else {
        return Err(Trap::Interrupt.into());
    };
    let started = *state.overrun.get_or_insert(now);
    // Half: the system counts in steps of some milliseconds.
    let limit = Duration::from_millis(state.budget) / 2;
    if now > started && now - started >= limit {
        return Err(Trap::Interrupt.into());
    }
    Ok(UpdateDeadline::Continue(state.budget.max(1)))
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
