//! Plugin `key-auth`.
