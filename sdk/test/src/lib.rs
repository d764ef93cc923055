//! Tests compiled filters inside the real host, offline, from an ordinary `cargo test`.
//!
//! ```no_run
//! use tidegate_filter_test::{Harness, Request, Response};
//!
//! # fn main() -> Result<(), tidegate_filter_test::HarnessError> {
//! Harness::build(env!("CARGO_MANIFEST_DIR"))?
//!     .config(serde_json::json!({ "upstream": "auth" }))
//!     .callouts(|call| {
//!         assert_eq!(call.path, "/check");
//!         Ok(Response::new(200).header("x-user", "alice"))
//!     })
//!     .request(Request::get("/orders").header("authorization", "Bearer abc"))
//!     .expect_header("x-user", "alice")
//!     .expect_status(200);
//! # Ok(()) }
//! ```
//!
//! The filter runs as in the gateway: the same engine, the same ABI, the same bounds. What is made up is the world: the
//! upstream answers what the request says, calls are answered by a closure, and time stands still but for
//! [`Harness::advance`] and for waits that nothing else can end.
//!
//! Methods that begin with `expect_` fail the test with what they saw instead; all others give values.

mod calls;
mod exchange;
mod harness;

pub use calls::Callout;
pub use exchange::{Passed, Request, Response};
pub use harness::{Harness, HarnessError};
pub use tidegate_plugin::filter::OutboundError as CalloutError;
pub use tidegate_wasm::{FailurePolicy, FilterOptions, Isolation};
