//! Plugin `request-termination`.
