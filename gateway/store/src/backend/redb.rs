//! Keeps everything in one file, with redb: a commit is on the disk when it returns, and a crash at any point leaves the
//! last commit.
//!
//! After a failed write redb wants to be opened anew; what the file then says settles whether the write went in.

use super::{Backend, BackendError, FaultKind, News, Outcome, StoredRow};
use crate::change::RowChange;
use redb::{Builder, Database, ReadableDatabase, ReadableTable, TableDefinition};
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;
use uuid::Uuid;

mod create;
#[cfg(test)]
mod tests;

/// How rows are kept. A file with a greater number is refused.
const FORMAT: u64 = 1;
/// Everything is in memory already: redb needs pages for commits only, in bytes.
const CACHE: usize = 8 << 20;
/// How often a file that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// `format`, `version` and the `probe` that finds out whether the file can be written again.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// Collection and id to JSON text.
const ROWS: TableDefinition<'_, (&str, u128), &str> = TableDefinition::new("rows");

/// A store file.
pub struct RedbBackend {
    path: PathBuf,
    /// None after a fault, until the file could be opened again.
    database: Option<Database>,
    /// The last write failed.
    is_suspect: bool,
}

impl RedbBackend {
    /// Opens the file, or creates it (readable by its owner only).
    ///
    /// # Errors
    ///
    /// When another process has it, a newer release wrote it, or it cannot be opened.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, BackendError> {
        let path = path.into();
        create::unless_there(&path)?;
        let database = Some(opened(&path)?);
        Ok(Self {
            path,
            database,
            is_suspect: false,
        })
    }

    /// The open file; opened again when a fault closed it.
    fn database(&mut self) -> Result<&Database, BackendError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => opened(&self.path)?,
        };
        Ok(self.database.insert(database))
    }

    /// The version that the file is at, now.
    fn version(&mut self) -> Result<u64, BackendError> {
        let path = self.path.clone();
        let version = guarded(|| version(self.database()?).map_err(|fault| failure(&path, &fault)));
        if version.is_err() {
            self.database = None;
        }
        version
    }
}

impl Backend for RedbBackend {
    fn load(
        &mut self,
        each: &mut dyn FnMut(StoredRow<'_>) -> Result<(), BackendError>,
    ) -> Result<u64, BackendError> {
        let path = self.path.clone();
        let database = self.database()?;
        let fail = |fault: redb::Error| failure(&path, &fault);
        guarded(|| {
            let reader = database.begin_read().map_err(|fault| fail(fault.into()))?;
            let rows = reader.open_table(ROWS).map_err(|fault| fail(fault.into()))?;
            for entry in rows.iter().map_err(|fault| fail(fault.into()))? {
                let (key, text) = entry.map_err(|fault| fail(fault.into()))?;
                let (collection, id) = key.value();
                each(StoredRow {
                    collection,
                    id: Uuid::from_u128(id),
                    text: Some(text.value()),
                })?;
            }
            version(database).map_err(fail)
        })
    }

    fn commit(&mut self, base: u64, changes: &[RowChange]) -> Result<Outcome, BackendError> {
        let path = self.path.clone();
        if self.is_suspect && self.version()? != base {
            return Ok(Outcome::Behind);
        }
        let database = self.database()?;
        let written = guarded(|| write(database, base + 1, changes).map_err(|fault| failure(&path, &fault)));
        let Err(fault) = written else {
            self.is_suspect = false;
            return Ok(Outcome::Committed(base + 1));
        };
        self.is_suspect = true;
        self.database = None;
        match self.version() {
            Ok(version) if version == base + 1 => Ok(Outcome::Committed(version)),
            Ok(_) => Err(fault),
            Err(again) => {
                let text = format!("{fault}; whether the change was written is not known, for then {again}");
                Err(BackendError::new(FaultKind::InDoubt, text))
            }
        }
    }

    fn poll(&mut self, base: u64) -> Result<News, BackendError> {
        if !self.is_suspect {
            return Ok(News::Nothing);
        }
        let path = self.path.clone();
        let version = self.version()?;
        let database = self.database()?;
        let probed = guarded(|| probe(database).map_err(|fault| failure(&path, &fault)));
        if let Err(fault) = probed {
            self.database = None;
            return Err(fault);
        }
        self.is_suspect = false;
        Ok(if version == base {
            News::Nothing
        } else {
            News::Everything
        })
    }

    fn poll_interval(&self) -> Option<Duration> {
        self.is_suspect.then_some(RETRY)
    }
}

fn opened(path: &Path) -> Result<Database, BackendError> {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE);
    let database = guarded(|| builder.open(path).map_err(|fault| failure(path, &fault.into())))?;
    let format = format(&database).map_err(|fault| failure(path, &fault))?;
    if format > FORMAT {
        let text = format!(
            "the store file {} was written by a newer release (format {format}, this one reads up to {FORMAT}); \
             start that release, or give this one a file of its own",
            path.display()
        );
        return Err(BackendError::new(FaultKind::TooNew, text));
    }
    Ok(database)
}

