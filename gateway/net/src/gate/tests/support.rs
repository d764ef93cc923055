//! A hyper server behind the gate that notes what it saw and echoes bodies.

use crate::gate::{ConnectionState, Gate, GateLimits};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A request as the service saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    /// The body, or the error that ended it.
    pub(super) body: Result<String, String>,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }
}

/// What came of one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Statuses of the answers in order.
    pub(super) statuses: Vec<u16>,
    /// Requests that were not refused.
    pub(super) seen: Vec<Seen>,
    /// Everything the client received.
    pub(super) received: String,
}

/// A good request, to find out whether a connection still takes one.
pub(super) const GOOD: &str = "GET /good HTTP/1.1\r\nHost: good.test\r\n\r\n";

/// Sends `raw` and a good request after it over one connection, then closes the sending side.
pub(super) fn talk(raw: impl AsRef<[u8]>) -> Outcome {
    let bytes = [raw.as_ref(), GOOD.as_bytes()].concat();
    exchange(&[&bytes], GateLimits::default())
}

/// The status of the only answer to `raw`; panics unless the connection was closed after it, without a request seen.
pub(super) fn refusal(raw: impl AsRef<[u8]>) -> u16 {
    let shown = String::from_utf8_lossy(raw.as_ref()).into_owned();
    let outcome = talk(raw);
    assert_eq!(outcome.seen, [], "{shown:?} must not reach the service");
    assert_eq!(
        outcome.statuses.len(),
        1,
        "the connection is closed after {shown:?}: {outcome:?}"
    );
    assert!(outcome.received.contains("connection: close"), "{outcome:?}");
    outcome.statuses[0]
}

/// The only request that the service saw of `raw`; panics unless the connection then took another one.
pub(super) fn passed(raw: impl AsRef<[u8]>) -> Seen {
    let shown = String::from_utf8_lossy(raw.as_ref()).into_owned();
    let outcome = talk(raw);
    assert_eq!(
        outcome.statuses,
        [200, 200],
        "{shown:?} passes and the connection is kept: {outcome:?}"
    );
    outcome.seen.into_iter().next().unwrap()
}

/// Sends the pieces one by one and closes the sending side.
pub(super) fn exchange(pieces: &[&[u8]], limits: GateLimits) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (client, server) = tokio::io::duplex(1 << 16);
        let seen = Rc::default();
        let serving = serve(server, limits, Rc::clone(&seen));
        let (mut from_server, mut to_server) = tokio::io::split(client);
        let writing = async {
            for piece in pieces {
                // A server that has closed already is part of some tests.
                if to_server.write_all(piece).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
            to_server.shutdown().await.ok();
        };
        let mut received = Vec::new();
        let reading = from_server.read_to_end(&mut received);
        let all = async { tokio::join!(serving, writing, reading) };
        let ((), (), _) = tokio::time::timeout(Duration::from_secs(20), all)
            .await
            .expect("the connection ends");
        let received = String::from_utf8_lossy(&received).into_owned();
        Outcome {
            statuses: statuses(&received),
            seen: seen.take(),
            received,
        }
    })
}

async fn serve(io: tokio::io::DuplexStream, limits: GateLimits, seen: Rc<RefCell<Vec<Seen>>>) {
    let state = Rc::new(ConnectionState::default());
    let io = TokioIo::new(Gate::new(io, Rc::new(limits), Rc::clone(&state), Vec::new()));
    let service = service_fn(|request| answer(request, Rc::clone(&state), Rc::clone(&seen)));
    let connection = hyper::server::conn::http1::Builder::new()
        .max_headers(300)
        .half_close(true)
        .serve_connection(io, service);
    // A broken body ends the connection with an error.
    connection.await.ok();
}

async fn answer(
    request: Request<Incoming>,
    state: Rc<ConnectionState>,
    seen: Rc<RefCell<Vec<Seen>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let facts = state.begin_request().expect("every request was judged");
    let (parts, body) = request.into_parts();
    if let Some(fault) = facts.fault {
        assert_eq!(
            parts.headers.get("host").unwrap(),
            "invalid",
            "a refused request never shows its own head"
        );
        state.finish_request();
        let answer = Response::builder()
            .status(fault.status)
            .body(Full::from(fault.message))
            .unwrap();
        return Ok(answer);
    }
    let body = body.collect().await;
    let headers = parts.headers.iter().map(|(name, value)| {
        (
            name.as_str().to_owned(),
            String::from_utf8_lossy(value.as_bytes()).into_owned(),
        )
    });
    seen.borrow_mut().push(Seen {
        method: parts.method.to_string(),
        target: parts.uri.to_string(),
        headers: headers.collect(),
        body: body
            .map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned())
            .map_err(|_| {
                state
                    .body_fault()
                    .map_or("cut off", |fault| fault.reason)
                    .to_owned()
            }),
    });
    state.finish_request();
    Ok(Response::new(Full::from("echo")))
}

fn statuses(received: &str) -> Vec<u16> {
    received
        .match_indices("HTTP/1.")
        .filter_map(|(at, _)| received.get(at + 9..at + 12)?.parse().ok())
        .filter(|status| *status != 100)
        .collect()
}
