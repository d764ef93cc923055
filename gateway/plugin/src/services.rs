//! What the process offers to plugins beyond one request.

use crate::counters::Counters;
use crate::filter::{NoOutbound, Outbound};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tidegate_telemetry::line_writer::LineWriter;
use uuid::Uuid;

/// Source of the time of day; tests hand in their own.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since the Unix epoch.
    fn now_millis(&self) -> u64;
}

/// The system's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_millis(&self) -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// Where log plugins leave finished lines. Never blocks: a full queue drops the line and counts it.
pub trait LineSink: Send + Sync + 'static {
    /// Appends `line` (with its newline) to the file at `path`; `reopen` closes it again afterwards.
    fn append(&self, path: &str, line: Vec<u8>, reopen: bool);
}

impl LineSink for LineWriter {
    fn append(&self, path: &str, line: Vec<u8>, reopen: bool) {
        Self::append(self, path, line, reopen);
    }
}

/// A sink that forgets everything.
#[derive(Debug, Default, Clone, Copy)]
pub struct NullSink;

impl LineSink for NullSink {
    fn append(&self, _path: &str, _line: Vec<u8>, _reopen: bool) {}
}

/// Process-wide services; one value for the life of the process, so that state survives reloads.
pub struct Services {
    /// Time of day.
    pub clock: Arc<dyn Clock>,
    /// Counters of rate limits, shared by all workers.
    pub counters: Arc<Counters>,
    /// Files that log plugins write to.
    pub lines: Arc<dyn LineSink>,
    /// Calls to upstreams and other hosts.
    pub outbound: Arc<dyn Outbound>,
    /// Id of this node.
    pub node_id: Uuid,
    /// Host name of this node.
    pub hostname: String,
}

impl Services {
    /// System clock, empty counters, no log files, no outbound calls.
    #[must_use]
    pub fn detached() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            counters: Arc::new(Counters::default()),
            lines: Arc::new(NullSink),
            outbound: Arc::new(NoOutbound),
            node_id: Uuid::nil(),
            hostname: "test".to_owned(),
        }
    }
}
