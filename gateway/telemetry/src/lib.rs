//! Metric cells, access-log records and the process log.
//!
//! This crate knows nothing of HTTP types, snapshots or sockets: it is handed numbers and names.

pub mod access_log;
pub mod line_writer;
pub mod metrics;
pub mod process_log;
