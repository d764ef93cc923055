//! Sockets, TLS, PROXY protocol, the request gate, DNS and upstream connections.
//!
//! A worker is one thread with a `current_thread` runtime and a `LocalSet`, so what serves a connection need not be
//! `Send`; what is built from the configuration (TLS settings, certificates, limits) is shared by all workers.
//!
//! This crate knows nothing of routes, plugins or entities.

pub mod connect;
pub mod dns;
pub mod gate;
pub mod http1;
pub mod limits;
pub mod listen;
pub mod pool;
mod prefixed;
pub mod probe;
pub mod proxy_protocol;
pub mod tls;
pub mod watchdog;

pub use gate::fuzz_gate;
pub use prefixed::Prefixed;
