//! Plugin `file-log`.
