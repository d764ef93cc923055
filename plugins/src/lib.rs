//! Built-in plugins, one folder each.
//!
//! A plugin knows its configuration and the contexts that it is handed; it never sees sockets, pools or files.

pub mod acl;
pub mod checks;
pub mod correlation_id;
pub mod cors;
pub mod entry;
pub mod file_log;
pub mod header_lookup;
pub mod ip_restriction;
pub mod key_auth;
pub mod query;
pub mod rate_limiting;
pub mod request_termination;
pub mod request_transformer;
pub mod response_transformer;
pub mod template;

use std::sync::Arc;
use tidegate_plugin::Registry;

/// Every built-in kind.
#[must_use]
pub fn registry() -> Registry {
    let mut registry = Registry::default();
    registry.add(Arc::new(acl::Acl));
    registry.add(Arc::new(file_log::FileLog));
    registry.add(Arc::new(ip_restriction::IpRestriction));
    registry.add(Arc::new(key_auth::KeyAuth));
    registry.add(Arc::new(rate_limiting::RateLimiting));
    registry.add(Arc::new(correlation_id::CorrelationId));
    registry.add(Arc::new(cors::Cors));
    registry.add(Arc::new(request_termination::RequestTermination));
    registry.add(Arc::new(request_transformer::RequestTransformer));
    registry.add(Arc::new(response_transformer::ResponseTransformer));
    registry
}
