//! Headers of the upstream request (kong-core E.1).

use crate::phases::Flow;
use crate::settings::PRODUCT;
use http::header::{CONNECTION, EXPECT, HOST, TE, UPGRADE, VIA};
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use std::sync::LazyLock;
use tidegate_model::normalize::escape_path;
use tidegate_plugin::headers::{
    X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PATH, X_FORWARDED_PORT, X_FORWARDED_PREFIX,
    X_FORWARDED_PROTO, X_KONG_REQUEST_ID, X_REAL_IP,
};

/// Host that stands in `X-Forwarded-Host` when an HTTP/1.0 client sent none, as Kong's server name does.
const NAMELESS_HOST: &str = "kong";

/// Builds the header map for the upstream: the client's headers as plugins left them, then what the gateway says.
pub(crate) fn upstream_headers(flow: &Flow, host: Option<&HeaderValue>) -> HeaderMap {
    let x = &flow.x;
    let mut headers = HeaderMap::with_capacity(x.request.headers.len() + 14);
    for (name, value) in &x.request.headers {
        headers.append(name.clone(), value.clone());
    }
    // Expect is answered by the gateway itself: hyper sends 100 when the body is first read.
    headers.remove(EXPECT);
    match host {
        Some(host) => drop(headers.insert(HOST, host.clone())),
        None => drop(headers.remove(HOST)),
    }
    forwarding(flow, &mut headers);
    append_via(&mut headers, request_via(x.request.version));
    if flow.worker.settings.headers.request_id_upstream {
        headers.insert(X_KONG_REQUEST_ID, x.request_id.clone());
    }
    if flow.wants.websocket {
        headers.insert(CONNECTION, HeaderValue::from_static("keep-alive, Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    } else {
        headers.insert(CONNECTION, HeaderValue::from_static("keep-alive"));
    }
    if flow.wants.trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    headers
}

fn forwarding(flow: &Flow, headers: &mut HeaderMap) {
    let (x, connection) = (&flow.x, &flow.connection);
    let trusted = x.client.is_trusted;
    match x.client.address {
        Some(address) if Some(address) != x.client.peer_address => {
            headers.insert(X_REAL_IP, text(&address.to_string()));
        }
        _ => drop(headers.insert(X_REAL_IP, connection.peer_header.clone())),
    }
    append_to_list(headers, X_FORWARDED_FOR, connection.peer_header.clone());
    // A trusted peer's own words stand; an untrusted one's are replaced.
    let mut say = |name: HeaderName, value: &dyn Fn() -> Option<HeaderValue>| {
        if trusted && headers.contains_key(&name) {
            return;
        }
        match value() {
            Some(value) => drop(headers.insert(name, value)),
            None => drop(headers.remove(name)),
        }
    };
    say(X_FORWARDED_PROTO, &|| {
        Some(HeaderValue::from_static(x.request.scheme))
    });
    say(X_FORWARDED_HOST, &|| {
        Some(text(if x.request.host.is_empty() {
            NAMELESS_HOST
        } else {
            &x.request.host
        }))
    });
    say(X_FORWARDED_PORT, &|| Some(connection.port_header.clone()));
    say(X_FORWARDED_PATH, &|| Some(text(x.request.target.path())));
    say(X_FORWARDED_PREFIX, &|| {
        x.stripped_prefix
            .as_deref()
            .filter(|prefix| *prefix != b"/")
            .map(prefix_value)
    });
}

/// Appends to `Via`.
pub(crate) fn append_via(headers: &mut HeaderMap, own: HeaderValue) {
    append_to_list(headers, VIA, own);
}

/// Appends to a list header, joining lines that are there already into one.
fn append_to_list(headers: &mut HeaderMap, name: HeaderName, own: HeaderValue) {
    let Some(first) = headers.get(&name) else {
        headers.insert(name, own);
        return;
    };
    let mut list = first.as_bytes().to_vec();
    for value in headers.get_all(&name).iter().skip(1).chain([&own]) {
        list.extend_from_slice(b", ");
        list.extend_from_slice(value.as_bytes());
    }
    if let Ok(value) = HeaderValue::from_bytes(&list) {
        headers.insert(name, value);
    }
}

/// `<received version> tidegate/VERSION`; Kong writes 1.0 as `1`.
fn request_via(version: Version) -> HeaderValue {
    match version {
        Version::HTTP_09 | Version::HTTP_10 => VIA_1_0.clone(),
        Version::HTTP_2 => VIA_2.clone(),
        _ => VIA_1_1.clone(),
    }
}

/// `Via` of a response: the version that the upstream spoke.
pub(crate) fn response_via(is_grpc: bool) -> HeaderValue {
    if is_grpc { VIA_2.clone() } else { VIA_1_1.clone() }
}

/// `Server` of the gateway.
pub(crate) fn server() -> HeaderValue {
    SERVER.clone()
}

// Static bytes: cloning them touches no reference count.
static VIA_1_0: LazyLock<HeaderValue> =
    LazyLock::new(|| HeaderValue::from_static(concat!("1 tidegate/", env!("CARGO_PKG_VERSION"))));
static VIA_1_1: LazyLock<HeaderValue> =
    LazyLock::new(|| HeaderValue::from_static(concat!("1.1 tidegate/", env!("CARGO_PKG_VERSION"))));
static VIA_2: LazyLock<HeaderValue> =
    LazyLock::new(|| HeaderValue::from_static(concat!("2 tidegate/", env!("CARGO_PKG_VERSION"))));
static SERVER: LazyLock<HeaderValue> = LazyLock::new(|| HeaderValue::from_static(PRODUCT));

/// The decoded prefix, as Kong sends it; bytes that no header can carry are escaped.
fn prefix_value(prefix: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(prefix)
        .or_else(|_| HeaderValue::from_bytes(&escape_path(prefix)))
        .unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).unwrap_or_else(|_| HeaderValue::from_static(""))
}
