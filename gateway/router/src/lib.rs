//! Compiled route tables: find, explain, update.
//!
//! [`Router::build`] compiles routes into an index whose look-ups cost the length of the request, not the number of
//! routes; [`Router::update`] makes a changed copy; [`Router::explain`] tells why a request went where it went.
//!
//! The order of routes is the documented one of kong-core C.5, not the one that Kong 3.8 and 3.9 ship. Hosts are
//! compared in lower case, header values without regard to case. Paths are bytes and need not be UTF-8.
//!
//! This crate knows nothing of services, plugins, sockets or HTTP messages: it sees route entities and borrowed facts
//! about a request.

mod check;
mod compile;
mod explain;
pub mod expression;
mod facts;
mod fuzzing;
mod index;
mod matched;
mod pattern;
mod router;
mod routes;
mod search;
mod upstream_path;
mod weight;

pub use compile::MAX_PATHS_PER_ROUTE;
pub use explain::{Attribute, Candidate, Explanation, Outcome, Rejection};
pub use facts::{HeaderList, HeaderSource, NoHeaders, RequestFacts};
pub use fuzzing::fuzz;
pub use matched::{Match, MatchCaptures};
pub use pattern::{MAX_COMPILED_PATTERN_BYTES, PatternError};
pub use router::{Flavor, RouteFault, RouteInput, Router};
pub use upstream_path::{UpstreamPath, upstream_path};
pub use weight::RankRule;
