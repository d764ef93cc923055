//! What a run lends to host functions while its guest is polled.

use super::lane::Lane;
use super::vm::ComponentVm;
use crate::deadline::Meter;
use crate::pool::WorkerPool;
use crate::scope::Slot;
use futures_util::future::LocalBoxFuture;
use std::rc::Rc;
use std::task::{Context, Poll};
use tidegate_plugin::filter::{OutboundError, OutboundResponse};
use tidegate_plugin::{Direction, Exchange};
use tokio::time::Instant;

/// See the module. One for all calls of an exchange.
pub(super) struct Desk {
    pub(super) request: Lane,
    pub(super) response: Lane,
    /// Of the call that is polled.
    pub(super) call: OfCall,
    /// Absent while an instance is started.
    pub(super) pool: Option<Rc<WorkerPool<ComponentVm>>>,
}

/// What belongs to one call into a guest.
pub(super) struct OfCall {
    pub(super) wait: Wait,
    pub(super) meter: Meter,
    /// When it is given up.
    pub(super) deadline: Option<Instant>,
    outstanding: Vec<Option<Answer>>,
}

/// What a call that is not ready waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// More of the body, or its end.
    Body,
    /// Room for what it writes.
    Room,
    /// An answer, or time.
    Other,
}

type Answer = LocalBoxFuture<'static, Result<OutboundResponse, OutboundError>>;

thread_local! {
    static DESK: Slot<Desk> = const { Slot::new() };
    static EXCHANGE: Slot<Exchange> = const { Slot::new() };
}

impl Desk {
    pub(super) fn new(pool: Option<Rc<WorkerPool<ComponentVm>>>) -> Self {
        Self {
            request: Lane::default(),
            response: Lane::default(),
            call: OfCall::new(0),
            pool,
        }
    }

    /// Runs `act` with this desk and the exchange in reach of [`with`] and [`exchange`].
    pub(super) fn lend<R>(&mut self, x: Option<&mut Exchange>, act: impl FnOnce() -> R) -> R {
        DESK.with(|desk| EXCHANGE.with(|exchange| desk.lend(Some(self), 0, || exchange.lend(x, 0, act))))
    }

    pub(super) const fn lane(&mut self, direction: Direction) -> &mut Lane {
        match direction {
            Direction::Request => &mut self.request,
            Direction::Response => &mut self.response,
        }
    }
}

impl OfCall {
    pub(super) const fn new(budget_ms: u64) -> Self {
        Self {
            wait: Wait::Other,
            meter: Meter::new(budget_ms),
            deadline: None,
            outstanding: Vec::new(),
        }
    }

    /// Keeps a call to another host until its answer was taken. `None`: there are too many.
    pub(super) fn dispatch(&mut self, call: Answer, max: usize) -> Option<usize> {
        let free = self.outstanding.iter().position(Option::is_none);
        if let Some(place) = free
            && let Some(slot) = self.outstanding.get_mut(place)
        {
            *slot = Some(call);
            return Some(place);
        }
        (self.outstanding.len() < max).then(|| {
            self.outstanding.push(Some(call));
            self.outstanding.len() - 1
        })
    }

    pub(super) fn poll_answer(
        &mut self,
        place: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<OutboundResponse, OutboundError>> {
        let Some(slot) = self.outstanding.get_mut(place) else {
            return Poll::Ready(Err(OutboundError::Reset));
        };
        let Some(call) = slot else {
            return Poll::Ready(Err(OutboundError::Reset));
        };
        let polled = call.as_mut().poll(cx);
        if polled.is_ready() {
            *slot = None;
        } else {
            self.wait = Wait::Other;
        }
        polled
    }
}

/// The desk of the call that is polled.
pub(super) fn with<R>(act: impl FnOnce(&mut Desk) -> R) -> Option<R> {
    DESK.with(|slot| slot.with(0, act))
}

/// The exchange of the call that is polled; `None` outside of exchanges and after their end.
pub(super) fn exchange<R>(act: impl FnOnce(&mut Exchange) -> R) -> Option<R> {
    EXCHANGE.with(|slot| slot.with(0, act))
}
