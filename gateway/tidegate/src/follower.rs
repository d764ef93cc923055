//! Puts what is written into the store to work: follows its changes, compiles, publishes.

use crate::compile_thread::Retired;
use crate::live_entities::LiveEntities;
use crate::reload::Reloader;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tidegate_store::Store;
use tokio::sync::watch;

/// Follows a store.
pub(crate) struct Follower {
    store: Store,
    reloader: Arc<Reloader>,
    live: Mutex<LiveEntities>,
    /// The version of the store that serves.
    applied: watch::Sender<u64>,
    is_waiting: AtomicBool,
}

impl Follower {
    /// Of a store whose entities, as `live` has them, already serve.
    pub(crate) fn new(store: Store, reloader: Arc<Reloader>, live: LiveEntities) -> Arc<Self> {
        let applied = watch::Sender::new(live.version());
        Arc::new(Self {
            store,
            reloader,
            live: Mutex::new(live),
            applied,
            is_waiting: AtomicBool::new(false),
        })
    }

    /// Follows for as long as the process lives.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut changes = self.store.changes();
        self.post();
        while changes.changed().await.is_ok() {
            self.post();
        }
    }

    /// Resolves when a version of the store, or a later one, serves.
    pub(crate) async fn applied(&self, version: u64) {
        // The sender lives as long as this does.
        drop(self.applied.subscribe().wait_for(|applied| *applied >= version).await);
    }

    /// One look that waits stands for all changes that come meanwhile.
    fn post(self: &Arc<Self>) {
        if self.is_waiting.swap(true, Ordering::AcqRel) {
            return;
        }
        let follower = Arc::clone(self);
        self.reloader.post_job(move |retired| {
            follower.is_waiting.store(false, Ordering::Release);
            follower.catch_up(retired);
        });
    }

    fn catch_up(&self, retired: &mut Retired) {
        let mut live = self.live.lock();
        if live.catch_up(&self.store) {
            self.reloader.apply(&live, retired);
        }
        self.applied.send_replace(live.version());
    }
}
