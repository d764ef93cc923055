//! Lines that filters log.

use crate::generation::Generation;
use tracing::level_filters::LevelFilter;

/// How grave a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    /// Whether lines of this level are logged at all.
    pub(crate) fn is_on(self) -> bool {
        let level = match self {
            Self::Trace => LevelFilter::TRACE,
            Self::Debug => LevelFilter::DEBUG,
            Self::Info => LevelFilter::INFO,
            Self::Warn => LevelFilter::WARN,
            Self::Error => LevelFilter::ERROR,
        };
        level <= LevelFilter::current()
    }
}

/// Writes a line, within the caps on number and length. Control characters are escaped. Gives it as it was written.
pub(crate) fn write(generation: &Generation, lines: &mut u32, level: Level, line: &[u8]) -> Option<String> {
    if !level.is_on() {
        return None;
    }
    let options = &generation.options;
    *lines += 1;
    if *lines > options.max_log_lines {
        generation.host.totals.log_lines_dropped.add(1);
        return None;
    }
    let cut = line.get(..options.max_log_line_bytes).unwrap_or(line);
    let text = String::from_utf8_lossy(cut);
    let text = if text.contains(|c: char| c.is_control() && c != '\t') {
        text.escape_debug().collect()
    } else {
        text.into_owned()
    };
    let filter = &*generation.name;
    match level {
        Level::Trace => tracing::trace!(target: "tidegate::filter", filter, "{text}"),
        Level::Debug => tracing::debug!(target: "tidegate::filter", filter, "{text}"),
        Level::Info => tracing::info!(target: "tidegate::filter", filter, "{text}"),
        Level::Warn => tracing::warn!(target: "tidegate::filter", filter, "{text}"),
        Level::Error => tracing::error!(target: "tidegate::filter", filter, "{text}"),
    }
    Some(text)
}
