//! Advances the engines' epochs every millisecond while a guest takes long, and sleeps while none runs.
//!
//! A worker enters a guest several times per request, so entering must not write what other workers read. Each thread
//! has its own mark. Guests answer within microseconds: to wake up every millisecond for them would cost more than they
//! do. The ticker looks at the marks now and then; only when it finds a call that it saw before does it advance the epoch,
//! at first by the time that passed between the two looks. After a while in which no mark moved it parks. A guest that is
//! entered wakes it when it finds it parked. No fence orders the two: before parking for good the ticker announces it,
//! waits for longer than a store can stay unseen, and looks again.

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
/// Between two looks at the marks while no call takes long.
const TICKS_PER_LOOK: u32 = 5;
const IDLE_LOOKS_BEFORE_PARKING: u32 = 4;
const SETTLING: Duration = Duration::from_millis(2);

/// The thread that advances the epochs.
#[derive(Default)]
pub(crate) struct Ticker {
    engines: Mutex<Vec<EngineWeak>>,
    marks: Mutex<Vec<Watched>>,
    is_parked: AtomicBool,
    wakeups: Mutex<u64>,
    wake: Condvar,
    ticks: AtomicU64,
}

/// A thread's mark, with its value when the ticker last looked.
struct Watched {
    mark: Weak<Mark>,
    seen: u64,
}

/// What the ticker finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// Nobody entered a guest since the last look.
    Idle,
    /// Guests come and go.
    Moving,
    /// A call that was under way at the last look still is.
    Long,
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
        let ticker = Arc::new(Self::default());
        ticker.drive(engine);
        let weak = Arc::downgrade(&ticker);
        thread::Builder::new()
            .name("filter-ticker".to_owned())
            .spawn(move || run(&weak))
            .map_err(|error| EngineError(error.to_string()))?;
        Ok(ticker)
    }

    /// One more engine whose epoch advances with the ticks.
    pub(crate) fn drive(&self, engine: &Engine) {
        self.engines.lock().push(engine.weak());
    }

    /// Whether an engine is left.
    fn is_needed(&self) -> bool {
        self.engines
            .lock()
            .iter()
            .any(|engine| engine.upgrade().is_some())
    }

    /// Ticks since the start; moves only while a call takes long.
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
            all.retain(|known| known.mark.strong_count() > 0);
            all.push(Watched {
                mark: Arc::downgrade(&mark),
                seen: 0,
            });
            drop(all);
            let pulse = Rc::new(Pulse {
                ticker: Arc::clone(self),
                mark,
            });
            pulses.push(Rc::downgrade(&pulse));
            pulse
        })
    }

    fn look(&self) -> Look {
        let mut look = Look::Idle;
        for watched in self.marks.lock().iter_mut() {
            let Some(mark) = watched.mark.upgrade() else {
                continue;
            };
            let value = mark.0.load(Ordering::Acquire);
            let before = std::mem::replace(&mut watched.seen, value);
            if value != before {
                look = if look == Look::Long { look } else { Look::Moving };
            } else if value & 1 == 1 {
                look = Look::Long;
            }
        }
        look
    }

    fn advance(&self, ticks: u32) {
        for engine in self.engines.lock().iter().filter_map(EngineWeak::upgrade) {
            for _ in 0..ticks {
                engine.increment_epoch();
            }
        }
        self.ticks.fetch_add(u64::from(ticks), Ordering::Relaxed);
    }

    fn park(&self) {
        let before = *self.wakeups.lock();
        self.is_parked.store(true, Ordering::Release);
        thread::sleep(SETTLING);
        if self.look() == Look::Idle {
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

fn run(ticker: &Weak<Ticker>) {
    let mut idle = 0;
    let mut pause = TICKS_PER_LOOK;
    loop {
        let Some(ticker) = ticker.upgrade() else {
            return;
        };
        if !ticker.is_needed() {
            return;
        }
        match ticker.look() {
            Look::Long => {
                ticker.advance(pause);
                (idle, pause) = (0, 1);
            }
            Look::Moving => (idle, pause) = (0, TICKS_PER_LOOK),
            Look::Idle => (idle, pause) = (idle + 1, TICKS_PER_LOOK),
        }
        if idle > IDLE_LOOKS_BEFORE_PARKING {
            ticker.park();
            idle = 0;
            continue;
        }
        drop(ticker);
        thread::sleep(TICK * pause);
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

    #[test]
    fn only_a_call_that_was_seen_before_is_long() {
        let ticker = Arc::new(Ticker::default());
        let pulse = ticker.pulse();
        assert_eq!(ticker.look(), Look::Idle);
        drop(pulse.enter());
        assert_eq!(ticker.look(), Look::Moving);
        assert_eq!(ticker.look(), Look::Idle);
        let running = pulse.enter();
        assert_eq!(ticker.look(), Look::Moving);
        assert_eq!(ticker.look(), Look::Long);
        assert_eq!(ticker.look(), Look::Long);
        drop(running);
        drop(pulse.enter());
        assert_eq!(ticker.look(), Look::Moving);
        assert_eq!(ticker.look(), Look::Idle);
    }

    #[test]
    fn advances_every_engine_that_it_was_given() {
        let engines = [Engine::default(), Engine::default()];
        let ticker = Ticker::default();
        for engine in &engines {
            ticker.drive(engine);
        }
        ticker.advance(3);
        assert_eq!(ticker.ticks(), 3);
        assert!(ticker.is_needed());
        drop(engines);
        assert!(!ticker.is_needed(), "none is left");
    }
}
