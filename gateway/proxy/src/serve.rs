//! Client connections: accept, handshake, HTTP/1.1 or HTTP/2, drain.

mod accept;
mod connection;
mod http1;
mod http2;
mod request;

pub use accept::{Listener, ListenerKind, ListenerSocket, accept};
pub(crate) use connection::{Connection, Watched};
pub(crate) use request::REPEATABLE_BODY;
