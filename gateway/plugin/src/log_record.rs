//! The log object: what file-log, http-log and the other log plugins say about a request.
//!
//! Members and their meaning follow Kong, so that a collector set up for Kong understands the lines. A member without
//! a value is left out, never null. Durations are in milliseconds, sizes in bytes.

use crate::exchange::{Exchange, Source, Try};
use http::header::{AUTHORIZATION, CONTENT_LENGTH, DATE, PROXY_AUTHORIZATION, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

mod fields;
mod query;
#[cfg(test)]
mod tests;

/// Id of the one workspace, as in Kong without a database.
pub const WORKSPACE_ID: &str = "0dc6f45b-8f8d-40d2-a504-473544ee190b";
/// Its name.
pub const WORKSPACE_NAME: &str = "default";
/// Stands for the values of headers that carry credentials.
const REDACTED: &str = "REDACTED";

/// The log object of an exchange that is over.
#[must_use]
pub fn record(x: &Exchange) -> Value {
    let mut record = Map::new();
    let mut set = |name: &str, value: Value| record.insert(name.to_owned(), value);
    set("request", request(x));
    set("upstream_uri", Value::String(upstream_uri(x)));
    set("upstream_status", Value::String(upstream_status(x)));
    set("response", response(x));
    set("latencies", latencies(x));
    if x.route.is_some() {
        set(
            "tries",
            x.tries.iter().map(|attempt| try_record(x, attempt)).collect(),
        );
    }
    if let Some(credential) = &x.credential {
        let mut entity = json!({ "id": credential.id });
        if let (Value::Object(entity), Some(consumer)) = (&mut entity, credential.consumer) {
            entity.insert("consumer_id".to_owned(), json!(consumer));
        }
        set("authenticated_entity", entity);
    }
    if let Some(entry) = x.consumer() {
        set("consumer", entity(&entry.consumer, None));
    }
    if let Some(route) = x.route() {
        set("route", entity(route, Some(WORKSPACE_ID)));
    }
    if let Some(service) = x.service() {
        set("service", entity(service, Some(WORKSPACE_ID)));
    }
    if let Some(address) = x.client.address {
        set("client_ip", json!(address));
    }
    set("started_at", json!(x.timings.started_at_millis));
    set(
        "source",
        json!(if x.source == Source::Service {
            "upstream"
        } else {
            "kong"
        }),
    );
    set("workspace", json!(WORKSPACE_ID));
    set("workspace_name", json!(WORKSPACE_NAME));
    for (name, value) in &x.log_fields {
        fields::set(&mut record, name, value.clone());
    }
    Value::Object(record)
}

fn request(x: &Exchange) -> Value {
    let request = &x.request;
    let target = request.target.as_str();
    let mut record = json!({
        "id": text(&x.request_id),
        "uri": target,
        "url": format!("{}://{}:{}{target}", request.scheme, request.host, x.client.server_port),
        "querystring": query::decode(x.query().unwrap_or_default()),
        "method": request.method.as_str(),
        "size": request_size(x),
        "headers": headers(&request.headers),
    });
    if let (Value::Object(record), Some(tls)) = (&mut record, &x.client.tls) {
        let facts =
            json!({ "version": tls.version, "cipher": tls.cipher, "client_verify": tls.client_verify });
        record.insert("tls".to_owned(), facts);
    }
    record
}

fn response(x: &Exchange) -> Value {
    let response = &x.response;
    json!({
        "status": response.status.as_u16(),
        "size": response_size(x),
        "headers": headers(&response.headers),
    })
}

/// Bytes of the request as Kong's `request_length` counts them: head and body. HTTP/2 compresses heads, so there it is
/// the size that the head would have in HTTP/1.1.
#[must_use]
pub fn request_size(x: &Exchange) -> u64 {
    let request = &x.request;
    let head = if request.head_size == 0 {
        let line = request.method.as_str().len() + request.target.as_str().len() + "  HTTP/2.0\r\n".len();
        (line + header_lines(&request.headers) + 2) as u64
    } else {
        request.head_size
    };
    head + x.request_body_bytes
}

/// Bytes of the lines of header fields.
fn header_lines(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len())
        .sum()
}

/// Bytes of the response as Kong's `bytes_sent` counts them: head and body. The head is that of HTTP/1.1, so for HTTP/2
/// this is the size before compression; the frames of chunks are not counted.
#[must_use]
pub fn response_size(x: &Exchange) -> u64 {
    let head = x.response_head_bytes.unwrap_or_else(|| response_head_size(x));
    head + x.response_body_bytes
}

