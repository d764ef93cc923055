//! One request and its response, from the first byte to the log line.

use crate::body::RequestBody;
use crate::identity::{ConsumerEntry, ConsumerIndex, Credential, Identities};
use crate::services::Services;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use serde_json::Value;
use smallvec::SmallVec;
use std::any::Any;
use std::borrow::Cow;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tidegate_model::address::Address;
use tidegate_model::entities::{Route, Service};

/// Place of a route in its snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RouteIndex(pub u32);

/// Place of a service in its snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ServiceIndex(pub u32);

/// What an exchange may ask of the snapshot that serves it. Held by one worker, hence `Rc`.
pub trait SnapshotView: 'static {
    /// The route at an index.
    fn route(&self, index: RouteIndex) -> Option<&Route>;
    /// The service at an index.
    fn service(&self, index: ServiceIndex) -> Option<&Service>;
    /// Consumers and credentials.
    fn identities(&self) -> &Identities;
    /// Process-wide services.
    fn services(&self) -> &Services;
}

/// The client's side of the connection.
#[derive(Debug, Clone, Default)]
pub struct Client {
    /// Address after trusted-proxy resolution; absent on unix sockets.
    pub address: Option<IpAddr>,
    /// Port that goes with it.
    pub port: u16,
    /// Address of the TCP peer.
    pub peer_address: Option<IpAddr>,
    /// Whether the peer is in `trusted_ips`.
    pub is_trusted: bool,
    /// Address that the client connected to.
    pub server_address: Option<IpAddr>,
    /// Port that it connected to, after `port_maps`.
    pub server_port: u16,
    /// Counts connections of this worker.
    pub connection_serial: u64,
    /// Counts requests of this connection, from 1.
    pub connection_requests: u64,
    /// TLS facts.
    pub tls: Option<Rc<Tls>>,
}

/// Facts of a TLS connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// OpenSSL name of the cipher suite.
    pub cipher: &'static str,
    /// Server name sent by the client.
    pub sni: Option<String>,
    /// `NONE`, `SUCCESS` or `FAILED:reason`.
    pub client_verify: &'static str,
}

/// The request. `headers` is changed in place by plugins and then goes upstream.
#[derive(Debug)]
pub struct Request {
    /// As received.
    pub method: Method,
    /// Path and query as received, e.g. `/a/../b?x=1`.
    pub target: http::uri::PathAndQuery,
    /// HTTP version.
    pub version: Version,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// Host without port, lower case; empty when there is none.
    pub host: Box<str>,
    /// Host header as received, with its port.
    pub raw_host: Option<HeaderValue>,
    /// Normalised path (kong-core C.3); `None`: the received one is already normal.
    pub normalized_path: Option<Box<[u8]>>,
    /// Header fields; plugins edit them.
    pub headers: HeaderMap,
    /// Body, as far as it was read.
    pub body: RequestBody,
    /// Bytes of request line and headers.
    pub head_size: u64,
}

impl Request {
    /// The normalised path.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        self.normalized_path
            .as_deref()
            .unwrap_or_else(|| self.target.path().as_bytes())
    }
    /// Query as received, without `?`; `None` when there is no `?`.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.target.query()
    }
    /// Whether the content type says gRPC.
    #[must_use]
    pub fn is_grpc(&self) -> bool {
        self.headers
            .get(http::header::CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
    }
}

/// What will be sent upstream beside the headers.
#[derive(Debug, Default)]
pub struct UpstreamRequest {
    /// Method; `None`: the client's.
    pub method: Option<Method>,
    /// Escaped path, set after routing; plugins may replace it.
    pub path: String,
    /// Whether `path` is in use; otherwise the received target goes on as it is.
    pub has_path: bool,
    /// Query without `?`.
    pub query: UpstreamQuery,
    /// Host header set by a plugin; wins over everything else.
    pub host_header: Option<HeaderValue>,
}

