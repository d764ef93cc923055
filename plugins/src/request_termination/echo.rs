//! The document that shows a request to whoever sent it.

use crate::query::{ArgumentValue, Arguments};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};
use tidegate_plugin::AccessCx;

/// Gateway, request, route and service.
pub(super) fn document(message: Option<&str>, x: &AccessCx<'_>) -> Value {
    let services = x.services();
    let body = x.request_body().filter(|body| !body.is_empty());
    let mut document = json!({
        "message": message,
        "kong": {
            "node_id": services.node_id,
            "worker_pid": std::process::id(),
            "hostname": services.hostname,
        },
        "request": {
            "scheme": x.request.scheme,
            "host": x.request.host,
            "port": x.client.server_port,
            "headers": headers(&x.request.headers),
            "query": arguments(&Arguments::parse(x.query().unwrap_or_default().as_bytes())),
            "body": body.and_then(|body| parsed(&x.request.headers, body)),
            "raw_body": body.map(|body| String::from_utf8_lossy(body)),
            "method": x.request.method.as_str(),
            "path": String::from_utf8_lossy(x.request.path()),
            "uri_captures": captures(x),
        },
        "matched_route": x.route().and_then(|route| serde_json::to_value(route).ok()),
        "matched_service": x.service().and_then(|service| serde_json::to_value(service).ok()),
    });
    if let Value::Object(members) = &mut document {
        members.retain(|_, value| !value.is_null());
        if let Some(Value::Object(request)) = members.get_mut("request") {
            request.retain(|_, value| !value.is_null());
        }
    }
    document
}

/// One value is itself, several are a list.
fn one_or_list(mut values: Vec<Value>) -> Value {
    match values.len() {
        1 => values.swap_remove(0),
        _ => Value::Array(values),
    }
}

fn headers(headers: &HeaderMap) -> Value {
    let text = |value: &http::HeaderValue| Value::from(String::from_utf8_lossy(value.as_bytes()));
    let member = |name: &http::HeaderName| {
        (
            name.as_str().to_owned(),
            one_or_list(headers.get_all(name).iter().map(text).collect()),
        )
    };
    Value::Object(headers.keys().map(member).collect())
}

fn arguments(arguments: &Arguments) -> Value {
    let text = |value: &ArgumentValue| match value {
        ArgumentValue::Flag => Value::Bool(true),
        ArgumentValue::Text(text) => Value::from(String::from_utf8_lossy(text)),
    };
    let member = |argument: &crate::query::Argument| {
        let name = String::from_utf8_lossy(&argument.name).into_owned();
        (name, one_or_list(argument.values.iter().map(text).collect()))
    };
    Value::Object(arguments.iter().map(member).collect::<Map<_, _>>())
}

fn parsed(headers: &HeaderMap, body: &[u8]) -> Option<Value> {
    let content_type = headers.get(CONTENT_TYPE)?.as_bytes().to_ascii_lowercase();
    if content_type.starts_with(b"application/json") {
        serde_json::from_slice(body).ok()
    } else if content_type.starts_with(b"application/x-www-form-urlencoded") {
        Some(arguments(&Arguments::parse(body)))
    } else {
        None
    }
}

/// Named groups by name; the others in order, without the whole match.
fn captures(x: &AccessCx<'_>) -> Value {
    let Some(captures) = &x.captures else {
        return json!({ "named": {}, "unnamed": [] });
    };
    let named: Map<_, _> = captures
        .names
        .iter()
        .filter_map(|(name, index)| Some((name.clone(), Value::from(captures.number(*index)?))))
        .collect();
    let unnamed: Vec<_> = captures
        .groups
        .iter()
        .skip(1)
        .map(|group| Value::from(group.as_deref()))
        .collect();
    json!({ "named": named, "unnamed": unnamed })
}
