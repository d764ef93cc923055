//! One direction of an exchange: its head, and a body on its way through the filter.

use crate::abi::state::Head;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use std::collections::VecDeque;
use std::task::Poll;
use tidegate_plugin::Hold;

/// See the module.
#[derive(Default)]
pub(super) struct Lane {
    pub(super) head: Head,
    pub(super) mode: Mode,
    /// What the runner was told.
    pub(super) paused: Option<Hold>,
    incoming: Chunks,
    outgoing: Chunks,
    /// The end of the body is known.
    pub(super) has_ended: bool,
    /// As they arrived.
    pub(super) trailers: Option<HeaderMap>,
    /// As the filter wants them.
    pub(super) new_trailers: Option<HeaderMap>,
    /// Bytes that may be held.
    pub(super) limit: usize,
    received: usize,
    written: usize,
    /// The filter took or wrote some of it.
    is_touched: bool,
    /// The filter lets the rest pass.
    forwards: bool,
    /// More was held than may be.
    pub(super) has_overflown: bool,
    /// `Content-Length` of the message.
    pub(super) announced: Option<u64>,
    /// The runner was told that bytes may go on although the direction is paused.
    pub(super) has_told_of_bytes: bool,
}

/// What becomes of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// It passes by.
    #[default]
    Pass,
    /// The filter sees it, the head has gone on.
    Stream,
    /// The filter sees it, the head waits for that.
    Hold,
}

/// Bytes in the pieces in which they came.
#[derive(Default)]
struct Chunks {
    queue: VecDeque<Bytes>,
    length: usize,
}

/// Why bytes are not taken or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

/// Bytes that wait to go on before a writer does.
const HIGH: usize = 64 << 10;

impl Chunks {
    fn push(&mut self, chunk: Bytes) {
        if !chunk.is_empty() {
            self.length += chunk.len();
            self.queue.push_back(chunk);
        }
    }

    fn append(&mut self, other: &mut Self) {
        self.length += std::mem::take(&mut other.length);
        self.queue.append(&mut other.queue);
    }

    /// At most `max` of the first piece.
    fn pop(&mut self, max: usize) -> Option<Bytes> {
        let first = self.queue.front_mut()?;
        let piece = if first.len() > max {
            first.split_to(max)
        } else {
            self.queue.pop_front()?
        };
        self.length -= piece.len();
        Some(piece)
    }

    fn take(&mut self) -> Bytes {
        let length = std::mem::take(&mut self.length);
        let first = self.queue.pop_front().unwrap_or_default();
        if first.len() == length {
            return first;
        }
        let mut whole = BytesMut::with_capacity(length);
        whole.extend_from_slice(&first);
        self.queue
            .drain(..)
            .for_each(|chunk| whole.extend_from_slice(&chunk));
        whole.freeze()
    }
}

impl Lane {
    /// The next bytes of the message.
    pub(super) fn receive(&mut self, chunk: Bytes, ends: bool) {
        self.has_ended |= ends;
        self.received += chunk.len();
        if self.mode == Mode::Pass || self.forwards {
            self.outgoing.push(chunk);
        } else {
            self.incoming.push(chunk);
        }
        self.check_limit();
    }

    fn check_limit(&mut self) {
        if self.mode == Mode::Hold {
            self.has_overflown |= self.received.max(self.written) > self.limit;
        }
    }

    /// Bytes that are still to come, as far as they are known.
    pub(super) fn size_hint(&self) -> Option<u64> {
        if self.has_ended {
            return Some(self.incoming.length as u64);
        }
        let taken = (self.received - self.incoming.length) as u64;
        self.announced.map(|announced| announced.saturating_sub(taken))
    }

