//! Plugin `response-transformer`.
