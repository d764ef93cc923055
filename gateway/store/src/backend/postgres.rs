//! Keeps everything in PostgreSQL, for any number of nodes.
//!
//! One row holds the version; who writes must move it on, so writers of all nodes stand in one line. A table of numbered
//! changes tells the others what happened. A notification says that it is worth to look there, and a look twice a second
//! finds what notifications missed.

use super::{Backend, BackendError, FaultKind, News, Outcome, StoredChange, StoredRow, Wake};
use crate::change::RowChange;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

mod fault;
mod link;
mod migrate;
mod sql;
#[cfg(test)]
mod tests;
mod tls;

pub use migrate::{MigrationState, Migrator};

use link::Link;

/// How often the table of changes is looked at.
const POLL: Duration = Duration::from_millis(500);
/// Time to read everything, at least.
const LOAD: Duration = Duration::from_secs(120);
/// Time per row of a large batch, beyond the ordinary timeout.
const PER_ROW: Duration = Duration::from_millis(1);

/// Where the database is and who asks, in the meaning of Kong's `pg_*` settings.
#[derive(Clone)]
pub struct PostgresSettings {
    /// Host name or address; a path is the folder of a Unix socket.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Database.
    pub database: String,
    /// User.
    pub user: String,
    /// Password, if one is needed.
    pub password: Option<String>,
    /// Schema that holds the tables; None: the first of the user's search path.
    pub schema: Option<String>,
    /// For connecting, and for each statement.
    pub timeout: Duration,
    /// Between two looks for what others wrote, beside the server's notifications.
    pub poll_interval: Duration,
    /// Encrypt the connection; without effect on Unix sockets.
    pub tls: Option<PostgresTls>,
}

/// How the connection is encrypted.
#[derive(Clone)]
pub struct PostgresTls {
    /// What is trusted and shown. ALPN is set for PostgreSQL.
    pub client: Arc<rustls::ClientConfig>,
    /// Refuse servers that do not encrypt; otherwise they are spoken to in the clear.
    pub is_required: bool,
}

impl Default for PostgresSettings {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 5432,
            database: "kong".to_owned(),
            user: "kong".to_owned(),
            password: None,
            schema: None,
            timeout: Duration::from_secs(5),
            poll_interval: POLL,
            tls: None,
        }
    }
}

impl fmt::Debug for PostgresSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresSettings({self})")
    }
}

/// For people; no password.
impl fmt::Display for PostgresSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            host, port, database, ..
        } = self;
        write!(f, "database '{database}' of PostgreSQL at {host}:{port}")
    }
}

/// A store in PostgreSQL.
pub struct PostgresBackend {
    link: Link,
}

impl PostgresBackend {
    /// Connects and checks that the tables are those of this release. Waits, as everything here does: asynchronous
    /// callers use a thread for it.
    ///
    /// # Errors
    ///
    /// When the database cannot be reached, refuses us, or must be prepared or migrated.
    pub fn open(settings: PostgresSettings) -> Result<Self, BackendError> {
        let mut link = Link::new(settings)?;
        migrate::check(&mut link)?;
        link.prepare_statements()?;
        Ok(Self { link })
    }

    /// Whether the batch of a commit that was cut off is written. Waits for the server to be done with it.
    fn was_written(&mut self, batch: Uuid) -> Result<Option<u64>, BackendError> {
        self.link.run(None, FaultKind::Unreachable, async |connection| {
            let transaction = connection.client.transaction().await?;
            transaction.query_one(sql::LOCK_VERSION, &[]).await?;
            let found = transaction.query_opt(sql::FIND_BATCH, &[&batch]).await?;
            found.map(|row| sql::number(&row)).transpose()
        })
    }
}

impl Backend for PostgresBackend {
    fn load(
        &mut self,
        each: &mut dyn FnMut(StoredRow<'_>) -> Result<(), BackendError>,
    ) -> Result<u64, BackendError> {
        self.link
            .run(Some(LOAD), FaultKind::Unreachable, async |connection| {
                sql::load(connection, each).await
            })
    }

    fn commit(&mut self, base: u64, changes: &[RowChange]) -> Result<Outcome, BackendError> {
        let batch = Uuid::new_v4();
        let rows = u32::try_from(changes.len()).unwrap_or(u32::MAX);
        let limit = self
            .link
            .settings
            .timeout
            .saturating_add(PER_ROW.saturating_mul(rows));
        let written = self
            .link
            .run(Some(limit), FaultKind::InDoubt, async |connection| {
                sql::commit(connection, base, batch, changes, limit).await
            });
        match written {
            Err(fault) if fault.kind == FaultKind::InDoubt => match self.was_written(batch) {
                Ok(Some(version)) => Ok(Outcome::Committed(version)),
                Ok(None) => Err(BackendError::new(FaultKind::Unreachable, fault.text)),
                Err(_) => Err(fault),
            },
            outcome => outcome,
        }
    }

    fn poll(&mut self, base: u64) -> Result<News, BackendError> {
        self.link.run(None, FaultKind::Unreachable, async |connection| {
            sql::news(connection, base).await
        })
    }

    fn poll_interval(&self) -> Option<Duration> {
        Some(self.link.settings.poll_interval)
    }

    fn on_change(&mut self, wake: Wake) {
        self.link.ring(wake);
    }
}
