//! What the Admin API makes of the store's moods: many writers at once, a backend that is away, an audit log.

use crate::behaviours::{made, open, refusal};
use crate::gateway::Gateway;
use parking_lot::Mutex;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tidegate_admin::{AuditEntry, AuditLog, Mode, Options};
use tidegate_store::{Backend, BackendError, FaultKind, MemoryBackend, News, Outcome, RowChange, StoredRow};

#[tokio::test]
async fn of_writers_that_want_one_name_one_gets_it() {
    let gateway = open();
    let body = json!({"name": "s", "host": "h"});
    let asked =
        futures_util::future::join_all((0..20).map(|_| gateway.json("POST", "/services", &body))).await;
    let count = |status| asked.iter().filter(|seen| seen.status == status).count();
    assert_eq!((count(201), count(409)), (1, 19));
    assert_eq!(gateway.store.catalog().len("services"), 1);
}

#[tokio::test]
async fn a_change_that_is_answered_is_seen_by_whoever_asks_next() {
    let gateway = open();
    for port in 1..50 {
        let seen = gateway
            .json("PUT", "/services/s", &json!({"host": "h", "port": port}))
            .await;
        assert_eq!(seen.status, 200);
        assert_eq!(gateway.get("/services/s").await.json()["port"], port);
    }
}

/// Commits until it is told not to.
struct Moody {
    inner: MemoryBackend,
    is_away: Arc<AtomicBool>,
}

impl Backend for Moody {
    fn load(
        &mut self,
        each: &mut dyn FnMut(StoredRow<'_>) -> Result<(), BackendError>,
    ) -> Result<u64, BackendError> {
        self.inner.load(each)
    }

    fn commit(&mut self, base: u64, changes: &[RowChange]) -> Result<Outcome, BackendError> {
        if self.is_away.load(Relaxed) {
            return Err(BackendError::new(FaultKind::Unreachable, "connection refused"));
        }
        self.inner.commit(base, changes)
    }

    fn poll(&mut self, base: u64) -> Result<News, BackendError> {
        self.inner.poll(base)
    }
}

#[tokio::test]
async fn while_the_database_is_away_reads_go_on_and_writes_are_refused_whole() {
    let is_away = Arc::new(AtomicBool::new(false));
    let backend = Moody {
        inner: MemoryBackend::default(),
        is_away: Arc::clone(&is_away),
    };
    let store = tidegate_store::Store::open(Box::new(backend), tidegate_store::Options::default()).unwrap();
    let gateway = Gateway::of_store(store, Options::new(Mode::Database));
    made(&gateway, "/services", json!({"name": "s", "host": "h"})).await;
    is_away.store(true, Relaxed);
    let seen = gateway.json("PATCH", "/services/s", &json!({"port": 1})).await;
    assert!(refusal(&seen, 503).contains("connection refused"));
    assert_eq!(gateway.get("/services/s").await.json()["port"], 80);
    assert_eq!(
        gateway.get("/status").await.json()["database"]["reachable"],
        false
    );
    is_away.store(false, Relaxed);
    let seen = gateway.json("PATCH", "/services/s", &json!({"port": 1})).await;
    assert_eq!(seen.json()["port"], 1);
}

#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl AuditLog for Notes {
    fn record(&self, entry: &AuditEntry<'_>) {
        let (method, path, status, size) = (entry.method, entry.path, entry.status.as_u16(), entry.body_size);
        self.0.lock().push(format!("{method} {path} {status} {size}"));
    }
}

#[tokio::test]
async fn an_audit_log_learns_of_every_request_and_of_no_secret() {
    let notes = Arc::new(Notes::default());
    let gateway = Gateway::with(Options {
        audit: Some(Arc::clone(&notes) as Arc<dyn AuditLog>),
        ..Options::new(Mode::Database)
    });
    gateway.get("/services?tags=secret").await;
    gateway.json("POST", "/services", &json!({})).await;
    gateway.get("/nope").await;
    assert_eq!(
        *notes.0.lock(),
        ["GET /services 200 0", "POST /services 400 2", "GET /nope 404 0"]
    );
}
