//! A record as one JSON object. Absent members are left out.

use super::AccessRecord;
use super::text::iso_time;
use std::borrow::Cow;
use std::io::Write;

/// Appends the object.
pub(super) fn write(record: &AccessRecord<'_>, line: &mut Vec<u8>) {
    line.extend_from_slice(b"{\"time\":\"");
    iso_time(line, record.time_millis);
    line.push(b'"');
    if let Some(address) = record.client_address {
        member(line, "client_ip");
        let _ = write!(line, "\"{address}\"");
    }
    text(line, "remote_user", record.remote_user);
    text(line, "method", Some(record.method));
    text(line, "uri", Some(record.target));
    text(line, "protocol", Some(record.protocol));
    text(line, "scheme", Some(record.scheme));
    text(line, "host", Some(record.host));
    number(line, "status", Some(u64::from(record.status)));
    number(line, "request_bytes", Some(record.request_bytes));
    number(line, "body_bytes", Some(record.body_bytes));
    millis(line, "latency_ms", Some(record.request_micros));
    bytes(line, "referer", record.referer);
    bytes(line, "user_agent", record.user_agent);
    text(line, "request_id", Some(record.request_id));
    text(line, "route", record.route);
    text(line, "service", record.service);
    text(line, "consumer", record.consumer);
    if let Some(address) = record.upstream_address {
        member(line, "upstream");
        let _ = write!(line, "\"{address}\"");
    }
    number(line, "upstream_status", record.upstream_status.map(u64::from));
    millis(line, "upstream_latency_ms", record.upstream_micros);
    text(line, "tls", record.tls_version);
    line.push(b'}');
}

fn member(line: &mut Vec<u8>, name: &str) {
    let _ = write!(line, ",\"{name}\":");
}

fn text(line: &mut Vec<u8>, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        member(line, name);
        // Strings always serialise and memory always takes them.
        let _ = serde_json::to_writer(line, value);
    }
}

fn bytes(line: &mut Vec<u8>, name: &str, value: Option<&[u8]>) {
    let value = value.map(String::from_utf8_lossy);
    text(line, name, value.as_ref().map(Cow::as_ref));
}

fn number(line: &mut Vec<u8>, name: &str, value: Option<u64>) {
    if let Some(value) = value {
        member(line, name);
        let _ = write!(line, "{value}");
    }
}

fn millis(line: &mut Vec<u8>, name: &str, micros: Option<u64>) {
    if let Some(micros) = micros {
        member(line, name);
        let _ = write!(line, "{}.{:03}", micros / 1_000, micros % 1_000);
    }
}
