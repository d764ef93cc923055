//! Calls that filters make, over the connections of the worker that they run on.

use crate::bodies::UpstreamBody;
use crate::worker::Worker;
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::future::LocalBoxFuture;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method};
use std::cell::RefCell;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::rc::{Rc, Weak};
use std::time::Duration;
use tidegate_net::connect::{self, ConnectError};
use tidegate_net::http1::{BodyFraming, put_header};
use tidegate_net::pool::{Http1Lease, Lease, PoolKey};
use tidegate_plan::service::{Destination, PlannedService, PlannedUpstream};
use tidegate_plugin::filter::{
    NoOutbound, Outbound, OutboundCall, OutboundError, OutboundResponse, OutboundStream,
};

thread_local! {
    static WORKER: RefCell<Weak<Worker>> = const { RefCell::new(Weak::new()) };
}

/// Makes a worker the one that calls of its thread go through.
pub(crate) fn enter(worker: &Rc<Worker>) {
    WORKER.set(Rc::downgrade(worker));
}

/// Calls over HTTP/1.1 to Upstreams and Services by name, and to hosts that the operator allows.
#[derive(Debug, Default)]
pub struct WorkerOutbound {
    /// `host`, `host:port` or `*`.
    pub allowed_hosts: Vec<String>,
}

/// For calls that set no limit.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Kept connections that may turn out dead before a fresh one is made.
const MAX_REUSES: usize = 3;

/// Where a call goes.
struct Place {
    address: SocketAddr,
    host: HeaderValue,
    tls: Option<Rc<crate::tls_targets::TlsTarget>>,
    connect_timeout: Duration,
}

impl Outbound for WorkerOutbound {
    fn check(&self, target: &str) -> Result<(), OutboundError> {
        let Some(worker) = WORKER.with_borrow(Weak::upgrade) else {
            return Ok(());
        };
        let live = worker.live();
        let is_known = live.snapshot.upstream_by_name(target).is_some()
            || live.snapshot.service_by_name(target).is_some();
        if is_known || self.allows(target) {
            return Ok(());
        }
        Err(if target.contains(['.', ':']) {
            OutboundError::Forbidden
        } else {
            OutboundError::UnknownTarget
        })
    }

    fn dispatch(
        &self,
        call: OutboundCall,
    ) -> LocalBoxFuture<'static, Result<OutboundResponse, OutboundError>> {
        let checked = self.check(&call.target);
        Box::pin(async move {
            checked?;
            let worker = WORKER.with_borrow(Weak::upgrade).ok_or(OutboundError::Connect)?;
            let limit = call.timeout.unwrap_or(TIMEOUT);
            tokio::time::timeout(limit, carry_out(&worker, call))
                .await
                .unwrap_or(Err(OutboundError::Timeout))
        })
    }

    fn open(&self, call: OutboundCall) -> OutboundStream {
        tracing::warn!(
            target = &*call.target,
            "streams over HTTP/2 cannot be opened by filters in this version"
        );
        NoOutbound.open(call)
    }
}

impl WorkerOutbound {
    fn allows(&self, target: &str) -> bool {
        let host = split_port(target).0;
        self.allowed_hosts.iter().any(|allowed| {
            allowed == "*" || allowed.eq_ignore_ascii_case(target) || allowed.eq_ignore_ascii_case(host)
        })
    }
}

async fn carry_out(worker: &Rc<Worker>, call: OutboundCall) -> Result<OutboundResponse, OutboundError> {
    // Written into the request line as it is.
    let path = PathAndQuery::try_from(call.path.as_str()).map_err(|_| OutboundError::Reset)?;
    let place = place(worker, &call).await?;
    let key = PoolKey {
        address: place.address,
        tls: place.tls.as_ref().map_or(0, |tls| tls.id),
        is_http2: false,
    };
    for _ in 0..MAX_REUSES {
        let Some(Lease::Http1(lease)) = worker.pool.reuse(key) else {
            break;
        };
        match exchange(lease, &call, &path, &place.host).await {
            Err(Attempt::Unsent) => {}
            Err(Attempt::Failed(error)) => return Err(error),
            Ok(response) => return Ok(response),
        }
    }
    let tls = place
        .tls
        .as_ref()
        .map(|tls| (&tls.config, tls.server_name.clone()));
    let connected = connect::connect(place.address, place.connect_timeout, tls)
        .await
        .map_err(|error| match error {
            ConnectError::Timeout => OutboundError::Timeout,
            _ => OutboundError::Connect,
        })?;
    let lease = worker
        .pool
        .open(key, connected)
        .await
        .map_err(|_| OutboundError::Connect)?;
    let Lease::Http1(lease) = lease else {
        return Err(OutboundError::Connect);
    };
    exchange(lease, &call, &path, &place.host)
        .await
        .map_err(|attempt| match attempt {
            Attempt::Unsent => OutboundError::Reset,
            Attempt::Failed(error) => error,
        })
}

/// Why there is no answer on a connection.
enum Attempt {
    /// It was dead: nothing was sent.
    Unsent,
    Failed(OutboundError),
}

