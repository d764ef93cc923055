//! What counts as the same: as in the recordings' own replay.

use crate::gateway::Seen;
use serde_json::Value;
use std::fmt::Debug;
use uuid::Uuid;

/// Fields of an answer that belong to the connection or the moment.
const SKIPPED: &[&str] = &[
    "connection",
    "date",
    "transfer-encoding",
    "x-kong-admin-latency",
    "content-length",
    "server",
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "vary",
];

/// Every difference; empty when the two are alike.
pub(crate) fn differences(want: &Value, seen: &Seen, mode: &str) -> Vec<String> {
    let mut out = Vec::new();
    if want["status"] != seen.status {
        note(&mut out, "status", &want["status"], &(seen.status, &seen.body));
    }
    let got = normal(&seen.body);
    match mode {
        "status" => {}
        "keys" => {
            let (wanted, found) = (members(&want["json"]), got.as_ref().map_or(Vec::new(), members));
            if wanted != found {
                note(&mut out, "members", &wanted, &found);
            }
        }
        _ => {
            headers(want, seen, &mut out);
            match (want.get("json"), got) {
                (Some(want), Some(got)) => values(want, &got, "body", &mut out),
                (Some(want), None) => note(&mut out, "body", want, &seen.body),
                (None, _) if want["body"] != seen.body.as_str() => {
                    note(&mut out, "body", &want["body"], &seen.body);
                }
                (None, _) => {}
            }
        }
    }
    out
}

fn headers(want: &Value, seen: &Seen, out: &mut Vec<String>) {
    let wanted = want["headers"].as_object().unwrap();
    for (name, values) in wanted
        .iter()
        .filter(|(name, _)| !SKIPPED.contains(&name.as_str()))
    {
        let got: Vec<_> = seen
            .headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect();
        if *values != Value::from(got.clone()) {
            note(out, name, values, &got);
        }
    }
    let added = seen.headers.keys().map(http::HeaderName::as_str);
    for name in added.filter(|name| !SKIPPED.contains(name) && !wanted.contains_key(*name)) {
        note(out, name, &"absent", &seen.headers.get(name));
    }
}

/// The body as JSON, with what differs from run to run replaced as in the recordings.
fn normal(body: &str) -> Option<Value> {
    let mut value = serde_json::from_str(body).ok()?;
    normalise(&mut value);
    Some(value)
}

fn normalise(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match name.as_str() {
                    "created_at" | "updated_at" if value.is_number() => *value = "<time>".into(),
                    "node_id" => *value = "<uuid>".into(),
                    _ => normalise(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(normalise),
        _ => {}
    }
}

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

fn is_uuid(text: &str) -> bool {
    Uuid::try_parse(text).is_ok()
}

fn members(value: &Value) -> Vec<String> {
    let mut names: Vec<_> = value
        .as_object()
        .into_iter()
        .flat_map(|members| members.keys().cloned())
        .collect();
    names.sort();
    names
}

fn note(out: &mut Vec<String>, what: &str, want: &dyn Debug, got: &dyn Debug) {
    let mut text = format!("{what}: want {want:?}, got {got:?}");
    text.truncate(text.floor_char_boundary(600));
    out.push(text);
}
