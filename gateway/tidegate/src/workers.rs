//! Traffic threads: each with its own runtime, listeners, pools and counters.

use crate::tls::TlsState;
use anyhow::{Context, Result};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tidegate_config::listen::{Endpoint, ListenAddress, TcpKeepalive};
use tidegate_config::settings::Settings;
use tidegate_net::dns::{Dns, NameService, SystemLookup};
use tidegate_net::limits::ConnectionLimits;
use tidegate_net::listen::{Keepalive, SocketOptions, bind_tcp, bind_unix};
use tidegate_proxy::{
    Listener, ListenerKind, ListenerSocket, ProxySettings, Shared, Worker, WorkerParts, accept,
};
use tidegate_telemetry::access_log::AccessLog;
use tidegate_telemetry::metrics::Metrics;

/// A socket that is bound and not yet part of a runtime.
pub(crate) enum BoundSocket {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

/// A bound listener with its flags.
pub(crate) struct Bound {
    pub(crate) socket: BoundSocket,
    pub(crate) ssl: bool,
    pub(crate) http2: bool,
    pub(crate) proxy_protocol: bool,
}

impl Bound {
    fn try_clone(&self) -> Result<Self> {
        let socket = match &self.socket {
            BoundSocket::Tcp(socket) => BoundSocket::Tcp(socket.try_clone()?),
            BoundSocket::Unix(socket) => BoundSocket::Unix(socket.try_clone()?),
        };
        Ok(Self {
            socket,
            ssl: self.ssl,
            http2: self.http2,
            proxy_protocol: self.proxy_protocol,
        })
    }
}

/// Binds every address once per worker: with `reuseport` each worker has a socket of its own, else they share one.
///
/// # Errors
/// When an address cannot be bound; the text says which and why.
pub(crate) fn bind_all(addresses: &[ListenAddress], workers: usize) -> Result<Vec<Vec<Bound>>> {
    let mut bound: Vec<Vec<Bound>> = (0..workers).map(|_| Vec::new()).collect();
    for address in addresses {
        let first = bind(address)?;
        for (index, sockets) in bound.iter_mut().enumerate().skip(1) {
            debug_assert!(index > 0, "the first worker gets the socket itself");
            let own = if address.flags.reuseport && !matches!(address.endpoint, Endpoint::Unix(_)) {
                bind(address)?
            } else {
                first
                    .try_clone()
                    .with_context(|| format!("cannot share the listener {address}"))?
            };
            sockets.push(own);
        }
        if let Some(sockets) = bound.first_mut() {
            sockets.push(first);
        }
    }
    Ok(bound)
}

fn bind(address: &ListenAddress) -> Result<Bound> {
    let flags = &address.flags;
    let options = SocketOptions {
        reuseport: flags.reuseport,
        backlog: flags.backlog.unwrap_or(BACKLOG),
        ipv6_only: flags.ipv6only,
        keepalive: flags.so_keepalive.map(keepalive),
        deferred: flags.deferred,
        fastopen: flags.fastopen,
    };
    let socket = match &address.endpoint {
        Endpoint::Socket(socket) => BoundSocket::Tcp(bind_tcp(*socket, &options)?),
        Endpoint::Host { name, port } => {
            let resolved = std::net::ToSocketAddrs::to_socket_addrs(&(name.as_str(), *port))
                .with_context(|| format!("cannot resolve the host of the listener {address}"))?
                .next()
                .with_context(|| format!("the host of the listener {address} has no address"))?;
            BoundSocket::Tcp(bind_tcp(resolved, &options)?)
        }
        Endpoint::Unix(path) => BoundSocket::Unix(bind_unix(path, options.backlog)?),
    };
    Ok(Bound {
        socket,
        ssl: flags.ssl,
        http2: flags.http2,
        proxy_protocol: flags.proxy_protocol,
    })
}

/// Connections that wait to be accepted when `backlog` is not given.
const BACKLOG: u32 = 4_096;

fn keepalive(flag: TcpKeepalive) -> Keepalive {
    match flag {
        TcpKeepalive::Off => Keepalive::Off,
        TcpKeepalive::On => Keepalive::On {
            idle: None,
            interval: None,
            probes: None,
        },
        TcpKeepalive::Tuned {
            idle,
            interval,
            count,
        } => Keepalive::On {
            idle,
            interval,
            probes: count,
        },
    }
}

/// What every worker thread gets.
pub(crate) struct WorkerContext {
    pub(crate) shared: Arc<Shared>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) proxy: Arc<ProxySettings>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) access_log: AccessLog,
    pub(crate) tls: Arc<TlsState>,
    pub(crate) limits: Arc<ConnectionLimits>,
    pub(crate) names: Arc<NameService>,
}

/// Starts the worker with that index.
///
/// # Errors
/// When the thread or its runtime cannot be made.
pub(crate) fn spawn(
    index: usize,
    listeners: Vec<Bound>,
    context: Arc<WorkerContext>,
) -> Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(format!("worker-{index}"))
        .spawn(move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => {
                    tracing::error!(worker = index, %error, "cannot make the worker's runtime");
                    return;
                }
            };
            tokio::task::LocalSet::new().block_on(&runtime, run(index, listeners, &context));
        })
        .context("cannot start a worker thread")
}

async fn run(index: usize, listeners: Vec<Bound>, context: &WorkerContext) {
    let Some(metrics) = context.metrics.worker(index) else {
        return;
    };
    let lookup = match SystemLookup::new(Arc::clone(&context.names)) {
        Ok(lookup) => lookup,
        Err(error) => {
            tracing::error!(worker = index, %error, "cannot set up name resolution");
            return;
        }
    };
    let worker = Worker::new(WorkerParts {
        shared: Arc::clone(&context.shared),
        settings: Arc::clone(&context.proxy),
        metrics,
        access_log: context.access_log.clone(),
        index,
        sweep: tidegate_wasm::sweep,
        resolver: Dns::new(lookup, crate::name_service::cache_settings(&context.settings)),
    });
    let gate = Rc::new(crate::proxy_settings::gate_limits(&context.settings));
    let mut accepting = Vec::new();
    for bound in listeners {
        let listener = match listener(bound, &gate, context) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(
                    worker = index,
                    error = format!("{error:#}"),
                    "cannot open a listener"
                );
                continue;
            }
        };
        accepting.push(tokio::task::spawn_local(accept(Rc::clone(&worker), listener)));
    }
    for task in accepting {
        drop(task.await);
    }
    finish(&worker, context.settings.process.shutdown_grace).await;
}

/// Waits for open connections to end, within the grace.
async fn finish(worker: &Worker, grace: Duration) {
    let end = Instant::now() + grace;
    while worker.open_connections() > 0 && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn listener(
    bound: Bound,
    gate: &Rc<tidegate_net::gate::GateLimits>,
    context: &WorkerContext,
) -> Result<Listener> {
    let socket = match bound.socket {
        BoundSocket::Tcp(socket) => ListenerSocket::Tcp(tokio::net::TcpListener::from_std(socket)?),
        BoundSocket::Unix(socket) => {
            socket.set_nonblocking(true)?;
            ListenerSocket::Unix(tokio::net::UnixListener::from_std(socket)?)
        }
    };
    Ok(Listener {
        socket,
        kind: if bound.ssl {
            ListenerKind::Tls(context.tls.server(bound.http2))
        } else {
            ListenerKind::Plain
        },
        http2: bound.http2,
        proxy_protocol: bound.proxy_protocol,
        gate: Rc::clone(gate),
        limits: Arc::clone(&context.limits),
        handshake_timeout: context.settings.limits.tls_handshake_timeout,
    })
}
