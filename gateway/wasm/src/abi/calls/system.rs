//! Log, clock, ticks and contexts.

use crate::abi::guest::{Guest, Span};
use crate::abi::state::State;
use crate::abi::status::{Answer, Status};
use crate::log::{self, Level};
use std::time::Duration;

/// Shortest period of ticks.
const MIN_TICK: Duration = Duration::from_millis(10);

pub(crate) fn log(guest: &mut Guest<'_, '_>, level: i32, message: Span) -> Answer {
    let (memory, state) = guest.parts();
    let message = message.of(memory)?;
    if !(0..=5).contains(&level) {
        return Err(Status::BadArgument.into());
    }
    write_line(state, level, message);
    Ok(())
}

/// One line to the log; see [`log::write`].
pub(crate) fn write_line(state: &mut State, level: i32, line: &[u8]) {
    let level = match level {
        0 => Level::Trace,
        1 => Level::Debug,
        2 => Level::Info,
        3 => Level::Warn,
        _ => Level::Error,
    };
    let line = log::write(&state.generation, &mut state.log_lines, level, line);
    if let Some(line) = line {
        state.remember_line(line);
    }
}

/// The lowest level that is logged.
fn log_level() -> i32 {
    let levels = [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error];
    let lowest = levels.into_iter().find(|level| level.is_on());
    lowest.map_or(6, |level| level as i32)
}

pub(crate) fn get_log_level(guest: &mut Guest<'_, '_>, out: u32) -> Answer {
    guest.write_u32(out, log_level().min(5).cast_unsigned())
}

pub(crate) fn current_time(guest: &mut Guest<'_, '_>, out: u32) -> Answer {
    let millis = guest.state().generation.host.services.clock.now_millis();
    guest.write_u64(out, millis.saturating_mul(1_000_000))
}

pub(crate) fn set_tick_period(guest: &mut Guest<'_, '_>, millis: u32) -> Answer {
    let period = Duration::from_millis(u64::from(millis));
    guest.state().tick_period = (millis != 0).then(|| period.max(MIN_TICK));
    Ok(())
}

/// Host calls of the rest of this callback act on another context of this VM.
pub(crate) fn set_effective_context(guest: &mut Guest<'_, '_>, id: u32) -> Answer {
    let state = guest.state();
    if id != state.root && state.stream(id).is_none() {
        return Err(Status::BadArgument.into());
    }
    state.current = id;
    Ok(())
}
