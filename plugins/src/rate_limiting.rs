//! Plugin `rate-limiting`.
