//! Traffic of every kind goes through as it came.

#[path = "traffic/http2.rs"]
mod http2;
#[path = "traffic/listeners.rs"]
mod listeners;
#[path = "traffic/messages.rs"]
mod messages;
#[path = "traffic/tls.rs"]
mod tls;
#[path = "traffic/upstreams.rs"]
mod upstreams;
