//! Plugin `acl`.