/// Query of the upstream request.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub enum UpstreamQuery {
    /// The client's, byte for byte.
    #[default]
    AsReceived,
    /// Another one; empty: no `?`.
    Replaced(String),
}

/// Response head.
#[derive(Debug, Default)]
pub struct ResponseHead {
    /// Status sent to the client.
    pub status: StatusCode,
    /// Header fields; plugins edit them.
    pub headers: HeaderMap,
}

/// Who made the response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// The upstream.
    Service,
    /// A plugin or the core, on purpose.
    #[default]
    Exit,
    /// An error page.
    Error,
}

/// One attempt to reach an upstream.
#[derive(Debug, Clone, PartialEq)]
pub struct Try {
    /// Where it went.
    pub address: Address,
    /// When its peer began to be chosen, since the start of the request.
    pub started: Duration,
    /// How long that took, name resolution included.
    pub choice: Duration,
    /// `None`: it succeeded. `failed` or `next`, with the status that stands for it.
    pub failure: Option<(&'static str, u16)>,
}

/// When things happened.
#[derive(Debug, Clone, Copy)]
pub struct Timings {
    /// Milliseconds since the Unix epoch at the start.
    pub started_at_millis: u64,
    /// The start.
    pub start: Instant,
    /// When the request was handed to the upstream.
    pub upstream_start: Option<Instant>,
    /// When its response head arrived.
    pub upstream_head: Option<Instant>,
}

/// Captures of the route's regex: whole match, numbered and named groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captures {
    /// Group 0 is the whole match; a group that took no part is `None`.
    pub groups: Vec<Option<String>>,
    /// Names with the number of their group.
    pub names: Vec<(String, usize)>,
}

impl Captures {
    /// A group by number.
    #[must_use]
    pub fn number(&self, index: usize) -> Option<&str> {
        self.groups.get(index)?.as_deref()
    }
    /// A group by name.
    #[must_use]
    pub fn name(&self, name: &str) -> Option<&str> {
        self.names
            .iter()
            .find(|(known, _)| known == name)
            .and_then(|(_, index)| self.number(*index))
    }
}

/// One request and its response.
pub struct Exchange {
    /// The snapshot that serves it, to the end.
    pub snapshot: Rc<dyn SnapshotView>,
    /// Client.
    pub client: Client,
    /// Request.
    pub request: Request,
    /// `X-Kong-Request-Id`: 32 lower-case hex digits.
    pub request_id: HeaderValue,
    /// Matched route.
    pub route: Option<RouteIndex>,
    /// Its service.
    pub service: Option<ServiceIndex>,
    /// Captures of the route's regex.
    pub captures: Option<Box<Captures>>,
    /// Prefix removed by `strip_path`, as it stands in the normalised path.
    pub stripped_prefix: Option<Box<[u8]>>,
    /// Authenticated (or anonymous) consumer.
    pub consumer: Option<ConsumerIndex>,
    /// Credential; `None` for anonymous.
    pub credential: Option<Credential>,
    /// Groups given by an authentication plugin of another kind.
    pub authenticated_groups: Option<Vec<String>>,
    /// What goes upstream.
    pub upstream: UpstreamRequest,
    /// Attempts.
    pub tries: SmallVec<[Try; 1]>,
    /// Status of the last upstream response.
    pub upstream_status: Option<StatusCode>,
    /// Response.
    pub response: ResponseHead,
    /// Headers that access handlers put on the client's response, whoever makes it. Set before `header_filter`.
    pub response_headers: Vec<(http::HeaderName, HeaderValue)>,
    /// Who made it.
    pub source: Source,
    /// Body bytes received from the client.
    pub request_body_bytes: u64,
    /// Bytes of the response head, when its headers are no longer at hand.
    pub response_head_bytes: Option<u64>,
    /// Body bytes sent to the client.
    pub response_body_bytes: u64,
    /// Times.
    pub timings: Timings,
    /// Members that plugins add to the log object.
    pub log_fields: Vec<(Cow<'static, str>, Value)>,
    /// Values that plugins share within the request (`shared` in templates).
    pub shared: Option<Box<serde_json::Map<String, Value>>>,
    scratch: Vec<Box<dyn Any>>,
}

impl Exchange {
    /// A new exchange: nothing matched, nothing answered.
    #[must_use]
    pub fn new(
        snapshot: Rc<dyn SnapshotView>,
        client: Client,
        request: Request,
        request_id: HeaderValue,
        timings: Timings,
    ) -> Self {
        Self {
            snapshot,
            client,
            request,
            request_id,
            route: None,
            service: None,
            captures: None,
            stripped_prefix: None,
            consumer: None,
            credential: None,
            authenticated_groups: None,
            upstream: UpstreamRequest::default(),
            tries: SmallVec::new(),
            upstream_status: None,
            response: ResponseHead::default(),
            response_headers: Vec::new(),
            source: Source::default(),
            request_body_bytes: 0,
            response_head_bytes: None,
            response_body_bytes: 0,
            timings,
            log_fields: Vec::new(),
            shared: None,
            scratch: Vec::new(),
        }
    }

