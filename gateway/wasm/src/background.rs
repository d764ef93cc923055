//! What a filter does on a worker outside of exchanges: ticks, queues, and calls that outlive their stream.

use crate::abi::instance::{Callback, ModuleVm};
use crate::abi::linker::ModuleCode;
use crate::failure::Failure;
use crate::generation::{Bound, Generation};
use crate::options::Isolation;
use crate::pool::{Lease, NoInstance, WorkerPool};
use crate::run::{Calls, deliver};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// An instance whose exchange is over while it is not.
pub(crate) struct Lingering {
    lease: Lease<ModuleVm>,
    /// Owner of its calls.
    stream: u32,
    /// The stream whose `on_done` answered false.
    deferred: Option<u32>,
    calls: Calls,
    limit: Duration,
    /// Set when it is first polled.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Lingering {
    pub(crate) fn new(
        lease: Lease<ModuleVm>,
        (stream, deferred): (u32, Option<u32>),
        generation: &Generation,
    ) -> Self {
        let mut calls = Calls::default();
        calls.absorb(Some(&lease), stream);
        Self {
            lease,
            stream,
            deferred,
            calls,
            limit: Duration::from_millis(generation.options.done_timeout_ms),
            deadline: None,
        }
    }

    /// Ready when it has ended.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Poll::Ready(event) = self.calls.poll(cx) {
            let delivered = deliver(&mut self.lease.vm().borrow_mut(), (self.stream, None), event);
            match delivered {
                Ok(next) => self.calls.extend(next),
                Err(failure) => return self.fail(failure),
            }
            self.calls.absorb(Some(&self.lease), self.stream);
        }
        let limit = self.limit;
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        let is_overdue = deadline.as_mut().poll(cx).is_ready();
        if let Some(stream) = self.deferred {
            let mut vm = self.lease.vm().borrow_mut();
            if vm.is_poisoned {
                vm.forget_stream(stream);
                return Poll::Ready(());
            }
            let is_confirmed = match vm.state().stream_mut(stream) {
                Some(stream) => {
                    stream.waker = Some(cx.waker().clone());
                    stream.ending == crate::abi::state::Ending::Confirmed
                }
                None => true,
            };
            if is_confirmed || is_overdue {
                self.deferred = None;
                let ended = vm.log_and_delete(stream, None);
                drop(vm);
                if let Err(failure) = ended {
                    return self.fail(failure);
                }
            }
        }
        if self.deferred.is_none() && (self.calls.is_empty() || is_overdue) {
            self.lease.vm().borrow_mut().state().cancel_calls(self.stream);
            return Poll::Ready(());
        }
        Poll::Pending
    }

    fn fail(&mut self, failure: Failure) -> Poll<()> {
        let mut vm = self.lease.vm().borrow_mut();
        failure.note(&vm.generation, None);
        if let Some(stream) = self.deferred {
            vm.forget_stream(stream);
        }
        Poll::Ready(())
    }
}

impl Future for Lingering {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_end(cx)
    }
}

/// The instance that ticks and is told of queues.
struct Primary {
    lease: Lease<ModuleVm>,
    calls: Calls,
    tick: Option<(Duration, Pin<Box<Sleep>>)>,
}

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// Never ends; dropped with the snapshot.
pub(crate) async fn drive(bound: Arc<Bound<ModuleCode>>, worker: usize) {
    let generation = &bound.generation;
    let pool = WorkerPool::<ModuleVm>::of(&bound);
    let module = &bound.code;
    let is_elected = worker == 0 || generation.options.tick_per_worker;
    let has_root_work = module.has(Callback::Tick) || module.has(Callback::QueueReady);
    let mut retry = FIRST_RETRY;
    loop {
        let mut primary = None;
        if is_elected && has_root_work {
            match pool.lease() {
                Ok(lease) => {
                    retry = FIRST_RETRY;
                    primary = Primary::new(lease);
                }
                Err(error) => {
                    report(generation, error);
                    let pause = tokio::time::sleep(retry);
                    tokio::pin!(pause);
                    poll_fn(|cx| {
                        pool.poll_lingering(cx);
                        pause.as_mut().poll(cx)
                    })
                    .await;
                    retry = (retry * 2).min(LONGEST_RETRY);
                    continue;
                }
            }
        }
        let mut root_calls = Calls::default();
        // Ends when the primary instance failed: then another takes over.
        poll_fn(|cx| {
            pool.poll_lingering(cx);
            poll_root_calls(&pool, &mut root_calls, cx);
            match &mut primary {
                Some(primary) => primary.poll(generation, cx),
                None => Poll::Pending,
            }
        })
        .await;
        drop(primary);
        tokio::time::sleep(retry).await;
        retry = (retry * 2).min(LONGEST_RETRY);
    }
}

