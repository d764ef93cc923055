//! Second front end: components that speak `tidegate:filter`, the package in `wit/`.
//!
//! ```text
//! FilterRun ─► ComponentRun ─► call: a future on a fiber ─► guest ─► host functions ─► desk and exchange, lent
//!                  ▲                     │ waits for a body, room, an answer
//!                  └──── poll_event ◄────┘
//! ```
//!
//! A call into the guest is a future that owns its instance. It is polled where a callback or an event of the runner
//! comes in, and only for so long are the exchange and the run's [`desk`] in reach of host functions; a store holds
//! nothing of either. An instance serves one call at a time and goes back to its pool between the phases.

pub(crate) mod background;
mod bindings;
mod call;
mod demand;
mod desk;
mod handles;
mod host;
mod instance;
mod lane;
mod linker;
mod phases;
mod reply;
mod run;
mod state;
mod vm;
mod wasi;

pub(crate) use demand::Demand;
pub(crate) use linker::{BaseLinker, ComponentCode, FilterComponent, base as base_linker};
pub(crate) use run::ComponentRun;
pub(crate) use vm::ComponentVm;
