//! The life of a request: receive, route, phases, forward, answer, log.
//!
//! The only crate that knows hyper's bodies on both sides. It receives snapshots and settings; it knows nothing of
//! files, stores, the Admin API or which plugins exist.
//!
//! ```text
//! accept ─ TLS ─ gate ─► receive ─► rewrite ─► route ─► access ─► forward ─┬─► header_filter ─► body ─► log
//!                           │          │         │        │                │         ▲
//!                           └─ fault ──┴─ reply ─┴─ 404 ──┴─ reply ────────┴─ 502 ───┘
//! ```
//!
//! | what fails | answer | upstream tried again |
//! |---|---|---|
//! | bytes are no request, framing is ambiguous | 400, 414, 501, 505; connection closes | no |
//! | no route, no service | 404, 503 | no |
//! | name does not resolve | 503 `name resolution failed` | no |
//! | connect refused, TLS fails | 502 | yes |
//! | connect times out | 504 | yes |
//! | reused connection died before a byte was written | none: repeated on a fresh connection | not counted |
//! | connection dies or stalls before the response head | 502, 504 | idempotent methods with the body in hand |
//! | dies or stalls in the response body | the client's connection is cut | no |
//! | the client leaves | upstream request aborted, logged once | no |

mod background;
mod balance;
mod bodies;
mod filters;
mod forward;
mod forwarded;
mod hop_by_hop;
mod log;
pub mod outbound;
mod phases;
mod real_ip;
mod receive;
mod reply;
mod respond;
pub mod route;
mod serve;
pub mod settings;
mod tls_targets;
mod tunnel;
pub mod worker;

pub use balance::{names, peer, tell};
pub use serve::{Listener, ListenerKind, ListenerSocket, accept};
pub use settings::ProxySettings;
pub use worker::{Live, Shared, Worker, WorkerParts};
