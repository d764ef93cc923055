//! What the request path needs of the settings, ready to use.

use http::HeaderValue;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;
use tidegate_net::pool::PoolSettings;

/// Name of the gateway in `Via` and `Server`.
pub const PRODUCT: &str = concat!("tidegate/", env!("CARGO_PKG_VERSION"));

/// Settings of the request path, compiled once at start.
#[derive(Debug, Clone, Default)]
pub struct ProxySettings {
    /// Which headers the gateway adds.
    pub headers: AddedHeaders,
    /// Peers whose forwarding headers are believed.
    pub trusted: TrustedPeers,
    /// Where the client's address comes from when the peer is trusted.
    pub real_ip: RealIp,
    /// Outside port by inside port.
    pub port_maps: BTreeMap<u16, u16>,
    /// Whether `Kong-Debug: 1` is answered.
    pub allow_debug_header: bool,
    /// Error pages.
    pub error_pages: ErrorPages,
    /// Bounds and deadlines of clients.
    pub client: ClientLimits,
    /// Connections to upstreams.
    pub pool: PoolSettings,
}

/// Headers that the gateway adds (kong-core E.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(
    missing_docs,
    clippy::struct_excessive_bools,
    reason = "each field says whether the header of its name is added"
)]
pub struct AddedHeaders {
    pub via: bool,
    pub server: bool,
    pub upstream_latency: bool,
    pub proxy_latency: bool,
    pub response_latency: bool,
    pub request_id: bool,
    pub upstream_status: bool,
    /// `X-Kong-Request-Id` on upstream requests.
    pub request_id_upstream: bool,
}

impl Default for AddedHeaders {
    fn default() -> Self {
        Self {
            via: true,
            server: true,
            upstream_latency: true,
            proxy_latency: true,
            response_latency: true,
            request_id: true,
            upstream_status: false,
            request_id_upstream: true,
        }
    }
}

/// The setting `trusted_ips`.
#[derive(Debug, Clone, Default)]
pub struct TrustedPeers {
    /// Addresses and ranges.
    pub ranges: Vec<IpNet>,
    /// `unix:`: peers on unix sockets.
    pub unix: bool,
}

impl TrustedPeers {
    /// Whether a peer is trusted; `None` is a unix socket.
    #[must_use]
    pub fn contains(&self, address: Option<IpAddr>) -> bool {
        match address {
            Some(address) => {
                !self.ranges.is_empty() && self.ranges.iter().any(|range| range.contains(&address))
            }
            None => self.unix,
        }
    }
}

/// Where a trusted peer says who the client is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RealIp {
    /// Header; `None`: PROXY protocol.
    pub header: Option<http::HeaderName>,
    /// Last entry that is not trusted, instead of the last entry.
    pub recursive: bool,
}

impl Default for RealIp {
    fn default() -> Self {
        Self {
            header: Some(tidegate_plugin::headers::X_REAL_IP),
            recursive: false,
        }
    }
}

/// Templates of error pages: up to two `%s`, message and request id.
#[derive(Debug, Clone)]
pub struct ErrorPages {
    /// Used when neither `Accept` nor `Content-Type` says anything.
    pub default_type: MediaType,
    /// JSON.
    pub json: String,
    /// HTML.
    pub html: String,
    /// XML.
    pub xml: String,
    /// Plain text.
    pub plain: String,
}

impl Default for ErrorPages {
    fn default() -> Self {
        Self {
            default_type: MediaType::Plain,
            json: "{\n  \"message\":\"%s\",\n  \"request_id\":\"%s\"\n}".to_owned(),
            html: "<!doctype html>\n<html>\n  <head>\n    <meta charset=\"utf-8\">\n    <title>Error</title>\n  </head>\n  \
                   <body>\n    <h1>Error</h1>\n    <p>%s.</p>\n    <p>request_id: %s</p>\n  </body>\n</html>\n"
                .to_owned(),
            xml: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<error>\n  <message>%s</message>\n  \
                  <requestid>%s</requestid>\n</error>\n"
                .to_owned(),
            plain: "%s\nrequest_id: %s\n".to_owned(),
        }
    }
}

/// Media type of an error page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "named after the type")]
pub enum MediaType {
    Json,
    Html,
    Xml,
    Plain,
    Grpc,
}

impl MediaType {
    /// `Content-Type` of the page.
    #[must_use]
    pub const fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json => "application/json; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
            Self::Xml => "application/xml; charset=utf-8",
            Self::Plain => "text/plain; charset=utf-8",
            Self::Grpc => "application/grpc",
        })
    }
}

/// Bounds and deadlines on the client's side (design 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientLimits {
    /// Largest request body; 0: unlimited.
    pub max_body_bytes: u64,
    /// Largest body that plugins may read.
    pub request_buffer_max_bytes: usize,
    /// Largest response that plugins may buffer whole.
    pub response_buffer_max_bytes: usize,
    /// Requests per HTTP/1 connection; 0: unlimited.
    pub keepalive_requests: u64,
    /// Requests per HTTP/2 connection; 0: unlimited.
    pub http2_keepalive_requests: u64,
    /// From the first byte of a head to its end.
    pub header_timeout: Duration,
    /// Between two reads of a request body.
    pub body_timeout: Duration,
    /// Slowest request body over a `body_timeout`, bytes per second; 0: no bound.
    pub min_body_rate: u64,
    /// Between two requests of a connection.
    pub idle_timeout: Duration,
    /// Between two writes of a response.
    pub send_timeout: Duration,
    /// HTTP/2 streams open at a time.
    pub http2_max_streams: u32,
    /// HTTP/2 streams reset by the client that are still being accepted.
    pub http2_max_pending_resets: usize,
    /// HTTP/2 streams that the gateway reset for errors before the connection is closed.
    pub http2_max_error_resets: usize,
    /// Bytes of an HTTP/2 header list.
    pub http2_max_header_list_bytes: u32,
    /// Bytes of one HTTP/2 stream that are not read yet.
    pub http2_stream_window: u32,
    /// Bytes of one HTTP/2 connection that are not read yet.
    pub http2_connection_window: u32,
    /// Bytes of a response that wait on one HTTP/2 stream.
    pub http2_max_send_buffer: usize,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            max_body_bytes: 0,
            request_buffer_max_bytes: 8 * 1_024 * 1_024,
            response_buffer_max_bytes: 16 * 1_024 * 1_024,
            keepalive_requests: 10_000,
            http2_keepalive_requests: 0,
            header_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(60),
            min_body_rate: 64,
            idle_timeout: Duration::from_secs(75),
            send_timeout: Duration::from_secs(60),
            http2_max_streams: 128,
            http2_max_pending_resets: 20,
            http2_max_error_resets: 1_024,
            http2_max_header_list_bytes: 32 * 1_024,
            http2_stream_window: 64 * 1_024,
            http2_connection_window: 1_024 * 1_024,
            http2_max_send_buffer: 64 * 1_024,
        }
    }
}
