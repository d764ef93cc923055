//! Upgraded connections: after 101 the gateway copies bytes both ways.

use bytes::Bytes;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tidegate_net::connect::Connected;
use tidegate_net::watchdog::Watchdog;
use tidegate_upstream::Pick;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The upstream's half of a tunnel, waiting for the client's.
pub(crate) struct PendingTunnel {
    /// The upstream connection.
    pub(crate) upstream: Connected,
    /// What the upstream sent after its 101.
    pub(crate) read_ahead: Bytes,
    /// Longest silence of both sides.
    pub(crate) idle_timeout: Duration,
    /// Counts as an exchange in flight on its target while the tunnel is open.
    pub(crate) pick: Option<Pick>,
}

/// Copies until both sides are done, one fails, or neither says anything for too long.
pub(crate) async fn run<I>(mut client: I, early: &[u8], pending: PendingTunnel, watchdog: &Rc<Watchdog>)
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let (mut server, _in_flight) = (pending.upstream, pending.pick);
    if client.write_all(&pending.read_ahead).await.is_err() || server.write_all(early).await.is_err() {
        return;
    }
    let _ = client.flush().await;
    let deadline = watchdog.deadline();
    let (mut client_read, mut client_write) = tokio::io::split(client);
    let (mut server_read, mut server_write) = tokio::io::split(server);
    let last = std::cell::Cell::new(Instant::now());
    let up = pipe(&mut client_read, &mut server_write, &last);
    let down = pipe(&mut server_read, &mut client_write, &last);
    let both = async { tokio::join!(up, down) };
    tokio::pin!(both);
    std::future::poll_fn(|cx| {
        if both.as_mut().poll(cx).is_ready() {
            return std::task::Poll::Ready(());
        }
        if deadline.is_expired() && last.get().elapsed() >= pending.idle_timeout {
            return std::task::Poll::Ready(());
        }
        if !deadline.is_armed() {
            deadline.arm(last.get() + pending.idle_timeout, cx.waker());
        }
        std::task::Poll::Pending
    })
    .await;
}

async fn pipe<R, W>(from: &mut R, to: &mut W, last: &std::cell::Cell<Instant>)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut buffer = vec![0; 16 * 1_024];
    while let Ok(count) = from.read(&mut buffer).await {
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        last.set(Instant::now());
        if to.write_all(bytes).await.is_err() || to.flush().await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
