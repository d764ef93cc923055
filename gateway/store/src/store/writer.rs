//! The one thread that writes.
//!
//! It takes all transactions that wait, runs each on a copy of the catalog, commits what they changed in one go, and only
//! then shows it to readers and answers. Between them it asks the backend what others wrote, and removes what expired.

use super::job::Job;
use super::{BackendHealth, Message, Shared};
use crate::backend::{Backend, BackendError, FaultKind, News, Outcome, StoredRow, Wake};
use crate::catalog::Catalog;
use crate::change::{Change, RowChange};
use crate::clock::Clock;
use crate::layout::{layout, layouts};
use crate::row::Row;
use crate::transaction::Transaction;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant, SystemTime};
use uuid::Uuid;

/// Transactions per commit at most, so that the first does not wait for ever.
const BATCH: usize = 1_024;
/// Rounds in which other nodes may get ahead of a batch.
const ROUNDS: usize = 64;
/// Expired rows are removed this often at most.
const SWEEP: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    backend: Box<dyn Backend>,
    receiver: Receiver<Message>,
    shared: Arc<Shared>,
    /// The writer has been rung and has not polled yet.
    is_rung: Arc<AtomicBool>,
    polled: Instant,
    swept: Instant,
}

/// Everything the backend has.
pub(super) fn load(backend: &mut dyn Backend, clock: Clock) -> Result<Catalog, BackendError> {
    let mut catalog = Catalog::empty(clock);
    let version = backend.load(&mut |stored| {
        let (at, row, keys) = read(stored)?;
        catalog.load(at, row, &keys);
        Ok(())
    })?;
    catalog.set_version(version);
    Ok(catalog)
}

fn read(stored: StoredRow<'_>) -> Result<(usize, Row, crate::row::Keys), BackendError> {
    let StoredRow { collection, id, text } = stored;
    let (at, layout) = layout(collection).ok_or_else(|| {
        let text =
            format!("the store holds '{collection}', which this release does not know; use a newer one");
        BackendError::new(FaultKind::TooNew, text)
    })?;
    let damaged = |reason: String| {
        let text = format!("the entity {id} of '{collection}' in the store cannot be read: {reason}");
        BackendError::new(FaultKind::Damaged, text)
    };
    let text = text.ok_or_else(|| damaged("it is empty".to_owned()))?;
    let (row, keys) = Row::stored(layout, Cow::Borrowed(text)).map_err(damaged)?;
    if row.id() != id {
        return Err(damaged(format!("it says that it is {}", row.id())));
    }
    Ok((at, row, keys))
}

/// A batch that ran and is not durable yet.
struct Draft {
    catalog: Catalog,
    changes: Vec<RowChange>,
    /// Whether every transaction went through and changed something.
    is_plain: bool,
}

impl Writer {
    pub(super) fn new(backend: Box<dyn Backend>, receiver: Receiver<Message>, shared: Arc<Shared>) -> Self {
        Self {
            backend,
            receiver,
            shared,
            is_rung: Arc::default(),
            polled: Instant::now(),
            swept: Instant::now(),
        }
    }

    /// Gives the backend a bell.
    pub(super) fn listen(&mut self, sender: &Sender<Message>) {
        let (sender, is_rung) = (sender.clone(), Arc::clone(&self.is_rung));
        self.backend.on_change(Wake::new(move || {
            if !is_rung.swap(true, Ordering::AcqRel) {
                // A writer that is gone polls no more.
                let _ = sender.send(Message::Poll);
            }
        }));
    }

