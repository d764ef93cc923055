//! The writer over a backend that fails when it is told to, and that others write as well.

use super::{assert_same, content, eventually, insert, is_reachable, open, service, step, wait};
use crate::backend::{Backend, BackendError, FaultKind, News, Outcome, StoredChange, StoredRow, Wake};
use crate::change::RowChange;
use crate::conflict::Conflict;
use crate::store::{BackendHealth, OpenError, Options, Store, TransactError};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// The database that several nodes share.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Database>>);

#[derive(Default)]
struct Database {
    changes: Vec<StoredChange>,
    is_away: bool,
    /// Changes up to here are no longer told one by one.
    pruned: u64,
    commits: usize,
    bells: Vec<Wake>,
}

impl Database {
    fn fault(&self) -> Result<(), BackendError> {
        match self.is_away {
            true => Err(BackendError::new(FaultKind::Unreachable, "the database is away")),
            false => Ok(()),
        }
    }
}

impl Backend for Shared {
    fn load(
        &mut self,
        each: &mut dyn FnMut(StoredRow<'_>) -> Result<(), BackendError>,
    ) -> Result<u64, BackendError> {
        let database = self.0.lock();
        let mut last = std::collections::BTreeMap::new();
        for (collection, id, text) in database.changes.iter().flat_map(|change| &change.rows) {
            last.insert((collection, id), text);
        }
        for ((collection, id), text) in last {
            if let Some(text) = text {
                each(StoredRow {
                    collection,
                    id: *id,
                    text: Some(text),
                })?;
            }
        }
        Ok(database.changes.len() as u64)
    }

    fn commit(&mut self, base: u64, changes: &[RowChange]) -> Result<Outcome, BackendError> {
        let mut database = self.0.lock();
        database.fault()?;
        if base != database.changes.len() as u64 {
            return Ok(Outcome::Behind);
        }
        let row = |change: &RowChange| {
            let text = change.row.as_ref().map(|row| row.text().to_owned());
            (change.collection.to_owned(), change.id, text)
        };
        let rows = changes.iter().map(row).collect();
        database.changes.push(StoredChange {
            version: base + 1,
            rows,
        });
        database.commits += 1;
        database.bells.iter().for_each(Wake::ring);
        Ok(Outcome::Committed(base + 1))
    }

    fn poll(&mut self, base: u64) -> Result<News, BackendError> {
        let database = self.0.lock();
        database.fault()?;
        let known = usize::try_from(base).expect("a small number");
        Ok(match &database.changes[known..] {
            [] => News::Nothing,
            _ if base < database.pruned => News::Everything,
            news => News::Changes(news.to_vec()),
        })
    }

    fn poll_interval(&self) -> Option<Duration> {
        Some(Duration::from_millis(20))
    }

    fn on_change(&mut self, wake: Wake) {
        self.0.lock().bells.push(wake);
    }
}

#[test]
fn nodes_on_one_database_do_what_all_backends_do() {
    super::suite::all(Shared::default);
}

#[test]
fn what_one_node_writes_another_sees_with_the_same_numbers() {
    let database = Shared::default();
    let (one, two) = (open(database.clone()), open(database));
    let version = insert(&one, 1, "one").expect("an insert");
    eventually("the other node has it", || two.catalog().version() == version);
    assert_same(&one, &two);
    let seen = two.changes_since(0).expect("recent changes");
    assert_eq!(
        (seen[0].version, seen[0].rows[0].collection),
        (version, "services")
    );
}

#[test]
fn nodes_that_write_at_once_lose_nothing_and_break_no_rule() {
    let database = Shared::default();
    let nodes = [open(database.clone()), open(database.clone())];
    let written: Vec<usize> = std::thread::scope(|scope| {
        let writers: Vec<_> = nodes
            .iter()
            .enumerate()
            .map(|(node, store)| {
                scope.spawn(move || {
                    let id = |number: usize| (number * 2 + node) as u128;
                    let tries = (0..100).map(|number| insert(store, id(number), &format!("s{number}")));
                    tries.filter(Result::is_ok).count()
                })
            })
            .collect();
        writers
            .into_iter()
            .map(|writer| writer.join().expect("a writer"))
            .collect()
    });
    assert_eq!(
        written.iter().sum::<usize>(),
        100,
        "each name went to one of the two"
    );
    eventually("both are up to date", || {
        nodes.iter().all(|node| node.catalog().version() == 100)
    });
    assert_same(&nodes[0], &nodes[1]);
}

#[test]
fn who_is_refused_is_refused_by_the_newest_state() {
    let database = Shared::default();
    let one = open(database.clone());
    let two = open(Deaf(database));
    insert(&one, 1, "one").expect("an insert");
    assert_eq!(two.catalog().version(), 0, "the second node has not heard of it");
    let record = service(1, "renamed");
    step(&two, move |t| t.update("services", &record)).expect("an update of what the other wrote");
    let gone = wait(one.transact(|t| t.delete("services", Uuid::from_u128(1))));
    assert!(gone.expect("a delete").value);
    let record = service(1, "again");
    let refused = step(&two, move |t| t.update("services", &record));
    assert!(
        matches!(refused, Err(TransactError::Refused(Conflict::NotFound { .. }))),
        "{refused:?}"
    );
}

/// Polls only when the writer has a reason to.
struct Deaf(Shared);

impl Backend for Deaf {
    fn load(
        &mut self,
        each: &mut dyn FnMut(StoredRow<'_>) -> Result<(), BackendError>,
    ) -> Result<u64, BackendError> {
        self.0.load(each)
    }

    fn commit(&mut self, base: u64, changes: &[RowChange]) -> Result<Outcome, BackendError> {
        self.0.commit(base, changes)
    }

    fn poll(&mut self, base: u64) -> Result<News, BackendError> {
        self.0.poll(base)
    }

    fn poll_interval(&self) -> Option<Duration> {
        Some(Duration::from_secs(3_600))
    }
}

#[test]
fn a_node_that_missed_too_much_reads_everything_and_tells_the_difference() {
    let database = Shared::default();
    let one = open(database.clone());
    let two = open(Deaf(database.clone()));
    insert(&two, 9, "kept").expect("an insert");
    eventually("the first node has it", || one.catalog().version() == 1);
    for number in 1..=3 {
        insert(&one, number, &format!("s{number}")).expect("an insert");
    }
    database.0.lock().pruned = 4;
    let version = insert(&two, 4, "s4").expect("an insert");
    assert_eq!(version, 5);
    eventually("the first node has it", || one.catalog().version() == 5);
    assert_same(&one, &two);
    let told = two.changes_since(1).expect("recent changes");
    let rows: Vec<usize> = told.iter().map(|change| change.rows.len()).collect();
    assert_eq!(
        rows,
        [3, 1],
        "what was missed comes as one change, without the row that is as it was"
    );
}

#[test]
fn while_the_database_is_away_reads_go_on_writes_say_why_and_it_heals_by_itself() {
    let database = Shared::default();
    let store = open(database.clone());
    insert(&store, 1, "one").expect("an insert");
    database.0.lock().is_away = true;
    let failed = insert(&store, 2, "two");
    let Err(TransactError::Unavailable(fault)) = failed else {
        panic!("{failed:?}");
    };
    assert_eq!(fault.text, "the database is away");
    assert!(matches!(store.health(), BackendHealth::Unreachable { reason, .. } if reason == fault.text));
    assert_eq!(content(&store).len(), 1, "readers see nothing of what failed");
    // Not even a refusal is certain now.
    assert!(matches!(
        insert(&store, 1, "one"),
        Err(TransactError::Unavailable(_))
    ));
    database.0.lock().is_away = false;
    eventually("the store notices", || is_reachable(&store));
    insert(&store, 2, "two").expect("an insert");
}

#[test]
fn rows_that_nobody_can_read_keep_a_store_from_opening() {
    for (collection, id, text, reason) in [
        (
            "gadgets",
            1,
            "{}",
            "the store holds 'gadgets', which this release does not know; use a newer one",
        ),
        (
            "services",
            1,
            "{",
            "of 'services' in the store cannot be read: EOF",
        ),
        (
            "services",
            1,
            "{\"id\":\"00000000-0000-0000-0000-000000000002\"}",
            "cannot be read: it says that it is",
        ),
    ] {
        let database = Shared::default();
        let rows = vec![(collection.to_owned(), Uuid::from_u128(id), Some(text.to_owned()))];
        database.0.lock().changes.push(StoredChange { version: 1, rows });
        let fault = Store::open(Box::new(database), Options::default()).expect_err("a refusal");
        let OpenError::Backend(fault) = fault else {
            panic!("{fault}");
        };
        assert!(fault.text.contains(reason), "{fault}");
    }
}

#[test]
fn rows_of_an_older_release_get_the_fields_that_are_new() {
    let database = Shared::default();
    let text = "{\"id\":\"00000000-0000-0000-0000-000000000001\",\"host\":\"a.test\",\"port\":8080}";
    let rows = vec![("services".to_owned(), Uuid::from_u128(1), Some(text.to_owned()))];
    database.0.lock().changes.push(StoredChange { version: 1, rows });
    let store = open(database);
    let row = store
        .read(|catalog| catalog.rows("services").next().map(|row| row.value()))
        .expect("a row");
    assert_eq!(
        (&row["port"], &row["retries"], &row["path"]),
        (&8080.into(), &5.into(), &().into())
    );
}

#[test]
fn work_that_waits_shares_one_commit() {
    let database = Shared::default();
    let store = open(database.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        // The first holds the writer up until all others wait.
        let (go, gate) = std::sync::mpsc::channel::<()>();
        let (start, started) = std::sync::mpsc::channel();
        let holder = store.clone();
        let first = tokio::spawn(async move {
            let held = holder.transact(move |_| {
                let _ = start.send(());
                let _ = gate.recv();
                Ok::<_, Conflict>(())
            });
            held.await
        });
        tokio::task::yield_now().await;
        started.recv().expect("the first runs");
        let others: Vec<_> = (0..50_u128)
            .map(|number| {
                let store = store.clone();
                tokio::spawn(async move {
                    let record = service(number, &format!("s{number}"));
                    store
                        .transact(move |t| t.insert("services", &record).map(|_| ()))
                        .await
                })
            })
            .collect();
        tokio::task::yield_now().await;
        drop(go);
        first
            .await
            .expect("a task")
            .expect("a transaction without effect");
        for other in others {
            other.await.expect("a task").expect("an insert");
        }
    });
    assert_eq!(database.0.lock().commits, 1);
}
