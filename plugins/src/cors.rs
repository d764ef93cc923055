//! Plugin `cors`.
