//! Drives the filters of one exchange: parts of both messages move from filter to filter, and wait where one pauses.
//!
//! ```text
//! client ─► source ─► stage 0 ─► stage 1 ─► … ─► channel ─► upstream connection
//! client ◄─ channel ◄─ … ◄─ stage 1 ◄─ stage 0 ◄─ source ◄─ upstream
//! ```
//!
//! Everything moves when the exchange itself is polled: while it waits for the upstream, and while its response is
//! sent. A part is read from a source only when no other one is on its way, so that a slow reader holds the sender up.

mod channel;
mod exchange;
mod lane;
mod pump;

pub(crate) use channel::{Channel, Part};
pub(crate) use exchange::run_filtered;

use crate::bodies::{UpstreamResponse, UpstreamStream};
use lane::Lane;
use tidegate_plugin::filter::Hints;
use tidegate_plugin::{Direction, Exchange, FilterFault, FilterNeeds, FilterRun, Reply};

/// The filters of one exchange, with what is on its way through them.
pub(crate) struct Filters {
    slots: Vec<Slot>,
    request: Lane,
    response: Lane,
    /// What the client still sends.
    client: Option<Box<UpstreamStream>>,
    /// What the upstream still sends.
    upstream: Option<UpstreamResponse>,
    /// How a filter ended the exchange.
    end: Option<End>,
    /// Filters that listen.
    listening: usize,
    /// A filter that pauses said that bytes may go on.
    flushes: bool,
}

/// One filter at work.
struct Slot {
    run: Box<dyn FilterRun>,
    needs: FilterNeeds,
    /// Its request callbacks ran: its response callbacks will.
    has_seen_request: bool,
    /// As it last said.
    listens: bool,
    hints: Hints,
}

/// How a filter ends an exchange.
pub(crate) enum End {
    Reply(Box<Reply>),
    Close,
    Fail(Box<FilterFault>),
}

impl Filters {
    fn new(slots: Vec<Slot>) -> Self {
        let count = slots.len();
        Self {
            slots,
            request: Lane::new(count),
            response: Lane::new(count),
            client: None,
            upstream: None,
            end: None,
            listening: 0,
            flushes: false,
        }
    }

    /// Whether a filter may look at the response's head after it was sent.
    pub(crate) fn look_back(&self) -> bool {
        let looks_back = |needs: &FilterNeeds| needs.end || needs.response_body || needs.response_trailers;
        self.listening > 0 || self.slots.iter().any(|slot| looks_back(&slot.needs))
    }

    /// Whether a filter ended the exchange.
    pub(crate) fn has_end(&self) -> bool {
        self.end.is_some()
    }

    /// The end of every filter's part.
    pub(crate) fn finish(mut self, x: &mut Exchange) {
        let mut slots = std::mem::take(&mut self.slots).into_iter();
        while let Some(slot) = slots.next() {
            if let Some(next) = slots.as_slice().first() {
                next.hints.fetch();
            }
            slot.run.finish(x);
        }
    }

    fn lane(&mut self, direction: Direction) -> &mut Lane {
        match direction {
            Direction::Request => &mut self.request,
            Direction::Response => &mut self.response,
        }
    }
}

impl Drop for Filters {
    fn drop(&mut self) {
        // A connection with tasks of its own may still wait for the rest of the request.
        self.request.out.abandon();
    }
}
