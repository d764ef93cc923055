//! The contract between the store and what makes it durable.

use crate::change::RowChange;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

mod memory;
mod postgres;
mod redb;

pub use self::memory::MemoryBackend;
pub use self::postgres::{MigrationState, Migrator, PostgresBackend, PostgresSettings, PostgresTls};
pub use self::redb::RedbBackend;

/// Makes lists of row changes durable, in order, each all or nothing. Knows no rule about entities.
///
/// One thread uses it. Calls may wait, but each must come back within a bounded time.
pub trait Backend: Send + 'static {
    /// Hands over every row and returns the version they are at.
    ///
    /// # Errors
    ///
    /// When they cannot be read, or `each` refuses one.
    fn load(
        &mut self,
        each: &mut dyn FnMut(StoredRow<'_>) -> Result<(), BackendError>,
    ) -> Result<u64, BackendError>;

    /// Writes a batch on top of version `base`. When this returns [`Outcome::Committed`], it survives a crash.
    ///
    /// # Errors
    ///
    /// Nothing is written, or with [`FaultKind::InDoubt`] that is not known.
    fn commit(&mut self, base: u64, changes: &[RowChange]) -> Result<Outcome, BackendError>;

    /// What others wrote after version `base`. Also the occasion to get a lost connection back.
    ///
    /// # Errors
    ///
    /// When that cannot be told now.
    fn poll(&mut self, base: u64) -> Result<News, BackendError>;

    /// How often to ask, when others may write. None: nobody else does.
    fn poll_interval(&self) -> Option<Duration> {
        None
    }

    /// Hands over the bell to ring when others have written.
    fn on_change(&mut self, wake: Wake) {
        drop(wake);
    }
}

/// Rings the writer: it polls soon. May be rung too often, from any thread.
#[derive(Clone)]
pub struct Wake(Arc<dyn Fn() + Send + Sync>);

impl Wake {
    pub(crate) fn new(ring: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(ring))
    }

    /// Rings.
    pub fn ring(&self) {
        (self.0)();
    }
}

/// A row as a backend keeps it.
#[derive(Debug, Clone, Copy)]
pub struct StoredRow<'r> {
    /// Name of its collection.
    pub collection: &'r str,
    /// Its id.
    pub id: Uuid,
    /// JSON text; None in a change: deleted.
    pub text: Option<&'r str>,
}

/// A batch that somebody else wrote.
#[derive(Debug, Clone)]
pub struct StoredChange {
    /// Its number.
    pub version: u64,
    /// Collection, id and text of each row; no text: deleted.
    pub rows: Vec<(String, Uuid, Option<String>)>,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is durable, under this version.
    Committed(u64),
    /// Others wrote since `base`: nothing is written; poll and try again.
    Behind,
}

/// What others wrote.
#[derive(Debug, Clone)]
pub enum News {
    /// Nothing.
    Nothing,
    /// These, in order, without a gap.
    Changes(Vec<StoredChange>),
    /// Too much to tell, or not known in detail: load everything.
    Everything,
}

/// Why a backend could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct BackendError {
    /// What sort of fault.
    pub kind: FaultKind,
    /// For people: what failed, and what to do where that is known.
    pub text: String,
}

/// Sorts of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// It does not answer, or answers that it cannot now. Comes back by itself.
    Unreachable,
    /// No room for what was to be written.
    Full,
    /// The connection broke during a commit: whether it was written shows when the database is back.
    InDoubt,
    /// Another process has it.
    InUse,
    /// A newer release of the gateway wrote it.
    TooNew,
    /// It must be prepared or migrated ahead of use.
    NeedsMigration,
    /// What it holds is not what was written.
    Damaged,
    /// It refuses us: credentials, rights, a setting.
    Refused,
}

impl BackendError {
    /// A fault of this sort.
    #[must_use]
    pub fn new(kind: FaultKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
        }
    }
}
