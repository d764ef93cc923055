//! Variables as text: nginx's spelling of absent values and of bytes that could break a line.

use super::AccessRecord;
use super::format::Variable;
use jiff::{Timestamp, civil::DateTime, tz::Offset};
use std::io::Write;

/// Appends the value of a variable; `-` when there is none.
pub(super) fn write(variable: Variable, record: &AccessRecord<'_>, line: &mut Vec<u8>) {
    match variable {
        Variable::RemoteAddr => match record.client_address {
            Some(address) => print(line, format_args!("{address}")),
            None => line.extend_from_slice(b"unix:"),
        },
        Variable::RemoteUser => optional(line, record.remote_user),
        Variable::TimeLocal => common_time(line, record.time_millis),
        Variable::TimeIso8601 => iso_time(line, record.time_millis),
        Variable::Msec => print(
            line,
            format_args!("{}.{:03}", record.time_millis / 1_000, record.time_millis % 1_000),
        ),
        Variable::Request => request_line(line, record),
        Variable::RequestMethod => escape(line, record.method.as_bytes()),
        Variable::RequestUri => escape(line, record.target.as_bytes()),
        Variable::ServerProtocol => escape(line, record.protocol.as_bytes()),
        Variable::Scheme => escape(line, record.scheme.as_bytes()),
        Variable::Host => escape(line, record.host.as_bytes()),
        Variable::Status => print(line, format_args!("{}", record.status)),
        Variable::BodyBytesSent => print(line, format_args!("{}", record.body_bytes)),
        Variable::RequestLength => print(line, format_args!("{}", record.request_bytes)),
        Variable::RequestTime => seconds(line, record.request_micros),
        Variable::HttpReferer => optional_bytes(line, record.referer),
        Variable::HttpUserAgent => optional_bytes(line, record.user_agent),
        Variable::RequestId | Variable::KongRequestId => escape(line, record.request_id.as_bytes()),
        Variable::Route => optional(line, record.route),
        Variable::Service => optional(line, record.service),
        Variable::Consumer => optional(line, record.consumer),
        Variable::UpstreamAddr => match record.upstream_address {
            Some(address) => print(line, format_args!("{address}")),
            None => line.push(b'-'),
        },
        Variable::UpstreamStatus => match record.upstream_status {
            Some(status) => print(line, format_args!("{status}")),
            None => line.push(b'-'),
        },
        Variable::UpstreamHeaderTime => match record.upstream_micros {
            Some(micros) => seconds(line, micros),
            None => line.push(b'-'),
        },
        Variable::SslProtocol => optional(line, record.tls_version),
    }
}

/// `2026-11-22T11:06:27+00:00`
pub(super) fn iso_time(line: &mut Vec<u8>, millis: u64) {
    let time = civil(millis);
    print(
        line,
        format_args!(
            "{}-{:02}-{:02}T{}+00:00",
            time.year(),
            time.month(),
            time.day(),
            Clock(time)
        ),
    );
}

/// `22/Nov/2026:11:06:27 +0000`
fn common_time(line: &mut Vec<u8>, millis: u64) {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let time = civil(millis);
    let month = usize::try_from(time.month() - 1)
        .ok()
        .and_then(|index| MONTHS.get(index))
        .unwrap_or(&"-");
    print(
        line,
        format_args!("{:02}/{month}/{}:{} +0000", time.day(), time.year(), Clock(time)),
    );
}

struct Clock(DateTime);

impl std::fmt::Display for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:02}:{:02}:{:02}",
            self.0.hour(),
            self.0.minute(),
            self.0.second()
        )
    }
}

fn civil(millis: u64) -> DateTime {
    let timestamp = i64::try_from(millis)
        .ok()
        .and_then(|millis| Timestamp::from_millisecond(millis).ok());
    Offset::UTC.to_datetime(timestamp.unwrap_or_default())
}

fn request_line(line: &mut Vec<u8>, record: &AccessRecord<'_>) {
    escape(line, record.method.as_bytes());
    line.push(b' ');
    escape(line, record.target.as_bytes());
    line.push(b' ');
    escape(line, record.protocol.as_bytes());
}

fn seconds(line: &mut Vec<u8>, micros: u64) {
    let millis = micros / 1_000;
    print(line, format_args!("{}.{:03}", millis / 1_000, millis % 1_000));
}

fn optional(line: &mut Vec<u8>, value: Option<&str>) {
    optional_bytes(line, value.map(str::as_bytes));
}

fn optional_bytes(line: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(value) if !value.is_empty() => escape(line, value),
        _ => line.push(b'-'),
    }
}

/// Quotes, backslashes and bytes outside printable ASCII become `\xHH`: no value can end its field or its line.
fn escape(line: &mut Vec<u8>, value: &[u8]) {
    for &byte in value {
        match byte {
            b'"' | b'\\' | 0..=0x1f | 0x7f.. => print(line, format_args!("\\x{byte:02X}")),
            plain => line.push(plain),
        }
    }
}

fn print(line: &mut Vec<u8>, arguments: std::fmt::Arguments<'_>) {
    // Writing to memory cannot fail.
    let _ = line.write_fmt(arguments);
}
