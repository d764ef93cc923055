//! The exchange that tests begin with.

use crate::body::RequestBody;
use crate::exchange::{Client, Exchange, Request, RouteIndex, ServiceIndex, SnapshotView, Timings};
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Version};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A request to `gateway.test` from 127.0.0.1:40000 that matched the first route and service of its world, where there
/// are any.
#[must_use]
pub fn exchange(world: Rc<dyn SnapshotView>, method: Method, target: PathAndQuery) -> Exchange {
    let localhost = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let client = Client {
        address: localhost,
        port: 40_000,
        peer_address: localhost,
        server_address: localhost,
        server_port: 8000,
        connection_serial: 1,
        connection_requests: 1,
        ..Client::default()
    };
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_static("gateway.test"));
    let request = Request {
        method,
        target,
        version: Version::HTTP_11,
        scheme: "http",
        host: "gateway.test".into(),
        raw_host: Some(HeaderValue::from_static("gateway.test")),
        normalized_path: None,
        headers,
        body: RequestBody::Streaming,
        head_size: 100,
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let timings = Timings {
        started_at_millis: now.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)),
        start: Instant::now(),
        upstream_start: None,
        upstream_head: None,
    };
    let route = world.route(RouteIndex(0)).map(|_| RouteIndex(0));
    let service = world.service(ServiceIndex(0)).map(|_| ServiceIndex(0));
    let request_id = HeaderValue::from_static("0123456789abcdef0123456789abcdef");
    let mut exchange = Exchange::new(world, client, request, request_id, timings);
    exchange.route = route;
    exchange.service = service;
    exchange
}
