//! `cargo bench -p tidegate-store`: durable writes per second, memory and times at 100,000 entities.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a program for developers"
)]

use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};
use tidegate_model::entities::{Route, Service};
use tidegate_model::schema::Declared;
use tidegate_store::{Conflict, MemoryBackend, Options, Query, RedbBackend, Store, TagFilter};
use uuid::Uuid;

fn record<T: Declared>(value: Value) -> Map<String, Value> {
    let Value::Object(written) = value else {
        return Map::new();
    };
    T::schema().process(&written).value
}

fn service(number: u128) -> Map<String, Value> {
    let name = format!("service-{number}");
    record::<Service>(
        json!({"id": Uuid::from_u128(number), "name": name, "host": "backend.test", "tags": ["bench"]}),
    )
}

fn route(number: u128) -> Map<String, Value> {
    let id = Uuid::from_u128(number);
    let (name, path) = (format!("route-{number}"), format!("/path/{number}"));
    let route = json!({"id": id, "name": name, "paths": [path], "service": {"id": id}, "tags": ["bench"]});
    record::<Route>(route)
}

/// Kilobytes of this process that are in memory.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

fn durable_writes(clients: u128) {
    let folder = tempfile::tempdir_in(".").unwrap();
    let backend = RedbBackend::open(folder.path().join("store.redb")).unwrap();
    let store = Store::open(Box::new(backend), Options::default()).unwrap();
    let limit = Duration::from_secs(3);
    let start = Instant::now();
    let written: u32 = runtime().block_on(async {
        let clients: Vec<_> = (0..clients)
            .map(|client| {
                let store = store.clone();
                tokio::spawn(async move {
                    let mut written = 0;
                    while start.elapsed() < limit {
                        let record = service(u128::from(written) * 1_000 + client);
                        let done = store
                            .transact(move |t| t.insert("services", &record).map(drop))
                            .await;
                        done.unwrap();
                        written += 1;
                    }
                    written
                })
            })
            .collect();
        let mut sum = 0;
        for client in clients {
            sum += client.await.unwrap();
        }
        sum
    });
    let rate = f64::from(written) / start.elapsed().as_secs_f64();
    println!("durable single writes, {clients} clients: {rate:.0} per second");
}

fn timed<T>(what: &str, act: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = act();
    println!("{what}: {:.2} ms", start.elapsed().as_secs_f64() * 1_000.0);
    done
}

fn fill(store: &Store) {
    for first in (0..50_000).step_by(1_000) {
        let work = move |t: &mut tidegate_store::Transaction<'_>| {
            for number in first..first + 1_000 {
                t.insert("services", &service(number))?;
                t.insert("routes", &route(number))?;
            }
            Ok::<_, Conflict>(())
        };
        runtime().block_on(store.transact(work)).unwrap();
    }
}

fn hundred_thousand() {
    let before = resident();
    let store = Store::open(Box::new(MemoryBackend::default()), Options::default()).unwrap();
    timed(
        "50,000 services and routes in memory, 2,000 per transaction",
        || fill(&store),
    );
    println!("memory: {} MiB more", (resident() - before) / 1_024);
    let middle = Uuid::from_u128(25_000);
    let query = |tags| Query {
        collection: "routes",
        of: None,
        tags,
        after: Some(middle),
        size: 1_000,
    };
    let page = timed("a page of 1,000", || store.catalog().page(&query(None)));
    assert_eq!(page.rows.len(), 1_000);
    let none = TagFilter::All(vec!["missing".to_owned()]);
    timed("a page of 1,000 by a tag that nobody has", || {
        store.catalog().page(&query(Some(none)))
    });
    let change = move |t: &mut tidegate_store::Transaction<'_>| {
        let mut edited = route(25_000);
        edited.insert("strip_path".to_owned(), Value::Bool(false));
        t.update("routes", &edited).map(drop)
    };
    timed("one edit", || runtime().block_on(store.transact(change)).unwrap());
}

fn file_of_hundred_thousand() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let path = folder.path().join("store.redb");
    let backend = RedbBackend::open(&path).unwrap();
    let store = Store::open(Box::new(backend), Options::default()).unwrap();
    timed("the same into a file", || fill(&store));
    drop(store);
    println!("file: {} MiB", std::fs::metadata(&path).unwrap().len() >> 20);
    let before = resident();
    let store = timed("opening it", || {
        let backend = RedbBackend::open(&path).unwrap();
        Store::open(Box::new(backend), Options::default()).unwrap()
    });
    println!("memory: {} MiB more", resident().saturating_sub(before) / 1_024);
    assert_eq!(store.catalog().len("routes"), 50_000);
}

fn main() {
    // `cargo test --benches` runs this too, and is not asked for figures.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    hundred_thousand();
    for clients in [1, 10, 100] {
        durable_writes(clients);
    }
    file_of_hundred_thousand();
}
