//! Plugin `correlation-id`.
