//! Properties of Kong's Wasm support. All values are text.

use super::{Value, envoy};
use crate::abi::status::Status;
use crate::generation::Generation;
use http::{HeaderMap, StatusCode};
use serde_json::Value as Json;
use std::borrow::Cow;
use std::str;
use tidegate_plugin::{Exchange, Source};

pub(super) fn get<'x>(x: &'x Exchange, generation: &Generation, path: &[&str]) -> Option<Value<'x>> {
    match path {
        ["kong", rest @ ..] => kong(x, generation, rest),
        ["ngx", name] => ngx(x, name),
        ["worker_id"] => Some(Value::text("0")),
        ["request", "is_subrequest"] => Some(Value::text("false")),
        _ => None,
    }
}

fn kong<'x>(x: &'x Exchange, generation: &Generation, path: &[&str]) -> Option<Value<'x>> {
    Some(match path {
        ["client", "protocol"] | ["request", "forwarded_scheme"] => Value::text(x.request.scheme),
        ["request", "forwarded_host"] => Value::text(&x.request.host),
        ["request", "forwarded_port"] | ["request", "port"] => Value::owned(x.client.server_port.to_string()),
        ["route_id"] => Value::owned(x.route()?.id.to_string()),
        ["route_name"] => Value::text(x.route()?.name.as_deref()?),
        ["service_id"] => Value::owned(x.service()?.id.to_string()),
        ["service_name"] => Value::text(x.service()?.name.as_deref()?),
        ["router", "route"] => Value::owned(serde_json::to_string(x.route()?).ok()?),
        ["router", "service"] => Value::owned(serde_json::to_string(x.service()?).ok()?),
        ["response", "source"] => Value::text(match x.source {
            Source::Service => "service",
            Source::Exit => "exit",
            Source::Error => "error",
        }),
        ["response", "status"] => Value::text(x.response.status.as_str()),
        ["service", "response", "status"] => Value::text(x.upstream_status.as_ref()?.as_str()),
        ["consumer_id"] => Value::owned(x.consumer()?.consumer.id.to_string()),
        ["consumer_username"] => Value::text(x.consumer()?.consumer.username.as_deref()?),
        ["consumer_custom_id"] => Value::text(x.consumer()?.consumer.custom_id.as_deref()?),
        ["credential_id"] => Value::owned(x.credential.as_ref()?.id.to_string()),
        ["ctx", "shared", key @ ..] if !key.is_empty() => shared(x, &key.join("."))?,
        ["node", "id"] => Value::owned(generation.host.services.node_id.to_string()),
        _ => return None,
    })
}

fn shared<'x>(x: &'x Exchange, key: &str) -> Option<Value<'x>> {
    Some(match x.shared.as_deref()?.get(key)? {
        Json::String(text) => Value::text(text),
        Json::Null => return None,
        other => Value::owned(other.to_string()),
    })
}

/// The variables of nginx that filters were seen to read.
fn ngx<'x>(x: &'x Exchange, name: &str) -> Option<Value<'x>> {
    if let Some(header) = name.strip_prefix("sent_http_") {
        return field(&x.response.headers, header);
    }
    if let Some(header) = name.strip_prefix("http_") {
        return field(&x.request.headers, header);
    }
    Some(match name {
        "request_uri" => Value::text(x.request.target.as_str()),
        "uri" => Value::Text(Cow::Borrowed(x.request.path())),
        "args" | "query_string" => Value::text(x.query().unwrap_or_default()),
        "host" => Value::text(&x.request.host),
        "hostname" => Value::owned(x.snapshot.services().hostname.clone()),
        "remote_addr" => Value::owned(x.client.address?.to_string()),
        "remote_port" => Value::owned(x.client.port.to_string()),
        "server_addr" => Value::owned(x.client.server_address?.to_string()),
        "server_port" => Value::owned(x.client.server_port.to_string()),
        "scheme" => Value::text(x.request.scheme),
        "request_method" => Value::text(x.request.method.as_str()),
        "server_protocol" => Value::text(envoy::protocol(x.request.version)),
        "status" => Value::text(x.response.status.as_str()),
        "pid" => Value::owned(std::process::id().to_string()),
        "request_id" => Value::Text(Cow::Borrowed(x.request_id.as_bytes())),
        "bytes_sent" => Value::owned(x.response_body_bytes.to_string()),
        "request_length" => Value::owned((x.request.head_size + x.request_body_bytes).to_string()),
        "ssl_protocol" => Value::text(x.client.tls.as_deref()?.version),
        _ => return None,
    })
}

/// nginx writes header names with underscores.
fn field<'x>(headers: &'x HeaderMap, name: &str) -> Option<Value<'x>> {
    let value = headers.get(name.replace('_', "-"))?;
    Some(Value::Text(Cow::Borrowed(value.as_bytes())))
}

/// Sets what Kong lets filters set. `None`: not one of its properties, to be stored as it is.
pub(super) fn set(x: &mut Exchange, path: &[&str], value: &[u8]) -> Option<Result<(), Status>> {
    let text = str::from_utf8(value).map_err(|_| Status::BadArgument);
    Some(match path {
        ["kong", "response", "status"] => StatusCode::from_bytes(value)
            .map(|status| x.response.status = status)
            .map_err(|_| Status::BadArgument),
        ["kong", "ctx", "shared", key @ ..] if !key.is_empty() => text.map(|text| {
            let shared = x.shared.get_or_insert_with(Box::default);
            shared.insert(key.join("."), Json::String(text.to_owned()));
        }),
        ["ngx", "args" | "query_string"] => text.map(|text| x.set_query(text.to_owned())),
        // Where the request goes is chosen after the filters; the choice reads these.
        ["kong", "service", "target" | "upstream"] | ["kong", "service", "request", "scheme"] => return None,
        ["ngx", _] | ["kong", ..] => Err(Status::BadArgument),
        // Asked for where bodies are opt-in; here body callbacks always run.
        ["wasm_process_req_body" | "wasm_process_resp_body"] => Ok(()),
        _ => return None,
    })
}
