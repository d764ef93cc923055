//! What is written into the store goes to work, and what a file says is shown by the store.

use super::Reloader;
use crate::compile_thread::Retired;
use crate::configuration::Filters;
use crate::live_entities::LiveEntities;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use tidegate_admin::AdminApi;
use tidegate_model::entities::EntitySet;
use tidegate_store::Store;
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
    api: OnceLock<Weak<AdminApi>>,
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
            api: OnceLock::new(),
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

    /// The Admin API that shows the store, once it is there.
    pub(crate) fn shown_by(&self, api: &Arc<AdminApi>) {
        drop(self.api.set(Arc::downgrade(api)));
    }

    /// Hash of the declarative configuration in service, as Kong shows it.
    pub(crate) fn configuration_hash(&self) -> Option<String> {
        let api = self.api.get()?.upgrade()?;
        Some(api.configuration_hash())
    }

    /// Puts the entities of a file into the store in place of what is there. They serve already.
    pub(super) fn mirror(&self, written: &Arc<EntitySet>, content_hash: &str) {
        let Some(api) = self.api.get().and_then(Weak::upgrade) else {
            return;
        };
        let mut live = self.live.lock();
        match self
            .runtime
            .block_on(api.mirror(Arc::clone(written), content_hash))
        {
            Ok(version) => {
                *live = LiveEntities::unread(version);
                self.applied.send_replace(version);
            }
            Err(error) => tracing::error!(error, "the Admin API cannot show the configuration"),
        }
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
            let hash = reloader.state().content_hash;
            reloader.stored.mirror(&written, &hash);
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
                reloader.apply(&live, Filters::AsTheyWere, retired);
            }
            reloader.stored.applied.send_replace(live.version());
        });
    }

    /// Compiles what the store holds once more: filters or settings' files may have changed.
    pub(super) fn apply_again(&self, retired: &mut Retired) {
        let mut live = self.stored.live.lock();
        live.catch_up(&self.stored.store);
        self.apply(&live, Filters::ReadAgain, retired);
        self.stored.applied.send_replace(live.version());
    }

    /// Takes the entities of a store into service. Where one cannot be put to work, nothing is let through.
    fn apply(&self, stored: &LiveEntities, filters: Filters, retired: &mut Retired) {
        let previous = self.shared.snapshot();
        let compiled = self
            .configuration
            .compile_stored(stored, filters, Some(&previous));
        let outcome = compiled.and_then(|(compiled, faults)| {
            self.tls.update(&compiled.entities)?;
            Ok((compiled, faults))
        });
        match outcome {
            Ok((compiled, faults)) => {
                self.accept(compiled, retired);
                self.state.lock().refused = faults;
            }
            Err(error) => self.refuse(&error),
        }
    }
}
