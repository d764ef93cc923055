//! What a component does on a worker outside of exchanges: ticks, calls and log callbacks that outlive their exchange.

use super::call::Call;
use super::desk::Desk;
use super::instance::Input;
use super::linker::ComponentCode;
use super::phases::Phase;
use super::vm::ComponentVm;
use crate::background::report;
use crate::engine::Weight;
use crate::generation::Bound;
use crate::host::FailureKind;
use crate::options::Isolation;
use crate::pool::WorkerPool;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;

/// Shortest time between two ticks.
const MIN_TICK: Duration = Duration::from_millis(10);

/// Never ends; dropped with the snapshot.
pub(crate) async fn drive(bound: Arc<Bound<ComponentCode>>, worker: usize) {
    let options = &bound.generation.options;
    let pool = WorkerPool::<ComponentVm>::of(&bound);
    make_ready(&pool, &bound.code);
    let is_elected = worker == 0 || options.tick_per_worker;
    let ticks = is_elected && bound.code.phases().has(Phase::Tick);
    let period = Duration::from_millis(options.tick_interval_ms).max(MIN_TICK);
    let mut work = pin!(async {
        if !ticks {
            std::future::pending::<()>().await;
        }
        loop {
            tokio::time::sleep(period).await;
            tick(&pool).await;
        }
    });
    poll_fn(|cx| {
        pool.poll_lingering(cx);
        work.as_mut().poll(cx)
    })
    .await;
}

/// A runtime that takes long to boot does so before the first exchange wants it.
fn make_ready(pool: &Rc<WorkerPool<ComponentVm>>, code: &ComponentCode) {
    let generation = pool.generation();
    if generation.options.isolation != Isolation::Pooled || code.weight() != Weight::Heavy {
        return;
    }
    match pool.lease() {
        // Back among the free ones.
        Ok(lease) => drop(lease),
        Err(error) => report(generation, error),
    }
}

async fn tick(pool: &Rc<WorkerPool<ComponentVm>>) {
    match pool.lease() {
        Ok(lease) => {
            let limit = Duration::from_millis(pool.generation().options.pause_timeout_ms);
            let call = Call::begin(lease, Phase::Tick, Input::None);
            to_end(pool, call, Desk::new(Some(Rc::clone(pool))), (limit, None)).await;
        }
        Err(error) => report(pool.generation(), error),
    }
}

/// Polls a call without an exchange until it has ended, or for as long as it may take.
pub(super) async fn to_end(
    pool: &Rc<WorkerPool<ComponentVm>>,
    mut call: Call,
    mut desk: Desk,
    (limit, request_id): (Duration, Option<String>),
) {
    let deadline = Instant::now() + limit;
    let mut timer = pin!(tokio::time::sleep_until(deadline));
    let ended = poll_fn(|cx| {
        if let Poll::Ready((lease, answer)) = call.poll(&mut desk, None, pool, cx) {
            drop(lease);
            return Poll::Ready(Some(answer));
        }
        timer.as_mut().poll(cx).map(|()| None)
    })
    .await;
    match ended {
        Some(Ok(_)) => {}
        Some(Err(failure)) => failure.note(pool.generation(), request_id),
        None => pool.generation().count_failure(FailureKind::Timeout),
    }
}
