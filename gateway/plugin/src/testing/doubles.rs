//! Stand-ins for the services of a process.

use crate::services::{Clock, LineSink};
use parking_lot::Mutex;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

/// A clock that moves when it is told to.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock that shows that many milliseconds since the Unix epoch.
    #[must_use]
    pub fn at_millis(millis: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(millis)))
    }

    /// Sets it.
    pub fn set_millis(&self, millis: u64) {
        self.0.store(millis, Ordering::Relaxed);
    }

    /// Moves it forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(
            u64::try_from(by.as_millis()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
    }
}

impl Clock for ManualClock {
    fn now_millis(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One call of [`LineSink::append`].
pub type RecordedLine = (String, Vec<u8>, bool);

/// A sink that remembers what was written.
#[derive(Debug, Default)]
pub struct RecordedLines(Mutex<Vec<RecordedLine>>);

impl RecordedLines {
    /// Everything written so far: path, line, `reopen`.
    #[must_use]
    pub fn taken(&self) -> Vec<RecordedLine> {
        std::mem::take(&mut self.0.lock())
    }
}

impl LineSink for RecordedLines {
    fn append(&self, path: &str, line: Vec<u8>, reopen: bool) {
        self.0.lock().push((path.to_owned(), line, reopen));
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future to its end on this thread.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}
