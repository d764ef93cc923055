//! Advances the engine's epoch every millisecond while a guest runs, and sleeps while none does.
//!
//! A worker enters a guest several times per request, so entering must not write what other workers read. Each thread
//! has its own mark; the ticker looks at all of them and parks after a while in which none moved. A guest that is entered
//! wakes it when it finds it parked. No fence orders the two: before parking for good the ticker announces it, waits
//! for longer than a store can stay unseen, and looks again.

use super::EngineError;
use parking_lot::{Condvar, Mutex};
use std::cell::RefCell;
use std::rc::{self, Rc};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;
use wasmtime::{Engine, EngineWeak};

/// Length of one tick; deadlines are counted in these.
pub(crate) const TICK: Duration = Duration::from_millis(1);
const IDLE_TICKS_BEFORE_PARKING: u32 = 20;
const SETTLING: Duration = Duration::from_millis(2);

/// The thread that advances the epoch.
pub(crate) struct Ticker {
    marks: Mutex<Vec<Weak<Mark>>>,
    is_parked: AtomicBool,
    wakeups: Mutex<u64>,
    wake: Condvar,
    ticks: AtomicU64,
}

/// One thread's mark: odd while it runs a guest, and different each time.
#[derive(Default)]
#[repr(align(128))]
struct Mark(AtomicU64);

/// A thread's hold on the ticker.
pub(crate) struct Pulse {
    ticker: Arc<Ticker>,
    mark: Arc<Mark>,
}

/// A guest runs on this thread until this is dropped.
pub(crate) struct Running {
    pulse: Rc<Pulse>,
    before: u64,
}

thread_local! {
    static PULSES: RefCell<Vec<rc::Weak<Pulse>>> = const { RefCell::new(Vec::new()) };
}

impl Pulse {
    /// Says that a guest runs, and wakes the ticker.
    pub(crate) fn enter(self: &Rc<Self>) -> Running {
        let before = self.mark.0.load(Ordering::Relaxed);
        self.mark.0.store(before.wrapping_add(1), Ordering::Release);
        if self.ticker.is_parked.load(Ordering::Acquire) {
            *self.ticker.wakeups.lock() += 1;
            self.ticker.wake.notify_one();
        }
        Running {
            pulse: Rc::clone(self),
            before,
        }
    }
}

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> Result<Arc<Self>, EngineError> {
        let ticker = Arc::new(Self {
            marks: Mutex::new(Vec::new()),
            is_parked: AtomicBool::new(false),
            wakeups: Mutex::new(0),
            wake: Condvar::new(),
            ticks: AtomicU64::new(0),
        });
        let (weak, engine) = (Arc::downgrade(&ticker), engine.weak());
        thread::Builder::new()
            .name("filter-ticker".to_owned())
            .spawn(move || run(&weak, &engine))
            .map_err(|error| EngineError(error.to_string()))?;
        Ok(ticker)
    }

    /// Ticks since the start; does not move while no guest runs.
    pub(crate) fn ticks(&self) -> u64 {
        self.ticks.load(Ordering::Relaxed)
    }

    /// This thread's pulse; one per thread and ticker.
    pub(crate) fn pulse(self: &Arc<Self>) -> Rc<Pulse> {
        PULSES.with_borrow_mut(|pulses| {
            pulses.retain(|known| known.strong_count() > 0);
            let own = pulses.iter().filter_map(rc::Weak::upgrade);
            if let Some(pulse) = own.into_iter().find(|pulse| Arc::ptr_eq(&pulse.ticker, self)) {
                return pulse;
            }
            let mark = Arc::new(Mark::default());
            let mut all = self.marks.lock();
            all.retain(|known| known.strong_count() > 0);
            all.push(Arc::downgrade(&mark));
            drop(all);
            let pulse = Rc::new(Pulse {
                ticker: Arc::clone(self),
                mark,
            });
            pulses.push(Rc::downgrade(&pulse));
            pulse
        })
    }

    /// Whether a guest runs or ran since `seen` was taken; brings `seen` up to date.
    fn has_moved(&self, seen: &mut u64) -> bool {
        let mut sum = 0_u64;
        let mut is_running = false;
        for mark in self.marks.lock().iter().filter_map(Weak::upgrade) {
            let value = mark.0.load(Ordering::Acquire);
            is_running |= value & 1 == 1;
            sum = sum.wrapping_add(value);
        }
        let moved = is_running || sum != *seen;
        *seen = sum;
        moved
    }

    fn park(&self, seen: &mut u64) {
        let before = *self.wakeups.lock();
        self.is_parked.store(true, Ordering::Release);
        thread::sleep(SETTLING);
        if !self.has_moved(seen) {
            let mut wakeups = self.wakeups.lock();
            while *wakeups == before {
                // Looks up once in a while, to end when the engine is gone.
                if self
                    .wake
                    .wait_for(&mut wakeups, Duration::from_secs(5))
                    .timed_out()
                {
                    break;
                }
            }
        }
        self.is_parked.store(false, Ordering::Release);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.pulse
            .mark
            .0
            .store(self.before.wrapping_add(2), Ordering::Release);
    }
}

fn run(ticker: &Weak<Ticker>, engine: &EngineWeak) {
    let mut seen = 0;
    let mut idle = 0;
    loop {
        let (Some(ticker), Some(engine)) = (ticker.upgrade(), engine.upgrade()) else {
            return;
        };
        if ticker.has_moved(&mut seen) {
            idle = 0;
        } else {
            idle += 1;
        }
        if idle > IDLE_TICKS_BEFORE_PARKING {
            drop(engine);
            ticker.park(&mut seen);
            idle = 0;
            continue;
        }
        engine.increment_epoch();
        ticker.ticks.fetch_add(1, Ordering::Relaxed);
        drop((engine, ticker));
        thread::sleep(TICK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !is_true() {
            assert!(Instant::now() < deadline, "{what}");
            thread::yield_now();
        }
    }

    #[test]
    fn sleeps_while_no_guest_runs_and_wakes_when_one_does() {
        let engine = Engine::default();
        let ticker = Ticker::start(&engine).expect("a thread");
        eventually("parks when idle", || ticker.is_parked.load(Ordering::Relaxed));
        let before = ticker.ticks();
        let running = ticker.pulse().enter();
        eventually("ticks while a guest runs", || ticker.ticks() > before + 5);
        drop(running);
        eventually("parks again", || ticker.is_parked.load(Ordering::Relaxed));
    }
}
