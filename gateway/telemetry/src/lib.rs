//! Metric cells, access-log records and the process log.
