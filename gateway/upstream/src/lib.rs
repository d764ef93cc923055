//! Upstreams at work: which address an exchange goes to, and what is known of the health of each.
//!
//! Pure state and arithmetic. This crate knows nothing of sockets, timers, tasks or names on the network: somebody else
//! resolves ([`Upstream::names`], [`Upstream::resolved`]), connects and reports ([`Pick::report`]), and sends probes
//! ([`Upstream::probes`], [`Upstream::probed`]). All workers of the process share one state; the request path takes no
//! lock.
//!
//! An [`Upstream`] is immutable in what was configured. A changed configuration makes a new one that takes over the
//! [`Endpoint`]s of the old: exchanges that still hold the old one count and report on the same endpoints.

mod board;
mod choice;
mod endpoint;
pub mod health;
mod latency;
mod pick;
mod probes;
mod retry_budget;
mod spec;
#[cfg(test)]
mod testing;
mod upstream;
mod upstreams;
mod view;

pub use choice::{Asked, NoPeer, Tried};
pub use endpoint::Endpoint;
pub use health::{Cause, HealthEvent, Outcome};
pub use pick::Pick;
pub use probes::Probe;
pub use spec::{Algorithm, TargetSpec, UpstreamSpec};
pub use upstream::{DnsFault, NamedTarget, ResolvedAddress, Upstream};
pub use upstreams::Upstreams;
pub use view::{DnsState, EndpointView, Health, TargetView, WhyOut};
