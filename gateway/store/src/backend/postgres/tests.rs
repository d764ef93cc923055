//! A real server: what all backends do, several nodes, outages, locks, encryption.

use super::{PostgresBackend, PostgresSettings, PostgresTls};
use crate::backend::{Backend, BackendError, FaultKind, News};
use crate::store::tests::{assert_same, eventually, insert, is_reachable, object, open, step, suite, wait};
use crate::store::{BackendHealth, Store, TransactError};
use serde_json::json;
use server::Server;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

mod migrations;
mod outage;
mod server;
mod tls;

fn node(settings: &PostgresSettings) -> Store {
    open(PostgresBackend::open(settings.clone()).expect("a backend"))
}

/// Something the database is told by a third party.
fn tell(settings: &PostgresSettings, sql: &str) {
    let mut link = super::link::Link::new(settings.clone()).expect("a link");
    let told = link.run(None, FaultKind::Unreachable, async |connection| {
        connection.client.batch_execute(sql).await?;
        Ok(())
    });
    told.expect(sql);
}

#[test]
fn postgres_does_what_all_backends_do() {
    let server = Server::start();
    suite::all(|| server.backend());
}

#[test]
fn what_one_node_writes_another_has_at_once_and_a_new_one_from_the_start() {
    let server = Server::start();
    let settings = server.fresh();
    let (one, two) = (node(&settings), node(&settings));
    let mut delays = Vec::new();
    for number in 1..=20 {
        let version = insert(&one, number, &format!("s{number}")).expect("an insert");
        let start = Instant::now();
        eventually("the other node has it", || two.catalog().version() == version);
        delays.push(start.elapsed());
    }
    delays.sort();
    assert!(
        delays[10] < Duration::from_millis(300),
        "polling alone would take longer: {delays:?}"
    );
    let gone = wait(one.transact(|t| t.delete("services", Uuid::from_u128(7))));
    let version = gone.expect("a delete").version;
    eventually("the other node has it", || two.catalog().version() == version);
    assert_same(&one, &two);
    assert_same(&one, &node(&settings));
    let changes = two.changes_since(version - 1).expect("recent changes");
    assert!(changes[0].rows[0].row.is_none());
}

#[test]
fn nodes_that_write_at_once_lose_nothing_and_break_no_rule() {
    let server = Server::start();
    let settings = server.fresh();
    let nodes = [node(&settings), node(&settings), node(&settings)];
    let written: Vec<usize> = std::thread::scope(|scope| {
        let writer = |(node, store)| {
            let id = move |number: usize| (number * 3 + node) as u128;
            move || {
                (0..60)
                    .filter(|number| insert(store, id(*number), &format!("s{number}")).is_ok())
                    .count()
            }
        };
        let writers: Vec<_> = nodes
            .iter()
            .enumerate()
            .map(|node| scope.spawn(writer(node)))
            .collect();
        writers
            .into_iter()
            .map(|writer| writer.join().expect("a writer"))
            .collect()
    });
    assert_eq!(
        written.iter().sum::<usize>(),
        60,
        "each name went to one of them: {written:?}"
    );
    let newest = nodes.iter().map(|node| node.catalog().version()).max();
    eventually("all are up to date", || {
        nodes.iter().all(|node| Some(node.catalog().version()) == newest)
    });
    assert_same(&nodes[0], &nodes[1]);
    assert_same(&nodes[0], &nodes[2]);
}

#[test]
fn a_reference_to_what_another_node_just_wrote_is_good() {
    let server = Server::start();
    let settings = server.fresh();
    let (one, two) = (node(&settings), node(&settings));
    for number in 1..=20_u128 {
        insert(&one, number, &format!("s{number}")).expect("an insert");
        let id = Uuid::from_u128(number);
        let route = object(json!({"id": id, "service": {"id": id}}));
        step(&two, move |t| t.insert("routes", &route)).expect("a route to it");
    }
}

