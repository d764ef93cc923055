//! Writes finished lines to files from one thread of its own, so that a slow disk never holds up traffic.
//!
//! Producers leave lines in a queue with two bounds, a number of lines and a number of bytes. A line that does not
//! fit is dropped and counted. Lines come out in the order in which they went in. The lock around the queue is held
//! for one push, never for a write; the writer is woken once per batch, not once per line.

use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

mod files;
#[cfg(test)]
mod tests;

use files::Files;

/// How long the writer lets a batch grow before it writes. Bounds the age of a line on its way to the file.
const LINGER: Duration = Duration::from_millis(10);

/// Bounds of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineWriterLimits {
    /// Lines that may wait. Default: 65,536.
    pub max_lines: usize,
    /// Bytes that may wait. Default: 64 MiB.
    pub max_bytes: usize,
}

impl Default for LineWriterLimits {
    fn default() -> Self {
        Self {
            max_lines: 65_536,
            max_bytes: 64 << 20,
        }
    }
}

/// A writer thread and its queue. Dropping it writes what is queued and ends the thread.
pub struct LineWriter {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// One line on its way to a file.
struct Line {
    path: Arc<str>,
    bytes: Vec<u8>,
    reopen: bool,
}

struct Shared {
    limits: LineWriterLimits,
    queue: Mutex<Queue>,
    /// The writer waits here for lines.
    work: Condvar,
    /// Callers of [`LineWriter::flush`] wait here.
    written: Condvar,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Queue {
    lines: Vec<Line>,
    bytes: usize,
    /// The path of the last line: files have few names, so most lines share this one instead of copying it.
    last_path: Option<Arc<str>>,
    /// Lines ever taken in and ever handed to the files; equal when nothing is under way.
    accepted: u64,
    finished: u64,
    /// Write at once instead of waiting for more lines.
    urgent: bool,
    /// Close every file before the next batch.
    reopen_all: bool,
    closed: bool,
}

impl LineWriter {
    /// Starts the thread `log-writer`.
    ///
    /// # Errors
    /// When the system refuses another thread.
    pub fn start(limits: LineWriterLimits) -> std::io::Result<Self> {
        let writer = Self::without_thread(limits);
        let shared = Arc::clone(&writer.shared);
        let thread = std::thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || shared.run())?;
        *writer.thread.lock() = Some(thread);
        Ok(writer)
    }

    fn without_thread(limits: LineWriterLimits) -> Self {
        let shared = Shared {
            limits,
            queue: Mutex::new(Queue::default()),
            work: Condvar::new(),
            written: Condvar::new(),
            dropped: AtomicU64::new(0),
        };
        Self {
            shared: Arc::new(shared),
            thread: Mutex::new(None),
        }
    }

    /// Queues `line`, with its newline, for the file at `path`; never blocks on the file. `reopen` opens the file for
    /// this line and closes it again. `/dev/stdout` and `/dev/stderr` are the streams of the process.
    ///
    /// A line that does not fit into the queue, or that comes after [`LineWriter::shutdown`], is dropped and counted.
    pub fn append(&self, path: &str, line: Vec<u8>, reopen: bool) {
        let mut queue = self.shared.queue.lock();
        let limits = self.shared.limits;
        if queue.closed
            || queue.lines.len() >= limits.max_lines
            || queue.bytes.saturating_add(line.len()) > limits.max_bytes
        {
            drop(queue);
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let path = match &queue.last_path {
            Some(last) if **last == *path => Arc::clone(last),
            _ => {
                let path: Arc<str> = Arc::from(path);
                queue.last_path = Some(Arc::clone(&path));
                path
            }
        };
        queue.bytes += line.len();
        queue.accepted += 1;
        queue.lines.push(Line {
            path,
            bytes: line,
            reopen,
        });
        let is_first = queue.lines.len() == 1;
        let is_half_full = queue.lines.len() == limits.max_lines / 2;
        queue.urgent |= is_half_full;
        drop(queue);
        if is_first || is_half_full {
            self.shared.work.notify_one();
        }
    }

    /// Lines dropped since the start.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Lines that wait in the queue.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.shared.queue.lock().lines.len()
    }

    /// Closes every file before the next line, so that rotated files are picked up.
    pub fn reopen(&self) {
        self.shared.queue.lock().reopen_all = true;
    }

    /// Waits until every line queued before this call was handed to the system, at most `patience`; false: it was
    /// not.
    #[must_use]
    pub fn flush(&self, patience: Duration) -> bool {
        let mut queue = self.shared.queue.lock();
        let target = queue.accepted;
        queue.urgent = true;
        self.shared.work.notify_one();
        let timeout =
            self.shared
                .written
                .wait_while_for(&mut queue, |queue| queue.finished < target, patience);
        !timeout.timed_out()
    }

    /// Writes what is queued and ends the thread. Later lines are dropped. Waits as long as the writes take.
    pub fn shutdown(&self) {
        {
            let mut queue = self.shared.queue.lock();
            queue.closed = true;
            self.shared.work.notify_one();
        }
        if let Some(thread) = self.thread.lock().take() {
            // A panic of the writer was reported by the panic hook; there is nobody left to tell here.
            let _ = thread.join();
        }
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl std::fmt::Debug for LineWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LineWriter")
            .field("queued", &self.queued())
            .field("dropped", &self.dropped())
            .finish()
    }
}

impl Shared {
    fn run(&self) {
        let mut files = Files::default();
        let mut batch = Vec::new();
        let mut reported_drops = 0;
        while let Some(reopen_all) = self.next_batch(&mut batch) {
            if reopen_all {
                files.close();
            }
            let count = batch.len() as u64;
            files.write(&batch);
            batch.clear();
            {
                let mut queue = self.queue.lock();
                queue.finished += count;
                self.written.notify_all();
            }
            reported_drops = self.report_drops(reported_drops);
        }
    }

    /// Waits for lines, then a little for more of them, and swaps them into `batch`; tells whether the files must be
    /// reopened first. `None`: closed and empty.
    fn next_batch(&self, batch: &mut Vec<Line>) -> Option<bool> {
        let mut queue = self.queue.lock();
        self.work.wait_while(&mut queue, |queue| {
            queue.lines.is_empty() && !queue.closed && !queue.reopen_all
        });
        if !queue.closed && !queue.urgent {
            let _ = self
                .work
                .wait_while_for(&mut queue, |queue| !queue.urgent && !queue.closed, LINGER);
        }
        if queue.lines.is_empty() && queue.closed {
            return None;
        }
        std::mem::swap(&mut queue.lines, batch);
        queue.bytes = 0;
        queue.urgent = false;
        Some(std::mem::take(&mut queue.reopen_all))
    }

    /// One warning per episode of drops, with their number.
    fn report_drops(&self, reported: u64) -> u64 {
        let dropped = self.dropped.load(Ordering::Relaxed);
        if dropped > reported {
            tracing::warn!(
                lines = dropped - reported,
                "log lines were dropped: the queue of the writer was full"
            );
        }
        dropped
    }
}
