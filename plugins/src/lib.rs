//! Built-in plugins, one folder each.
//!
//! A plugin knows its configuration and the contexts that it is handed; it never sees sockets, pools or files.

pub mod acl;
pub mod correlation_id;
pub mod cors;
pub mod file_log;
pub mod ip_restriction;
pub mod key_auth;
pub mod rate_limiting;
pub mod request_termination;
pub mod request_transformer;
pub mod response_transformer;

use tidegate_plugin::Registry;

/// Every built-in kind.
#[must_use]
pub fn registry() -> Registry {
    Registry::default()
}
