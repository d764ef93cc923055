//! Log, clock, ticks and contexts.

use crate::abi::guest::{Guest, Span};
use crate::abi::state::State;
use crate::abi::status::{Answer, Status};
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

/// One line to the log, within the caps on number and length. Control characters are escaped.
pub(crate) fn write_line(state: &mut State, level: i32, line: &[u8]) {
    if level < log_level() {
        return;
    }
    let options = &state.generation.options;
    state.log_lines += 1;
    if state.log_lines > options.max_log_lines {
        let dropped = &state.generation.host.totals.log_lines_dropped;
        dropped.add(1);
        return;
    }
    let cut = line.get(..options.max_log_line_bytes).unwrap_or(line);
    let text = String::from_utf8_lossy(cut);
    let text = if text.contains(|c: char| c.is_control() && c != '\t') {
        text.escape_debug().collect()
    } else {
        text
    };
    let filter = &*state.generation.name;
    match level {
        0 => tracing::trace!(target: "tidegate::filter", filter, "{text}"),
        1 => tracing::debug!(target: "tidegate::filter", filter, "{text}"),
        2 => tracing::info!(target: "tidegate::filter", filter, "{text}"),
        3 => tracing::warn!(target: "tidegate::filter", filter, "{text}"),
        _ => tracing::error!(target: "tidegate::filter", filter, "{text}"),
    }
    state.remember_line(&text);
}

/// The lowest level that is logged.
fn log_level() -> i32 {
    use tracing::level_filters::LevelFilter;
    match LevelFilter::current() {
        LevelFilter::TRACE => 0,
        LevelFilter::DEBUG => 1,
        LevelFilter::INFO => 2,
        LevelFilter::WARN => 3,
        LevelFilter::ERROR => 4,
        _ => 6,
    }
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