/// Bytes of the response head as it goes out over HTTP/1.1.
#[must_use]
pub fn response_head_size(x: &Exchange) -> u64 {
    let response = &x.response;
    let reason = response.status.canonical_reason().unwrap_or_default().len();
    let (mut is_dated, mut is_framed) = (false, false);
    let mut size = "HTTP/1.1 200 \r\n".len() + reason;
    for (name, value) in &response.headers {
        size += name.as_str().len() + value.len() + ": \r\n".len();
        is_dated |= *name == DATE;
        is_framed |= *name == CONTENT_LENGTH || *name == TRANSFER_ENCODING;
    }
    // What is written after the last phase: the date and, where no length is known, the framing.
    if !is_dated {
        size += "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n".len();
    }
    let status = response.status;
    let has_no_body =
        status.is_informational() || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
    if !is_framed && !has_no_body && x.request.version == Version::HTTP_11 {
        size += "transfer-encoding: chunked\r\n".len();
    }
    (size + 2) as u64
}

/// Names are lower case already; a repeated header is an array.
fn headers(headers: &HeaderMap) -> Value {
    let mut record = Map::with_capacity(headers.keys_len());
    for name in headers.keys() {
        let mut values = headers
            .get_all(name)
            .iter()
            .map(|value| header_value(name, value));
        let value = match (values.next(), values.next()) {
            (Some(only), None) => only,
            (Some(first), Some(second)) => [first, second].into_iter().chain(values).collect(),
            (None, _) => continue,
        };
        record.insert(name.as_str().to_owned(), value);
    }
    Value::Object(record)
}

fn header_value(name: &HeaderName, value: &HeaderValue) -> Value {
    let holds_secret = *name == AUTHORIZATION || *name == PROXY_AUTHORIZATION;
    Value::String(if holds_secret {
        REDACTED.to_owned()
    } else {
        text(value)
    })
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

fn was_proxied(x: &Exchange) -> bool {
    x.timings.upstream_start.is_some() || !x.tries.is_empty()
}

/// Path and query sent upstream; empty when nothing was.
fn upstream_uri(x: &Exchange) -> String {
    if !was_proxied(x) {
        return String::new();
    }
    let path = if x.upstream.has_path {
        x.upstream.path.as_str()
    } else {
        x.request.target.path()
    };
    match x.query() {
        Some(query) if !path.contains('?') => format!("{path}?{query}"),
        _ => path.to_owned(),
    }
}

/// One status per try: `502, 200`.
fn upstream_status(x: &Exchange) -> String {
    let failed = x
        .tries
        .iter()
        .filter_map(|attempt| attempt.failure.map(|(_, code)| code));
    let answered = x.upstream_status.map(|status| status.as_u16());
    // A try that failed with a response has its status in the list already.
    let is_listed = x
        .tries
        .last()
        .is_some_and(|last| last.failure.is_some_and(|(_, code)| Some(code) == answered));
    let last = answered.filter(|_| !is_listed);
    let statuses: Vec<String> = failed.chain(last).map(|status| status.to_string()).collect();
    statuses.join(", ")
}

fn latencies(x: &Exchange) -> Value {
    let timings = &x.timings;
    let now = Instant::now();
    let total = now.saturating_duration_since(timings.start);
    let kong = timings
        .upstream_start
        .map_or(total, |start| start.saturating_duration_since(timings.start));
    let proxy = match (timings.upstream_start, timings.upstream_head) {
        (Some(start), Some(head)) => millis(head.saturating_duration_since(start)),
        _ => -1,
    };
    let receive = timings
        .upstream_head
        .map_or(Duration::ZERO, |head| now.saturating_duration_since(head));
    json!({ "kong": millis(kong), "proxy": proxy, "request": millis(total), "receive": millis(receive) })
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn try_record(x: &Exchange, attempt: &Try) -> Value {
    let started = Duration::from_millis(x.timings.started_at_millis) + attempt.started;
    let mut record = json!({
        "balancer_start": millis(started),
        "balancer_start_ns": nanos(started),
        "balancer_latency": millis(attempt.choice),
        "balancer_latency_ns": nanos(attempt.choice),
        "ip": attempt.address.without_port(),
        "port": attempt.address.port(),
    });
    if let (Value::Object(record), Some((state, code))) = (&mut record, attempt.failure) {
        record.insert("state".to_owned(), json!(state));
        record.insert("code".to_owned(), json!(code));
    }
    record
}

/// A whole entity without its unset members.
fn entity(entity: &impl Serialize, workspace: Option<&str>) -> Value {
    let mut value = serde_json::to_value(entity).unwrap_or_default();
    if let Value::Object(members) = &mut value {
        members.retain(|_, value| !value.is_null());
        if let Some(workspace) = workspace {
            members.insert("ws_id".to_owned(), json!(workspace));
        }
    }
    value
}
