//! A call into a guest, from its beginning to its end.

use super::desk::{Desk, OfCall, Wait};
use super::instance::{Answer, Input, mistake};
use super::phases::Phase;
use super::vm::ComponentVm;
use crate::failure::Failure;
use crate::pool::{Lease, WorkerPool};
use futures_util::future::LocalBoxFuture;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tidegate_plugin::Exchange;
use tokio::time::{Instant, Sleep};

/// See the module. Dropping it ends the guest.
pub(super) struct Call {
    future: LocalBoxFuture<'static, Outcome>,
    pub(super) phase: Phase,
    of_call: OfCall,
    /// Ends a wait that takes too long.
    timer: Option<Pin<Box<Sleep>>>,
}

/// The instance comes back with the answer; a failed one does not.
type Outcome = (Lease<ComponentVm>, Result<Answer, Failure>);

impl Call {
    pub(super) fn begin(lease: Lease<ComponentVm>, phase: Phase, input: Input) -> Self {
        let of_call = OfCall::new(lease.pool().generation().options.callback_deadline_ms);
        let future = Box::pin(async move {
            let Some(mut instance) = lease.vm().take() else {
                return (lease, Err(mistake(phase, "its instance is gone".to_owned())));
            };
            let answer = instance.run(phase, input).await;
            if answer.is_ok() {
                lease.vm().put(instance);
            }
            (lease, answer)
        });
        Self {
            future,
            phase,
            of_call,
            timer: None,
        }
    }

    /// Lets the guest run until it has answered or waits.
    pub(super) fn poll(
        &mut self,
        desk: &mut Desk,
        x: Option<&mut Exchange>,
        pool: &WorkerPool<ComponentVm>,
        cx: &mut Context<'_>,
    ) -> Poll<Outcome> {
        let ticker = &pool.generation().host.engine.ticker;
        mem::swap(&mut desk.call, &mut self.of_call);
        desk.call.wait = Wait::Other;
        desk.call.meter.enter(ticker);
        let running = pool.pulse().enter();
        let polled = desk.lend(x, || self.future.as_mut().poll(cx));
        drop(running);
        desk.call.meter.leave(ticker);
        mem::swap(&mut desk.call, &mut self.of_call);
        if self.of_call.wait == Wait::Other && polled.is_pending() {
            // All its waits together, until it has something to do with a body.
            let limit = Duration::from_millis(pool.generation().options.pause_timeout_ms);
            self.of_call
                .deadline
                .get_or_insert_with(|| Instant::now() + limit);
        } else {
            self.of_call.deadline = None;
            self.timer = None;
        }
        polled
    }

    /// What it waits for.
    pub(super) const fn wait(&self) -> Wait {
        self.of_call.wait
    }

    /// Whether it has waited for as long as it may.
    pub(super) fn poll_timeout(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(deadline) = self.of_call.deadline else {
            return false;
        };
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        timer.as_mut().poll(cx).is_ready()
    }
}
