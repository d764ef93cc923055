//! The running gateway: start, reload, drain.

use crate::admin::{self, GatewayNode};
use crate::cli::pid_file::PidFile;
use crate::compile_thread::CompileThread;
use crate::configuration::{Compiled, Configuration, Filters};
use crate::control_listener::{self, Certificates, ControlListener};
use crate::entity_store;
use crate::live_entities::LiveEntities;
use crate::prober::{Assignment, Prober};
use crate::reload::{Reloader, Stored};
use crate::status::{StatusAnswers, StatusContext};
use crate::tls::TlsState;
use crate::workers::{self, WorkerContext};
use anyhow::{Context, Result};
use parking_lot::Mutex;
use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tidegate_config::settings::Settings;
use tidegate_config::settings::values::{AccessLogFormat, LogFormat};
use tidegate_net::limits::ConnectionLimits;
use tidegate_plugin::counters::Counters;
use tidegate_plugin::services::{Services, SystemClock};
use tidegate_proxy::Shared;
use tidegate_store::Store;
use tidegate_telemetry::access_log::{AccessLog, Format};
use tidegate_telemetry::line_writer::{LineWriter, LineWriterLimits};
use tidegate_telemetry::metrics::{Family, FamilyKind, Metrics, Options};
use tidegate_telemetry::process_log;
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Runs the gateway until a signal stops it.
///
/// # Errors
/// When it cannot start: a port is taken, the declarative file has faults, the working directory cannot be written.
pub fn run(settings: Settings) -> Result<()> {
    let settings = Arc::new(settings);
    let level = start_log(&settings)?;
    prepare_prefix(&settings);
    let limits = LineWriterLimits {
        max_lines: settings.logs.log_queue_lines,
        max_bytes: settings.logs.log_queue_bytes,
    };
    let lines = Arc::new(LineWriter::start(limits).context("cannot start the log writer")?);
    let node_id = settings.process.node_id.unwrap_or_else(uuid::Uuid::new_v4);
    let services = Arc::new(Services {
        clock: Arc::new(SystemClock),
        counters: Arc::new(Counters::default()),
        lines: Arc::clone(&lines) as _,
        outbound: Arc::new(tidegate_proxy::outbound::WorkerOutbound {
            allowed_hosts: settings.filters.wasm_callout_hosts.clone(),
        }),
        node_id,
        hostname: hostname(),
    });
    let configuration = Arc::new(Configuration::new(Arc::clone(&settings), Arc::clone(&services))?);
    let store = entity_store::open(&settings)?;
    let compile_thread = CompileThread::start()?;
    let (live, compiled) = first_configuration(&configuration, &store, &compile_thread)?;
    let worker_count = settings.process.workers.count().get();
    let metrics = Arc::new(Metrics::new(Options {
        workers: worker_count,
        node_id: node_id.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..Options::default()
    }));
    let dropped = Arc::clone(&lines);
    metrics.add_source(move |families| {
        let help = "Lines of access logs and log plugins that were dropped because their queue was full.";
        #[allow(clippy::cast_precision_loss, reason = "Prometheus has doubles only")]
        let count = dropped.dropped() as f64;
        families.push(
            Family::new("tidegate_log_lines_dropped_total", FamilyKind::Counter, help).with(&[], count),
        );
    });
    if let Some(library) = configuration.library() {
        crate::filter_metrics::add(&metrics, &library);
    }
    let tls = Arc::new(TlsState::new(&settings, &compiled.entities)?);
    let shared = Shared::new(
        Arc::clone(&compiled.snapshot),
        series(&metrics, &compiled),
        tls.upstream_source(&settings, &compiled.entities),
    );
    metrics.snapshot_accepted(compiled.snapshot.version);
    let control = control_runtime()?;
    // Whoever finds a listener open may send a signal, and without a handler it would be the end of the process.
    let signals = Signals::listen(&control)?;
    // What can be wrong with its certificate is found before clients are let in.
    let status_listeners = status_listeners(&settings, &tls)?;
    let admin_listeners = admin_listeners(&settings, &tls)?;
    let sockets = workers::bind_all(&settings.listeners.proxy_listen.addresses, worker_count)?;
    let context = Arc::new(WorkerContext {
        shared: Arc::clone(&shared),
        proxy: Arc::new(crate::proxy_settings::compile(&settings)?),
        metrics: Arc::clone(&metrics),
        access_log: access_log(&settings, &lines),
        tls: Arc::clone(&tls),
        limits: ConnectionLimits::new(
            cap(settings.limits.max_connections),
            cap(settings.limits.max_connections_per_ip),
        ),
        names: Arc::new(crate::name_service::load(&settings)),
        settings: Arc::clone(&settings),
    });
    let pid_file = write_pid_file(&settings)?;
    let threads = sockets
        .into_iter()
        .enumerate()
        .map(|(index, listeners)| workers::spawn(index, listeners, Arc::clone(&context)))
        .collect::<Result<Vec<_>>>()?;
    let probe_tls = tls.probe_source(&settings, &compiled.entities);
    let prober = Arc::new(Prober::start(
        Assignment::of(&compiled.snapshot, probe_tls),
        Arc::clone(&context.names),
        crate::name_service::cache_settings(&settings),
    )?);
    crate::upstream_metrics::add(&metrics, &prober);
    let stored = Stored::new(store, live, control.handle().clone());
    // What nobody can ask for is not kept ready.
    let has_admin_api = !admin_listeners.is_empty();
    let written = (has_admin_api && configuration.has_source()).then(|| Arc::clone(&compiled.written));
    let reloader = Reloader::new(
        Arc::clone(&configuration),
        Arc::clone(&settings),
        Arc::clone(&shared),
        Arc::clone(&metrics),
        tls,
        compile_thread,
        Arc::clone(&prober),
        stored,
        &compiled,
    );
    drop(compiled);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), workers = worker_count, listen = %settings.listeners.proxy_listen, "tidegate is ready");
    control.block_on(async {
        let status = StatusContext {
            shared: Arc::clone(&shared),
            metrics: Arc::clone(&metrics),
            reloader: Arc::clone(&reloader),
            prober: Arc::clone(&prober),
            level: level.clone(),
        };
        let status = StatusAnswers::new(status);
        control_listener::serve(status_listeners, &status);
        tokio::spawn(Arc::clone(&reloader).watch());
        if has_admin_api {
            let node = Arc::new(GatewayNode {
                configuration,
                settings: Arc::clone(&settings),
                services,
                reloader: Arc::clone(&reloader),
                prober: Arc::clone(&prober),
                metrics: Arc::clone(&metrics),
                level,
                runtime: Handle::current(),
                level_reset: Mutex::default(),
            });
            let api = admin::api(&settings, reloader.stored().store.clone(), node, &lines);
            reloader.stored().shown_by(&api);
            if let Some(written) = written {
                reloader.show(written).await;
            }
            admin::serve(&settings, admin_listeners, api, status);
        }
        tokio::spawn(Arc::clone(&reloader).follow());
        signals.until_stop(&reloader).await;
    });
    tracing::info!(grace = ?settings.process.shutdown_grace, "draining");
    shared.drain();
    for thread in threads {
        drop(thread.join());
    }
    if !lines.flush(Duration::from_secs(5)) {
        tracing::warn!(lines = lines.queued(), "log lines were still waiting at the end");
    }
    drop(pid_file);
    control.shutdown_timeout(Duration::from_millis(200));
    tracing::info!("stopped");
    Ok(())
}

