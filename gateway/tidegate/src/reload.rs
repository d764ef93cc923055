//! Takes a changed configuration into service, or refuses it and leaves the old one where it is.

mod stored;

pub(crate) use stored::Stored;

use crate::compile_thread::{CompileThread, Retired};
use crate::configuration::{Compiled, Configuration, NO_CONFIGURATION};
use crate::entity_store;
use crate::prober::{Assignment, Prober};
use crate::start::series;
use crate::tls::TlsState;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;
use tidegate_config::settings::Settings;
use tidegate_plan::Snapshot;
use tidegate_proxy::Shared;
use tidegate_telemetry::metrics::Metrics;

/// Reloads the configuration.
pub(crate) struct Reloader {
    configuration: Arc<Configuration>,
    settings: Arc<Settings>,
    shared: Arc<Shared>,
    metrics: Arc<Metrics>,
    tls: Arc<TlsState>,
    thread: CompileThread,
    prober: Arc<Prober>,
    stored: Stored,
    state: Mutex<State>,
    is_asked: AtomicBool,
    is_touched: AtomicBool,
}

/// Why the configuration is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// An operator or a signal wants it.
    Asked,
    /// The file looks different from outside.
    FileTouched,
}

/// What the last look at the configuration found.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    /// Hash of the configuration in service.
    pub(crate) content_hash: String,
    /// Why the last change was refused; `None`: it was not.
    pub(crate) refused: Option<String>,
    seen: Option<FileMark>,
    seen_filters: u64,
}

/// Tells whether a file may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FileMark {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl Reloader {
    #[allow(clippy::too_many_arguments, reason = "called once, where everything meets")]
    pub(crate) fn new(
        configuration: Arc<Configuration>,
        settings: Arc<Settings>,
        shared: Arc<Shared>,
        metrics: Arc<Metrics>,
        tls: Arc<TlsState>,
        thread: CompileThread,
        prober: Arc<Prober>,
        stored: Stored,
        current: &Compiled,
    ) -> Arc<Self> {
        let seen = mark(&settings);
        let seen_filters = configuration.library().map_or(0, |library| library.mark());
        let state = State {
            content_hash: current.content_hash.clone(),
            refused: None,
            seen,
            seen_filters,
        };
        Arc::new(Self {
            configuration,
            settings,
            shared,
            metrics,
            tls,
            thread,
            prober,
            stored,
            state: Mutex::new(state),
            is_asked: AtomicBool::new(false),
            is_touched: AtomicBool::new(false),
        })
    }

    /// What serves.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.snapshot()
    }

    /// The store.
    pub(crate) fn stored(&self) -> &Stored {
        &self.stored
    }

    /// Hash of the declarative configuration in service, as Kong shows it; none where entities live in a store.
    pub(crate) fn configuration_hash(&self) -> Option<String> {
        if !entity_store::is_declarative(&self.settings) {
            return None;
        }
        let shown = self.stored.configuration_hash();
        let shown = shown.filter(|hash| hash != NO_CONFIGURATION || !self.configuration.has_source());
        let unshown = || match self.configuration.has_source() {
            true => self.state.lock().content_hash.clone(),
            false => NO_CONFIGURATION.to_owned(),
        };
        Some(shown.unwrap_or_else(unshown))
    }

    /// The last outcome.
    pub(crate) fn state(&self) -> State {
        self.state.lock().clone()
    }

    /// Looks for changes of the declarative file and of filters, for as long as the process lives.
    pub(crate) async fn watch(self: Arc<Self>) {
        loop {
            tokio::time::sleep(self.settings.process.reload_interval).await;
            let now = mark(&self.settings);
            let has_changed = now.is_some() && self.state.lock().seen != now;
            if has_changed {
                self.post(Reason::FileTouched);
            }
            let filters = self.configuration.library().map_or(0, |library| library.mark());
            if self.state.lock().seen_filters != filters {
                self.state.lock().seen_filters = filters;
                self.post(Reason::Asked);
            }
        }
    }

    /// Reloads on a thread of low priority, so that traffic goes first even on a single core.
    pub(crate) fn reload_in_background(self: &Arc<Self>) {
        self.post(Reason::Asked);
    }

    /// One reload that waits stands for all that are asked for meanwhile.
    fn post(self: &Arc<Self>, reason: Reason) {
        let is_waiting = match reason {
            Reason::Asked => &self.is_asked,
            Reason::FileTouched => &self.is_touched,
        };
        if is_waiting.swap(true, Ordering::AcqRel) {
            return;
        }
        let reloader = Arc::clone(self);
        self.thread.post(move |retired| {
            let is_waiting = match reason {
                Reason::Asked => &reloader.is_asked,
                Reason::FileTouched => &reloader.is_touched,
            };
            is_waiting.store(false, Ordering::Release);
            reloader.reload(reason, retired);
        });
    }

    fn reload(&self, reason: Reason, retired: &mut Retired) {
        let content_hash = {
            let mut state = self.state.lock();
            state.seen = mark(&self.settings);
            state.content_hash.clone()
        };
        if !self.configuration.has_source() {
            return self.apply_again(retired);
        }
        let previous = self.shared.snapshot();
        let outcome = match reason {
            // Who asks may have changed what is not in the file: certificates that settings name, environment.
            Reason::Asked => self.configuration.compile(Some(&previous)).map(Some),
            Reason::FileTouched => self.configuration.compile_unless(&content_hash, &previous),
        };
        let outcome = outcome.and_then(|compiled| {
            if let Some(compiled) = &compiled {
                self.tls.update(&compiled.entities)?;
            }
            Ok(compiled)
        });
        match outcome {
            Ok(Some(compiled)) => {
                let written = Arc::clone(&compiled.written);
                let hash = compiled.content_hash.clone();
                self.accept(compiled, retired);
                self.stored.mirror(&written, &hash);
            }
            Ok(None) => {
                self.state.lock().refused = None;
                tracing::debug!("the declarative file was written anew and holds what is in service");
            }
            Err(error) => self.refuse(&error),
        }
    }

    fn refuse(&self, error: &anyhow::Error) {
        self.metrics.snapshot_refused();
        let text = format!("{error:#}");
        tracing::error!("the new configuration is refused, the old one serves on:\n{text}");
        self.state.lock().refused = Some(text);
    }

    fn accept(&self, compiled: Compiled, retired: &mut Retired) {
        let version = compiled.snapshot.version;
        let upstream_tls = self.tls.upstream_source(&self.settings, &compiled.entities);
        retired.push(self.shared.publish(
            Arc::clone(&compiled.snapshot),
            series(&self.metrics, &compiled),
            upstream_tls,
        ));
        let probe_tls = self.tls.probe_source(&self.settings, &compiled.entities);
        self.prober.assign(Assignment::of(&compiled.snapshot, probe_tls));
        self.metrics.snapshot_accepted(version);
        let mut state = self.state.lock();
        state.content_hash = compiled.content_hash;
        state.refused = None;
        tracing::info!(
            version,
            routes = compiled.snapshot.routes.len(),
            "configuration in service"
        );
    }
}

fn mark(settings: &Settings) -> Option<FileMark> {
    use std::os::unix::fs::MetadataExt;
    let path = settings.configuration.declarative_config.as_ref()?;
    let metadata = std::fs::metadata(path).ok()?;
    Some(FileMark {
        modified: metadata.modified().ok(),
        length: metadata.len(),
        inode: metadata.ino(),
    })
}
