//! Entities kept in transactions, with a numbered feed of changes.
//!
//! ```text
//! transact ─► writer thread ─► copy of the catalog ─► backend commit ─► readers, feed, answer
//! ```
//!
//! All rules between entities (unique values, references, what a delete takes along, expiry) live once, in pure code over
//! the [`Catalog`]. Everything is in memory, so reads go on while a database is away; a [`Backend`] only makes a list of
//! row changes durable, all or nothing, in order.
//!
//! This crate knows nothing of HTTP, of declarative files or of what an entity means.

mod backend;
mod catalog;
mod change;
mod clock;
mod conflict;
mod layout;
mod row;
mod sorted;
mod store;
mod transaction;

pub use backend::{
    Backend, BackendError, FaultKind, MemoryBackend, MigrationState, Migrator, News, Outcome,
    PostgresBackend, PostgresSettings, PostgresTls, RedbBackend, StoredChange, StoredRow, Wake,
};
pub use catalog::{Catalog, Page, Query, TagFilter};
pub use change::{Change, RowChange};
pub use clock::Clock;
pub use conflict::Conflict;
pub use layout::{MEMBERSHIPS, membership_id};
pub use row::Row;
pub use store::{BackendHealth, Committed, OpenError, Options, Store, TransactError};
pub use transaction::Transaction;