/// The first configuration, from the file or from the store.
fn first_configuration(
    configuration: &Arc<Configuration>,
    store: &Store,
    thread: &CompileThread,
) -> Result<(LiveEntities, Compiled)> {
    let (configuration, store) = (Arc::clone(configuration), store.clone());
    thread.call(move || {
        let live = LiveEntities::read(&store);
        if configuration.has_source() {
            return Ok((live, configuration.compile(None)?));
        }
        let (compiled, _) = configuration.compile_stored(&live, Filters::ReadAgain, None)?;
        Ok((live, compiled))
    })?
}

fn status_listeners(settings: &Settings, tls: &TlsState) -> Result<Vec<ControlListener>> {
    let addresses = &settings.listeners.status_listen.addresses;
    control_listener::bind(addresses, &Certificates::of_status(settings), tls)
}

fn admin_listeners(settings: &Settings, tls: &TlsState) -> Result<Vec<ControlListener>> {
    let addresses = &settings.listeners.admin_listen.addresses;
    control_listener::bind(addresses, &Certificates::of_admin(settings), tls)
}

/// A limit of the settings, where 0 is none.
fn cap(limit: u64) -> Option<usize> {
    usize::try_from(limit).ok().filter(|limit| *limit != 0)
}

fn start_log(settings: &Settings) -> Result<process_log::LogHandle> {
    let level = settings.logs.log_level.as_str().parse().context("log_level")?;
    let format = match settings.logs.log_format {
        LogFormat::Text => process_log::LogFormat::Text,
        LogFormat::Json => process_log::LogFormat::Json,
    };
    process_log::start(level, format).context("cannot start the process log")
}

