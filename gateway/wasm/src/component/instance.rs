//! One guest: its store, its exports, and the calls into it.

use super::bindings::exports::log_filter::Summary;
use super::bindings::types::{BodyDecision, Decision};
use super::desk::Desk;
use super::handles::{Body, Context, RequestHead, ResponseHead};
use super::linker::{ComponentCode, Exports};
use super::phases::Phase;
use super::state::State;
use crate::engine::Pulse;
use crate::failure::{BootError, Failure};
use crate::generation::Bound;
use crate::host::FailureKind;
use crate::pool::Wear;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Instant;
use tidegate_plugin::Direction;
use wasmtime::component::Resource;
use wasmtime::{PoolConcurrencyLimitError, Store};

/// A configured guest. Belongs to one thread, and to one call at a time.
pub(super) struct Instance {
    store: Store<State>,
    exports: Exports,
    born: Instant,
    uses: u32,
}

/// What a call is given.
pub(super) enum Input {
    None,
    Summary(Box<Summary>),
}

/// What a call answers.
pub(super) enum Answer {
    Head(Decision),
    Body(BodyDecision),
    Done,
}

pub(super) const CONFIGURE: &str = "configure";

impl Instance {
    /// A guest, ready for calls. It cannot wait for anything meanwhile.
    pub(super) fn boot(bound: &Arc<Bound<ComponentCode>>, pulse: &Rc<Pulse>) -> Result<Self, BootError> {
        let generation = &bound.generation;
        let deadline = generation.options.boot_deadline_ms;
        let mut store = Store::new(bound.code.engine(), State::new(generation, bound.code.weight()));
        store.limiter(|state| &mut state.limiter);
        store.epoch_deadline_callback(|context| context.data().deadline_reached());
        store.set_epoch_deadline(deadline.saturating_add(1));
        let ticker = &generation.host.engine.ticker;
        let mut desk = Desk::new(None);
        desk.call = super::desk::OfCall::new(deadline);
        desk.call.meter.enter(ticker);
        let configuration = String::from_utf8_lossy(&generation.configuration);
        let running = pulse.enter();
        let booted = desk.lend(None, || {
            let boot = pin!(bound.code.boot(&mut store, &configuration));
            let mut boot = boot;
            boot.as_mut()
                .poll(&mut std::task::Context::from_waker(Waker::noop()))
        });
        drop(running);
        let failed = |error: &wasmtime::Error, store: &Store<State>| {
            BootError::Failed(Box::new(Failure::of(CONFIGURE, error, &store.data().remains())))
        };
        let exports = match booted {
            Poll::Ready(Ok(Ok(exports))) => exports,
            Poll::Ready(Ok(Err(refusal))) => return Err(BootError::Configuration(refusal)),
            Poll::Ready(Err(error)) if error.is::<PoolConcurrencyLimitError>() => {
                return Err(BootError::NoInstance(format!("{error:#}")));
            }
            Poll::Ready(Err(error)) => return Err(failed(&error, &store)),
            Poll::Pending => {
                let error = wasmtime::Error::msg("it waits, which it cannot while it is configured");
                return Err(failed(&error, &store));
            }
        };
        generation.host.totals.instances_booted.add(1);
        Ok(Self {
            store,
            exports,
            born: Instant::now(),
            uses: 0,
        })
    }

    pub(super) fn wear(&self) -> Wear {
        Wear {
            uses: self.uses,
            held: self.store.data().limiter.held(),
            born: self.born,
        }
    }

    /// Calls the guest; the instance is of no use after an error.
    pub(super) async fn run(&mut self, phase: Phase, input: Input) -> Result<Answer, Failure> {
        self.uses += 1;
        self.store.data_mut().log_lines = 0;
        let deadline = self.store.data().generation.options.callback_deadline_ms;
        // The tick that is under way counts for nothing.
        self.store.set_epoch_deadline(deadline.saturating_add(1));
        let called = self.call(phase, input).await;
        called.map_err(|error| Failure::of(phase.function(), &error, &self.store.data().remains()))
    }

    async fn call(&mut self, phase: Phase, input: Input) -> wasmtime::Result<Answer> {
        let (store, exports) = (&mut self.store, &self.exports);
        let context = || Resource::<Context>::new_borrow(0);
        let request = || Resource::<RequestHead>::new_borrow(0);
        let response = || Resource::<ResponseHead>::new_borrow(0);
        let body = |direction: Direction| Resource::<Body>::new_borrow(direction as u32);
        let missing = || wasmtime::Error::msg("the component does not export it");
        Ok(match phase {
            Phase::Request => {
                let guest = exports.request.as_ref().ok_or_else(missing)?;
                Answer::Head(guest.call_on_request(store, context(), request()).await?)
            }
            Phase::RequestBody => {
                let guest = exports.request_body.as_ref().ok_or_else(missing)?;
                let body = body(Direction::Request);
                Answer::Body(
                    guest
                        .call_on_request_body(store, context(), request(), body)
                        .await?,
                )
            }
            Phase::Response => {
                let guest = exports.response.as_ref().ok_or_else(missing)?;
                Answer::Head(guest.call_on_response(store, context(), response()).await?)
            }
            Phase::ResponseBody => {
                let guest = exports.response_body.as_ref().ok_or_else(missing)?;
                let body = body(Direction::Response);
                Answer::Body(
                    guest
                        .call_on_response_body(store, context(), response(), body)
                        .await?,
                )
            }
            Phase::Log => {
                let guest = exports.log.as_ref().ok_or_else(missing)?;
                if let Input::Summary(summary) = input {
                    guest.call_on_log(store, context(), &summary).await?;
                }
                Answer::Done
            }
            Phase::Tick => {
                let guest = exports.background.as_ref().ok_or_else(missing)?;
                guest.call_on_tick(store).await?;
                Answer::Done
            }
        })
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let state = self.store.data();
        let denied = u64::from(state.limiter.denied);
        state.generation.host.totals.memory_denied.add(denied);
    }
}

/// A filter's mistake that is no trap.
pub(super) fn mistake(phase: Phase, report: String) -> Failure {
    Failure {
        callback: phase.function(),
        kind: FailureKind::Host,
        report,
        log: Vec::new(),
    }
}
