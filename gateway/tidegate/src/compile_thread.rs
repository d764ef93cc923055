//! The thread that compiles configurations and clears away what they replace.
//!
//! Configurations are large: they are made, and above all freed, on one thread that serves no traffic. The allocator
//! finds the memory of the old configuration again for the new one, so that reloads do not make the process grow.

use crate::memory;
use crate::priority;
use anyhow::{Context, Result};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;
use tidegate_proxy::worker::Published;

type Job = Box<dyn FnOnce(&mut Retired) + Send>;

/// How often the thread looks whether the last request of an old configuration has ended.
const SWEEP: Duration = Duration::from_millis(500);
/// Sweeps without a job until unused memory goes back to the system. Often enough is often: a busy reloader needs it
/// again at once.
const QUIET_SWEEPS: u32 = 4;

/// Configurations that were replaced and may still serve requests.
#[derive(Default)]
pub(crate) struct Retired(Vec<Arc<Published>>);

impl Retired {
    pub(crate) fn push(&mut self, published: Arc<Published>) {
        self.0.push(published);
    }

    /// Drops those that nobody else holds. New holders cannot come: they are out of service.
    fn sweep(&mut self) {
        self.0.retain(|published| Arc::strong_count(published) > 1);
    }
}

/// Hands jobs to the thread, which ends with the last handle.
pub(crate) struct CompileThread(Sender<Job>);

impl CompileThread {
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start() -> Result<Self> {
        let (sender, jobs) = channel();
        std::thread::Builder::new()
            .name("compile".to_owned())
            .spawn(move || run(&jobs))
            .context("cannot start the thread that compiles configurations")?;
        Ok(Self(sender))
    }

    /// Queues a job.
    pub(crate) fn post(&self, job: impl FnOnce(&mut Retired) + Send + 'static) {
        if self.0.send(Box::new(job)).is_err() {
            tracing::error!("the thread that compiles configurations is gone");
        }
    }

    /// Runs a job and waits for its outcome.
    ///
    /// # Errors
    /// When the job panicked.
    pub(crate) fn call<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let (sender, outcome) = channel();
        self.post(move |_| drop(sender.send(job())));
        outcome.recv().context("the configuration could not be compiled")
    }
}

fn run(jobs: &Receiver<Job>) {
    let mut retired = Retired::default();
    let mut quiet = QUIET_SWEEPS;
    let mut is_first = true;
    loop {
        let next = if quiet >= QUIET_SWEEPS && retired.0.is_empty() {
            jobs.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            jobs.recv_timeout(SWEEP)
        };
        match next {
            Ok(job) => {
                job(&mut retired);
                if is_first {
                    // Nothing serves before the first configuration is there; from now on traffic goes first.
                    priority::lower();
                    is_first = false;
                }
                quiet = 0;
            }
            Err(RecvTimeoutError::Timeout) => quiet = quiet.saturating_add(1),
            Err(RecvTimeoutError::Disconnected) => return,
        }
        retired.sweep();
        if quiet == QUIET_SWEEPS {
            memory::give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_run_in_order_on_one_thread() {
        let thread = CompileThread::start().unwrap();
        let (sender, names) = channel();
        for number in 0..3 {
            let sender = sender.clone();
            thread.post(move |_| {
                let name = std::thread::current().name().map(str::to_owned);
                sender.send((number, name)).unwrap();
            });
        }
        assert_eq!(thread.call(|| 7).unwrap(), 7);
        let names: Vec<_> = names.try_iter().collect();
        let name = Some("compile".to_owned());
        assert_eq!(names, [(0, name.clone()), (1, name.clone()), (2, name)]);
    }
}
