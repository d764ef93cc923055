//! Tables of the database, made and changed in numbered steps. Each step is a transaction under one lock, so any number
//! of nodes may try at once.
//!
//! A step has two halves, so that a cluster can be renewed node by node: the first adds what the new release needs and
//! leaves the old one running, the second removes what only the old one needed.

use super::fault::Fault;
use super::link::{Connection, Link, quoted};
use super::{BackendError, FaultKind, PostgresSettings};
use std::time::Duration;

/// Time that a step may take, and that it may wait for other nodes.
const LIMIT: Duration = Duration::from_secs(60);
/// Of the advisory lock: "tidegate" in ASCII.
const LOCK: i64 = 0x7469_6465_6761_7465;

/// One step. The texts must not contain what a transaction cannot do.
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) up: &'static str,
    pub(super) finish: Option<&'static str>,
}

/// The version begins with the time in microseconds, which runs faster than commits: a store that is set up anew is
/// ahead of what nodes know of the old one.
pub(super) const STEPS: &[Step] = &[Step {
    name: "001_entities",
    up: "CREATE TABLE tidegate_version (
            only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
            version bigint NOT NULL
        );
        INSERT INTO tidegate_version (version) VALUES (floor(1000000 * extract(epoch FROM clock_timestamp())));
        CREATE TABLE tidegate_rows (
            collection text NOT NULL,
            id uuid NOT NULL,
            body text NOT NULL,
            PRIMARY KEY (collection, id)
        );
        CREATE TABLE tidegate_changes (
            version bigint NOT NULL,
            position bigint NOT NULL,
            batch uuid NOT NULL,
            at timestamptz NOT NULL DEFAULT now(),
            collection text NOT NULL,
            id uuid NOT NULL,
            body text,
            PRIMARY KEY (version, position)
        );
        CREATE INDEX tidegate_changes_batch ON tidegate_changes (batch);
        CREATE INDEX tidegate_changes_at ON tidegate_changes (at);",
    finish: None,
}];

const JOURNAL: &str = "CREATE TABLE IF NOT EXISTS tidegate_migrations (
    name text PRIMARY KEY,
    up_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
)";
const DROP: &str =
    "DROP TABLE IF EXISTS tidegate_changes, tidegate_rows, tidegate_version, tidegate_migrations CASCADE";

/// Which steps a database has seen, by name and in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MigrationState {
    /// Whether there is anything of ours at all.
    pub is_bootstrapped: bool,
    /// Done completely.
    pub executed: Vec<String>,
    /// To be finished once every node runs this release.
    pub pending: Vec<String>,
    /// To be begun.
    pub new: Vec<String>,
    /// Of a newer release.
    pub unknown: Vec<String>,
}

/// Prepares and migrates a database. Its methods wait: asynchronous callers use a thread for them.
pub struct Migrator {
    link: Link,
    steps: &'static [Step],
}

impl Migrator {
    /// Connects.
    ///
    /// # Errors
    ///
    /// When the database cannot be reached or refuses us.
    pub fn connect(settings: PostgresSettings) -> Result<Self, BackendError> {
        Self::with_steps(settings, STEPS)
    }

    pub(super) fn with_steps(
        settings: PostgresSettings,
        steps: &'static [Step],
    ) -> Result<Self, BackendError> {
        let mut link = Link::new(settings)?;
        link.run(None, FaultKind::Unreachable, async |_| Ok(()))?;
        Ok(Self { link, steps })
    }