/// Tables and numbers of an empty store.
fn prepare(database: &Database) -> Result<(), redb::Error> {
    let writer = database.begin_write()?;
    {
        writer.open_table(ROWS)?;
        let mut meta = writer.open_table(META)?;
        meta.insert("format", FORMAT)?;
        meta.insert("version", 0)?;
    }
    writer.commit()?;
    Ok(())
}

fn format(database: &Database) -> Result<u64, redb::Error> {
    number(database, "format")
}

fn version(database: &Database) -> Result<u64, redb::Error> {
    number(database, "version")
}

fn number(database: &Database, name: &str) -> Result<u64, redb::Error> {
    let reader = database.begin_read()?;
    let meta = reader.open_table(META)?;
    let number = meta.get(name)?.map(|number| number.value());
    number.ok_or_else(|| redb::Error::Corrupted(format!("it has no '{name}'")))
}

fn write(database: &Database, version: u64, changes: &[RowChange]) -> Result<(), redb::Error> {
    let writer = database.begin_write()?;
    {
        let mut rows = writer.open_table(ROWS)?;
        for change in changes {
            let key = (change.collection, change.id.as_u128());
            match &change.row {
                Some(row) => drop(rows.insert(key, row.text())?),
                None => drop(rows.remove(key)?),
            }
        }
        writer.open_table(META)?.insert("version", version)?;
    }
    writer.commit()?;
    Ok(())
}

/// Writes something of no consequence.
fn probe(database: &Database) -> Result<(), redb::Error> {
    let writer = database.begin_write()?;
    {
        let mut meta = writer.open_table(META)?;
        let before = meta.get("probe")?.map_or(0, |number| number.value());
        meta.insert("probe", before.wrapping_add(1))?;
    }
    writer.commit()?;
    Ok(())
}

/// redb may panic over a file that somebody else has changed.
fn guarded<T>(steps: impl FnOnce() -> Result<T, BackendError>) -> Result<T, BackendError> {
    catch_unwind(AssertUnwindSafe(steps)).unwrap_or_else(|_| {
        let text = "the store file is damaged; restore it from a copy or from an exported configuration";
        Err(BackendError::new(FaultKind::Damaged, text))
    })
}

fn failure(path: &Path, fault: &redb::Error) -> BackendError {
    let path = path.display();
    match fault {
        redb::Error::DatabaseAlreadyOpen => BackendError::new(
            FaultKind::InUse,
            format!(
                "the store file {path} is in use by another process; stop that one, or give this one a file of its own"
            ),
        ),
        redb::Error::Io(fault) => io_failure(&path, fault),
        redb::Error::Corrupted(_)
        | redb::Error::TableDoesNotExist(_)
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::UpgradeRequired(_) => BackendError::new(
            FaultKind::Damaged,
            format!("{path} is no store file that can be read ({fault}); restore it from a copy"),
        ),
        _ => BackendError::new(
            FaultKind::Unreachable,
            format!("the store file {path} cannot be used: {fault}"),
        ),
    }
}

fn io_failure(path: &dyn std::fmt::Display, fault: &std::io::Error) -> BackendError {
    let (kind, text) = match fault.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => (
            FaultKind::Full,
            format!(
                "there is no room to write the store file {path} ({fault}); make room, and it goes on by itself"
            ),
        ),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => (
            FaultKind::Refused,
            format!(
                "the store file {path} may not be written ({fault}); give the gateway's user the right to"
            ),
        ),
        ErrorKind::NotFound => (
            FaultKind::Refused,
            format!("the folder of the store file {path} does not exist; create it"),
        ),
        ErrorKind::InvalidData => (
            FaultKind::Damaged,
            format!("{path} is no store file ({fault}); restore it from a copy, or name another file"),
        ),
        _ => (
            FaultKind::Unreachable,
            format!("the store file {path} cannot be used: {fault}"),
        ),
    };
    BackendError::new(kind, text)
}
