//! One traffic thread: its snapshot handle, pools, deadlines and counters.

use crate::background::{self, Task};
use crate::bodies::UpstreamBody;
use crate::phases::Flow;
use crate::serve::Watched;
use crate::settings::ProxySettings;
use crate::tls_targets::TlsTargets;
use arc_swap::ArcSwap;
use http::HeaderValue;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tidegate_model::entities::{Route, Service};
use tidegate_net::dns::Dns;
use tidegate_net::gate::ClientDeadlines;
use tidegate_net::pool::Pool;
use tidegate_net::tls::UpstreamTls;
use tidegate_net::watchdog::Watchdog;
use tidegate_plan::Snapshot;
use tidegate_plugin::Source;
use tidegate_plugin::exchange::{RouteIndex, ServiceIndex, SnapshotView};
use tidegate_plugin::identity::Identities;
use tidegate_plugin::log_record::{request_size, response_size};
use tidegate_plugin::services::Services;
use tidegate_telemetry::access_log::{AccessLog, AccessRecord};
use tidegate_telemetry::metrics::{Answered, AnsweredBy, RouteTable, WorkerMetrics};

/// A snapshot that is being served, with the series its routes are counted in.
pub struct Live {
    /// The snapshot.
    pub snapshot: Arc<Snapshot>,
    /// Series by route index.
    pub series: RouteTable,
    /// What its filters do on this worker.
    tasks: Vec<Rc<Task>>,
    /// Dropped last: whoever else holds it takes all of the above apart, and this thread does not.
    _published: Arc<Published>,
}

impl SnapshotView for Live {
    fn route(&self, index: RouteIndex) -> Option<&Route> {
        self.snapshot.planned_route(index).map(|planned| &planned.route)
    }
    fn service(&self, index: ServiceIndex) -> Option<&Service> {
        self.snapshot
            .planned_service(index)
            .map(|planned| &planned.service)
    }
    fn identities(&self) -> &Identities {
        &self.snapshot.identities
    }
    fn services(&self) -> &Services {
        &self.snapshot.process
    }
}

/// What a TLS set-up is for.
#[derive(Debug, Clone, Copy)]
pub struct UpstreamTlsFor<'a> {
    /// The service, which says how the peer is verified. `None`: a host that a filter calls, which always is.
    pub service: Option<&'a Service>,
    /// Whether the peer must speak HTTP/2.
    pub http2: bool,
}

/// Makes the TLS set-up towards an upstream; the text says why it cannot.
pub type UpstreamTlsSource = dyn Fn(UpstreamTlsFor<'_>) -> Result<Arc<UpstreamTls>, String> + Send + Sync;

/// What all workers share; read on the request path, written only when the configuration changes.
pub struct Shared {
    version: AtomicU64,
    live: ArcSwap<Published>,
    is_draining: AtomicBool,
    drained: tokio::sync::Notify,
}

/// A snapshot in service with what belongs to it. Where it is dropped last, all of it is freed, which takes
/// milliseconds: keep it past its last request on a thread that has the time.
pub struct Published {
    snapshot: Arc<Snapshot>,
    series: RouteTable,
    upstream_tls: Box<UpstreamTlsSource>,
}

impl Shared {
    /// Starts with a first snapshot.
    #[must_use]
    pub fn new(
        snapshot: Arc<Snapshot>,
        series: RouteTable,
        upstream_tls: Box<UpstreamTlsSource>,
    ) -> Arc<Self> {
        let live = ArcSwap::from_pointee(Published {
            snapshot,
            series,
            upstream_tls,
        });
        Arc::new(Self {
            version: AtomicU64::new(1),
            live,
            is_draining: AtomicBool::new(false),
            drained: tokio::sync::Notify::new(),
        })
    }

    /// Requests that arrive from now on are served by this snapshot. Returns what it replaces.
    #[must_use = "freeing the old snapshot here takes milliseconds, or falls to a traffic thread"]
    pub fn publish(
        &self,
        snapshot: Arc<Snapshot>,
        series: RouteTable,
        upstream_tls: Box<UpstreamTlsSource>,
    ) -> Arc<Published> {
        let replaced = self.live.swap(Arc::new(Published {
            snapshot,
            series,
            upstream_tls,
        }));
        self.version.fetch_add(1, Ordering::Release);
        replaced
    }

    /// The snapshot in service.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.live.load().snapshot)
    }

    /// No connection is kept alive from now on.
    pub fn drain(&self) {
        self.is_draining.store(true, Ordering::Release);
        self.drained.notify_waiters();
    }

    /// Resolves when [`Shared::drain`] is called.
    pub(crate) async fn drained(&self) {
        let notified = self.drained.notified();
        if !self.is_draining() {
            notified.await;
        }
    }

    /// Whether the process is shutting down.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }

    pub(crate) fn upstream_tls(&self, wanted: UpstreamTlsFor<'_>) -> Result<Arc<UpstreamTls>, String> {
        (self.live.load().upstream_tls)(wanted)
    }
}