    pub(super) fn run(mut self) {
        loop {
            let first = match self.wait() {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let mut jobs: Vec<Box<dyn Job>> = Vec::new();
            let (mut is_closing, mut must_poll) = (false, false);
            for message in first.into_iter().chain(self.receiver.try_iter()) {
                match message {
                    Message::Job(job) if job.is_wanted() => jobs.push(job),
                    Message::Job(_) => {}
                    Message::Poll => must_poll = true,
                    Message::Close => is_closing = true,
                }
                if jobs.len() == BATCH || is_closing {
                    break;
                }
            }
            let is_due = self.until_poll().is_some_and(|left| left.is_zero());
            if must_poll || (is_due && jobs.is_empty()) {
                // What failed shows in the health; the next round asks again.
                let _ = self.poll();
            }
            if !jobs.is_empty() || self.until_sweep().is_some_and(|left| left.is_zero()) {
                self.batch(jobs);
            }
            if is_closing {
                return;
            }
        }
    }

    fn wait(&self) -> Result<Message, RecvTimeoutError> {
        let due = [self.until_poll(), self.until_sweep()]
            .into_iter()
            .flatten()
            .min();
        match due {
            Some(left) => self.receiver.recv_timeout(left),
            None => self.receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    fn until_poll(&self) -> Option<Duration> {
        let interval = self.backend.poll_interval()?;
        Some(interval.saturating_sub(self.polled.elapsed()))
    }

    fn until_sweep(&self) -> Option<Duration> {
        let catalog = self.shared.catalog.load();
        let left = catalog.next_expiry()?.saturating_sub(catalog.clock().now());
        let left = Duration::from_millis(left).min(SWEEP);
        let rest = SWEEP.saturating_sub(self.swept.elapsed());
        Some(left.max(rest))
    }

    /// Runs the jobs until their changes are durable, or the backend fails.
    fn batch(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        self.swept = Instant::now();
        let mut is_fresh = self.backend.poll_interval().is_none();
        for _ in 0..ROUNDS {
            let base = self.shared.catalog.load_full();
            let draft = run(&base, &mut jobs);
            // Who is told no, or that there was nothing to do, must be told so by the newest state.
            if !is_fresh && !draft.is_plain {
                is_fresh = true;
                match self.poll() {
                    Ok(true) => continue,
                    Ok(false) => {}
                    Err(fault) => return fail(jobs, &fault),
                }
            }
            if draft.changes.is_empty() {
                return jobs.into_iter().for_each(|job| job.done(base.version()));
            }
            match self.backend.commit(base.version(), &draft.changes) {
                Ok(Outcome::Committed(version)) => {
                    self.set_health(None);
                    self.publish(draft.catalog, draft.changes, version, base.clock());
                    return jobs.into_iter().for_each(|job| job.done(version));
                }
                Ok(Outcome::Behind) => match self.poll() {
                    Ok(_) => is_fresh = true,
                    Err(fault) => return fail(jobs, &fault),
                },
                Err(fault) => {
                    self.set_health(Some(&fault));
                    return fail(jobs, &fault);
                }
            }
        }
        let text = "other nodes write so much that no change of this one gets through";
        fail(jobs, &BackendError::new(FaultKind::Unreachable, text));
    }

    /// Takes over what others wrote; tells whether there was anything.
    fn poll(&mut self) -> Result<bool, BackendError> {
        self.is_rung.store(false, Ordering::Release);
        let taken = self.take_over();
        self.polled = Instant::now();
        self.set_health(taken.as_ref().err());
        taken
    }

    fn take_over(&mut self) -> Result<bool, BackendError> {
        let base = self.shared.catalog.load_full();
        match self.backend.poll(base.version())? {
            News::Nothing => Ok(false),
            News::Changes(changes) => {
                for change in changes {
                    let mut catalog = Catalog::clone(&self.shared.catalog.load());
                    let mut rows = Vec::with_capacity(change.rows.len());
                    for (collection, id, text) in &change.rows {
                        rows.push(row_change(collection, *id, text.as_deref())?);
                    }
                    rows.iter().for_each(|change| catalog.apply(change));
                    self.publish(catalog, rows, change.version, base.clock());
                }
                Ok(true)
            }
            News::Everything => {
                let catalog = load(&mut *self.backend, base.clock().clone())?;
                let (changes, version) = (base.difference(&catalog), catalog.version());
                self.publish(catalog, changes, version, base.clock());
                Ok(true)
            }
        }
    }

    fn publish(&self, mut catalog: Catalog, rows: Vec<RowChange>, version: u64, clock: &Clock) {
        catalog.set_version(version);
        catalog.set_clock(clock.clone());
        self.shared.history.push(Change {
            version,
            rows: rows.into(),
        });
        self.shared.catalog.store(Arc::new(catalog));
        self.shared.newest.send_replace(version);
    }

    fn set_health(&self, fault: Option<&BackendError>) {
        let mut health = self.shared.health.lock();
        match (fault, &mut *health) {
            (None, BackendHealth::Reachable) => {}
            (None, known) => {
                tracing::info!("the store's backend is reachable again");
                *known = BackendHealth::Reachable;
            }
            (Some(fault), BackendHealth::Unreachable { reason, .. }) => fault.text.clone_into(reason),
            (Some(fault), known) => {
                tracing::error!(reason = %fault, "the store's backend cannot be reached; reads go on");
                *known = BackendHealth::Unreachable {
                    since: SystemTime::now(),
                    reason: fault.text.clone(),
                };
            }
        }
    }
}

fn fail(jobs: Vec<Box<dyn Job>>, fault: &BackendError) {
    jobs.into_iter().for_each(|job| job.failed(fault));
}

/// Runs every job on a copy; one that is refused leaves no trace in it.
fn run(base: &Catalog, jobs: &mut [Box<dyn Job>]) -> Draft {
    let mut catalog = base.clone();
    // Time stands still, so that nothing expires half-way.
    catalog.set_clock(Clock::stopped_at(base.clock().now()));
    let mut log = Vec::new();
    Transaction::new(&mut catalog, &mut log).sweep();
    let mut is_plain = true;
    for job in jobs {
        let (before, mark) = (catalog.clone(), log.len());
        if !job.run(&mut Transaction::new(&mut catalog, &mut log)) {
            catalog = before;
            log.truncate(mark);
        }
        is_plain &= log.len() > mark;
    }
    Draft {
        changes: compress(log, base),
        catalog,
        is_plain,
    }
}

/// The last state of each row, where that differs from what was.
fn compress(log: Vec<RowChange>, base: &Catalog) -> Vec<RowChange> {
    let mut last = HashMap::with_capacity(log.len());
    for (number, change) in log.iter().enumerate() {
        last.insert((change.collection, change.id), number);
    }
    let is_news = |change: &RowChange| match (base.stored(change.collection, change.id), &change.row) {
        (None, None) => false,
        (Some(known), Some(row)) => known.text() != row.text(),
        _ => true,
    };
    let all = log.into_iter().enumerate();
    all.filter(|(number, change)| last.get(&(change.collection, change.id)) == Some(number))
        .map(|(_, change)| change)
        .filter(is_news)
        .collect()
}

fn row_change(collection: &str, id: Uuid, text: Option<&str>) -> Result<RowChange, BackendError> {
    if text.is_none()
        && let Some((_, layout)) = layout(collection)
    {
        return Ok(RowChange {
            collection: layout.name,
            id,
            row: None,
        });
    }
    let (at, row, _) = read(StoredRow { collection, id, text })?;
    Ok(RowChange {
        collection: layouts().get(at).map_or("", |layout| layout.name),
        id,
        row: Some(Arc::new(row)),
    })
}
