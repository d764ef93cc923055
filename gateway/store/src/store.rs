//! The handle that everybody else holds: reads from memory, transactions through the writer thread.

use crate::backend::{Backend, BackendError};
use crate::catalog::Catalog;
use crate::change::{Change, History};
use crate::clock::Clock;
use crate::transaction::Transaction;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};
use std::time::SystemTime;
use tokio::sync::{oneshot, watch};

mod job;
mod writer;

#[cfg(test)]
pub(crate) mod tests;

use job::{Answer, Job, Work};
use writer::Writer;

/// What may be chosen about a store.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The clock that credentials expire by.
    pub clock: Clock,
}

/// Every entity of a gateway. A handle: clones share the store; when the last one goes, what was asked is written and
/// the backend is closed.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    sender: Sender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the writer publishes.
struct Shared {
    catalog: ArcSwap<Catalog>,
    history: History,
    newest: watch::Sender<u64>,
    health: Mutex<BackendHealth>,
}

enum Message {
    Job(Box<dyn Job>),
    /// Others may have written.
    Poll,
    Close,
}

/// How the backend is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackendHealth {
    /// It did what it was last asked.
    Reachable,
    /// It does not; reads are answered as of the last version that is known.
    Unreachable {
        /// When that was noticed.
        since: SystemTime,
        /// Why, for people.
        reason: String,
    },
}

/// A transaction that went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed<T> {
    /// What the work returned.
    pub value: T,
    /// The version that holds its changes; when it changed nothing, the one that it saw.
    pub version: u64,
}

/// A transaction that did not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransactError<E> {
    /// The work said no: nothing is written.
    #[error("refused: {0}")]
    Refused(E),
    /// The backend failed. Nothing is written, unless the fault is [`InDoubt`](crate::FaultKind::InDoubt).
    #[error("the store cannot be written now: {0}")]
    Unavailable(BackendError),
    /// The work panicked: nothing is written.
    #[error("the transaction was aborted by a fault of the gateway")]
    Aborted,
    /// The store was closed meanwhile.
    #[error("the store is closed")]
    Closed,
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The backend failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// There is no thread for the writer.
    #[error("the writer thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

impl Store {
    /// Loads everything and starts the writer thread. Waits: asynchronous callers use a thread for it.
    ///
    /// # Errors
    ///
    /// When the backend cannot be read, or holds what this release does not know.
    pub fn open(mut backend: Box<dyn Backend>, options: Options) -> Result<Self, OpenError> {
        let catalog = writer::load(&mut *backend, options.clock)?;
        let version = catalog.version();
        let shared = Arc::new(Shared {
            catalog: ArcSwap::from_pointee(catalog),
            history: History::starting_at(version),
            newest: watch::Sender::new(version),
            health: Mutex::new(BackendHealth::Reachable),
        });
        let (sender, receiver) = mpsc::channel();
        let mut writer = Writer::new(backend, receiver, Arc::clone(&shared));
        writer.listen(&sender);
        let thread = thread::Builder::new().name("tidegate-store".to_owned());
        let thread = thread.spawn(move || writer.run())?;
        Ok(Self {
            inner: Arc::new(Inner {
                shared,
                sender,
                thread: Mutex::new(Some(thread)),
            }),
        })
    }

    /// Looks at the entities, all at one version.
    pub fn read<T>(&self, look: impl FnOnce(&Catalog) -> T) -> T {
        look(&self.catalog())
    }

    /// The entities as they are now, to be held as long as one likes.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        self.inner.shared.catalog.load_full()
    }

    /// Runs `work` on the writer thread; all or nothing. When this resolves, it is durable and readers see it.
    ///
    /// `work` may run again when another node wrote in between. It runs to its end even when nobody waits any more,
    /// unless it had not begun.
    ///
    /// # Errors
    ///
    /// Nothing is written: the work said no, the backend failed, or the store is closed.
    pub async fn transact<T, E>(
        &self,
        work: impl FnMut(&mut Transaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<Committed<T>, TransactError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let (answer, answered) = oneshot::channel::<Answer<T, E>>();
        let job = Box::new(Work::new(work, answer));
        if self.inner.sender.send(Message::Job(job)).is_err() {
            return Err(TransactError::Closed);
        }
        answered.await.unwrap_or(Err(TransactError::Closed))
    }

    /// The newest version, from this node or another. Changes after readers see it.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.shared.newest.subscribe()
    }

    /// Everything after a version, in order. None when that is too old to be known: take a full read.
    #[must_use]
    pub fn changes_since(&self, version: u64) -> Option<Vec<Change>> {
        self.inner.shared.history.since(version)
    }

    /// How the backend is.
    #[must_use]
    pub fn health(&self) -> BackendHealth {
        self.inner.shared.health.lock().clone()
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let version = self.inner.shared.catalog.load().version();
        f.debug_struct("Store")
            .field("version", &version)
            .finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // A writer that is gone has nothing left to write.
        let _ = self.sender.send(Message::Close);
        let Some(writer) = self.thread.lock().take() else {
            return;
        };
        // A handle may have been moved into a transaction.
        if writer.thread().id() != thread::current().id() && writer.join().is_err() {
            tracing::error!("the writer of the store has panicked");
        }
    }
}
