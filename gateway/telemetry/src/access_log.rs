//! The access log: one line per request, in JSON, in nginx's combined format or in a format of the user's own.
//!
//! Formats are compiled when the process starts. Lines go through the queue of [`LineWriter`], so that a request never
//! waits for a file. When the log is off, nothing is looked at: [`AccessLog::log`] takes a closure.

use crate::line_writer::LineWriter;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

mod format;
mod json;
#[cfg(test)]
mod tests;
mod text;

pub use format::{Format, FormatError, Part, Variable};

/// What one line may tell. Everything is borrowed: making a record copies nothing.
#[derive(Clone, Copy, Default)]
pub struct AccessRecord<'a> {
    /// Client after trusted-proxy resolution; absent on unix sockets.
    pub client_address: Option<IpAddr>,
    /// User name of basic credentials in the request, verified or not.
    pub remote_user: Option<&'a str>,
    /// End of the request in milliseconds since the Unix epoch.
    pub time_millis: u64,
    /// Method as received.
    pub method: &'a str,
    /// Path and query as received.
    pub target: &'a str,
    /// `HTTP/1.1`, `HTTP/2.0`...
    pub protocol: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Host of the request, without port.
    pub host: &'a str,
    /// Status sent.
    pub status: u16,
    /// Bytes of the response body sent.
    pub body_bytes: u64,
    /// Bytes received: request line, headers and body.
    pub request_bytes: u64,
    /// `Referer` as received.
    pub referer: Option<&'a [u8]>,
    /// `User-Agent` as received.
    pub user_agent: Option<&'a [u8]>,
    /// `X-Kong-Request-Id`.
    pub request_id: &'a str,
    /// Name, or else id, of the matched route.
    pub route: Option<&'a str>,
    /// Name, or else id, of its service.
    pub service: Option<&'a str>,
    /// Username, or else custom id or id, of the consumer.
    pub consumer: Option<&'a str>,
    /// Address that answered.
    pub upstream_address: Option<&'a dyn fmt::Display>,
    /// Status of the upstream's response.
    pub upstream_status: Option<u16>,
    /// Microseconds from the first byte of the request to the last of the response.
    pub request_micros: u64,
    /// Microseconds until the upstream's response head.
    pub upstream_micros: Option<u64>,
    /// `TLSv1.3`...
    pub tls_version: Option<&'a str>,
}

/// Where and how requests are logged.
#[derive(Debug, Clone, Default)]
pub struct AccessLog {
    target: Option<Target>,
}

#[derive(Debug, Clone)]
struct Target {
    path: Arc<str>,
    format: Format,
    writer: Arc<LineWriter>,
}

impl AccessLog {
    /// No access log.
    #[must_use]
    pub const fn off() -> Self {
        Self { target: None }
    }

    /// Logs to the file at `path` (`/dev/stdout` works); `off` and the empty path: no log.
    #[must_use]
    pub fn to(path: &str, format: Format, writer: Arc<LineWriter>) -> Self {
        if path.is_empty() || path == "off" {
            return Self::off();
        }
        Self {
            target: Some(Target {
                path: Arc::from(path),
                format,
                writer,
            }),
        }
    }

    /// Whether requests are logged.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.target.is_some()
    }

    /// Logs one request. `record` is called only when the log is on.
    pub fn log<'a>(&self, record: impl FnOnce() -> AccessRecord<'a>) {
        if let Some(target) = &self.target {
            let mut line = Vec::with_capacity(512);
            target.format.write(&record(), &mut line);
            line.push(b'\n');
            target.writer.append(&target.path, line, false);
        }
    }
}
