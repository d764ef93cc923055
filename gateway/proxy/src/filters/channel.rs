//! What the last filter let go on, until the other side takes it.

use crate::bodies::BodyFault;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use hyper::body::Frame;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// A part of a message.
pub(crate) enum Part {
    /// The head, which is in the exchange. `ends`: nothing follows.
    Head { ends: bool },
    /// Some bytes; none are only worth a part when they end the message.
    Body { bytes: Bytes, ends: bool },
    /// Trailers; they end the message.
    Trailers(HeaderMap),
}

impl Part {
    pub(super) const fn ends(&self) -> bool {
        match self {
            Self::Head { ends } | Self::Body { ends, .. } => *ends,
            Self::Trailers(_) => true,
        }
    }
}

/// Bytes that may wait for the reader before the writer does.
const HIGH: usize = 16 * 1_024;

/// A queue between the filters and the connection that reads from them, on one thread.
#[derive(Default)]
pub(crate) struct Channel(RefCell<Queue>);

#[derive(Default)]
struct Queue {
    has_head: bool,
    frames: VecDeque<Frame<Bytes>>,
    waiting: usize,
    has_trailers: bool,
    has_ended: bool,
    fault: Option<BodyFault>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Channel {
    pub(crate) fn new() -> Rc<Self> {
        Rc::default()
    }

    pub(crate) fn push(&self, part: Part) {
        let mut queue = self.0.borrow_mut();
        queue.has_ended |= part.ends();
        match part {
            Part::Head { .. } => queue.has_head = true,
            Part::Body { bytes, .. } if bytes.is_empty() => {}
            Part::Body { bytes, .. } => {
                queue.waiting += bytes.len();
                queue.frames.push_back(Frame::data(bytes));
            }
            Part::Trailers(trailers) => {
                queue.has_trailers = true;
                queue.frames.push_back(Frame::trailers(trailers));
            }
        }
        wake(queue.reader.take());
    }

    /// The source failed: the reader gets to know after what is there.
    pub(super) fn fail(&self, fault: BodyFault) {
        let mut queue = self.0.borrow_mut();
        queue.fault = Some(fault);
        wake(queue.reader.take());
    }

    /// The writer is gone.
    pub(crate) fn abandon(&self) {
        let mut queue = self.0.borrow_mut();
        if !queue.has_ended && queue.fault.is_none() {
            queue.fault = Some(BodyFault::Broken);
            wake(queue.reader.take());
        }
    }

    pub(super) fn has_head(&self) -> bool {
        self.0.borrow().has_head
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.0.borrow().has_ended
    }

    pub(super) fn has_failed(&self) -> bool {
        self.0.borrow().fault.is_some()
    }

    /// Bytes that wait for the reader.
    pub(crate) fn waiting(&self) -> usize {
        self.0.borrow().waiting
    }

    /// Whether more may be put in; otherwise `writer` is woken when there is room.
    pub(super) fn has_room(&self, writer: &Waker) -> bool {
        let mut queue = self.0.borrow_mut();
        let has_room = queue.waiting < HIGH;
        if !has_room {
            queue.writer = Some(writer.clone());
        }
        has_room
    }

    /// Everything, when the message has ended and has no trailers.
    pub(super) fn take_whole(&self) -> Option<Bytes> {
        let mut queue = self.0.borrow_mut();
        if !queue.has_ended || queue.has_trailers {
            return None;
        }
        let waiting = std::mem::take(&mut queue.waiting);
        let mut chunks = queue.frames.drain(..).filter_map(|frame| frame.into_data().ok());
        let first = chunks.next().unwrap_or_default();
        if first.len() == waiting {
            return Some(first);
        }
        let mut whole = BytesMut::with_capacity(waiting);
        whole.extend_from_slice(&first);
        chunks.for_each(|chunk| whole.extend_from_slice(&chunk));
        Some(whole.freeze())
    }

    /// Whether the reader took everything there will be.
    pub(crate) fn is_drained(&self) -> bool {
        let queue = self.0.borrow();
        queue.has_ended && queue.frames.is_empty()
    }

    pub(crate) fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let mut queue = self.0.borrow_mut();
        if let Some(frame) = queue.frames.pop_front() {
            queue.waiting -= frame.data_ref().map_or(0, Bytes::len);
            if queue.waiting < HIGH {
                wake(queue.writer.take());
            }
            return Poll::Ready(Some(Ok(frame)));
        }
        if queue.has_ended {
            return Poll::Ready(None);
        }
        if let Some(fault) = queue.fault {
            return Poll::Ready(Some(Err(fault)));
        }
        queue.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
