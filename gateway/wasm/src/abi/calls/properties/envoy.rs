//! Envoy's attributes.

use super::Value;
use crate::abi::maps::{self, Scratch};
use http::{HeaderMap, Version};
use std::borrow::Cow;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tidegate_plugin::Exchange;

pub(super) fn get<'x>(x: &'x Exchange, path: &[&str]) -> Option<Value<'x>> {
    match path {
        ["request", rest @ ..] => request(x, rest),
        ["response", rest @ ..] => response(x, rest),
        ["source", rest @ ..] => address(x.client.address, x.client.port, rest),
        ["destination", rest @ ..] => address(x.client.server_address, x.client.server_port, rest),
        ["connection", rest @ ..] => connection(x, rest),
        ["connection_id"] => Some(Value::Uint(x.client.connection_serial)),
        ["upstream", rest @ ..] => upstream(x, rest),
        ["cluster_name"] | ["xds", "cluster_name"] => Some(Value::text(&x.service()?.host)),
        ["route_name"] | ["xds", "route_name"] => {
            let route = x.route()?;
            Some(match &route.name {
                Some(name) => Value::text(name),
                None => Value::owned(route.id.to_string()),
            })
        }
        ["xds", "virtual_host_name"] => Some(Value::text(&x.request.host)),
        _ => None,
    }
}

fn request<'x>(x: &'x Exchange, path: &[&str]) -> Option<Value<'x>> {
    let header = |name: &str| {
        x.request
            .headers
            .get(name)
            .map(|value| Value::Text(Cow::Borrowed(value.as_bytes())))
    };
    Some(match path {
        ["path"] => path_value(maps::path(x)),
        ["url_path"] => match maps::path(x) {
            Cow::Borrowed(path) => Value::text(path.split('?').next().unwrap_or_default()),
            Cow::Owned(path) => Value::owned(path.split('?').next().unwrap_or_default().to_owned()),
        },
        ["query"] => Value::text(x.query().unwrap_or_default()),
        ["host"] => Value::Text(Cow::Borrowed(maps::authority(x))),
        ["scheme"] => Value::text(x.request.scheme),
        ["method"] => Value::text(x.upstream_method().as_str()),
        ["referer"] => return header("referer"),
        ["useragent"] => return header("user-agent"),
        ["id"] => Value::Text(Cow::Borrowed(x.request_id.as_bytes())),
        ["protocol"] => Value::text(protocol(x.request.version)),
        ["headers"] => Value::Fields(&x.request.headers),
        ["headers", name] => return joined(&x.request.headers, name),
        ["headers_bytes"] => Value::Int(size(&x.request.headers)),
        ["size"] => Value::Int(request_size(x)),
        ["total_size"] => Value::Int(int(x.request.head_size).saturating_add(request_size(x))),
        ["time"] => Value::Int(int(x.timings.started_at_millis).saturating_mul(1_000_000)),
        ["duration"] => Value::Int(nanos(x.timings.start.elapsed())),
        _ => return None,
    })
}

fn path_value(path: Cow<'_, str>) -> Value<'_> {
    match path {
        Cow::Borrowed(path) => Value::text(path),
        Cow::Owned(path) => Value::owned(path),
    }
}

/// What the header promises, until bytes were counted.
fn request_size(x: &Exchange) -> i64 {
    let announced = x.request.headers.get("content-length");
    let announced = announced.and_then(|value| value.to_str().ok()?.parse().ok());
    announced.unwrap_or_else(|| int(x.request_body_bytes))
}

fn response<'x>(x: &'x Exchange, path: &[&str]) -> Option<Value<'x>> {
    // Before there is a head nothing is known.
    let is_there = x.upstream_status.is_some() || !x.response.headers.is_empty() || x.response_body_bytes > 0;
    Some(match path {
        ["code_details"] => Value::text(x.find_slot::<Scratch>()?.details.as_deref()?),
        ["flags"] => Value::Int(0),
        _ if !is_there => return None,
        ["code"] => Value::Int(i64::from(x.response.status.as_u16())),
        ["grpc_status"] => {
            let status = x.response.headers.get("grpc-status")?;
            Value::Int(status.to_str().ok()?.parse().ok()?)
        }
        ["headers"] => Value::Fields(&x.response.headers),
        ["headers", name] => return joined(&x.response.headers, name),
        ["headers_bytes"] => Value::Int(size(&x.response.headers)),
        ["size"] => Value::Int(int(x.response_body_bytes)),
        ["total_size"] => Value::Int(size(&x.response.headers).saturating_add(int(x.response_body_bytes))),
        ["backend_latency"] => {
            let (start, head) = x.timings.upstream_start.zip(x.timings.upstream_head)?;
            Value::Int(nanos(between(start, head)))
        }
        _ => return None,
    })
}

fn address(address: Option<IpAddr>, port: u16, path: &[&str]) -> Option<Value<'static>> {
    match path {
        ["address"] => Some(Value::owned(
            std::net::SocketAddr::new(address?, port).to_string(),
        )),
        ["port"] => Some(Value::Int(i64::from(port))),
        _ => None,
    }
}

fn connection<'x>(x: &'x Exchange, path: &[&str]) -> Option<Value<'x>> {
    let tls = x.client.tls.as_deref();
    Some(match path {
        ["id"] => Value::Uint(x.client.connection_serial),
        ["mtls"] => Value::Bool(tls.is_some_and(|tls| tls.client_verify == "SUCCESS")),
        ["requested_server_name"] => Value::text(tls?.sni.as_deref()?),
        ["tls_version"] => Value::text(tls?.version),
        _ => return None,
    })
}

fn upstream(x: &Exchange, path: &[&str]) -> Option<Value<'static>> {
    let last = x.tries.last()?;
    Some(match path {
        ["address"] => Value::owned(last.address.to_string()),
        ["port"] => Value::Int(i64::from(last.address.port()?)),
        ["request_attempt_count"] => Value::Uint(x.tries.len() as u64),
        _ => return None,
    })
}

/// All values of a name, joined by commas as Envoy joins them.
fn joined<'x>(headers: &'x HeaderMap, name: &str) -> Option<Value<'x>> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    let Some(second) = values.next() else {
        return Some(Value::Text(Cow::Borrowed(first.as_bytes())));
    };
    let mut all = first.as_bytes().to_vec();
    for value in std::iter::once(second).chain(values) {
        all.push(b',');
        all.extend_from_slice(value.as_bytes());
    }
    Some(Value::Text(Cow::Owned(all)))
}

pub(super) const fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_3 => "HTTP/3",
        _ => "HTTP/1.1",
    }
}

fn size(headers: &HeaderMap) -> i64 {
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn between(start: Instant, end: Instant) -> Duration {
    end.saturating_duration_since(start)
}