pub(crate) fn report(generation: &Generation, error: NoInstance) {
    let reason = match error {
        NoInstance::Busy(live) => format!("all {live} instances are in use"),
        NoInstance::Boot(error) => error.to_string(),
    };
    tracing::error!(
        filter = &*generation.name,
        reason,
        "a filter has no instance for its ticks and queues"
    );
}

/// Calls of a shared instance's plugin context.
fn poll_root_calls(pool: &Rc<WorkerPool<ModuleVm>>, calls: &mut Calls, cx: &mut Context<'_>) {
    let new = std::mem::take(&mut *pool.beside.root_calls.borrow_mut());
    calls.extend(new.into_iter().map(|call| call.future));
    while let Poll::Ready(event) = calls.poll(cx) {
        let Ok(lease) = pool.lease() else {
            return;
        };
        let mut vm = lease.vm().borrow_mut();
        let root = vm.state().root;
        match deliver(&mut vm, (root, None), event) {
            Ok(next) => calls.extend(next),
            Err(failure) => failure.note(&vm.generation, None),
        }
        drop(vm);
        calls.absorb(Some(&lease), root);
    }
}

impl Primary {
    /// `None`: the guest asked for nothing, its instance is free for exchanges.
    fn new(lease: Lease<ModuleVm>) -> Option<Self> {
        let mut vm = lease.vm().borrow_mut();
        let state = vm.state();
        let is_shared = state.generation.options.isolation == Isolation::Shared;
        let wants =
            state.tick_period.is_some() || state.has_queues || !state.new_calls.is_empty() || is_shared;
        drop(vm);
        wants.then(|| {
            let mut calls = Calls::default();
            calls.absorb(Some(&lease), 1);
            Self {
                lease,
                calls,
                tick: None,
            }
        })
    }

    /// Ready when the instance failed.
    fn poll(&mut self, generation: &Generation, cx: &mut Context<'_>) -> Poll<()> {
        generation.mailbox.waker.register(cx.waker());
        loop {
            if self.lease.vm().borrow().is_poisoned {
                return Poll::Ready(());
            }
            let worked = match self.step(generation, cx) {
                Ok(worked) => worked,
                Err(failure) => {
                    failure.note(generation, None);
                    return Poll::Ready(());
                }
            };
            let root = self.lease.vm().borrow_mut().state().root;
            self.calls.absorb(Some(&self.lease), root);
            if !worked {
                return Poll::Pending;
            }
        }
    }

    /// Does one thing, if there is one to do.
    fn step(&mut self, generation: &Generation, cx: &mut Context<'_>) -> Result<bool, Failure> {
        if let Some(queue) = generation.mailbox.pop() {
            self.lease.vm().borrow_mut().queue_ready(queue)?;
            return Ok(true);
        }
        if let Poll::Ready(event) = self.calls.poll(cx) {
            let mut vm = self.lease.vm().borrow_mut();
            let root = vm.state().root;
            let next = deliver(&mut vm, (root, None), event)?;
            drop(vm);
            self.calls.extend(next);
            return Ok(true);
        }
        let period = self.lease.vm().borrow_mut().state().tick_period;
        let Some(period) = period else {
            self.tick = None;
            return Ok(false);
        };
        let is_set = self.tick.as_ref().is_some_and(|(known, _)| *known == period);
        if !is_set {
            self.tick = Some((period, Box::pin(tokio::time::sleep(period))));
        }
        let Some((_, timer)) = &mut self.tick else {
            return Ok(false);
        };
        if timer.as_mut().poll(cx).is_pending() {
            return Ok(false);
        }
        // From now: ticks that were missed are not made up for.
        timer.as_mut().reset(Instant::now() + period);
        self.lease.vm().borrow_mut().tick()?;
        Ok(true)
    }
}
