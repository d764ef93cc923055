//! The Tidegate API gateway.
