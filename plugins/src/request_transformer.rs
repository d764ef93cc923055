//! Plugin `request-transformer`.