async fn exchange(
    mut lease: Http1Lease<UpstreamBody>,
    call: &OutboundCall,
    path: &PathAndQuery,
    host: &HeaderValue,
) -> Result<OutboundResponse, Attempt> {
    let framing = framing(call);
    let body = (!call.body.is_empty()).then(|| UpstreamBody::Whole(Some(call.body.clone())));
    let out = lease.connection.begin(body, framing, call.method == Method::HEAD);
    write_head(call, path, host, framing, out);
    let head = match poll_fn(|cx| lease.connection.poll_head(cx)).await {
        Ok(head) => head,
        Err(_) if !lease.connection.is_begun() => return Err(Attempt::Unsent),
        Err(_) => return Err(Attempt::Failed(OutboundError::Reset)),
    };
    let mut body = BytesMut::new();
    let mut trailers = None;
    while let Some(frame) = poll_fn(|cx| lease.connection.poll_frame(cx)).await {
        match frame
            .map_err(|_| Attempt::Failed(OutboundError::Reset))?
            .into_data()
        {
            Ok(data) if body.len() + data.len() > call.max_response_bytes => {
                return Err(Attempt::Failed(OutboundError::TooLarge));
            }
            Ok(data) => body.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    lease.give_back();
    Ok(OutboundResponse {
        status: head.status,
        headers: head.headers,
        body: body.freeze(),
        trailers,
    })
}

fn framing(call: &OutboundCall) -> BodyFraming {
    if call.body.is_empty() && !matches!(call.method, Method::POST | Method::PUT | Method::PATCH) {
        return BodyFraming::Empty;
    }
    BodyFraming::Sized(call.body.len() as u64)
}

fn write_head(
    call: &OutboundCall,
    path: &PathAndQuery,
    host: &HeaderValue,
    framing: BodyFraming,
    out: &mut BytesMut,
) {
    out.put_slice(call.method.as_str().as_bytes());
    out.put_u8(b' ');
    out.put_slice(path.as_str().as_bytes());
    out.put_slice(b" HTTP/1.1\r\n");
    put_header(
        out,
        HOST.as_str(),
        call.authority.as_ref().unwrap_or(host).as_bytes(),
    );
    for (name, value) in headers_to_send(&call.headers) {
        put_header(out, name.as_str(), value.as_bytes());
    }
    if let BodyFraming::Sized(length) = framing {
        put_header(out, CONTENT_LENGTH.as_str(), length.to_string().as_bytes());
    }
    out.put_slice(b"\r\n");
}

fn headers_to_send(headers: &HeaderMap) -> impl Iterator<Item = (&http::HeaderName, &HeaderValue)> {
    headers
        .iter()
        .filter(|(name, _)| ![HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION].contains(name))
}

async fn place(worker: &Rc<Worker>, call: &OutboundCall) -> Result<Place, OutboundError> {
    let live = worker.live();
    if let Some(upstream) = live.snapshot.upstream_by_name(&call.target) {
        refuse_tls(call)?;
        let (address, host) = target_of(worker, upstream).await?;
        return Ok(plain(address, host_value(&host, None)?));
    }
    if let Some(service) = live.snapshot.service_by_name(&call.target) {
        return place_of_service(worker, service).await;
    }
    refuse_tls(call)?;
    let (host, port) = split_port(&call.target);
    let address = address_of(worker, host, port.unwrap_or(80)).await?;
    Ok(plain(address, host_value(host, port)?))
}

/// Only Services say how their certificates are checked.
fn refuse_tls(call: &OutboundCall) -> Result<(), OutboundError> {
    if call.tls == Some(true) {
        Err(OutboundError::Tls)
    } else {
        Ok(())
    }
}

async fn place_of_service(worker: &Rc<Worker>, service: &PlannedService) -> Result<Place, OutboundError> {
    let (address, host) = match &service.destination {
        Destination::Address(address) => (*address, service.host_header.clone()),
        Destination::Name(name, port) => (
            address_of(worker, name, *port).await?,
            service.host_header.clone(),
        ),
        Destination::Upstream(upstream) => {
            let (address, host) = target_of(worker, upstream).await?;
            (address, host_value(&host, Some(address.port()))?)
        }
    };
    let tls = service
        .is_tls
        .then(|| worker.tls_targets.get(service, &host, worker))
        .transpose()
        .map_err(|_| OutboundError::Tls)?;
    Ok(Place {
        address,
        host,
        tls,
        connect_timeout: service.connect_timeout,
    })
}

async fn target_of(
    worker: &Rc<Worker>,
    upstream: &PlannedUpstream,
) -> Result<(SocketAddr, String), OutboundError> {
    let target = upstream.next().ok_or(OutboundError::Connect)?;
    let host = upstream.host_header.as_deref().unwrap_or(&target.host).to_owned();
    match target.address {
        Some(address) => Ok((SocketAddr::new(address, target.port), host)),
        None => Ok((address_of(worker, &target.host, target.port).await?, host)),
    }
}

async fn address_of(worker: &Rc<Worker>, host: &str, port: u16) -> Result<SocketAddr, OutboundError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, port));
    }
    let addresses = worker
        .resolver
        .resolve(host)
        .await
        .map_err(|_| OutboundError::Resolve)?;
    addresses.next(port).ok_or(OutboundError::Resolve)
}

fn plain(address: SocketAddr, host: HeaderValue) -> Place {
    Place {
        address,
        host,
        tls: None,
        connect_timeout: TIMEOUT,
    }
}

fn host_value(host: &str, port: Option<u16>) -> Result<HeaderValue, OutboundError> {
    let text = match port {
        Some(port) if host.contains(':') => format!("[{host}]:{port}"),
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    HeaderValue::from_maybe_shared(Bytes::from(text)).map_err(|_| OutboundError::UnknownTarget)
}

/// `host:port`, `[address]:port`, or a host alone.
fn split_port(target: &str) -> (&str, Option<u16>) {
    let (host, port) = match target.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (target, None),
        },
        _ => (target, None),
    };
    (host.trim_start_matches('[').trim_end_matches(']'), port)
}
