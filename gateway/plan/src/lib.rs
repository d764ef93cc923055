//! Compiles an entity set to a [`Snapshot`]: router, plugin chains, identities, upstream addresses.
//!
//! A pure, synchronous function: same input, same output. What did not change is shared with the previous snapshot:
//! plugin instances with their state, routes, services, chains, identities; so an edit costs what it changes, not what
//! there is. This crate knows nothing of files, sockets, TLS or async.

pub mod chain;
mod identities;
mod instances;
mod order;
mod planned_upstream;
mod refusing;
pub mod service;
mod slots;
pub mod snapshot;
mod times;

pub use chain::{ChainEntry, ChainIndex};
pub use instances::{Instance, InstanceIndex, entry_of_chain};
pub use planned_upstream::{HashFacts, HashInput, HashValue, PlannedUpstream, cookie_of};
pub use service::{Destination, PlannedService};
pub use snapshot::{PlanFault, PlanInput, PlannedRoute, Snapshot, plan};
pub use times::keep_times;
