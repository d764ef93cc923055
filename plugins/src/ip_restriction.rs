//! Plugin `ip-restriction`.
