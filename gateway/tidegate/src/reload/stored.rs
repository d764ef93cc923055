//! What is written into the store goes to work, and what a file says is shown by the store.

use super::Reloader;
use crate::compile_thread::Retired;
use crate::live_entities::LiveEntities;
use anyhow::{Context, Result};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tidegate_model::entities::EntitySet;
use tidegate_store::{Conflict, MEMBERSHIPS, Store, Transaction, membership_id};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

/// The store, and how far it serves.
pub(crate) struct Stored {
    pub(crate) store: Store,
    live: Mutex<LiveEntities>,
    /// The version that serves.
    applied: watch::Sender<u64>,
    is_waiting: AtomicBool,
    runtime: Handle,
}

impl Stored {
    /// A store whose entities, as `live` has them, already serve.
    pub(crate) fn new(store: Store, live: LiveEntities, runtime: Handle) -> Self {
        Self {
            store,
            applied: watch::Sender::new(live.version()),
            live: Mutex::new(live),
            is_waiting: AtomicBool::new(false),
            runtime,
        }
    }

    /// Resolves when a version of the store, or a later one, serves.
    pub(crate) async fn applied(&self, version: u64) {
        // The sender lives as long as this does.
        drop(
            self.applied
                .subscribe()
                .wait_for(|applied| *applied >= version)
                .await,
        );
    }

    /// Puts the entities of a file into the store in place of what is there. They serve already.
    pub(super) fn mirror(&self, entities: &Arc<EntitySet>) -> Result<()> {
        let mut live = self.live.lock();
        let records = Arc::new(records(entities));
        let written = self.store.transact(move |transaction| {
            transaction.clear();
            records
                .iter()
                .try_for_each(|(collection, record)| put(transaction, collection, record))
        });
        let committed = self
            .runtime
            .block_on(written)
            .context("the Admin API cannot show the configuration")?;
        *live = LiveEntities::read(&self.store);
        // What came in after it does not serve yet.
        if live.version() == committed.version {
            self.applied.send_replace(committed.version);
        } else {
            *live = LiveEntities::default();
        }
        Ok(())
    }
}

impl Reloader {
    /// Follows the store for as long as the process lives.
    pub(crate) async fn follow(self: Arc<Self>) {
        let mut changes = self.stored.store.changes();
        self.post_stored();
        while changes.changed().await.is_ok() {
            self.post_stored();
        }
    }

    /// Shows what a file says through the Admin API, for the first time.
    pub(crate) async fn show(self: &Arc<Self>, written: Arc<EntitySet>) {
        let (done, shown) = oneshot::channel();
        let reloader = Arc::clone(self);
        self.thread.post(move |_| {
            reloader.mirror(&written);
            let _ = done.send(());
        });
        drop(shown.await);
    }

    /// One look that waits stands for all changes that come meanwhile.
    fn post_stored(self: &Arc<Self>) {
        if self.stored.is_waiting.swap(true, Ordering::AcqRel) {
            return;
        }
        let reloader = Arc::clone(self);
        self.thread.post(move |retired| {
            reloader.stored.is_waiting.store(false, Ordering::Release);
            let mut live = reloader.stored.live.lock();
            if live.catch_up(&reloader.stored.store) {
                reloader.apply(&live, retired);
            }
            reloader.stored.applied.send_replace(live.version());
        });
    }

    /// Compiles what the store holds once more: filters or settings' files may have changed.
    pub(super) fn apply_again(&self, retired: &mut Retired) {
        let mut live = self.stored.live.lock();
        live.catch_up(&self.stored.store);
        self.apply(&live, retired);
        self.stored.applied.send_replace(live.version());
    }

    /// Takes the entities of a store into service. Those that cannot be put to work are left out.
    fn apply(&self, stored: &LiveEntities, retired: &mut Retired) {
        let previous = self.shared.snapshot();
        let compiled = self.configuration.compile_stored(stored, Some(&previous));
        let outcome = compiled.and_then(|(compiled, faults)| {
            self.tls.update(&compiled.entities)?;
            Ok((compiled, faults))
        });
        match outcome {
            Ok((compiled, faults)) => {
                self.accept(compiled, retired);
                if let Some(text) = faults {
                    tracing::error!("a part of the stored configuration is not in service:\n{text}");
                    self.state.lock().refused = Some(text);
                }
            }
            Err(error) => self.refuse(&error),
        }
    }
}

type Record = (&'static str, Map<String, Value>);

/// Every entity as the store keeps it, parents ahead of their children.
fn records(entities: &EntitySet) -> Vec<Record> {
    let mut records = Vec::new();
    macro_rules! collect {
        ($($name:ident),+ $(,)?) => { $( add(&mut records, stringify!($name), &entities.$name); )+ };
    }
    collect!(
        ca_certificates,
        certificates,
        snis,
        services,
        routes,
        consumers,
        consumer_groups,
        plugins,
        upstreams,
        targets,
        vaults,
        key_sets,
        keys,
        filter_chains,
        keyauth_credentials,
        basicauth_credentials,
        jwt_secrets,
        hmacauth_credentials,
        acls,
        oauth2_credentials,
    );
    for (group, consumer) in &entities.consumer_group_members {
        let membership = json!({
            "id": membership_id(consumer.0, group.0),
            "consumer": { "id": consumer },
            "consumer_group": { "id": group },
        });
        add(&mut records, MEMBERSHIPS, &[membership]);
    }
    records
}

fn add(records: &mut Vec<Record>, collection: &'static str, entities: &[impl Serialize]) {
    let values = entities.iter().map(serde_json::to_value);
    records.extend(values.filter_map(|value| match value {
        Ok(Value::Object(record)) => Some((collection, record)),
        _ => None,
    }));
}

fn put(
    transaction: &mut Transaction<'_>,
    collection: &'static str,
    record: &Map<String, Value>,
) -> Result<(), Conflict> {
    transaction.insert(collection, record).map(drop)
}
