//! What was seen, without what differs from run to run: ids, dates, durations, the product's own name.

use super::case::{Fields, Forwarded, Observation};
use regex::Regex;
use serde_json::Value;
use std::sync::LazyLock;
use tidegate_tests::http1::{Headers, ReadError};
use tidegate_tests::{Recorded, Response};

/// A regex that is compiled once.
macro_rules! pattern {
    ($name:ident, $source:literal) => {
        static $name: LazyLock<Regex> = LazyLock::new(|| Regex::new($source).unwrap());
    };
}

pattern!(PRODUCT, r"(?i)\b(?:kong|tidegate)/\d+(?:\.\d+)*[-\w.]*");
pattern!(REQUEST_ID, r"(?i)(request[_ -]?id\W{1,10})[0-9a-f]{32}");
pattern!(
    UUID,
    r"(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"
);
pattern!(TRACKER, r"^\d+\.\d+\.\d+\.\d+-\d+-\d+-\d+-\d+-[\d.]+$");
pattern!(COUNTED, r"^<uuid>#\d+$");

/// Bytes as text, one character each.
pub(super) fn decode(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// Text whose characters stand for one byte each.
pub(super) fn encode(text: &str) -> Vec<u8> {
    let byte = |c| u8::try_from(u32::from(c)).expect("recordings are Latin-1");
    text.chars().map(byte).collect()
}

/// Whether the text is one generated id and nothing else.
pub(super) fn is_uuid(text: &str) -> bool {
    UUID.find(text).is_some_and(|found| found.as_str() == text)
}

/// What came back and what the upstream got.
pub(super) fn observation(answer: &Result<Response, ReadError>, upstream: &[Recorded]) -> Observation {
    let mut seen = match answer {
        Ok(response) => response_of(response),
        Err(error) => Observation {
            error: Some(format!("{error:?}")),
            ..Observation::default()
        },
    };
    seen.upstream = Some(upstream.iter().map(forwarded).collect());
    seen
}

fn response_of(response: &Response) -> Observation {
    let raw = decode(&response.body);
    let body = steady(&raw);
    let mut seen = Observation {
        status: Some(response.status),
        headers: fields(&response.headers, steady_field),
        ..Observation::default()
    };
    let is_json = response.headers.all("content-type").join(",").contains("json");
    match serde_json::from_str(&body).ok().filter(|_| is_json) {
        Some(json) => {
            seen.json = Some(json);
            seen.headers.remove("content-length");
        }
        None => {
            if !is_json && (REQUEST_ID.is_match(&raw) || PRODUCT.is_match(&raw)) {
                seen.headers.remove("content-length");
            }
            seen.body = Some(body);
        }
    }
    seen
}

fn forwarded(request: &Recorded) -> Forwarded {
    let mut headers = fields(&request.headers, |name, value| correlation(name, steady(value)));
    if let Some(ids) = headers.get_mut("x-kong-request-id") {
        *ids = vec!["<reqid>".to_owned()];
    }
    let text = decode(&request.body);
    let is_json = headers
        .get("content-type")
        .is_some_and(|types| types.join(",").contains("json"));
    let json: Option<Value> = serde_json::from_str(&text).ok().filter(|_| is_json);
    let json = json.filter(|json| !json.is_null());
    if json.is_some() {
        headers.remove("content-length");
    }
    Forwarded {
        addr: request.local.ip().to_string(),
        port: request.local.port(),
        method: request.method.clone(),
        uri: request.target.clone(),
        _version: request.version.clone(),
        headers,
        body: (json.is_none() && !text.is_empty()).then_some(text),
        json,
    }
}

fn fields(headers: &Headers, normal: impl Fn(&str, &str) -> String) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in &headers.0 {
        let name = name.to_ascii_lowercase();
        if name == "keep-alive" {
            continue;
        }
        let value = normal(&name, value);
        let values = fields.entry(name).or_default();
        // Of a repeated number only the name is compared, as of a single one.
        if !(is_volatile(&value) && values.contains(&value)) {
            values.push(value);
        }
    }
    fields
}

fn is_volatile(value: &str) -> bool {
    matches!(value, "<num>" | "<date>" | "<reqid>" | "<hash>")
}

fn steady_field(name: &str, value: &str) -> String {
    let placeholder = match name {
        "date" => "<date>",
        "x-kong-request-id" => "<reqid>",
        "x-cache-key" => "<hash>",
        "x-kong-upstream-latency"
        | "x-kong-proxy-latency"
        | "x-kong-response-latency"
        | "x-kong-total-latency"
        | "x-kong-third-party-latency"
        | "ratelimit-reset"
        | "retry-after"
        | "age" => "<num>",
        _ => return correlation(name, steady(value)),
    };
    placeholder.to_owned()
}

fn steady(text: &str) -> String {
    let text = PRODUCT.replace_all(text, "<product>");
    REQUEST_ID.replace_all(&text, "${1}<reqid>").into_owned()
}

/// Ids made by the plugin correlation-id, in the headers that the recordings give it.
fn correlation(name: &str, value: String) -> String {
    if name != "kong-request-id" && name != "x-corr" {
        return value;
    }
    if TRACKER.is_match(&value) {
        return "<tracker>".to_owned();
    }
    let value = UUID.replace_all(&value, "<uuid>");
    COUNTED.replace(&value, "<uuid>#<n>").into_owned()
}
