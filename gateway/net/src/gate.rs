//! The HTTP/1 request gate: what stands between a client's bytes and whoever reads them as requests.
//!
//! The gate follows the framing of the byte stream, judges each head before its reader sees it, and replaces a bad one
//! by a stand-in, so that every refusal is answered by the same pipeline as any other request. What it lets pass has
//! one reading; [`crate::http1`] need not be strict, and an HTTP library behind it could not be fooled either.
//!
//! - A good head that arrives in one piece is not copied.
//! - A head is held until it is complete; limits hold from the first byte.
//! - A head that has a second reading elsewhere (bare LF, absolute form, odd bytes) is rewritten to the only one.
//! - A broken chunked body becomes an I/O error, so that the upstream request is aborted and never completed.
//! - After a refusal nothing is read as a request.

mod bytes;
mod chunked;
mod fault;
mod fuzz;
mod h2;
mod head;
mod host;
mod limits;
mod rewrite;
mod sniff;
mod state;
mod stream;
mod target;
mod watch;

pub use fault::RequestFault;
pub use fuzz::fuzz_gate;
pub use h2::{check_h2, remove_ignored_headers};
pub use limits::GateLimits;
pub use sniff::{ClientProtocol, sniff};
pub use state::{ConnectionState, Reading, RequestFacts};
pub use stream::Gate;
pub use watch::{ClientDeadlines, ConnectionWatch, Overdue};

#[cfg(test)]
mod tests;
