//! What is said to the database.

use super::fault::Fault;
use super::link::Connection;
use super::{BackendError, FaultKind, News, Outcome, StoredChange, StoredRow};
use crate::change::RowChange;
use futures_util::TryStreamExt;
use std::pin::pin;
use std::time::Duration;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, IsolationLevel, Row, Statement};
use uuid::Uuid;

const MOVE_ON: &str =
    "UPDATE tidegate_version SET version = version + 1 WHERE version = $1 RETURNING version";
const TELL: &str = "INSERT INTO tidegate_changes (version, batch, position, collection, id, body) \
    SELECT $1, $2, position, collection, id, body \
    FROM unnest($3::text[], $4::uuid[], $5::text[]) WITH ORDINALITY AS told (collection, id, body, position)";
const WRITE: &str = "INSERT INTO tidegate_rows (collection, id, body) \
    SELECT collection, id, body FROM tidegate_changes WHERE version = $1 AND body IS NOT NULL \
    ON CONFLICT (collection, id) DO UPDATE SET body = excluded.body";
const DELETE: &str = "DELETE FROM tidegate_rows USING tidegate_changes AS told \
    WHERE told.version = $1 AND told.body IS NULL \
    AND tidegate_rows.collection = told.collection AND tidegate_rows.id = told.id";
const NOTIFY: &str = "SELECT pg_notify('tidegate', $1::text)";
const VERSION: &str = "SELECT version FROM tidegate_version";
const CHANGES: &str = "SELECT version, collection, id, body FROM tidegate_changes \
    WHERE version > $1 AND version <= $2 ORDER BY version, position";
const ROWS: &str = "SELECT collection, id, body FROM tidegate_rows";
/// Nodes that missed more than this read everything.
const PRUNE: &str = "DELETE FROM tidegate_changes \
    WHERE version <= $1::bigint - 10000 OR (version < $1::bigint AND at < now() - interval '1 hour')";
/// Versions between two prunings.
const PRUNE_EVERY: u64 = 64;

pub(super) const LOCK_VERSION: &str = "SELECT version FROM tidegate_version FOR UPDATE";
pub(super) const FIND_BATCH: &str = "SELECT version FROM tidegate_changes WHERE batch = $1 LIMIT 1";

/// What is said often.
pub(super) struct Statements {
    move_on: Statement,
    tell: Statement,
    write: Statement,
    delete: Statement,
    notify: Statement,
    version: Statement,
    changes: Statement,
}

impl Statements {
    pub(super) async fn prepare(client: &Client) -> Result<Self, Fault> {
        let (move_on, tell, write, delete, notify, version, changes) = tokio::try_join!(
            client.prepare(MOVE_ON),
            client.prepare(TELL),
            client.prepare(WRITE),
            client.prepare(DELETE),
            client.prepare(NOTIFY),
            client.prepare(VERSION),
            client.prepare(CHANGES),
        )?;
        Ok(Self {
            move_on,
            tell,
            write,
            delete,
            notify,
            version,
            changes,
        })
    }
}

fn prepared(statements: Option<&Statements>) -> Result<&Statements, Fault> {
    statements.ok_or_else(|| Fault::Own(BackendError::new(FaultKind::Refused, "nothing is prepared")))
}

/// The first column as a version.
pub(super) fn number(row: &Row) -> Result<u64, Fault> {
    let number: i64 = row.try_get(0)?;
    u64::try_from(number).map_err(|_| damaged(format!("{number} is no version")))
}

fn damaged(text: String) -> Fault {
    Fault::Own(BackendError::new(FaultKind::Damaged, text))
}

fn signed(version: u64) -> Result<i64, Fault> {
    i64::try_from(version).map_err(|_| damaged(format!("{version} is no version")))
}

/// Every row and the version that they are at.
pub(super) async fn load(
    connection: &mut Connection,
    each: &mut dyn FnMut(StoredRow<'_>) -> Result<(), BackendError>,
) -> Result<u64, Fault> {
    let reader = connection.client.build_transaction();
    let reader = reader
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true);
    let reader = reader.start().await?;
    reader.batch_execute("SET LOCAL statement_timeout = 0").await?;
    let version = number(&reader.query_one(VERSION, &[]).await?)?;
    let nothing: [&str; 0] = [];
    let mut rows = pin!(reader.query_raw(ROWS, nothing).await?);
    while let Some(row) = rows.try_next().await? {
        each(StoredRow {
            collection: row.try_get(0)?,
            id: row.try_get(1)?,
            text: row.try_get(2)?,
        })?;
    }
    Ok(version)
}

/// Writes a batch on top of `base`, unless others were faster.
pub(super) async fn commit(
    connection: &mut Connection,
    base: u64,
    batch: Uuid,
    rows: &[RowChange],
    limit: Duration,
) -> Result<Outcome, Fault> {
    let statements = prepared(connection.statements.as_ref())?;
    let writer = connection.client.transaction().await?;
    let Some(moved) = writer.query_opt(&statements.move_on, &[&signed(base)?]).await? else {
        return Ok(Outcome::Behind);
    };
    let version = number(&moved)?;
    let told = signed(version)?;
    let collections: Vec<&str> = rows.iter().map(|row| row.collection).collect();
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let texts: Vec<Option<&str>> = rows
        .iter()
        .map(|row| row.row.as_ref().map(|row| row.text()))
        .collect();
    let limit = format!("SET LOCAL statement_timeout = {}", limit.as_millis());
    let number = version.to_string();
    let all: [&(dyn ToSql + Sync); 5] = [&told, &batch, &collections, &ids, &texts];
    let (own, notice): ([&(dyn ToSql + Sync); 1], [&(dyn ToSql + Sync); 1]) = ([&told], [&number]);
    // Sent in one go; the server takes them in this order.
    tokio::try_join!(
        writer.batch_execute(&limit),
        writer.execute(&statements.tell, &all),
        writer.execute(&statements.write, &own),
        writer.execute(&statements.delete, &own),
        writer.query(&statements.notify, &notice),
    )?;
    if version.is_multiple_of(PRUNE_EVERY) {
        writer.execute(PRUNE, &[&told]).await?;
    }
    writer.commit().await.map_err(Fault::Commit)?;
    Ok(Outcome::Committed(version))
}

/// What happened after `base`.
pub(super) async fn news(connection: &mut Connection, base: u64) -> Result<News, Fault> {
    let statements = prepared(connection.statements.as_ref())?;
    let newest = number(&connection.client.query_one(&statements.version, &[]).await?)?;
    if newest == base {
        return Ok(News::Nothing);
    }
    // An older version: the database was restored or set up anew.
    if newest < base {
        return Ok(News::Everything);
    }
    let bounds = (signed(base)?, signed(newest)?);
    let rows = connection
        .client
        .query(&statements.changes, &[&bounds.0, &bounds.1])
        .await?;
    let mut changes: Vec<StoredChange> = Vec::new();
    for row in &rows {
        let version = number(row)?;
        let told = (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        match changes.last_mut().filter(|last| last.version == version) {
            Some(last) => last.rows.push(told),
            None => changes.push(StoredChange {
                version,
                rows: vec![told],
            }),
        }
    }
    let is_whole = changes.iter().map(|change| change.version).eq(base + 1..=newest);
    Ok(if is_whole {
        News::Changes(changes)
    } else {
        News::Everything
    })
}
