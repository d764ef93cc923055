//! An entry for fuzzing: arbitrary bytes in arbitrary splits.

use super::limits::GateLimits;
use super::state::ConnectionState;
use super::stream::Gate;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, ReadBuf};

/// Everything that an HTTP server behind the gate would see of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Passed {
    /// The bytes, stand-ins included.
    pub(super) bytes: Vec<u8>,
    /// Statuses of refused requests, `None` for good ones, in order.
    pub(super) requests: Vec<Option<u16>>,
    /// The stream ended in an error.
    pub(super) is_broken: bool,
}

/// Feeds `bytes` through the gate; the first byte seeds how the rest is split.
///
/// # Panics
/// Panics when the outcome depends on the split.
pub fn fuzz_gate(bytes: &[u8]) {
    let Some((seed, bytes)) = bytes.split_first() else {
        return;
    };
    let limits = small_limits();
    let whole = pass(bytes, &[usize::MAX], 4_096, &limits);
    let step = usize::from(*seed % 16) + 1;
    let split = pass(
        bytes,
        &[step, 1, usize::from(*seed) + 1],
        usize::from(*seed >> 4) + 1,
        &limits,
    );
    assert_eq!(whole, split, "the outcome depends on how the bytes are split");
}

/// Limits that a short input reaches.
pub(super) fn small_limits() -> GateLimits {
    GateLimits {
        max_request_line: 64,
        max_header_line: 48,
        max_header_bytes: 160,
        max_header_count: 6,
        max_blank_lines: 3,
        max_chunk_extensions: 16,
        max_trailer_count: 2,
        max_trailer_bytes: 40,
        ..GateLimits::default()
    }
}

/// Passes `bytes` through a gate that receives them in pieces of the given sizes (repeated), into buffers of `room`.
pub(super) fn pass(bytes: &[u8], sizes: &[usize], room: usize, limits: &GateLimits) -> Passed {
    let pieces = Pieces::new(bytes, sizes);
    let state = Rc::new(ConnectionState::default());
    let mut gate = Gate::new(pieces, Rc::new(limits.clone()), Rc::clone(&state), Vec::new());
    let mut passed = Passed::default();
    let mut cx = Context::from_waker(Waker::noop());
    let mut storage = vec![0_u8; room];
    loop {
        let mut buf = ReadBuf::new(&mut storage);
        let polled = Pin::new(&mut gate).poll_read(&mut cx, &mut buf);
        passed.bytes.extend_from_slice(buf.filled());
        while state.heads_read() > passed.requests.len() as u64 {
            passed.requests.push(
                state
                    .begin_request()
                    .and_then(|facts| facts.fault)
                    .map(|fault| fault.status),
            );
            // Any upgrade is declined, so that the bytes after it are judged, too.
            state.finish_request();
        }
        match polled {
            Poll::Ready(Ok(())) if buf.filled().is_empty() => return passed,
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(_)) => {
                passed.is_broken = true;
                return passed;
            }
            // Only a refused connection waits: the pieces are always ready.
            Poll::Pending => return passed,
        }
    }
}

/// A stream that yields prepared pieces, then its end.
struct Pieces(VecDeque<Vec<u8>>);

impl Pieces {
    fn new(mut bytes: &[u8], sizes: &[usize]) -> Self {
        let mut pieces = VecDeque::new();
        for &size in sizes.iter().cycle() {
            let (piece, rest) = bytes.split_at_checked(size.max(1)).unwrap_or((bytes, &[]));
            if piece.is_empty() {
                break;
            }
            pieces.push_back(piece.to_vec());
            bytes = rest;
        }
        Self(pieces)
    }
}

impl AsyncRead for Pieces {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let pieces = &mut self.get_mut().0;
        if let Some(mut piece) = pieces.pop_front() {
            let rest = piece.split_off(piece.len().min(buf.remaining()));
            buf.put_slice(&piece);
            if !rest.is_empty() {
                pieces.push_front(rest);
            }
        }
        Poll::Ready(Ok(()))
    }
}