    /// What has been done.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub fn state(&mut self) -> Result<MigrationState, BackendError> {
        state(&mut self.link, self.steps)
    }

    /// Makes everything in a database that has nothing of ours. Returns the steps it did; none when there is something.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub fn bootstrap(&mut self) -> Result<Vec<&'static str>, BackendError> {
        let schema = self.link.settings.schema.clone();
        let steps = self.steps;
        self.locked(async |transaction| {
            if let Some(schema) = schema {
                let create = format!("CREATE SCHEMA IF NOT EXISTS {}", quoted(&schema));
                transaction.batch_execute(&create).await?;
            }
            if has_journal(transaction).await? {
                return Ok(Vec::new());
            }
            transaction.batch_execute(JOURNAL).await?;
            for step in steps {
                let finish = step.finish.unwrap_or_default();
                transaction
                    .batch_execute(&format!("{};{finish}", step.up))
                    .await?;
                transaction.execute(NOTE_BOTH, &[&step.name]).await?;
            }
            Ok(steps.iter().map(|step| step.name).collect())
        })
    }

    /// Begins the new steps; nodes of the release before keep running. Returns what it did.
    ///
    /// # Errors
    ///
    /// When the database fails or has nothing of ours.
    pub fn up(&mut self) -> Result<Vec<&'static str>, BackendError> {
        self.each(
            |state, step| state.new.iter().any(|name| name == step.name),
            &async |transaction: &tokio_postgres::Transaction<'_>, step: &Step| {
                transaction.batch_execute(step.up).await?;
                let note = if step.finish.is_some() { NOTE_UP } else { NOTE_BOTH };
                transaction.execute(note, &[&step.name]).await?;
                Ok(())
            },
        )
    }

    /// Finishes what is pending; nodes of the release before cease to run. Returns what it did.
    ///
    /// # Errors
    ///
    /// When the database fails or has nothing of ours.
    pub fn finish(&mut self) -> Result<Vec<&'static str>, BackendError> {
        self.each(
            |state, step| state.pending.iter().any(|name| name == step.name),
            &async |transaction: &tokio_postgres::Transaction<'_>, step: &Step| {
                transaction.batch_execute(step.finish.unwrap_or_default()).await?;
                transaction.execute(NOTE_FINISHED, &[&step.name]).await?;
                Ok(())
            },
        )
    }

    /// Deletes everything of ours. False when there is nothing.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub fn reset(&mut self) -> Result<bool, BackendError> {
        self.locked(async |transaction| {
            let was_there = has_journal(transaction).await?;
            transaction.batch_execute(DROP).await?;
            Ok(was_there)
        })
    }

    /// Does something for each step that is due.
    fn each(
        &mut self,
        is_due: impl Fn(&MigrationState, &Step) -> bool,
        act: &impl AsyncFn(&tokio_postgres::Transaction<'_>, &Step) -> Result<(), Fault>,
    ) -> Result<Vec<&'static str>, BackendError> {
        let (steps, place) = (self.steps, self.link.settings.to_string());
        self.locked(async |transaction| {
            let state = read_state(transaction, steps).await?;
            if !state.is_bootstrapped {
                return Err(Fault::Own(unprepared(&place)));
            }
            let due: Vec<&Step> = steps.iter().filter(|step| is_due(&state, step)).collect();
            for step in &due {
                act(transaction, step).await?;
            }
            Ok(due.iter().map(|step| step.name).collect())
        })
    }

    /// Works in a transaction that no other node's migration disturbs.
    fn locked<T>(
        &mut self,
        work: impl AsyncFnOnce(&tokio_postgres::Transaction<'_>) -> Result<T, Fault>,
    ) -> Result<T, BackendError> {
        self.link.run(
            Some(LIMIT),
            FaultKind::InDoubt,
            async |connection: &mut Connection| {
                let transaction = connection.client.transaction().await?;
                let limit = LIMIT.as_millis();
                let limits =
                    format!("SET LOCAL lock_timeout = {limit}; SET LOCAL statement_timeout = {limit}");
                transaction.batch_execute(&limits).await?;
                transaction
                    .execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
                    .await?;
                let done = work(&transaction).await?;
                transaction.commit().await.map_err(Fault::Commit)?;
                Ok(done)
            },
        )
    }
}

const NOTE_UP: &str = "INSERT INTO tidegate_migrations (name) VALUES ($1)";
const NOTE_BOTH: &str = "INSERT INTO tidegate_migrations (name, finished_at) VALUES ($1, now())";
const NOTE_FINISHED: &str = "UPDATE tidegate_migrations SET finished_at = now() WHERE name = $1";

async fn has_journal(transaction: &tokio_postgres::Transaction<'_>) -> Result<bool, Fault> {
    let found = transaction
        .query_one("SELECT to_regclass('tidegate_migrations') IS NOT NULL", &[])
        .await?;
    Ok(found.try_get(0)?)
}

async fn read_state(
    transaction: &tokio_postgres::Transaction<'_>,
    steps: &[Step],
) -> Result<MigrationState, Fault> {
    if !has_journal(transaction).await? {
        return Ok(MigrationState {
            new: steps.iter().map(|step| step.name.to_owned()).collect(),
            ..MigrationState::default()
        });
    }
    let query = "SELECT name, finished_at IS NOT NULL FROM tidegate_migrations ORDER BY name";
    let mut state = MigrationState {
        is_bootstrapped: true,
        ..MigrationState::default()
    };
    for row in transaction.query(query, &[]).await? {
        let (name, is_finished): (String, bool) = (row.try_get(0)?, row.try_get(1)?);
        let list = match steps.iter().any(|step| step.name == name) {
            false => &mut state.unknown,
            true if is_finished => &mut state.executed,
            true => &mut state.pending,
        };
        list.push(name);
    }
    let is_known = |name: &str| {
        state
            .executed
            .iter()
            .chain(&state.pending)
            .any(|known| known == name)
    };
    let new = steps.iter().map(|step| step.name).filter(|name| !is_known(name));
    state.new = new.map(str::to_owned).collect();
    Ok(state)
}

fn state(link: &mut Link, steps: &[Step]) -> Result<MigrationState, BackendError> {
    link.run(None, FaultKind::Unreachable, async |connection| {
        let transaction = connection.client.transaction().await?;
        read_state(&transaction, steps).await
    })
}

fn unprepared(place: &str) -> BackendError {
    let text = format!("the {place} is not prepared; run `tidegate migrations bootstrap`");
    BackendError::new(FaultKind::NeedsMigration, text)
}

/// That a database is as this release wants it.
pub(super) fn check(link: &mut Link) -> Result<(), BackendError> {
    let place = link.settings.to_string();
    let state = state(link, STEPS)?;
    if !state.is_bootstrapped {
        return Err(unprepared(&place));
    }
    if !state.unknown.is_empty() {
        let unknown = state.unknown.join(", ");
        let text = format!("the {place} was migrated by a newer release ({unknown}); start that release");
        return Err(BackendError::new(FaultKind::TooNew, text));
    }
    if !state.new.is_empty() {
        let new = state.new.join(", ");
        let text = format!("the {place} lacks migrations ({new}); run `tidegate migrations up`");
        return Err(BackendError::new(FaultKind::NeedsMigration, text));
    }
    Ok(())
}