/// SIGXFSZ.
const FILE_SIZE: i32 = rustix::process::Signal::XFSZ.as_raw();

/// The signals that the gateway acts on.
struct Signals {
    terminate: Signal,
    quit: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// A file has reached the limit on its size. Unheard it would be the end of the process; heard, the write fails.
    _file_size: Signal,
}

impl Signals {
    /// From now on they wait to be acted on.
    fn listen(runtime: &tokio::runtime::Runtime) -> Result<Self> {
        let _entered = runtime.enter();
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            quit: signal(SignalKind::quit())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            _file_size: signal(SignalKind::from_raw(FILE_SIZE))?,
        })
    }

    /// Resolves at SIGTERM, SIGQUIT or SIGINT; SIGHUP reloads.
    async fn until_stop(mut self, reloader: &Arc<Reloader>) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.quit.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => Arc::clone(reloader).reload_in_background(),
            }
        }
    }
}

fn control_runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("control")
        .enable_all()
        .build()
        .context("cannot make the control runtime")
}

/// The series that a snapshot's routes are counted in.
pub(crate) fn series(metrics: &Metrics, compiled: &Compiled) -> tidegate_telemetry::metrics::RouteTable {
    let snapshot = &compiled.snapshot;
    // Labels without a name are rare: only they are written out.
    let labels: Vec<(&str, Cow<'_, str>)> = snapshot
        .routes
        .iter()
        .map(|planned| {
            let service = planned.service.and_then(|index| snapshot.planned_service(index));
            let service = service.map_or("", |planned| {
                planned.service.name.as_deref().unwrap_or(&planned.service.host)
            });
            let route = match &planned.route.name {
                Some(name) => Cow::Borrowed(name.as_str()),
                None => Cow::Owned(planned.route.id.to_string()),
            };
            (service, route)
        })
        .collect();
    metrics.routes(labels.iter().map(|(service, route)| (*service, &**route)))
}

fn access_log(settings: &Settings, lines: &Arc<LineWriter>) -> AccessLog {
    let format = match settings.logs.proxy_access_log_format {
        AccessLogFormat::Combined => Format::compile("combined").unwrap_or(Format::Json),
        AccessLogFormat::Json => Format::Json,
    };
    match settings.log_path(&settings.logs.proxy_access_log) {
        Some(path) => AccessLog::to(&path, format, Arc::clone(lines)),
        None => AccessLog::off(),
    }
}

/// Makes the working directory's folders. A gateway that may not write them serves all the same.
fn prepare_prefix(settings: &Settings) {
    for folder in ["pids", "logs"] {
        let path = settings.in_prefix(Path::new(folder));
        if let Err(error) = std::fs::create_dir_all(&path) {
            tracing::warn!(path = %path.display(), %error, "cannot make a folder of the working directory; set `prefix`");
        }
    }
}

/// Leaves the process id for `tidegate stop` and `reload`. A second gateway on the same folder is refused; a folder that
/// cannot be written is only worth a warning.
fn write_pid_file(settings: &Settings) -> Result<Option<PidFile>> {
    let path = settings.pid_file();
    match PidFile::create(&path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if path.exists() => Err(error),
        Err(error) => {
            tracing::warn!(
                error = format!("{error:#}"),
                "`tidegate stop` and `reload` will not find this gateway"
            );
            Ok(None)
        }
    }
}

fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}
