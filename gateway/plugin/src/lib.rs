//! The contract between the gateway and everything that runs on a request: phases, contexts, verdicts, the registry.
//!
//! A plugin sees heads, bytes and the services of its context. This crate knows nothing of sockets, pools, snapshots'
//! construction, stores or Wasm.
//!
//! ```text
//!            no route: global plugins only
//! rewrite ──► route ──► access ──► upstream ──► header_filter ──► body_filter* ──► log
//!   │                     │            │              ▲                               ▲
//!   └── Reply/Fail ───────┴── Reply ───┴── 502/504 ───┘      client gone at any time ─┘
//! ```
//!
//! `log` runs exactly once per request, also when the client left.

pub mod body;
pub mod context;
pub mod counters;
pub mod exchange;
pub mod filter;
pub mod headers;
pub mod identity;
pub mod kind;
pub mod log_record;
pub mod reply;
pub mod services;
pub mod testing;

pub use context::{AccessCx, BodyCx, HeaderCx, LogCx, ResponseCx, RewriteCx};
pub use exchange::{Exchange, Source};
pub use filter::{Direction, Filter, FilterEvent, FilterFault, FilterNeeds, FilterRun, Flow, Hold};
pub use kind::{
    BodyAccess, BuildCx, BuildError, Fault, FilterSource, Kind, Needs, Phase, PhaseSet, Plugin, Registry,
    ScopeRules, Side, Step, Verdict,
};
pub use reply::Reply;