    pub(super) fn poll_read(&mut self, max: usize) -> Poll<Option<Bytes>> {
        self.is_touched = true;
        match self.incoming.pop(max.max(1)) {
            Some(piece) => Poll::Ready(Some(piece)),
            None if self.has_ended || self.forwards => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    /// Everything that is left, once the end is there.
    pub(super) fn poll_read_all(&mut self, limit: usize) -> Poll<Result<Bytes, TooLarge>> {
        if self.incoming.length > limit {
            return Poll::Ready(Err(TooLarge));
        }
        if !self.has_ended && !self.forwards {
            return Poll::Pending;
        }
        self.is_touched = true;
        Poll::Ready(Ok(self.incoming.take()))
    }

    /// Takes `bytes` if there is room.
    pub(super) fn poll_write(&mut self, bytes: &mut Bytes) -> Poll<Result<(), TooLarge>> {
        if self.mode == Mode::Stream && self.outgoing.length >= HIGH {
            return Poll::Pending;
        }
        self.is_touched = true;
        self.written += bytes.len();
        self.check_limit();
        if self.has_overflown {
            return Poll::Ready(Err(TooLarge));
        }
        self.outgoing.push(std::mem::take(bytes));
        Poll::Ready(Ok(()))
    }

    /// What was not read goes on behind what was written, and what is still to come too.
    pub(super) fn forward_rest(&mut self) {
        self.outgoing.append(&mut self.incoming);
        self.forwards = true;
    }

    /// Trailers, once the end is there; what was not read is dropped.
    pub(super) fn poll_trailers(&mut self) -> Poll<&HeaderMap> {
        if !self.forwards && self.incoming.length > 0 {
            self.is_touched = true;
            self.incoming = Chunks::default();
        }
        if !self.has_ended {
            return Poll::Pending;
        }
        Poll::Ready(self.trailers.get_or_insert_default())
    }

    /// The filter has no more to do with the body: what is here and what is still to come passes by.
    pub(super) fn let_pass(&mut self) {
        self.forward_rest();
        self.mode = Mode::Pass;
    }

    /// The head goes on. Keeps `Content-Length` true; a message that has no body by its nature keeps what it announces.
    pub(super) fn release_head(&mut self, headers: &mut HeaderMap, has_no_body: bool) {
        if self.head != Head::Held {
            return;
        }
        self.head = Head::Released;
        if has_no_body {
            return;
        }
        if self.mode == Mode::Stream {
            headers.remove(CONTENT_LENGTH);
        } else if self.is_touched && self.has_ended {
            headers.remove(TRANSFER_ENCODING);
            headers.insert(CONTENT_LENGTH, (self.outgoing.length as u64).into());
        } else if self.is_touched {
            headers.remove(CONTENT_LENGTH);
        }
    }

    /// Bytes that go on now: none while the head is held.
    pub(super) fn take_outgoing(&mut self) -> Bytes {
        self.has_told_of_bytes = false;
        if self.head == Head::Held {
            return Bytes::new();
        }
        self.outgoing.take()
    }

    /// Whether bytes could go on that the runner was not told of.
    pub(super) fn has_news(&self) -> bool {
        self.outgoing.length > 0 && self.head != Head::Held && !self.has_told_of_bytes
    }

    /// Trailers that go on, at the end.
    pub(super) fn take_trailers(&mut self) -> Option<HeaderMap> {
        if !self.has_ended || self.head == Head::Held || self.mode != Mode::Pass {
            return None;
        }
        let trailers = self.new_trailers.take().or_else(|| self.trailers.take());
        self.trailers = None;
        trailers.filter(|trailers| !trailers.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(mode: Mode) -> Lane {
        Lane {
            head: if mode == Mode::Hold {
                Head::Held
            } else {
                Head::Released
            },
            mode,
            limit: 10,
            ..Lane::default()
        }
    }

    #[test]
    fn what_is_read_is_taken_and_what_is_not_goes_on_behind_what_was_written() {
        let mut lane = lane(Mode::Stream);
        lane.receive(Bytes::from_static(b"abcdef"), false);
        assert_eq!(lane.poll_read(2), Poll::Ready(Some(Bytes::from_static(b"ab"))));
        assert_eq!(
            lane.poll_write(&mut Bytes::from_static(b"X")),
            Poll::Ready(Ok(()))
        );
        lane.let_pass();
        lane.receive(Bytes::from_static(b"gh"), true);
        assert_eq!(lane.take_outgoing(), "Xcdefgh");
    }

    #[test]
    fn a_writer_waits_for_room_and_a_reader_for_bytes() {
        let mut lane = lane(Mode::Stream);
        assert_eq!(lane.poll_read(9), Poll::Pending);
        assert_eq!(
            lane.poll_write(&mut Bytes::from(vec![0; HIGH])),
            Poll::Ready(Ok(()))
        );
        assert_eq!(lane.poll_write(&mut Bytes::from_static(b"x")), Poll::Pending);
        assert_eq!(lane.take_outgoing().len(), HIGH);
        assert_eq!(
            lane.poll_write(&mut Bytes::from_static(b"x")),
            Poll::Ready(Ok(()))
        );
        lane.receive(Bytes::new(), true);
        assert_eq!(lane.poll_read(9), Poll::Ready(None));
    }

    #[test]
    fn a_held_body_stays_within_its_limit_and_its_length_is_put_right() {
        let mut lane = lane(Mode::Hold);
        lane.receive(Bytes::from_static(b"0123456789"), true);
        assert!(!lane.has_overflown);
        assert_eq!(lane.poll_read_all(9), Poll::Ready(Err(TooLarge)));
        assert_eq!(
            lane.poll_read_all(10),
            Poll::Ready(Ok(Bytes::from_static(b"0123456789")))
        );
        assert_eq!(
            lane.poll_write(&mut Bytes::from_static(b"new")),
            Poll::Ready(Ok(()))
        );
        assert!(lane.take_outgoing().is_empty(), "the head is held");
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, 10.into());
        lane.let_pass();
        lane.release_head(&mut headers, false);
        assert_eq!(headers.get(CONTENT_LENGTH), Some(&3.into()));
        assert_eq!(lane.take_outgoing(), "new");
        lane.mode = Mode::Hold;
        lane.receive(Bytes::from_static(b"x"), true);
        assert!(lane.has_overflown);
    }
}
