//! Wasm filters: modules become plugin kinds, and their instances run within bounds.
//!
//! ```text
//! file ─► module (checks, compile or cache) ─► FilterKind ─► build (link, canary) ─► Generation, shared by all workers
//!                                                                                        │
//!   exchange ─► Filter::start ─► WorkerPool::lease ─► Run ─► Instance (guest) ◄─► host functions on State
//! ```
//!
//! `engine`, `artefacts`, `limits`, `host`, `generation` and `pool` know no ABI. There are two front ends: `abi`, with
//! `run`, for proxy-wasm modules, and `component` for components of the package `tidegate:filter`.
//!
//! Knows nothing of sockets, of the plan or of where modules come from. Calls leave through
//! [`tidegate_plugin::filter::Outbound`]. wasmtime's types do not leave this crate.
//!
//! Invariants: an instance belongs to one thread and is never re-entered; a guest's failure ends that guest and at
//! most the exchanges that share it; nothing that a guest does makes the host wait, allocate without bound, or act
//! while a callback runs.

mod abi;
mod absent;
mod artefacts;
mod background;
mod component;
mod deadline;
mod engine;
mod failure;
mod generation;
mod host;
mod kind;
mod limits;
mod log;
mod meta;
mod module;
mod options;
mod pool;
mod run;
mod scope;
pub mod testing;

pub use abi::choice::{UpstreamChoice, upstream_choice};
pub use absent::AbsentFilters;
pub use artefacts::{ArtefactCache, CacheError, ModuleDigest, Origin, digest};
pub use engine::{Allocation, EngineError, EngineSettings, FilterEngine, HeavySettings};
pub use host::{
    Count, FailureKind, FailureRecord, FilterHost, HostLimits, Labels, MetricKind, MetricValue, Observed,
    Totals,
};
pub use kind::{FilterKind, WasmFilter};
pub use meta::{FilterMeta, MetaError};
pub use module::{AbiVersion, FilterModule, LoadError, ModuleLimits};
pub use options::{
    BadPointer, FailurePolicy, FilterOptions, GrantedSecrets, HeadersPause, Isolation, Permission,
    PropertyEncoding, Resume,
};
pub use pool::sweep;
