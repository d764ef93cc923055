//! The bundled echo server: answers that show what was asked, after the well-known httpbin.
//!
//! HTTP/1.1 and HTTP/2 by prior knowledge on one port, WebSocket on `/ws`. It is there to try routes and plugins
//! against; every number a client can choose is capped.

mod answers;
mod form;
mod query;
mod report;
mod streams;
mod websocket;

#[cfg(test)]
mod tests;

use answers::{Answer, answer};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Largest request body that is read; a larger one is answered with 413.
pub const MAX_BODY: usize = 16 << 20;
/// Longest `/delay/{n}`.
pub const MAX_DELAY: Duration = Duration::from_secs(10);
/// Most bytes of `/bytes/{n}`.
pub const MAX_BYTES: usize = 10 << 20;
/// Most lines of `/stream/{n}`.
pub const MAX_LINES: usize = 100;
/// Most header lines of a request.
const MAX_HEADERS: usize = 2_000;
/// Time for the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(60);
/// Rest after a failed accept, which usually means that there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What the server demands.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct EchoOptions {
    /// Requests whose `Authorization` header is not exactly this are answered with 401.
    pub authorization: Option<String>,
}

impl std::fmt::Debug for EchoOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EchoOptions")
            .field("has_authorization", &self.authorization.is_some())
            .finish()
    }
}

/// Serves connections of `listener` until the future is dropped; open connections then end by themselves.
pub async fn serve(listener: TcpListener, options: EchoOptions) {
    let options = Arc::new(options);
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                tokio::spawn(connection(stream, peer, Arc::clone(&options)));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, options: Arc<EchoOptions>) {
    let _ = stream.set_nodelay(true);
    let is_http2 = starts_as_http2(&stream).await;
    let service = service_fn(move |request: http::Request<Incoming>| {
        let options = Arc::clone(&options);
        async move { Ok::<Answer, Infallible>(answer(request, peer, &options).await) }
    });
    let io = TokioIo::new(stream);
    // A client that breaks the protocol or leaves ends its connection; there is nothing to tell anyone.
    if is_http2 {
        let _ = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .serve_connection(io, service)
            .await;
    } else {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_headers(MAX_HEADERS);
        let _ = builder.serve_connection(io, service).with_upgrades().await;
    }
}

/// Whether the client starts with the preface of HTTP/2 (RFC 9113 section 3.4). `PRI` is no other method.
async fn starts_as_http2(stream: &TcpStream) -> bool {
    const START: &[u8] = b"PRI";
    const ATTEMPTS: usize = 100;
    let mut seen = [0_u8; START.len()];
    for _ in 0..ATTEMPTS {
        let Ok(count) = stream.peek(&mut seen).await else {
            return false;
        };
        let seen = seen.get(..count).unwrap_or_default();
        if count == 0 || !START.starts_with(seen) {
            return false;
        }
        if count == START.len() {
            return true;
        }
        // The rest of these three bytes is on its way.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    false
}
