//! Listeners that are not for traffic (status API, Admin API): the same addresses and flags as those of the proxy, on
//! the control runtime.

use crate::tls::TlsState;
use crate::workers::{self, Bound, BoundSocket};
use anyhow::Result;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tidegate_config::listen::ListenAddress;
use tidegate_config::settings::Settings;
use tidegate_config::settings::values::PemSource;
use tidegate_net::Prefixed;
use tidegate_net::gate::{ClientProtocol, sniff};
use tidegate_net::limits::ConnectionLimits;
use tidegate_net::proxy_protocol;
use tidegate_net::tls::{self, ServerTls};
use tokio::io::{AsyncRead, AsyncWrite};

/// Longest TLS handshake, wait for a PROXY protocol header, and wait for a request head.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections to all control listeners, at most.
const MAX_CONNECTIONS: usize = 1_024;
/// Pause after an accept that failed for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Who answers requests to control listeners.
pub(crate) trait Answer: Send + Sync + 'static {
    /// The answer to a request.
    fn to(
        self: &Arc<Self>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send + 'static;
}

/// A bound listener, ready to serve.
pub(crate) struct ControlListener {
    bound: Bound,
    tls: Option<Arc<ServerTls>>,
}

/// Certificates of the `ssl` addresses among them, and the name of their setting.
pub(crate) struct Certificates<'s> {
    pub(crate) certificates: &'s [PemSource],
    pub(crate) keys: &'s [PemSource],
    pub(crate) setting: &'s str,
}

impl<'s> Certificates<'s> {
    pub(crate) fn of_status(settings: &'s Settings) -> Self {
        Self {
            certificates: &settings.tls.status_ssl_cert,
            keys: &settings.tls.status_ssl_cert_key,
            setting: "status_ssl_cert",
        }
    }

    pub(crate) fn of_admin(settings: &'s Settings) -> Self {
        Self {
            certificates: &settings.tls.admin_ssl_cert,
            keys: &settings.tls.admin_ssl_cert_key,
            setting: "admin_ssl_cert",
        }
    }
}

/// Binds every address.
///
/// # Errors
/// When an address cannot be bound or its certificate cannot be used.
pub(crate) fn bind(
    addresses: &[ListenAddress],
    certificates: &Certificates<'_>,
    state: &TlsState,
) -> Result<Vec<ControlListener>> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for bound in workers::bind_all(addresses, 1)?.into_iter().flatten() {
        let tls = if bound.ssl {
            let Certificates {
                certificates,
                keys,
                setting,
            } = certificates;
            Some(state.fixed_server(certificates, keys, setting, bound.http2)?)
        } else {
            None
        };
        listeners.push(ControlListener { bound, tls });
    }
    Ok(listeners)
}

/// Serves every listener on the current runtime, with one answer per request.
pub(crate) fn serve(listeners: Vec<ControlListener>, answer: &Arc<impl Answer>) {
    let limits = ConnectionLimits::new(Some(MAX_CONNECTIONS), None);
    for listener in listeners {
        let (answer, limits) = (Arc::clone(answer), Arc::clone(&limits));
        tokio::spawn(async move {
            if let Err(error) = accept(listener, answer, limits).await {
                tracing::error!(%error, "cannot open a control listener");
            }
        });
    }
}

async fn accept<A>(
    listener: ControlListener,
    answer: Arc<A>,
    limits: Arc<ConnectionLimits>,
) -> std::io::Result<()>
where
    A: Answer,
{
    let ControlListener { bound, tls } = listener;
    let door = Door {
        proxy_protocol: bound.proxy_protocol,
        http2: bound.http2,
        tls,
    };
    let door = Arc::new(door);
    macro_rules! accept_from {
        ($listener:expr) => {
            loop {
                let stream = match $listener.accept().await {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                };
                if let Ok(permit) = limits.admit(None) {
                    let (door, answer) = (Arc::clone(&door), Arc::clone(&answer));
                    tokio::spawn(async move {
                        let _permit = permit;
                        door.enter(stream, &answer).await;
                    });
                }
            }
        };
    }
    match bound.socket {
        BoundSocket::Tcp(socket) => {
            let listener = tokio::net::TcpListener::from_std(socket)?;
            accept_from!(listener)
        }
        BoundSocket::Unix(socket) => {
            let listener = tokio::net::UnixListener::from_std(socket)?;
            accept_from!(listener)
        }
    }
}

/// What a connection goes through before it speaks HTTP.
struct Door {
    proxy_protocol: bool,
    http2: bool,
    tls: Option<Arc<ServerTls>>,
}

impl Door {
    async fn enter<S, A>(&self, mut stream: S, answer: &Arc<A>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        A: Answer,
    {
        if self.proxy_protocol
            && let Err(error) = proxy_protocol::read_header(&mut stream, PATIENCE).await
        {
            tracing::info!(%error, "connection without a valid PROXY protocol header");
            return;
        }
        match &self.tls {
            Some(tls) => match tls::accept(tls, stream, PATIENCE).await {
                Ok((stream, facts)) if facts.http2 => http2(stream, answer).await,
                Ok((stream, _)) => http1(stream, answer).await,
                Err(error) => tracing::debug!(%error, "TLS handshake failed"),
            },
            None if self.http2 => match tokio::time::timeout(PATIENCE, sniff(&mut stream)).await {
                Ok(Ok(ClientProtocol::Http2(bytes))) => http2(Prefixed::new(stream, bytes), answer).await,
                Ok(Ok(ClientProtocol::Http1(bytes))) => http1(Prefixed::new(stream, bytes), answer).await,
                Ok(Err(_)) | Err(_) => {}
            },
            None => http1(stream, answer).await,
        }
    }
}

async fn http1<S, A>(stream: S, answer: &Arc<A>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Answer,
{
    let service = service_fn(|request| answer.to(request));
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .title_case_headers(true);
    // A client that breaks off is no concern of ours.
    drop(builder.serve_connection(TokioIo::new(stream), service).await);
}

async fn http2<S, A>(stream: S, answer: &Arc<A>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Answer,
{
    let service = service_fn(|request| answer.to(request));
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(PATIENCE)
        .max_concurrent_streams(64);
    drop(builder.serve_connection(TokioIo::new(stream), service).await);
}
