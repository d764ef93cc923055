//! Formats: a name or a template with nginx's variables, compiled once.

use super::{AccessRecord, json, text};
use std::sync::Arc;

/// nginx's combined format with Kong's addition at its end.
const COMBINED: &str = "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \
                        \"$http_referer\" \"$http_user_agent\" kong_request_id: \"$request_id\"";

/// A compiled format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// One JSON object.
    Json,
    /// Text with variables.
    Template(Arc<[Part]>),
}

/// A piece of a text format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Copied as it is.
    Literal(Box<str>),
    /// Filled per request.
    Variable(Variable),
}

/// A template names a variable that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown variable '${name}' in the access log format (known: {})",
    known_names()
)]
pub struct FormatError {
    /// The name without its `$`.
    pub name: String,
}

macro_rules! variables {
    ($($variant:ident = $name:literal: $doc:literal),+ $(,)?) => {
        /// What a `$name` in a template stands for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Variable {
            $(#[doc = $doc] $variant,)+
        }

        impl Variable {
            /// Every variable with its name.
            pub const ALL: &'static [(&'static str, Self)] = &[$(($name, Self::$variant)),+];
        }
    };
}

variables! {
    RemoteAddr = "remote_addr": "Client address after trusted-proxy resolution, `unix:` on unix sockets.",
    RemoteUser = "remote_user": "User name of basic credentials.",
    TimeLocal = "time_local": "Common log time, in UTC.",
    TimeIso8601 = "time_iso8601": "ISO 8601 time, in UTC.",
    Msec = "msec": "Unix seconds with milliseconds.",
    Request = "request": "Request line.",
    RequestMethod = "request_method": "Method.",
    RequestUri = "request_uri": "Path and query as received.",
    ServerProtocol = "server_protocol": "HTTP version.",
    Scheme = "scheme": "`http` or `https`.",
    Host = "host": "Host without port.",
    Status = "status": "Status sent.",
    BodyBytesSent = "body_bytes_sent": "Bytes of the response body.",
    RequestLength = "request_length": "Bytes received.",
    RequestTime = "request_time": "Seconds with milliseconds from first to last byte.",
    HttpReferer = "http_referer": "`Referer`.",
    HttpUserAgent = "http_user_agent": "`User-Agent`.",
    RequestId = "request_id": "Request id.",
    KongRequestId = "kong_request_id": "Request id, by Kong's name.",
    Route = "route": "Name or id of the route.",
    Service = "service": "Name or id of the service.",
    Consumer = "consumer": "Name or id of the consumer.",
    UpstreamAddr = "upstream_addr": "Address and port that answered.",
    UpstreamStatus = "upstream_status": "Status of the upstream.",
    UpstreamHeaderTime = "upstream_header_time": "Seconds with milliseconds until the upstream's response head.",
    SslProtocol = "ssl_protocol": "TLS version.",
}

impl Format {
    /// `json`, `combined`, or a template in which `$name` and `${name}` stand for a [`Variable`].
    ///
    /// # Errors
    /// When the template names a variable that does not exist.
    pub fn compile(text: &str) -> Result<Self, FormatError> {
        match text {
            "json" => Ok(Self::Json),
            "combined" => Self::template(COMBINED),
            template => Self::template(template),
        }
    }

    fn template(template: &str) -> Result<Self, FormatError> {
        let mut parts = Vec::new();
        let mut rest = template;
        while let Some((literal, after)) = rest.split_once('$') {
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.into()));
            }
            let (name, tail) = split_name(after);
            let Some((_, variable)) = Variable::ALL.iter().find(|(known, _)| *known == name) else {
                return Err(FormatError {
                    name: name.to_owned(),
                });
            };
            parts.push(Part::Variable(*variable));
            rest = tail;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.into()));
        }
        Ok(Self::Template(parts.into()))
    }

    /// Appends the line, without its newline.
    pub(super) fn write(&self, record: &AccessRecord<'_>, line: &mut Vec<u8>) {
        match self {
            Self::Json => json::write(record, line),
            Self::Template(parts) => {
                for part in &**parts {
                    match part {
                        Part::Literal(literal) => line.extend_from_slice(literal.as_bytes()),
                        Part::Variable(variable) => text::write(*variable, record, line),
                    }
                }
            }
        }
    }
}

/// The name after a `$`, with or without braces, and what follows it.
fn split_name(after: &str) -> (&str, &str) {
    if let Some((name, tail)) = after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
        return (name, tail);
    }
    let end = after
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(after.len());
    after.split_at(end)
}

fn known_names() -> String {
    let names: Vec<&str> = Variable::ALL.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}
