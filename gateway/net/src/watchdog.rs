//! Deadlines of one worker, watched by one timer.
//!
//! A timer per read costs more than the read's bookkeeping. Here arming writes a deadline into a slot, disarming clears
//! it, and one task looks at the slots every [`TICK`], only while any is armed. Deadlines are therefore late by up to
//! one tick, never early.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Resolution of all stall deadlines.
pub const TICK: Duration = Duration::from_millis(20);

/// The deadlines of a worker.
#[derive(Default)]
pub struct Watchdog {
    slots: RefCell<Vec<Slot>>,
    free: RefCell<Vec<usize>>,
    armed: Cell<usize>,
    start: Notify,
}

#[derive(Default)]
struct Slot {
    deadline: Option<Instant>,
    waker: Option<Waker>,
    is_expired: bool,
}

/// One deadline that can be armed again and again; freed when dropped.
pub struct Deadline {
    watchdog: Rc<Watchdog>,
    slot: usize,
}

impl Watchdog {
    /// A watchdog without deadlines. [`Watchdog::run`] must be spawned on the worker.
    #[must_use]
    pub fn new() -> Rc<Self> {
        Rc::new(Self::default())
    }

    /// Reserves a deadline, not armed.
    #[must_use]
    pub fn deadline(self: &Rc<Self>) -> Deadline {
        let slot = self.free.borrow_mut().pop().unwrap_or_else(|| {
            let mut slots = self.slots.borrow_mut();
            slots.push(Slot::default());
            slots.len() - 1
        });
        Deadline {
            watchdog: Rc::clone(self),
            slot,
        }
    }

    /// Wakes what is overdue; never returns.
    pub async fn run(self: Rc<Self>) {
        loop {
            if self.armed.get() == 0 {
                self.start.notified().await;
            }
            tokio::time::sleep(TICK).await;
            self.expire(Instant::now());
        }
    }

    /// Wakes whatever waits, expired or not: everything looks at the world anew. Used at drain.
    pub fn wake_all(&self) {
        let wakers: Vec<Waker> = self
            .slots
            .borrow()
            .iter()
            .filter_map(|slot| slot.waker.clone())
            .collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    fn expire(&self, now: Instant) {
        let mut wakers = Vec::new();
        for slot in self.slots.borrow_mut().iter_mut() {
            if slot.deadline.is_some_and(|deadline| deadline <= now) {
                slot.deadline = None;
                slot.is_expired = true;
                self.armed.set(self.armed.get().saturating_sub(1));
                wakers.extend(slot.waker.take());
            }
        }
        // Waking may run code that arms again: no borrow may be held here.
        wakers.into_iter().for_each(Waker::wake);
    }

    fn with_slot<R>(&self, slot: usize, change: impl FnOnce(&mut Slot) -> R) -> Option<R> {
        self.slots.borrow_mut().get_mut(slot).map(change)
    }
}

impl Deadline {
    /// Expires at `deadline` unless disarmed or armed again; `waker` is then woken.
    pub fn arm(&self, deadline: Instant, waker: &Waker) {
        let was_armed = self.watchdog.with_slot(self.slot, |slot| {
            let was_armed = slot.deadline.replace(deadline).is_some();
            slot.is_expired = false;
            if !slot.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
                slot.waker = Some(waker.clone());
            }
            was_armed
        });
        if was_armed == Some(false) {
            let armed = self.watchdog.armed.get();
            self.watchdog.armed.set(armed + 1);
            if armed == 0 {
                self.watchdog.start.notify_one();
            }
        }
    }

    /// Whether it is armed and not expired.
    #[must_use]
    pub fn is_armed(&self) -> bool {
        self.watchdog
            .with_slot(self.slot, |slot| slot.deadline.is_some())
            .unwrap_or(false)
    }

    /// Forgets the deadline.
    pub fn disarm(&self) {
        let was_armed = self.watchdog.with_slot(self.slot, |slot| {
            slot.is_expired = false;
            slot.deadline.take().is_some()
        });
        if was_armed == Some(true) {
            self.watchdog
                .armed
                .set(self.watchdog.armed.get().saturating_sub(1));
        }
    }

    /// Whether the deadline passed since it was last armed.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.watchdog
            .with_slot(self.slot, |slot| slot.is_expired)
            .unwrap_or(false)
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.disarm();
        self.watchdog.with_slot(self.slot, |slot| slot.waker = None);
        self.watchdog.free.borrow_mut().push(self.slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn an_overdue_deadline_wakes_once_and_a_disarmed_one_never() {
        let (watchdog, count) = (Watchdog::new(), Arc::new(Count::default()));
        let waker = Waker::from(Arc::clone(&count));
        let (kept, dropped) = (watchdog.deadline(), watchdog.deadline());
        let now = Instant::now();
        kept.arm(now + TICK, &waker);
        dropped.arm(now + TICK, &waker);
        dropped.disarm();
        watchdog.expire(now);
        assert_eq!(count.0.load(Ordering::Relaxed), 0, "a deadline is never early");
        watchdog.expire(now + TICK);
        watchdog.expire(now + TICK * 2);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(kept.is_expired() && !dropped.is_expired());
        assert_eq!(watchdog.armed.get(), 0);
    }

    #[test]
    fn a_freed_slot_is_used_again() {
        let watchdog = Watchdog::new();
        drop(watchdog.deadline());
        let _again = watchdog.deadline();
        assert_eq!(watchdog.slots.borrow().len(), 1);
    }
}
