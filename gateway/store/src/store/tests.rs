//! What every backend must do, and what the writer thread does over a backend that fails on demand.

use super::{BackendHealth, Options, Store, TransactError};
use crate::backend::Backend;
use crate::clock::Clock;
use crate::conflict::Conflict;
use crate::row::Row;
use crate::transaction::Transaction;
use serde_json::{Map, Value, json};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate_model::entities::Service;
use tidegate_model::schema::Declared;
use uuid::Uuid;

mod faults;
pub(crate) mod suite;

pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is no object"),
    }
}

pub(crate) fn service(number: u128, name: &str) -> Map<String, Value> {
    let written = json!({"id": Uuid::from_u128(number), "name": name, "host": "a.test", "tags": ["t"]});
    Service::schema().process(&object(written)).value
}

pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(future)
}

/// A transaction of one step, waited for.
pub(crate) fn step(
    store: &Store,
    mut step: impl FnMut(&mut Transaction<'_>) -> Result<Arc<Row>, Conflict> + Send + 'static,
) -> Result<u64, TransactError<Conflict>> {
    let committed = wait(store.transact(move |transaction| step(transaction).map(|_| ())))?;
    Ok(committed.version)
}

pub(crate) fn insert(store: &Store, number: u128, name: &str) -> Result<u64, TransactError<Conflict>> {
    let record = service(number, name);
    step(store, move |transaction| transaction.insert("services", &record))
}

pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        // Lets others have the processor.
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

pub(crate) fn open(backend: impl Backend) -> Store {
    Store::open(Box::new(backend), Options::default()).expect("an open store")
}

/// Every row as `collection id text`.
pub(crate) fn content(store: &Store) -> Vec<String> {
    store.read(|catalog| {
        let all = catalog.collections().flat_map(|name| {
            let rows = catalog.rows(name);
            rows.map(move |row| format!("{name} {} {}", row.id(), row.text()))
        });
        all.collect()
    })
}

pub(crate) fn assert_same(one: &Store, two: &Store) {
    let (one, two) = (content(one), content(two));
    assert!(
        one == two,
        "{} rows are not the same as {} rows",
        one.len(),
        two.len()
    );
}

pub(crate) fn is_reachable(store: &Store) -> bool {
    store.health() == BackendHealth::Reachable
}

pub(crate) fn with_clock(backend: impl Backend, clock: Clock) -> Store {
    Store::open(Box::new(backend), Options { clock }).expect("an open store")
}
