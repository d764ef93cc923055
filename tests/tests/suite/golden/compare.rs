//! What counts as the same.

use super::case::{Fields, Forwarded, Observation};
use super::observe::is_uuid;
use regex::Regex;
use serde_json::{Value, json};
use std::fmt::Debug;
use std::sync::LazyLock;

/// Fields of a response that belong to the connection or the moment.
const RESPONSE_SKIPS: &[&str] = &["connection", "date", "transfer-encoding"];
/// Fields of a forwarded request that describe the recording client or the connection.
const REQUEST_SKIPS: &[&str] = &["connection", "user-agent", "accept", "accept-encoding"];

static BOUNDARY: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#"boundary="?([^";,]+)"#).unwrap());

/// How strictly two observations are compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner<'a> {
    /// `status`, `keys`, or everything.
    pub(super) mode: &'a str,
    /// The order of query arguments of different names counts too.
    pub(super) exact_uri: bool,
}

/// Every difference, one line each; empty when the two are alike.
pub(super) fn differences(want: &Observation, got: &Observation, manner: Manner<'_>) -> Vec<String> {
    let mut out = Vec::new();
    if want.error.is_some() || got.error.is_some() {
        if want.error.is_some() != got.error.is_some() {
            note(
                &mut out,
                "end of the connection",
                &(&want.error, want.status),
                &(&got.error, got.status),
            );
        }
        return out;
    }
    if want.status != got.status {
        note(&mut out, "status", &want.status, &got.status);
    }
    match manner.mode {
        "status" => {}
        "keys" => {
            let (wanted, found) = (members(want), members(got));
            if wanted != found {
                note(&mut out, "members of the body", &wanted, &found);
            }
        }
        _ => everything(want, got, manner, &mut out),
    }
    out
}

fn everything(want: &Observation, got: &Observation, manner: Manner<'_>, out: &mut Vec<String>) {
    fields(&want.headers, &got.headers, RESPONSE_SKIPS, "header", out);
    match &want.json {
        Some(wanted) => {
            let found = got.json.clone().unwrap_or_else(|| json!(got.body));
            values(wanted, &found, "body", out);
        }
        None if want.body != got.body => note(out, "body", &want.body, &(&got.body, &got.json)),
        None => {}
    }
    let Some(wanted) = &want.upstream else { return };
    let found = got.upstream.as_deref().unwrap_or_default();
    if wanted.len() != found.len() {
        note(out, "requests to the upstream", &wanted.len(), &found.len());
        return;
    }
    for (wanted, found) in wanted.iter().zip(found) {
        request(wanted, found, manner, out);
    }
}

fn request(want: &Forwarded, got: &Forwarded, manner: Manner<'_>, out: &mut Vec<String>) {
    if (&want.addr, want.port) != (&got.addr, got.port) {
        note(
            out,
            "upstream address",
            &(&want.addr, want.port),
            &(&got.addr, got.port),
        );
    }
    if want.method != got.method {
        note(out, "upstream method", &want.method, &got.method);
    }
    let is_alike = !manner.exact_uri && loose_uri(&want.uri) == loose_uri(&got.uri);
    if want.uri != got.uri && !is_alike {
        note(out, "upstream target", &want.uri, &got.uri);
    }
    fields(&want.headers, &got.headers, REQUEST_SKIPS, "upstream header", out);
    if want.json != got.json {
        note(out, "upstream body", &want.json, &got.json);
    }
    if want.body != got.body && loose_body(want) != loose_body(got) {
        note(out, "upstream body", &want.body, &got.body);
    }
}

fn fields(want: &Fields, got: &Fields, skips: &[&str], what: &str, out: &mut Vec<String>) {
    let mut names: Vec<&String> = want.keys().chain(got.keys()).collect();
    names.sort();
    names.dedup();
    for name in names.into_iter().filter(|name| !skips.contains(&name.as_str())) {
        if want.get(name) != got.get(name) {
            note(out, &format!("{what} {name}"), &want.get(name), &got.get(name));
        }
    }
}

/// Compares members by name; two generated ids count as the same.
fn values(want: &Value, got: &Value, path: &str, out: &mut Vec<String>) {
    match (want, got) {
        (Value::Object(a), Value::Object(b)) => {
            for (name, value) in a {
                match b.get(name) {
                    Some(other) => values(value, other, &format!("{path}.{name}"), out),
                    None => note(out, &format!("{path}.{name}"), value, &"absent"),
                }
            }
            for (name, value) in b.iter().filter(|(name, _)| !a.contains_key(*name)) {
                note(out, &format!("{path}.{name}"), &"absent", value);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (value, other)) in a.iter().zip(b).enumerate() {
                values(value, other, &format!("{path}[{index}]"), out);
            }
        }
        (Value::String(a), Value::String(b)) if is_uuid(a) && is_uuid(b) && !a.starts_with("00000000-") => {}
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => {}
        _ if want != got => note(out, path, want, got),
        _ => {}
    }
}

fn members(seen: &Observation) -> Option<Vec<&String>> {
    let mut names: Vec<_> = seen.json.as_ref()?.as_object()?.keys().collect();
    names.sort();
    Some(names)
}

/// Path and arguments; the order counts only between arguments of one name.
fn loose_uri(uri: &str) -> (&str, Option<Vec<&str>>) {
    match uri.split_once('?') {
        Some((path, query)) => (path, Some(by_name(query))),
        None => (uri, None),
    }
}

fn by_name(arguments: &str) -> Vec<&str> {
    let mut arguments: Vec<&str> = arguments.split('&').collect();
    arguments.sort_by_key(|argument| argument.split('=').next());
    arguments
}

/// Arguments of a form, or parts of a multipart body, whose order between different names does not count.
fn loose_body(request: &Forwarded) -> Vec<&str> {
    let body = request.body.as_deref().unwrap_or_default();
    let media = request.headers.get("content-type").map(|types| types.join(","));
    let media = media.unwrap_or_default();
    if media.contains("form-urlencoded") {
        return by_name(body);
    }
    let Some(boundary) = BOUNDARY.captures(&media).and_then(|found| found.get(1)) else {
        return vec![body];
    };
    let mut parts: Vec<&str> = body
        .split(&format!("--{}", boundary.as_str()))
        .map(|part| part.trim_matches(['\r', '\n', '-']))
        .collect();
    parts.sort_unstable();
    parts
}

fn note(out: &mut Vec<String>, what: &str, want: &dyn Debug, got: &dyn Debug) {
    out.push(format!("{what}: want {want:?}, got {got:?}"));
}
