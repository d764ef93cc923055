//! HTTP filters in Rust: a configuration with types, an exchange with state, errors with names.
//!
//! A filter is two types. [`Filter`] is made from the configuration, once per instance; [`Exchange`] is made from the
//! filter, once per request, and is told of each part of the request and the response. The module that comes out speaks
//! proxy-wasm ABI 0.2.1: it runs in Tidegate and in every other host of that ABI.
//!
//! ```no_run
//! use std::rc::Rc;
//! use tidegate_sdk::{ConfigError, Exchange, Filter, Flow, Head, Result, filter};
//!
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     value: String,
//! }
//!
//! struct Greeting(Config);
//!
//! impl Filter for Greeting {
//!     type Config = Config;
//!     type Exchange = Greeted;
//!
//!     fn configure(config: Config) -> Result<Self, ConfigError> {
//!         Ok(Self(config))
//!     }
//!
//!     fn exchange(self: Rc<Self>) -> Greeted {
//!         Greeted(self)
//!     }
//! }
//!
//! struct Greeted(Rc<Greeting>);
//!
//! impl Exchange for Greeted {
//!     fn request_head(&mut self, request: &Head) -> Result<Flow> {
//!         request.set("x-greeting", &self.0.0.value)?;
//!         Ok(Flow::Continue)
//!     }
//! }
//!
//! filter!(Greeting);
//! ```
//!
//! Compiled by `cargo build --release --target wasm32-wasip1` in a crate of type `cdylib`; tested with the crate
//! `tidegate-filter-test`.
//!
//! A callback that returns an error ends as a failure of the filter: it is logged and the gateway applies the failure
//! policy of the attachment, `closed` or `open`.

mod call;
mod config;
mod error;
mod filter;
mod guest;
mod message;
pub mod property;
mod reply;
pub mod shared;

pub use call::{Answer, Call, CallId};
pub use config::{ConfigError, parse};
pub use error::{Error, Result};
pub use filter::{Exchange, Filter, Flow};
pub use guest::{now, register};
pub use message::{Body, Head, Headers};
pub use reply::Reply;

pub use log;
pub use proxy_wasm;

/// Makes a type the filter of this module. Stands once in a crate of type `cdylib`.
///
/// ```no_run
/// # use std::rc::Rc;
/// # use tidegate_sdk::{ConfigError, Exchange, Filter, filter};
/// struct Nothing;
///
/// impl Filter for Nothing {
///     type Config = ();
///     type Exchange = Self;
///     fn configure((): ()) -> Result<Self, ConfigError> {
///         Ok(Self)
///     }
///     fn exchange(self: Rc<Self>) -> Self {
///         Self
///     }
/// }
///
/// impl Exchange for Nothing {}
///
/// filter!(Nothing);
/// ```
#[macro_export]
macro_rules! filter {
    ($filter:ty) => {
        $crate::proxy_wasm::main! {{
            $crate::register::<$filter>();
        }}
    };
}
