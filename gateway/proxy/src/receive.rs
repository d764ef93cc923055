//! From a request to an exchange: host, path, client address, request id.

use crate::bodies::{BodySource, ClientStream, Progress, Sending, UpstreamStream};
use crate::hop_by_hop::clean_request;
use crate::phases::Flow;
use crate::real_ip;
use crate::serve::Connection;
use crate::worker::Worker;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Version};
use hyper::body::{Body, Incoming};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::rc::Rc;
use std::time::Instant;
use tidegate_model::normalize::normalize_path;
use tidegate_net::gate::{GateLimits, RequestFault, check_h2, remove_ignored_headers};
use tidegate_plugin::Exchange;
use tidegate_plugin::body::RequestBody;
use tidegate_plugin::exchange::{Client, Request, SnapshotView, Timings};

/// A request as it came off its connection.
pub(crate) struct Received {
    pub(crate) method: Method,
    pub(crate) target: PathAndQuery,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    /// `:authority` of HTTP/2.
    pub(crate) authority: Option<HeaderValue>,
    /// `None`: there is none.
    pub(crate) body: Option<ClientStream>,
    /// Why an HTTP/2 request is refused; the gate of HTTP/1 tells its connection.
    pub(crate) fault: Option<RequestFault>,
}

impl Received {
    /// From a stream of HTTP/2.
    pub(crate) fn http2(request: http::Request<Incoming>, limits: &GateLimits) -> Self {
        let (mut parts, incoming) = request.into_parts();
        let fault = check_h2(&parts, limits).err();
        remove_ignored_headers(&mut parts.headers);
        let authority = parts.uri.authority();
        let authority = authority.and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
        let target = parts.uri.into_parts().path_and_query;
        Self {
            method: parts.method,
            target: target.unwrap_or_else(|| PathAndQuery::from_static("/")),
            version: parts.version,
            headers: parts.headers,
            authority,
            body: (!incoming.is_end_stream()).then_some(ClientStream::Http2(incoming)),
            fault,
        }
    }
}

/// Turns a request into a flow and its body.
pub(crate) fn receive(
    worker: &Rc<Worker>,
    connection: &Rc<Connection>,
    received: Received,
) -> (Box<Flow>, BodySource) {
    let Received {
        method,
        target,
        version,
        mut headers,
        authority,
        body,
        fault: _,
    } = received;
    let raw_host = match authority {
        Some(authority) => {
            headers.insert(HOST, authority.clone());
            Some(authority)
        }
        None => headers.get(HOST).cloned(),
    };
    let wants = clean_request(&mut headers);
    let normalized_path = match normalize_path(target.path().as_bytes()) {
        Cow::Borrowed(_) => None,
        Cow::Owned(path) => Some(path.into_boxed_slice()),
    };
    let client = client(worker, connection, &headers);
    let request = Request {
        method,
        target,
        version,
        scheme: connection.scheme,
        host: host_name(raw_host.as_ref()),
        raw_host,
        normalized_path,
        headers,
        body: RequestBody::Streaming,
        head_size: connection.take_head_size(),
    };
    let timings = Timings {
        started_at_millis: worker.now_millis(),
        start: Instant::now(),
        upstream_start: None,
        upstream_head: None,
    };
    let live = worker.live();
    let view: Rc<dyn SnapshotView> = Rc::clone(&live) as Rc<dyn SnapshotView>;
    let x = Exchange::new(view, client, request, worker.request_id(), timings);
    let progress = Progress::new();
    let body = match body {
        None => BodySource::Empty,
        Some(stream) => {
            let limits = &worker.settings.client;
            let deadline = worker.watchdog.deadline();
            BodySource::Stream(Box::new(UpstreamStream::new(
                stream,
                deadline,
                limits.body_timeout,
                limits.max_body_bytes,
                Rc::clone(&progress),
            )))
        }
    };
    let flow = Flow {
        x,
        worker: Rc::clone(worker),
        live,
        connection: Rc::clone(connection),
        wants,
        progress,
        sending: Sending::default(),
        filters: None,
        balancing: None,
        selected: SmallVec::new(),
        is_proxied: false,
        is_counted_upstream: false,
        is_answered: false,
    };
    (Box::new(flow), body)
}

fn client(worker: &Worker, connection: &Connection, headers: &HeaderMap) -> Client {
    let mut client = Client {
        address: connection.client_address,
        port: connection.client_port,
        peer_address: connection.peer_address,
        is_trusted: connection.is_trusted,
        server_address: connection.server_address,
        server_port: connection.server_port,
        connection_serial: connection.serial,
        connection_requests: connection.requests.get(),
        tls: connection.tls.clone(),
    };
    if client.is_trusted
        && let Some((address, port)) =
            real_ip::resolve(headers, &worker.settings.real_ip, &worker.settings.trusted)
    {
        client.address = Some(address);
        client.port = port.unwrap_or(client.port);
    }
    client
}

/// Host without its port, in lower case.
fn host_name(raw: Option<&HeaderValue>) -> Box<str> {
    let Some(host) = raw.and_then(|value| value.to_str().ok()) else {
        return Box::default();
    };
    split_host(host).0.to_ascii_lowercase().into_boxed_str()
}

/// Host and the digits of its port; an address without brackets has no port.
fn split_host(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port))
            if !name.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) && !is_bare_ipv6(name) =>
        {
            (name, Some(port))
        }
        _ => (host, None),
    }
}

fn is_bare_ipv6(name: &str) -> bool {
    name.contains(':') && !name.ends_with(']')
}

/// Port in a Host header.
pub(crate) fn host_port(raw: Option<&HeaderValue>) -> Option<u16> {
    split_host(raw?.to_str().ok()?).1?.parse().ok()
}