/// What a worker is made of.
pub struct WorkerParts {
    /// Shared state.
    pub shared: Arc<Shared>,
    /// Settings.
    pub settings: Arc<ProxySettings>,
    /// Counters of this worker.
    pub metrics: WorkerMetrics,
    /// Access log.
    pub access_log: AccessLog,
    /// DNS.
    pub resolver: Dns,
    /// Number of the worker, from 0.
    pub index: usize,
    /// Runs twice a second: lets go of what filters keep on this thread and nobody uses.
    pub sweep: fn(),
}

/// One traffic thread.
pub struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) settings: Arc<ProxySettings>,
    pub(crate) metrics: WorkerMetrics,
    pub(crate) pool: Rc<Pool<UpstreamBody>>,
    pub(crate) watchdog: Rc<Watchdog>,
    pub(crate) resolver: Dns,
    pub(crate) tls_targets: TlsTargets,
    access_log: AccessLog,
    index: usize,
    sweep: fn(),
    live: RefCell<Rc<Live>>,
    live_version: Cell<u64>,
    connections: Cell<u64>,
    serial: Cell<u64>,
    watched: RefCell<Vec<Weak<Watched>>>,
    deadlines: ClientDeadlines,
    random: RefCell<fastrand::Rng>,
}

/// How often pools are swept and the drain flag is looked at.
const HOUSEKEEPING: Duration = Duration::from_millis(500);

impl Worker {
    /// A worker without connections. Must be made on its own thread, inside a `LocalSet`.
    #[must_use]
    pub fn new(parts: WorkerParts) -> Rc<Self> {
        let WorkerParts {
            shared,
            settings,
            metrics,
            access_log,
            resolver,
            index,
            sweep,
        } = parts;
        let live_version = shared.version.load(Ordering::Acquire);
        let live = take(&shared, &[], index);
        let worker = Rc::new(Self {
            pool: Pool::new(settings.pool),
            watchdog: Watchdog::new(),
            tls_targets: TlsTargets::default(),
            live: RefCell::new(Rc::new(live)),
            live_version: Cell::new(live_version),
            connections: Cell::new(0),
            serial: Cell::new(0),
            watched: RefCell::default(),
            deadlines: ClientDeadlines {
                head: settings.client.header_timeout,
                idle: settings.client.idle_timeout,
                body: settings.client.body_timeout,
                write: settings.client.send_timeout,
                min_body_rate: settings.client.min_body_rate,
            },
            random: RefCell::new(fastrand::Rng::new()),
            shared,
            settings,
            metrics,
            access_log,
            resolver,
            index,
            sweep,
        });
        crate::outbound::enter(&worker);
        tokio::task::spawn_local(Rc::clone(&worker.watchdog).run());
        tokio::task::spawn_local(Rc::clone(&worker).keep_house());
        worker
    }

    /// Client connections that are open.
    #[must_use]
    pub fn open_connections(&self) -> u64 {
        self.connections.get()
    }

    async fn keep_house(self: Rc<Self>) {
        loop {
            tokio::time::sleep(HOUSEKEEPING).await;
            self.pool.sweep(Instant::now());
            self.metrics
                .upstream_connections_idle
                .set(self.pool.idle_connections());
            // An idle worker would otherwise hold an old snapshot until its next request.
            drop(self.live());
            (self.sweep)();
            let is_draining = self.shared.is_draining();
            let now = Instant::now();
            self.watched.borrow_mut().retain(|watched| {
                watched.upgrade().is_some_and(|watched| {
                    watched.look(now, &self.deadlines, is_draining);
                    true
                })
            });
            if is_draining {
                self.watchdog.wake_all();
            }
        }
    }

    /// Includes a connection in the round that finds slow clients.
    pub(crate) fn watch(&self, watched: &Rc<Watched>) {
        self.watched.borrow_mut().push(Rc::downgrade(watched));
    }

    /// The snapshot for a request that starts now.
    pub(crate) fn live(&self) -> Rc<Live> {
        let version = self.shared.version.load(Ordering::Acquire);
        if version != self.live_version.get() {
            self.live_version.set(version);
            let live = take(&self.shared, &self.live.borrow().tasks, self.index);
            *self.live.borrow_mut() = Rc::new(live);
            self.tls_targets.clear();
        }
        Rc::clone(&self.live.borrow())
    }

