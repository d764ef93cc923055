//! One HTTP/1.1 client connection, behind the gate.

use super::connection::{Connection, Ends, Watched};
use super::request::handle;
use crate::bodies::{ClientBody, ClientStream};
use crate::receive::Received;
use crate::tunnel;
use crate::worker::Worker;
use http::StatusCode;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use tidegate_net::gate::{Gate, GateLimits, Overdue};
use tidegate_net::http1::{ClientConnection, ResponseWriter};
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
    let client = ClientConnection::new(
        Gate::new(stream, Rc::clone(&limits), Rc::clone(&state), prefix),
        limits.max_header_count,
    );
    let watched = Watched::new(state, client.buffers());
    worker.watch(&watched);
    let is_between = Cell::new(true);
    let ended = {
        let mut serving = pin!(exchanges(&worker, &connection, &client, &is_between));
        poll_fn(|cx| {
            watched.remember(cx.waker());
            if let Some(overdue) = watched.overdue() {
                return Poll::Ready(Ended::Overdue(overdue));
            }
            if worker.shared.is_draining() && is_between.get() && connection.is_idle() {
                return Poll::Ready(Ended::Closed);
            }
            serving.as_mut().poll(cx)
        })
        .await
    };
    match ended {
        Ended::Overdue(overdue) => note_overdue(&worker, overdue),
        Ended::Left => {}
        Ended::Closed => close(&worker, &watched, &client).await,
        Ended::Upgraded => {
            if let Some(pending) = connection.take_tunnel()
                && let Some((stream, early)) = client.into_stream()
            {
                tunnel::run(stream, &early, pending, &worker.watchdog).await;
            }
        }
    }
}

/// How a connection ended.
enum Ended {
    /// By one side's wish, between two exchanges.
    Closed,
    /// The client left, or its response broke off.
    Left,
    /// The client was too slow.
    Overdue(Overdue),
    /// It is a tunnel now.
    Upgraded,
}

/// One exchange after another; `is_between` tells when none is in hand.
async fn exchanges<S>(
    worker: &Rc<Worker>,
    connection: &Rc<Connection>,
    client: &ClientConnection<S>,
    is_between: &Cell<bool>,
) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let mut writer = ResponseWriter::new();
    loop {
        is_between.set(true);
        let next = client.next_request().await;
        is_between.set(false);
        let head = match next {
            Ok(Some(head)) => head,
            Ok(None) => return Ended::Closed,
            Err(error) => {
                tracing::error!(%error, "a request passed the gate that cannot be read");
                return Ended::Left;
            }
        };
        let asked = head.asked();
        let received = Received {
            method: head.method,
            target: head.target,
            version: head.version,
            headers: head.headers,
            authority: None,
            body: client.body().map(ClientStream::Http1),
            fault: None,
        };
        let response = {
            let mut handling = pin!(handle(worker, connection, received));
            poll_fn(|cx| match handling.as_mut().poll(cx) {
                Poll::Ready(response) => Poll::Ready(Some(response)),
                Poll::Pending => client.poll_left(cx).map(|()| None),
            })
            .await
        };
        let Some(response) = response else {
            return Ended::Left;
        };
        let (parts, body) = response.into_parts();
        match writer
            .send(client, &asked, &parts, body, ClientBody::note_head)
            .await
        {
            Err(_) => return Ended::Left,
            Ok(_) if parts.status == StatusCode::SWITCHING_PROTOCOLS => return Ended::Upgraded,
            Ok(false) => return Ended::Closed,
            Ok(true) => {}
        }
    }
}

/// Closes politely, within the deadlines of a client that does not read.
async fn close<S>(worker: &Rc<Worker>, watched: &Watched, client: &ClientConnection<S>)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let mut closing = pin!(client.shutdown());
    let overdue = poll_fn(|cx| {
        watched.remember(cx.waker());
        match watched.overdue() {
            Some(overdue) => Poll::Ready(Some(overdue)),
            None => closing.as_mut().poll(cx).map(|()| None),
        }
    })
    .await;
    if let Some(overdue) = overdue {
        note_overdue(worker, overdue);
    }
}

fn note_overdue(worker: &Worker, overdue: Overdue) {
    match overdue {
        Overdue::Idle => {}
        Overdue::Head => worker.metrics.refused("slow_head"),
        Overdue::Body => worker.metrics.refused("slow_body"),
        Overdue::Write => worker.metrics.refused("slow_reader"),
    }
}
