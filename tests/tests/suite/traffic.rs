//! Traffic of every kind goes through as it came.

#[path = "traffic/balancing.rs"]
mod balancing;
#[path = "traffic/dns.rs"]
mod dns;
#[path = "traffic/hashing.rs"]
mod hashing;
#[path = "traffic/http2.rs"]
mod http2;
#[path = "traffic/listen_flags.rs"]
mod listen_flags;
#[path = "traffic/listeners.rs"]
mod listeners;
#[path = "traffic/messages.rs"]
mod messages;
#[path = "traffic/target_changes.rs"]
mod target_changes;
#[path = "traffic/targets.rs"]
mod targets;
#[path = "traffic/tls.rs"]
mod tls;
#[path = "traffic/tls_settings.rs"]
mod tls_settings;
#[path = "traffic/upstream_tls.rs"]
mod upstream_tls;
#[path = "traffic/upstreams.rs"]
mod upstreams;