    /// Milliseconds since the Unix epoch.
    pub(crate) fn now_millis(&self) -> u64 {
        self.live.borrow().snapshot.process.clock.now_millis()
    }

    /// Evenly distributed bits; not for secrets.
    pub(crate) fn random(&self) -> u64 {
        self.random.borrow_mut().u64(..)
    }

    /// A version 4 id; not for secrets.
    pub(crate) fn random_uuid(&self) -> uuid::Uuid {
        let bits = u128::from(self.random()) << 64 | u128::from(self.random());
        uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
    }

    /// 32 lower-case hex digits.
    pub(crate) fn request_id(&self) -> HeaderValue {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let random = {
            let mut random = self.random.borrow_mut();
            [random.u64(..), random.u64(..)]
        };
        let mut text = [0; 32];
        for (half, number) in text.chunks_exact_mut(16).zip(random) {
            for (place, digit) in half.iter_mut().enumerate() {
                // Four bits point at one of sixteen digits.
                *digit = DIGITS
                    .get((number >> (place * 4)) as usize & 15)
                    .copied()
                    .unwrap_or(b'0');
            }
        }
        HeaderValue::from_maybe_shared(bytes::Bytes::copy_from_slice(&text))
            .unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    pub(crate) fn connection_opened(&self) -> u64 {
        self.connections.set(self.connections.get() + 1);
        self.metrics.connections_handled.increment();
        self.metrics.connections_open.increment();
        self.serial.set(self.serial.get() + 1);
        self.serial.get()
    }

    pub(crate) fn connection_closed(&self) {
        self.connections.set(self.connections.get().saturating_sub(1));
        self.metrics.connections_open.decrement();
    }

    /// Counts and logs a finished exchange.
    pub(crate) fn observe(&self, flow: &Flow) {
        let x = &flow.x;
        self.metrics.requests_in_flight.decrement();
        let total = x.timings.start.elapsed();
        let upstream = match (x.timings.upstream_start, x.timings.upstream_head) {
            (Some(start), Some(head)) => Some(head.saturating_duration_since(start)),
            _ => None,
        };
        let answered = Answered {
            status: x.response.status.as_u16(),
            by: if x.source == Source::Service {
                AnsweredBy::Service
            } else {
                AnsweredBy::Gateway
            },
            request_bytes: request_size(x),
            response_bytes: response_size(x),
            total,
            gateway: total.saturating_sub(upstream.unwrap_or_default()),
            upstream,
        };
        let series = x.route.and_then(|index| flow.live.series.get(index.0));
        self.metrics.request(series, &answered);
        self.access_log.log(|| access_record(flow, total, upstream));
    }
}

fn take(shared: &Shared, before: &[Rc<Task>], index: usize) -> Live {
    let published = shared.live.load_full();
    let tasks = background::tasks(&published.snapshot, before, index);
    Live {
        snapshot: Arc::clone(&published.snapshot),
        series: published.series.clone(),
        tasks,
        _published: published,
    }
}

fn access_record(flow: &Flow, total: Duration, upstream: Option<Duration>) -> AccessRecord<'_> {
    let x = &flow.x;
    let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    AccessRecord {
        client_address: x.client.address,
        remote_user: None,
        time_millis: x.timings.started_at_millis + u64::try_from(total.as_millis()).unwrap_or(0),
        method: x.request.method.as_str(),
        target: x.request.target.as_str(),
        protocol: match x.request.version {
            http::Version::HTTP_2 => "HTTP/2.0",
            http::Version::HTTP_10 => "HTTP/1.0",
            _ => "HTTP/1.1",
        },
        scheme: x.request.scheme,
        host: &x.request.host,
        status: x.response.status.as_u16(),
        body_bytes: x.response_body_bytes,
        request_bytes: request_size(x),
        referer: x
            .request
            .headers
            .get(http::header::REFERER)
            .map(HeaderValue::as_bytes),
        user_agent: x
            .request
            .headers
            .get(http::header::USER_AGENT)
            .map(HeaderValue::as_bytes),
        request_id: x.request_id.to_str().unwrap_or_default(),
        route: x.route().and_then(|route| route.name.as_deref()),
        service: x.service().and_then(|service| service.name.as_deref()),
        consumer: x.consumer().and_then(|entry| entry.consumer.username.as_deref()),
        upstream_address: x.tries.last().map(|last| &last.address as _),
        upstream_status: x.upstream_status.map(|status| status.as_u16()),
        request_micros: micros(total),
        upstream_micros: upstream.map(micros),
        tls_version: x.client.tls.as_ref().map(|tls| tls.version),
    }
}
