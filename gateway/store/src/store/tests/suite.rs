//! The behaviour that all backends share. Each runs [`all`] with its own way of opening a store on what was kept.

use super::{content, eventually, insert, object, open, service, step, wait, with_clock};
use crate::backend::{Backend, MemoryBackend};
use crate::clock::Clock;
use crate::conflict::Conflict;
use crate::store::{Store, TransactError};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

/// Opens backends: each call to the returned function gives a fresh, empty one.
pub(crate) fn all<B: Backend>(fresh: impl Fn() -> B) {
    what_is_committed_is_seen_and_numbered(&open(fresh()));
    a_refused_transaction_leaves_no_trace(&open(fresh()));
    an_attempt_that_fails_is_taken_back_alone(&open(fresh()));
    deletes_take_children_along_or_are_refused(&open(fresh()));
    replacing_everything_by_the_same_changes_nothing(&open(fresh()));
    transactions_of_many_callers_share_commits_and_keep_their_results(&open(fresh()));
    a_transaction_that_panics_hurts_nobody_else(&open(fresh()));
    expired_rows_are_removed_and_their_values_are_free(fresh());
    odd_texts_come_back_as_they_were(&open(fresh()));
}

#[test]
fn memory_does_what_all_backends_do() {
    all(MemoryBackend::default);
}

fn what_is_committed_is_seen_and_numbered(store: &Store) {
    let start = store.catalog().version();
    let mut changes = store.changes();
    let first = insert(store, 1, "one").expect("an insert");
    assert!(first > start, "every commit has its own number");
    assert_eq!(*changes.borrow_and_update(), first);
    let record = service(1, "other");
    let second = step(store, move |t| t.update("services", &record)).expect("an update");
    assert!(second > first);
    store.read(|catalog| {
        assert_eq!(catalog.version(), second);
        assert!(catalog.find("services", "name", "one").is_none());
        let row = catalog.find("services", "name", "other").expect("the new name");
        assert_eq!(row.value(), service(1, "other"));
        assert_eq!(row.tags().collect::<Vec<_>>(), ["t"]);
    });
    let known = store.changes_since(start).expect("recent changes");
    assert_eq!(
        known.iter().map(|change| change.version).collect::<Vec<_>>(),
        [first, second]
    );
    assert_eq!(known[1].rows[0].id, Uuid::from_u128(1));
    assert_eq!(store.changes_since(second).map(|changes| changes.len()), Some(0));
}

fn a_refused_transaction_leaves_no_trace(store: &Store) {
    insert(store, 1, "one").expect("an insert");
    let before = content(store);
    let version = store.catalog().version();
    let refused = wait(store.transact(|t| {
        t.insert("services", &service(2, "two"))?;
        t.delete("services", Uuid::from_u128(1))?;
        t.insert("services", &service(3, "two")).map(|_| ())
    }));
    assert_eq!(
        refused,
        Err(TransactError::Refused(Conflict::Unique {
            collection: "services",
            fields: vec![("name", json!("two"))],
            by: Uuid::from_u128(2),
        }))
    );
    assert_eq!(content(store), before);
    assert_eq!(store.catalog().version(), version);
    assert_eq!(
        insert(store, 1, "three"),
        Err(TransactError::Refused(Conflict::PrimaryKey {
            collection: "services",
            id: Uuid::from_u128(1),
        }))
    );
}

fn an_attempt_that_fails_is_taken_back_alone(store: &Store) {
    let done = wait(store.transact(|t| {
        t.insert("services", &service(1, "one"))?;
        let failed = t.attempt(|t| {
            t.insert("services", &service(2, "two"))?;
            t.insert("services", &service(3, "one"))
        });
        assert!(failed.is_err());
        t.insert("services", &service(3, "two")).map(|_| ())
    }));
    let version = done.expect("a commit").version;
    store.read(|catalog| {
        let ids: Vec<u128> = catalog.rows("services").map(|row| row.id().as_u128()).collect();
        assert_eq!(ids, [1, 3]);
    });
    let rows = store
        .changes_since(version - 1)
        .map(|changes| changes[0].rows.len());
    assert_eq!(rows, Some(2), "the feed knows nothing of what was taken back");
}

fn deletes_take_children_along_or_are_refused(store: &Store) {
    let [service_id, route, plugin] = [1, 2, 3].map(Uuid::from_u128);
    let written = wait(store.transact(move |t| {
        t.insert("services", &service(1, "one"))?;
        t.insert(
            "routes",
            &object(json!({"id": route, "service": {"id": service_id}})),
        )?;
        let scope = json!({"id": plugin, "name": "cors", "route": {"id": route}});
        t.insert("plugins", &object(scope)).map(|_| ())
    }));
    written.expect("a commit");
    let refused = wait(store.transact(move |t| t.delete("services", service_id)));
    let by_route = Conflict::Referenced {
        collection: "services",
        id: service_id,
        by: "routes",
        referrer: route,
    };
    assert_eq!(refused, Err(TransactError::Refused(by_route)));
    let deleted = wait(store.transact(move |t| {
        Ok::<_, Conflict>((t.delete("routes", route)?, t.delete("services", service_id)?))
    }));
    assert_eq!(deleted.expect("a commit").value, (true, true));
    assert!(store.read(|catalog| catalog.is_empty()));
    let again = wait(store.transact(move |t| t.delete("routes", route)));
    assert!(!again.expect("a transaction without effect").value);
}

