//! What Kong's users rely on (kong-behaviours sections 1 to 6).

#[path = "parity/error_pages.rs"]
mod error_pages;
#[path = "parity/paths.rs"]
mod paths;
#[path = "parity/protocols.rs"]
mod protocols;
#[path = "parity/request_headers.rs"]
mod request_headers;
#[path = "parity/response_headers.rs"]
mod response_headers;
#[path = "parity/routing.rs"]
mod routing;
#[path = "parity/scopes.rs"]
mod scopes;
