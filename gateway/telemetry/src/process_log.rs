//! The process log: what the gateway says about itself, to standard error. Requests are the access log's matter.
//!
//! Values of configuration fields, headers and bodies are never logged here: what is not written cannot leak.

use std::fmt;
use std::io;
use std::str::FromStr;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

/// A level by the name that Kong's `log_level` uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Everything, with the chatter of the libraries at `info`.
    Debug,
    /// What happened.
    Info,
    /// What an operator may want to know; the default. Shown like `info`.
    Notice,
    /// What may become a problem.
    Warn,
    /// What failed.
    Error,
    /// Kept for configurations that name it; shows errors.
    Crit,
    /// As `crit`.
    Alert,
    /// As `crit`.
    Emerg,
}

impl LogLevel {
    /// All levels, most talkative first.
    pub const ALL: [Self; 8] = [
        Self::Debug,
        Self::Info,
        Self::Notice,
        Self::Warn,
        Self::Error,
        Self::Crit,
        Self::Alert,
        Self::Emerg,
    ];

    /// The name in settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Crit => "crit",
            Self::Alert => "alert",
            Self::Emerg => "emerg",
        }
    }

    fn filter(self) -> Targets {
        let ours = match self {
            Self::Debug => LevelFilter::DEBUG,
            Self::Info | Self::Notice => LevelFilter::INFO,
            Self::Warn => LevelFilter::WARN,
            Self::Error | Self::Crit | Self::Alert | Self::Emerg => LevelFilter::ERROR,
        };
        let libraries = match ours {
            LevelFilter::DEBUG => LevelFilter::INFO,
            LevelFilter::INFO => LevelFilter::WARN,
            quieter => quieter,
        };
        Targets::new()
            .with_default(libraries)
            .with_target("tidegate", ours)
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown log level: {0}")]
pub struct UnknownLevel(String);

impl FromStr for LogLevel {
    type Err = UnknownLevel;

    fn from_str(name: &str) -> Result<Self, UnknownLevel> {
        Self::ALL
            .into_iter()
            .find(|level| level.name() == name)
            .ok_or_else(|| UnknownLevel(name.to_owned()))
    }
}

/// How lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Changes the level while the process runs.
#[derive(Clone)]
pub struct LogHandle {
    reload: reload::Handle<Targets, Registry>,
    level: std::sync::Arc<parking_lot::Mutex<LogLevel>>,
}

impl LogHandle {
    /// The level in force.
    #[must_use]
    pub fn level(&self) -> LogLevel {
        *self.level.lock()
    }

    /// Sets the level; gives the one before.
    ///
    /// # Errors
    /// The log was shut down.
    pub fn set_level(&self, level: LogLevel) -> Result<LogLevel, Error> {
        let mut current = self.level.lock();
        self.reload.reload(level.filter())?;
        Ok(std::mem::replace(&mut *current, level))
    }
}

impl fmt::Debug for LogHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogHandle")
            .field("level", &self.level())
            .finish_non_exhaustive()
    }
}

/// Why the log could not be set up or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another subscriber is installed.
    #[error("the process log is already set up")]
    AlreadySetUp(#[from] tracing_subscriber::util::TryInitError),
    /// The subscriber is gone.
    #[error("the process log is shut down")]
    ShutDown(#[from] reload::Error),
}

/// Starts the log for the whole process, to standard error.
///
/// # Errors
/// It was started before.
pub fn start(level: LogLevel, format: LogFormat) -> Result<LogHandle, Error> {
    let (subscriber, handle) = subscriber(level, format, io::stderr);
    subscriber.try_init()?;
    Ok(handle)
}

fn subscriber<W>(
    level: LogLevel,
    format: LogFormat,
    writer: W,
) -> (impl tracing::Subscriber + Send + Sync, LogHandle)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let (filter, reload) = reload::Layer::new(level.filter());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(false);
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).boxed(),
    };
    let handle = LogHandle {
        reload,
        level: std::sync::Arc::new(parking_lot::Mutex::new(level)),
    };
    (
        tracing_subscriber::registry().with(lines.with_filter(filter)),
        handle,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::sync::Arc;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Sink {
        fn take(&self) -> String {
            String::from_utf8(std::mem::take(&mut *self.0.lock())).unwrap()
        }
    }

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn with_log(level: LogLevel, format: LogFormat, run: impl FnOnce(&LogHandle, &Sink)) {
        let sink = Sink::default();
        let writer = sink.clone();
        let (subscriber, handle) = subscriber(level, format, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || run(&handle, &sink));
    }

    fn speak() {
        tracing::debug!(target: "tidegate_proxy", "one");
        tracing::info!(target: "tidegate_proxy", "two");
        tracing::warn!(target: "tidegate_proxy", "three");
        tracing::error!(target: "tidegate_proxy", "four");
        tracing::info!(target: "hyper", "library");
    }

    #[test]
    fn each_level_shows_itself_and_what_is_graver() {
        for (level, shown) in [
            (LogLevel::Debug, &["one", "two", "three", "four", "library"][..]),
            (LogLevel::Notice, &["two", "three", "four"]),
            (LogLevel::Warn, &["three", "four"]),
            (LogLevel::Crit, &["four"]),
        ] {
            with_log(level, LogFormat::Text, |_, sink| {
                speak();
                let text = sink.take();
                let words: Vec<&str> = text
                    .lines()
                    .filter_map(|line| line.split(' ').next_back())
                    .collect();
                assert_eq!(words, shown, "at level {level}");
            });
        }
    }

    #[test]
    fn the_level_changes_while_running() {
        with_log(LogLevel::Error, LogFormat::Text, |handle, sink| {
            tracing::info!(target: "tidegate", "before");
            assert_eq!(handle.set_level(LogLevel::Info).unwrap(), LogLevel::Error);
            tracing::info!(target: "tidegate", "after");
            assert_eq!(handle.level(), LogLevel::Info);
            let text = sink.take();
            assert!(text.contains("after") && !text.contains("before"), "{text}");
        });
    }

    #[test]
    fn json_lines_carry_message_and_fields_side_by_side() {
        with_log(LogLevel::Info, LogFormat::Json, |_, sink| {
            tracing::info!(target: "tidegate_net", port = 8_000, "listening");
            let line: serde_json::Value = serde_json::from_str(&sink.take()).unwrap();
            assert_eq!(line["message"], "listening");
            assert_eq!(line["port"], 8_000);
            assert_eq!(line["level"], "INFO");
        });
    }

    #[test]
    fn every_name_of_kong_is_read_and_others_are_refused() {
        for level in LogLevel::ALL {
            assert_eq!(level.name().parse(), Ok(level));
        }
        assert_eq!(
            "foo".parse::<LogLevel>().unwrap_err().to_string(),
            "unknown log level: foo"
        );
    }
}
