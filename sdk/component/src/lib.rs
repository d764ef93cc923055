//! HTTP filters as WebAssembly components: a phase is a trait, and a call to another host is a function that returns.
//!
//! A filter is one type. [`Filter`] makes it from the configuration, once per instance; it takes part in the phases whose
//! traits it implements and that [`filter!`] names. Nothing else is exported, so a filter of heads alone costs no body.
//!
//! ```no_run
//! use tidegate_sdk_component::{
//!     ConfigError, Context, Decision, Filter, RequestFilter, RequestHead, Result, filter, next,
//! };
//!
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Greeting {
//!     value: String,
//! }
//!
//! impl Filter for Greeting {
//!     type Config = Self;
//!
//!     fn configure(config: Self) -> Result<Self, ConfigError> {
//!         Ok(config)
//!     }
//! }
//!
//! impl RequestFilter for Greeting {
//!     fn on_request(&self, _: &Context, head: &RequestHead) -> Result<Decision> {
//!         head.set("x-greeting", &self.value)?;
//!         Ok(next())
//!     }
//! }
//!
//! filter!(Greeting: request);
//! ```
//!
//! Compiled by `tidegate filter build`, or by cargo for `wasm32-wasip1` with `wasm-component-ld` as the linker, in a crate
//! of type `cdylib` that names itself a component (`[package.metadata.tidegate] component = true`); tested with the crate
//! `tidegate-filter-test`.
//!
//! A callback that returns an error ends as a failure of the filter: it is logged and the gateway applies the failure
//! policy of the attachment, `closed` or `open`. State between the phases of an exchange belongs into [`Context::set`]:
//! they may run on several instances.

#[doc(hidden)]
pub mod bindings;
mod config;
mod decide;
mod error;
mod filter;

pub use bindings::imports::tidegate::filter::exchange::{
    Body, Consumer, Context, Entity, HttpVersion, Peer, RequestHead, ResponseHead, Target,
};
pub use bindings::imports::tidegate::filter::types::{
    BodyDecision, BodyMode, Decision, Failure, Field, FieldError, Level, Reply,
};
pub use bindings::imports::tidegate::filter::{kv, logging, metrics, outbound, secrets};
pub use bindings::log::exports::tidegate::filter::log_filter::Summary;
pub use config::{ConfigError, parse};
pub use decide::{hold, next, pass, reply, respond, stream};
pub use error::{Error, Result};
pub use filter::{
    Filter, LogFilter, RequestBodyFilter, RequestFilter, ResponseBodyFilter, ResponseFilter, TickFilter,
};

#[doc(hidden)]
pub use filter::guest;
