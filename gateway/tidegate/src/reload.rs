//! Takes a changed configuration into service, or refuses it and leaves the old one where it is.

use crate::configuration::{Compiled, Configuration};
use crate::start::series;
use crate::tls::TlsState;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;
use tidegate_config::settings::Settings;
use tidegate_proxy::Shared;
use tidegate_telemetry::metrics::Metrics;

/// Reloads the configuration.
pub(crate) struct Reloader {
    configuration: Arc<Configuration>,
    settings: Arc<Settings>,
    shared: Arc<Shared>,
    metrics: Arc<Metrics>,
    tls: Arc<TlsState>,
    state: Mutex<State>,
    is_working: AtomicBool,
    is_asked_again: AtomicBool,
}

/// What the last look at the configuration found.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    /// Hash of the configuration in service.
    pub(crate) content_hash: String,
    /// Why the last change was refused; `None`: it was not.
    pub(crate) refused: Option<String>,
    seen: Option<FileMark>,
}

/// Tells whether a file may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FileMark {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl Reloader {
    pub(crate) fn new(
        configuration: Arc<Configuration>,
        settings: Arc<Settings>,
        shared: Arc<Shared>,
        metrics: Arc<Metrics>,
        tls: Arc<TlsState>,
        current: &Compiled,
    ) -> Arc<Self> {
        let seen = mark(&settings);
        let state = State {
            content_hash: current.content_hash.clone(),
            refused: None,
            seen,
        };
        Arc::new(Self {
            configuration,
            settings,
            shared,
            metrics,
            tls,
            state: Mutex::new(state),
            is_working: AtomicBool::new(false),
            is_asked_again: AtomicBool::new(false),
        })
    }

    /// The last outcome.
    pub(crate) fn state(&self) -> State {
        self.state.lock().clone()
    }

    /// Looks for changes of the declarative file, for as long as the process lives.
    pub(crate) async fn watch(self: Arc<Self>) {
        loop {
            tokio::time::sleep(self.settings.process.reload_interval).await;
            let now = mark(&self.settings);
            let has_changed = now.is_some() && self.state.lock().seen != now;
            if has_changed {
                Arc::clone(&self).reload_in_background();
            }
        }
    }

    /// Reloads on a thread of low priority, so that traffic goes first even on a single core.
    pub(crate) fn reload_in_background(self: Arc<Self>) {
        if self.is_working.swap(true, Ordering::AcqRel) {
            self.is_asked_again.store(true, Ordering::Release);
            return;
        }
        let spawned = std::thread::Builder::new()
            .name("compile".to_owned())
            .spawn(move || {
                lower_priority();
                loop {
                    self.is_asked_again.store(false, Ordering::Release);
                    self.reload();
                    if !self.is_asked_again.load(Ordering::Acquire) {
                        break;
                    }
                }
                self.is_working.store(false, Ordering::Release);
            });
        if let Err(error) = spawned {
            tracing::error!(%error, "cannot start the thread that reloads");
        }
    }

    fn reload(&self) {
        self.state.lock().seen = mark(&self.settings);
        let previous = self.shared.snapshot();
        let outcome = self.configuration.compile(Some(&previous)).and_then(|compiled| {
            self.tls.update(&compiled.entities)?;
            Ok(compiled)
        });
        match outcome {
            Ok(compiled) => {
                let version = compiled.snapshot.version;
                let upstream_tls = self.tls.upstream_source(&self.settings, &compiled.entities);
                self.shared.publish(
                    Arc::clone(&compiled.snapshot),
                    series(&self.metrics, &compiled),
                    upstream_tls,
                );
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
            Err(error) => {
                self.metrics.snapshot_refused();
                let text = format!("{error:#}");
                tracing::error!("the new configuration is refused, the old one serves on:\n{text}");
                self.state.lock().refused = Some(text);
            }
        }
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

/// Lowers the scheduling priority of this thread; failing to is no fault.
fn lower_priority() {
    const LOW: i32 = 10;
    let _ = rustix::process::setpriority_process(None, LOW);
}