fn replacing_everything_by_the_same_changes_nothing(store: &Store) {
    for number in 1..=3 {
        insert(store, number, &format!("s{number}")).expect("an insert");
    }
    let version = store.catalog().version();
    let replace = |last: &'static str| {
        wait(store.transact(move |t| {
            t.clear();
            for (number, name) in [(1, "s1"), (2, "s2"), (3, last)] {
                t.insert("services", &service(number, name))?;
            }
            Ok::<_, Conflict>(())
        }))
    };
    assert_eq!(replace("s3").map(|done| done.version), Ok(version));
    let changed = replace("renamed").expect("a commit");
    let changes = store.changes_since(version).expect("recent changes");
    assert_eq!((changes.len(), changes[0].rows.len()), (1, 1));
    assert_eq!(changes[0].version, changed.version);
    assert_eq!(changes[0].rows[0].id, Uuid::from_u128(3));
}

fn transactions_of_many_callers_share_commits_and_keep_their_results(store: &Store) {
    let start = store.catalog().version();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let outcomes = runtime.block_on(async {
        let tasks: Vec<_> = (0..200_u128)
            .map(|number| {
                let store = store.clone();
                // Every name is wanted twice.
                tokio::spawn(async move {
                    let record = service(number, &format!("s{}", number / 2));
                    store
                        .transact(move |t| t.insert("services", &record).map(|row| row.id()))
                        .await
                })
            })
            .collect();
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.push(task.await.expect("a task"));
        }
        outcomes
    });
    let done: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| outcome.as_ref().ok())
        .collect();
    assert_eq!(done.len(), 100);
    assert_eq!(store.read(|catalog| catalog.len("services")), 100);
    for committed in done {
        assert!(store.read(|catalog| catalog.get("services", committed.value).is_some()));
    }
    let changes = store.changes_since(start).expect("recent changes");
    assert_eq!(changes.iter().map(|change| change.rows.len()).sum::<usize>(), 100);
}

fn a_transaction_that_panics_hurts_nobody_else(store: &Store) {
    let broken = wait(store.transact(|t| -> Result<(), Conflict> {
        t.insert("services", &service(1, "one"))?;
        panic!("a fault in the caller's code")
    }));
    assert_eq!(broken, Err(TransactError::Aborted));
    insert(store, 2, "one").expect("the name is free");
    assert_eq!(store.read(|catalog| catalog.len("services")), 1);
}

fn expired_rows_are_removed_and_their_values_are_free(backend: impl Backend) {
    let now = Arc::new(AtomicU64::new(10_000));
    let told = Arc::clone(&now);
    let store = with_clock(backend, Clock::new(move || told.load(Ordering::Relaxed)));
    let owner = Uuid::from_u128(1);
    let key = move |number: u128| {
        let id = Uuid::from_u128(number);
        object(json!({"id": id, "created_at": 10, "ttl": 5, "key": "k", "consumer": {"id": owner}}))
    };
    step(&store, move |t| {
        t.insert("consumers", &object(json!({"id": owner, "username": "joe"})))
    })
    .expect("a consumer");
    let version = step(&store, move |t| t.insert("keyauth_credentials", &key(2))).expect("a key");
    assert!(step(&store, move |t| t.insert("keyauth_credentials", &key(3))).is_err());
    now.store(15_000, Ordering::Relaxed);
    assert_eq!(store.read(|catalog| catalog.len("keyauth_credentials")), 0);
    eventually("the expired row is deleted for good", || {
        let changes = store.changes_since(version).unwrap_or_default();
        changes.iter().any(|change| change.rows[0].row.is_none())
    });
    let again =
        object(json!({"id": Uuid::from_u128(3), "created_at": 15, "key": "k", "consumer": {"id": owner}}));
    step(&store, move |t| t.insert("keyauth_credentials", &again)).expect("the key is free");
}

fn odd_texts_come_back_as_they_were(store: &Store) {
    let name = "ø ' \" \\ \u{1f980} \u{7f} $1 ; -- \n\t";
    insert(store, 1, name).expect("an insert");
    let found = store.read(|catalog| catalog.find("services", "name", name).map(|row| row.value()));
    assert_eq!(found, Some(service(1, name)));
}
