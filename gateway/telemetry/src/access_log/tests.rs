use super::{AccessLog, AccessRecord, Format};
use crate::line_writer::{LineWriter, LineWriterLimits};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

fn sample() -> AccessRecord<'static> {
    AccessRecord {
        client_address: Some([203, 0, 113, 7].into()),
        time_millis: 1_795_345_587_042,
        method: "GET",
        target: "/a?b=1",
        protocol: "HTTP/1.1",
        scheme: "https",
        host: "api.example.com",
        status: 200,
        body_bytes: 13,
        request_bytes: 90,
        user_agent: Some(b"curl/8"),
        request_id: "0123456789abcdef0123456789abcdef",
        route: Some("r1"),
        upstream_address: Some(&"10.0.0.1:80"),
        upstream_status: Some(200),
        request_micros: 12_345,
        upstream_micros: Some(11_000),
        tls_version: Some("TLSv1.3"),
        ..AccessRecord::default()
    }
}

fn line(format: &str, record: &AccessRecord<'_>) -> String {
    let mut line = Vec::new();
    Format::compile(format).unwrap().write(record, &mut line);
    String::from_utf8(line).unwrap()
}

#[test]
fn combined_format_ends_with_the_request_id_as_kong_writes_it() {
    assert_eq!(
        line("combined", &sample()),
        "203.0.113.7 - - [22/Nov/2026:11:06:27 +0000] \"GET /a?b=1 HTTP/1.1\" 200 13 \"-\" \"curl/8\" \
         kong_request_id: \"0123456789abcdef0123456789abcdef\""
    );
}

#[test]
fn quotes_line_breaks_and_foreign_bytes_cannot_forge_a_field_or_a_line() {
    let record = AccessRecord {
        user_agent: Some(b"x\" 200\n\xff\\"),
        remote_user: Some("a b"),
        ..sample()
    };
    let line = line("$remote_user \"$http_user_agent\"", &record);
    assert_eq!(line, "a b \"x\\x22 200\\x0A\\xFF\\x5C\"");
}

#[test]
fn json_format_holds_every_known_member_and_leaves_out_absent_ones() {
    let value: Value = serde_json::from_str(&line("json", &sample())).unwrap();
    assert_eq!(
        value,
        json!({
            "time": "2026-11-22T11:06:27+00:00", "client_ip": "203.0.113.7", "method": "GET", "uri": "/a?b=1",
            "protocol": "HTTP/1.1", "scheme": "https", "host": "api.example.com", "status": 200,
            "request_bytes": 90, "body_bytes": 13, "latency_ms": 12.345, "user_agent": "curl/8",
            "request_id": "0123456789abcdef0123456789abcdef", "route": "r1", "upstream": "10.0.0.1:80",
            "upstream_status": 200, "upstream_latency_ms": 11.0, "tls": "TLSv1.3",
        })
    );
}

#[test]
fn json_format_stays_valid_for_any_bytes() {
    let record = AccessRecord {
        user_agent: Some(b"\"\\\n\x00\xff"),
        consumer: Some("\u{2028}é"),
        ..sample()
    };
    let value: Value = serde_json::from_str(&line("json", &record)).unwrap();
    assert_eq!(value["user_agent"], "\"\\\n\u{0}\u{fffd}");
    assert_eq!(value["consumer"], "\u{2028}é");
}

#[test]
fn template_of_ones_own_mixes_text_and_variables_with_and_without_braces() {
    assert_eq!(
        line("${status}ms=$request_time up=$upstream_addr/$service|", &sample()),
        "200ms=0.012 up=10.0.0.1:80/-|"
    );
    assert_eq!(
        line("$msec $time_iso8601", &sample()),
        "1795345587.042 2026-11-22T11:06:27+00:00"
    );
}

#[test]
fn unknown_variable_is_refused_when_the_format_is_compiled() {
    let error = Format::compile("$status $cookie_x").unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("unknown variable '$cookie_x' in the access log format (known: remote_addr")
    );
}

#[test]
fn unix_socket_client_is_named_as_nginx_names_it() {
    let record = AccessRecord {
        client_address: None,
        ..sample()
    };
    assert_eq!(line("$remote_addr", &record), "unix:");
}

#[test]
fn log_that_is_off_never_asks_for_the_record() {
    let writer = Arc::new(LineWriter::start(LineWriterLimits::default()).unwrap());
    for log in [
        AccessLog::off(),
        AccessLog::to("off", Format::Json, Arc::clone(&writer)),
        AccessLog::to("", Format::Json, writer),
    ] {
        assert!(!log.is_on());
        log.log(|| panic!("nobody reads this record"));
    }
}

#[test]
fn each_request_becomes_one_line_of_the_file() {
    let path = std::env::temp_dir().join(format!("access-log-{}", std::process::id()));
    let writer = Arc::new(LineWriter::start(LineWriterLimits::default()).unwrap());
    let log = AccessLog::to(
        path.to_str().unwrap(),
        Format::compile("$status").unwrap(),
        Arc::clone(&writer),
    );
    for status in [200, 404] {
        log.log(|| AccessRecord { status, ..sample() });
    }
    assert!(writer.flush(Duration::from_secs(20)));
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(text, "200\n404\n");
}
