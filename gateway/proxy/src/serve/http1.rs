//! One HTTP/1.1 client connection, behind the gate.

use super::connection::{Connection, Ends, Watched};
use super::request::handle;
use crate::tunnel;
use crate::worker::Worker;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use tidegate_net::gate::{GateLimits, GatedIo, Overdue};
use tidegate_plugin::exchange::Tls;
use tokio::io::{AsyncRead, AsyncWrite};

/// Serves a connection to its end, including a tunnel after an upgrade. `prefix` was read from `stream` already.
pub(crate) async fn serve<S>(
    worker: Rc<Worker>,
    stream: S,
    prefix: Vec<u8>,
    ends: Ends,
    tls: Option<Rc<Tls>>,
    limits: Rc<GateLimits>,
) where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let connection = Connection::new(&worker, ends, tls, Rc::clone(&limits), true);
    let Some(state) = connection.gate.clone() else {
        return;
    };
    let io = GatedIo::with_prefix(stream, Rc::clone(&limits), Rc::clone(&state), prefix);
    let service = {
        let (worker, connection) = (Rc::clone(&worker), Rc::clone(&connection));
        service_fn(move |request| {
            let (worker, connection) = (Rc::clone(&worker), Rc::clone(&connection));
            // Boxed: an idle connection then holds a pointer instead of room for a request's whole state.
            Box::pin(async move { Ok::<_, Infallible>(handle(worker, connection, request).await) })
        })
    };
    let mut builder = http1::Builder::new();
    // The gate bounds and times heads; hyper's own limits stand behind it.
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .title_case_headers(true)
        .half_close(false);
    builder.max_buf_size(head_room(&limits));
    if limits.max_header_count > 100 {
        builder.max_headers(limits.max_header_count);
    }
    let handle = io.upgrade_handle();
    let mut serving = Box::pin(builder.serve_connection(io, service));
    let watched = Watched::new(state);
    worker.watch(&watched);
    let mut is_closing = false;
    let ended = poll_fn(|cx| {
        watched.remember(cx.waker());
        if let Some(overdue) = watched.overdue() {
            return Poll::Ready(Err(Some(overdue)));
        }
        if worker.shared.is_draining() && !is_closing && connection.is_idle() {
            is_closing = true;
            serving.as_mut().graceful_shutdown();
        }
        serving.as_mut().poll(cx).map_err(|_| None)
    })
    .await;
    drop(serving);
    if let Err(overdue) = ended {
        note_overdue(&worker, overdue);
        return;
    }
    if let Some(pending) = connection.take_tunnel()
        && let Some((stream, early)) = handle.into_stream()
    {
        tunnel::run(TokioIo::new(stream), &early, pending, &worker.watchdog).await;
    }
}

/// Room for a head at its limits with the request line and what the gate may add when it rewrites one.
fn head_room(limits: &GateLimits) -> usize {
    (limits.max_request_line * 3 + limits.max_header_bytes + 16 * 1_024).max(16 * 1_024)
}

fn note_overdue(worker: &Worker, overdue: Option<Overdue>) {
    match overdue {
        Some(Overdue::Idle) | None => {}
        Some(Overdue::Head) => worker.metrics.refused("slow_head"),
        Some(Overdue::Body) => worker.metrics.refused("slow_body"),
        Some(Overdue::Write) => worker.metrics.refused("slow_reader"),
    }
}