    /// The matched route.
    #[must_use]
    pub fn route(&self) -> Option<&Route> {
        self.route.and_then(|index| self.snapshot.route(index))
    }

    /// The service of the matched route.
    #[must_use]
    pub fn service(&self) -> Option<&Service> {
        self.service.and_then(|index| self.snapshot.service(index))
    }

    /// The consumer, authenticated or anonymous.
    #[must_use]
    pub fn consumer(&self) -> Option<&ConsumerEntry> {
        self.consumer
            .and_then(|index| self.snapshot.identities().consumer(index))
    }

    /// Query that will be sent upstream (and that later plugins see), without `?`.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        match &self.upstream.query {
            UpstreamQuery::AsReceived => self.request.query(),
            UpstreamQuery::Replaced(query) if query.is_empty() => None,
            UpstreamQuery::Replaced(query) => Some(query),
        }
    }

    /// Replaces the upstream query; empty removes it.
    pub fn set_query(&mut self, query: String) {
        self.upstream.query = UpstreamQuery::Replaced(query);
    }

    /// Replaces the upstream path; it must start with `/` and be escaped.
    pub fn set_upstream_path(&mut self, path: String) {
        self.upstream.path = path;
        self.upstream.has_path = true;
    }

    /// Method sent upstream.
    #[must_use]
    pub fn upstream_method(&self) -> &Method {
        self.upstream.method.as_ref().unwrap_or(&self.request.method)
    }

    /// Sets a header on the client's response, whoever makes it; replaces an earlier one of the name.
    pub fn set_response_header(&mut self, name: http::HeaderName, value: HeaderValue) {
        match self.response_headers.iter_mut().find(|(known, _)| *known == name) {
            Some(entry) => entry.1 = value,
            None => self.response_headers.push((name, value)),
        }
    }

    /// Scratch of one plugin kind for this request, found by its type.
    pub fn slot<T: Any + Default>(&mut self) -> &mut T {
        let position = match self.scratch.iter().position(|slot| slot.is::<T>()) {
            Some(position) => position,
            None => {
                self.scratch.push(Box::new(T::default()));
                self.scratch.len() - 1
            }
        };
        #[allow(
            clippy::expect_used,
            clippy::indexing_slicing,
            reason = "the position was found or pushed just above with that type"
        )]
        self.scratch[position]
            .downcast_mut::<T>()
            .expect("slot has the type it was found by")
    }

    /// The scratch, if it was ever asked for.
    #[must_use]
    pub fn find_slot<T: Any>(&self) -> Option<&T> {
        self.scratch.iter().find_map(|slot| slot.downcast_ref::<T>())
    }
}
