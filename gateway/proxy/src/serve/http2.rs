//! One HTTP/2 client connection.

use super::connection::{Connection, Ends};
use super::request::handle;
use crate::receive::Received;
use crate::worker::Worker;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;
use tidegate_net::gate::GateLimits;
use tidegate_net::pool::LocalExecutor;
use tidegate_plugin::exchange::Tls;

/// Serves a connection to its end.
pub(crate) async fn serve<I>(
    worker: Rc<Worker>,
    io: I,
    ends: Ends,
    tls: Option<Rc<Tls>>,
    gate: Rc<GateLimits>,
) where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
{
    let connection = Connection::new(&worker, ends, tls, gate, false);
    let limits = worker.settings.client;
    let service = {
        let (worker, connection) = (Rc::clone(&worker), Rc::clone(&connection));
        service_fn(move |request| {
            let (worker, connection) = (Rc::clone(&worker), Rc::clone(&connection));
            async move {
                let received = Received::http2(request, &connection.limits);
                Ok::<_, Infallible>(handle(&worker, &connection, received).await)
            }
        })
    };
    let mut builder = http2::Builder::new(LocalExecutor);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.http2_max_streams)
        .max_pending_accept_reset_streams(limits.http2_max_pending_resets)
        .max_local_error_reset_streams(limits.http2_max_error_resets)
        .max_header_list_size(limits.http2_max_header_list_bytes)
        .initial_stream_window_size(limits.http2_stream_window)
        .initial_connection_window_size(limits.http2_connection_window)
        .max_send_buf_size(limits.http2_max_send_buffer)
        .keep_alive_interval(limits.idle_timeout)
        .keep_alive_timeout(limits.header_timeout);
    let mut serving = std::pin::pin!(builder.serve_connection(io, service));
    let deadline = worker.watchdog.deadline();
    let mut idle_since: Option<(u64, Instant)> = None;
    let mut is_closing = false;
    let _ = poll_fn(|cx| {
        if let Poll::Ready(ended) = Pin::new(&mut serving).poll(cx) {
            return Poll::Ready(ended.ok());
        }
        if connection.is_idle() {
            let now = Instant::now();
            let requests = connection.requests.get();
            let since = match idle_since {
                Some((known, since)) if known == requests => since,
                _ => {
                    idle_since = Some((requests, now));
                    now
                }
            };
            let is_overdue = now.duration_since(since) >= limits.idle_timeout;
            if !is_closing && (is_overdue || connection.closes_after_response()) {
                is_closing = true;
                serving.as_mut().graceful_shutdown();
                cx.waker().wake_by_ref();
            }
            if !deadline.is_armed() {
                deadline.arm(now + limits.idle_timeout, cx.waker());
            }
        } else if connection.closes_after_response() && !is_closing {
            is_closing = true;
            serving.as_mut().graceful_shutdown();
        }
        Poll::Pending
    })
    .await;
}
