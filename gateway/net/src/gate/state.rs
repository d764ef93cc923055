//! What the gate and the service on the same connection tell each other.

use super::fault::RequestFault;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::task::Waker;

/// Facts of one request that the gate let through, in the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestFacts {
    /// Size of the head as it arrived, bytes, line ends included.
    pub head_bytes: usize,
    /// The refusal to answer with, if the request was refused.
    pub fault: Option<RequestFault>,
}

/// Where the read side of a connection stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// Between two requests, or before the first.
    #[default]
    Idle,
    /// Within a head.
    Head,
    /// Within a body.
    Body,
    /// After a request that asked for another protocol and is not answered yet.
    AwaitsUpgrade,
    /// Another protocol is spoken; nothing more is read here.
    Tunnel,
    /// Nothing more is read as a request: a request was refused, or a body was broken.
    Closed,
}

/// What became of a requested upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Upgrade {
    Undecided,
    Accepted,
    Declined,
}

/// State shared by the gate of a connection, its service and the watch over slow clients. One thread only.
#[derive(Debug, Default)]
pub struct ConnectionState {
    bytes_read: Cell<u64>,
    bytes_written: Cell<u64>,
    heads_read: Cell<u64>,
    begun: Cell<u64>,
    finished: Cell<u64>,
    reading: Cell<Reading>,
    read_blocked: Cell<bool>,
    write_blocked: Cell<bool>,
    /// Number of the request that asks for another protocol, counted from 1.
    upgrade_asked_by: Cell<u64>,
    upgrade_accepted: Cell<bool>,
    body_fault: Cell<Option<RequestFault>>,
    requests: RefCell<VecDeque<RequestFacts>>,
    waker: RefCell<Option<Waker>>,
}

impl ConnectionState {
    /// Facts of the request just delivered to the service; counts it as in flight. To be called exactly once at the
    /// start of each HTTP/1 request, because pipelined requests are judged before the earlier ones are answered.
    pub fn begin_request(&self) -> Option<RequestFacts> {
        self.begun.set(self.begun.get() + 1);
        self.requests.borrow_mut().pop_front()
    }

    /// The refusal of the request just delivered, if it was refused: [`Self::begin_request`] without the other facts.
    pub fn take_fault(&self) -> Option<RequestFault> {
        self.begin_request().and_then(|facts| facts.fault)
    }

    /// The answer to a request is complete, or given up. To be called exactly once per request begun. An upgrade that
    /// the request asked for and that was not accepted is declined by this, and requests are read again.
    pub fn finish_request(&self) {
        self.finished.set(self.finished.get() + 1);
        self.wake();
    }

    /// The service answers 101: bytes after the request belong to the other protocol. To be called before the answer
    /// is handed to the HTTP server.
    pub fn accept_upgrade(&self) {
        self.upgrade_accepted.set(true);
        self.wake();
    }

    /// The connection was handed over to another protocol.
    #[must_use]
    pub fn is_upgraded(&self) -> bool {
        self.upgrade_accepted.get()
    }

    /// Bytes of the client so far, after TLS.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.get()
    }

    /// Bytes to the client so far, before TLS.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.bytes_written.get()
    }

    /// Requests (HTTP/1) whose heads were read.
    #[must_use]
    pub fn heads_read(&self) -> u64 {
        self.heads_read.get()
    }

    /// Requests begun and not finished.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.begun.get().saturating_sub(self.finished.get())
    }

    /// No request is in flight and none has begun to arrive: a drain may close the connection now.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.in_flight() == 0 && self.reading.get() == Reading::Idle && self.requests.borrow().is_empty()
    }

    /// Where the read side stands.
    #[must_use]
    pub fn reading(&self) -> Reading {
        self.reading.get()
    }

    /// The last read found nothing: bytes of the client are awaited.
    #[must_use]
    pub fn is_read_blocked(&self) -> bool {
        self.read_blocked.get()
    }

    /// The last write found no room: the client does not read.
    #[must_use]
    pub fn is_write_blocked(&self) -> bool {
        self.write_blocked.get()
    }

    /// Why the body of the current request was broken off. The HTTP server sees an I/O error at the same time.
    #[must_use]
    pub fn body_fault(&self) -> Option<RequestFault> {
        self.body_fault.get()
    }

    pub(super) fn count_read(&self, bytes: usize) {
        self.read_blocked.set(false);
        self.bytes_read
            .set(self.bytes_read.get().wrapping_add(bytes as u64));
    }

    pub(super) fn count_written(&self, bytes: usize) {
        self.write_blocked.set(false);
        self.bytes_written
            .set(self.bytes_written.get().wrapping_add(bytes as u64));
    }

    pub(super) fn set_read_blocked(&self) {
        self.read_blocked.set(true);
    }

    pub(super) fn set_write_blocked(&self) {
        self.write_blocked.set(true);
    }

    pub(super) fn set_reading(&self, reading: Reading) {
        self.reading.set(reading);
    }

    pub(super) fn deliver(&self, facts: RequestFacts) {
        self.heads_read.set(self.heads_read.get().wrapping_add(1));
        self.requests.borrow_mut().push_back(facts);
    }

    pub(super) fn break_body(&self, fault: RequestFault) {
        self.body_fault.set(Some(fault));
    }

    /// The decision about the upgrade that the last request read asks for.
    pub(super) fn upgrade(&self) -> Upgrade {
        if self.upgrade_accepted.get() {
            Upgrade::Accepted
        } else if self.finished.get() >= self.upgrade_asked_by.get() {
            Upgrade::Declined
        } else {
            Upgrade::Undecided
        }
    }

    /// The last request read asks for an upgrade.
    pub(super) fn expect_upgrade(&self) {
        self.upgrade_asked_by.set(self.heads_read.get());
    }

    pub(super) fn wake_when_decided(&self, waker: &Waker) {
        *self.waker.borrow_mut() = Some(waker.clone());
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}