#[test]
fn a_node_that_missed_pruned_changes_or_a_restore_is_told_to_read_everything() {
    let server = Server::start();
    let settings = server.fresh();
    let store = node(&settings);
    let start = store.catalog().version();
    for number in 1..=4 {
        insert(&store, number, &format!("s{number}")).expect("an insert");
    }
    let mut backend = PostgresBackend::open(settings.clone()).expect("a backend");
    let told = backend.poll(start).expect("news");
    assert!(
        matches!(&told, News::Changes(changes) if changes.len() == 4),
        "{told:?}"
    );
    assert!(matches!(backend.poll(start + 4), Ok(News::Nothing)));
    tell(
        &settings,
        &format!("DELETE FROM tidegate_changes WHERE version <= {}", start + 2),
    );
    assert!(matches!(backend.poll(start), Ok(News::Everything)));
    assert!(matches!(backend.poll(start + 2), Ok(News::Changes(_))));
    assert!(
        matches!(backend.poll(start + 9), Ok(News::Everything)),
        "the database is older than the node"
    );
}

#[test]
fn old_changes_are_deleted() {
    let server = Server::start();
    let settings = server.fresh();
    let store = node(&settings);
    insert(&store, 0, "s0").expect("an insert");
    tell(
        &settings,
        "UPDATE tidegate_changes SET at = now() - interval '2 hours'",
    );
    let first = store.catalog().version();
    for number in 1..=64 {
        insert(&store, number, &format!("s{number}")).expect("an insert");
    }
    let mut backend = PostgresBackend::open(settings).expect("a backend");
    assert!(
        matches!(backend.poll(first - 1), Ok(News::Everything)),
        "the first change is no longer told"
    );
    assert!(matches!(backend.poll(first), Ok(News::Changes(_))));
}

#[test]
fn a_writer_that_holds_the_lock_too_long_makes_others_say_so() {
    let server = Server::start();
    let mut settings = server.fresh();
    settings.timeout = Duration::from_millis(500);
    let store = node(&settings);
    insert(&store, 1, "one").expect("an insert");
    let holder = PostgresSettings {
        timeout: Duration::from_secs(20),
        ..settings.clone()
    };
    let mut holder = super::link::Link::new(holder).expect("a link");
    holder
        .run(None, FaultKind::Unreachable, async |connection| {
            let hold = format!("BEGIN; {}", super::sql::LOCK_VERSION);
            connection.client.batch_execute(&hold).await?;
            Ok(())
        })
        .expect("the lock");
    let start = Instant::now();
    let failed = insert(&store, 2, "two");
    let Err(TransactError::Unavailable(BackendError { kind, text })) = failed else {
        panic!("{failed:?}");
    };
    assert_eq!(kind, FaultKind::Unreachable, "{text}");
    assert!(text.contains("timeout"), "{text}");
    assert!(start.elapsed() < Duration::from_secs(5));
    drop(holder);
    eventually("the write goes through", || insert(&store, 2, "two").is_ok());
}

fn refusal(settings: &PostgresSettings) -> BackendError {
    PostgresBackend::open(settings.clone()).err().expect("a refusal")
}

#[test]
fn a_database_that_cannot_be_used_is_refused_with_the_reason() {
    let server = Server::start();
    let good = server.fresh();
    let wrong = PostgresSettings {
        password: Some("wrong".to_owned()),
        ..good.clone()
    };
    let fault = refusal(&wrong);
    assert_eq!(fault.kind, FaultKind::Refused);
    assert!(
        fault
            .text
            .contains("password authentication failed for user \"kong\""),
        "{fault}"
    );
    assert!(!fault.text.contains("wrong"), "{fault}");
    let fault = refusal(&PostgresSettings {
        database: "missing".to_owned(),
        ..good.clone()
    });
    assert!(
        fault.text.contains("database \"missing\" does not exist"),
        "{fault}"
    );
    let fault = refusal(&PostgresSettings {
        port: 1,
        ..good.clone()
    });
    assert_eq!(fault.kind, FaultKind::Unreachable);
    assert!(
        fault
            .text
            .contains("cannot be reached: error connecting to server"),
        "{fault}"
    );
    let shown = format!("{wrong:?}");
    assert!(!shown.contains("wrong"), "{shown}");
}
