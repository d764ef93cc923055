//! Compiles an entity set to a [`Snapshot`]: router, plugin chains, identities, upstream addresses.
//!
//! A pure, synchronous function: same input, same output. Plugin instances whose configuration did not change are taken
//! over from the previous snapshot with their state. This crate knows nothing of files, sockets, TLS or async.

pub mod chain;
mod identities;
mod instances;
mod order;
pub mod service;
pub mod snapshot;

pub use chain::{Chain, ChainEntry, ChainIndex};
pub use instances::{Instance, InstanceIndex};
pub use service::{Destination, PlannedService, PlannedUpstream};
pub use snapshot::{PlanFault, PlanInput, PlannedRoute, Snapshot, plan};
