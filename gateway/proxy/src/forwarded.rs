//! Headers of the upstream request (kong-core E.1): written once, to an HTTP/1 head or to a header map.

use crate::phases::Flow;
use crate::settings::PRODUCT;
use bytes::BytesMut;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRANSFER_ENCODING, UPGRADE, VIA};
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use std::fmt::Write as _;
use std::sync::LazyLock;
use tidegate_model::normalize::escape_path;
use tidegate_net::http1::{BodyFraming, put_decimal, put_header};
use tidegate_plugin::headers::{
    X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PATH, X_FORWARDED_PORT, X_FORWARDED_PREFIX,
    X_FORWARDED_PROTO, X_KONG_REQUEST_ID, X_REAL_IP,
};

/// Host that stands in `X-Forwarded-Host` when an HTTP/1.0 client sent none, as Kong's server name does.
const NAMELESS_HOST: &str = "kong";

/// Takes the headers of an upstream request.
pub(crate) trait HeaderSink {
    /// A header of the client, or one that a plugin set.
    fn passed_on(&mut self, name: &HeaderName, value: &HeaderValue);
    /// A header of the gateway; `line` is the name as HTTP/1 writes it, colon and space included.
    fn own(&mut self, own: &OwnHeader, value: &[u8]);
}

/// A header that the gateway writes itself; the client's own of that name is not passed on.
pub(crate) struct OwnHeader {
    line: &'static [u8],
    name: HeaderName,
}

macro_rules! own_headers {
    ($($ident:ident = $name:expr, $line:literal;)+) => {$(
        static $ident: OwnHeader = OwnHeader { line: $line, name: $name };
    )+};
}

own_headers! {
    OWN_HOST = HOST, b"Host: ";
    OWN_REAL_IP = X_REAL_IP, b"X-Real-IP: ";
    OWN_FORWARDED_FOR = X_FORWARDED_FOR, b"X-Forwarded-For: ";
    OWN_FORWARDED_PROTO = X_FORWARDED_PROTO, b"X-Forwarded-Proto: ";
    OWN_FORWARDED_HOST = X_FORWARDED_HOST, b"X-Forwarded-Host: ";
    OWN_FORWARDED_PORT = X_FORWARDED_PORT, b"X-Forwarded-Port: ";
    OWN_FORWARDED_PATH = X_FORWARDED_PATH, b"X-Forwarded-Path: ";
    OWN_FORWARDED_PREFIX = X_FORWARDED_PREFIX, b"X-Forwarded-Prefix: ";
    OWN_VIA = VIA, b"Via: ";
    OWN_REQUEST_ID = X_KONG_REQUEST_ID, b"X-Kong-Request-Id: ";
    OWN_CONNECTION = CONNECTION, b"Connection: ";
    OWN_UPGRADE = UPGRADE, b"Upgrade: ";
    OWN_TE = TE, b"TE: ";
    OWN_CONTENT_LENGTH = CONTENT_LENGTH, b"Content-Length: ";
    OWN_TRANSFER_ENCODING = TRANSFER_ENCODING, b"Transfer-Encoding: ";
}

/// An HTTP/1 head under construction.
pub(crate) struct Http1Head<'b>(pub(crate) &'b mut BytesMut);

impl HeaderSink for Http1Head<'_> {
    fn passed_on(&mut self, name: &HeaderName, value: &HeaderValue) {
        put_header(self.0, name.as_str(), value.as_bytes());
    }

    fn own(&mut self, own: &OwnHeader, value: &[u8]) {
        self.0.reserve(own.line.len() + value.len() + 2);
        self.0.extend_from_slice(own.line);
        self.0.extend_from_slice(value);
        self.0.extend_from_slice(b"\r\n");
    }
}

impl HeaderSink for HeaderMap {
    fn passed_on(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.append(name.clone(), value.clone());
    }

    fn own(&mut self, own: &OwnHeader, value: &[u8]) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            self.insert(own.name.clone(), value);
        }
    }
}

impl Flow {
    /// Writes the headers of the HTTP/1.1 request: the client's as plugins left them, then what the gateway says.
    pub(crate) fn write_http1_headers(&self, host: &HeaderValue, framing: BodyFraming, out: &mut BytesMut) {
        let mut sink = Http1Head(out);
        sink.own(&OWN_HOST, host.as_bytes());
        self.write_headers(framing, &mut sink);
        if self.wants.websocket {
            sink.own(&OWN_CONNECTION, b"keep-alive, Upgrade");
            sink.own(&OWN_UPGRADE, b"websocket");
        } else {
            sink.own(&OWN_CONNECTION, b"keep-alive");
        }
        match framing {
            BodyFraming::Empty | BodyFraming::UntilClose => {}
            BodyFraming::Sized(length) => {
                let mut digits = BytesMut::with_capacity(20);
                put_decimal(&mut digits, length);
                sink.own(&OWN_CONTENT_LENGTH, &digits);
            }
            BodyFraming::Chunked => sink.own(&OWN_TRANSFER_ENCODING, b"chunked"),
        }
    }

    /// The headers of an HTTP/2 request.
    pub(crate) fn http2_headers(&self, framing: BodyFraming) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(self.x.request.headers.len() + 14);
        self.write_headers(framing, &mut headers);
        if let BodyFraming::Sized(length) = framing {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        headers
    }

    fn write_headers(&self, framing: BodyFraming, sink: &mut impl HeaderSink) {
        let x = &self.x;
        let is_trusted = x.client.is_trusted;
        let keeps_length = framing == BodyFraming::Empty;
        let (mut has_forwarded_for, mut has_via) = (false, false);
        let mut trusted = Said::default();
        for (name, value) in &x.request.headers {
            match place(name) {
                Place::PassedOn => sink.passed_on(name, value),
                Place::Length if keeps_length && value == "0" => sink.passed_on(name, value),
                Place::Forwarded(which) if is_trusted => {
                    trusted.note(which);
                    sink.passed_on(name, value);
                }
                Place::Length | Place::Forwarded(_) | Place::Dropped => {}
                Place::ForwardedFor => has_forwarded_for = true,
                Place::Via => has_via = true,
            }
        }
        self.write_forwarding(trusted, has_forwarded_for, sink);
        let via = request_via(x.request.version);
        match has_via {
            true => sink.own(&OWN_VIA, &joined(&x.request.headers, &VIA, via)),
            false => sink.own(&OWN_VIA, via),
        }
        if self.worker.settings.headers.request_id_upstream {
            sink.own(&OWN_REQUEST_ID, x.request_id.as_bytes());
        } else {
            for value in x.request.headers.get_all(X_KONG_REQUEST_ID) {
                sink.passed_on(&X_KONG_REQUEST_ID, value);
            }
        }
        if self.wants.trailers {
            sink.own(&OWN_TE, b"trailers");
        }
    }

    /// A trusted peer's own words stand; an untrusted one's are replaced.
    fn write_forwarding(&self, said: Said, has_forwarded_for: bool, sink: &mut impl HeaderSink) {
        let (x, connection) = (&self.x, &self.connection);
        match x.client.address {
            Some(address) if Some(address) != x.client.peer_address => {
                let mut text = BytesMut::with_capacity(40);
                let _ = write!(text, "{address}");
                sink.own(&OWN_REAL_IP, &text);
            }
            _ => sink.own(&OWN_REAL_IP, connection.peer_header.as_bytes()),
        }
        let peer = connection.peer_header.as_bytes();
        match has_forwarded_for {
            true => sink.own(
                &OWN_FORWARDED_FOR,
                &joined(&x.request.headers, &X_FORWARDED_FOR, peer),
            ),
            false => sink.own(&OWN_FORWARDED_FOR, peer),
        }
        if !said.proto {
            sink.own(&OWN_FORWARDED_PROTO, x.request.scheme.as_bytes());
        }
        if !said.host {
            let host: &str = if x.request.host.is_empty() {
                NAMELESS_HOST
            } else {
                &x.request.host
            };
            sink.own(&OWN_FORWARDED_HOST, host.as_bytes());
        }
        if !said.port {
            sink.own(&OWN_FORWARDED_PORT, connection.port_header.as_bytes());
        }
        if !said.path {
            sink.own(&OWN_FORWARDED_PATH, x.request.target.path().as_bytes());
        }
        if !said.prefix
            && let Some(prefix) = x.stripped_prefix.as_deref().filter(|prefix| *prefix != b"/")
        {
            // The decoded prefix, as Kong sends it; bytes that no header can carry are escaped.
            if prefix
                .iter()
                .all(|byte| *byte == b'\t' || (*byte >= 32 && *byte != 127))
            {
                sink.own(&OWN_FORWARDED_PREFIX, prefix);
            } else {
                sink.own(&OWN_FORWARDED_PREFIX, &escape_path(prefix));
            }
        }
    }
}

/// What happens to a header of the client.
enum Place {
    PassedOn,
    /// The gateway writes its own, or none.
    Dropped,
    /// Written by the gateway when there is a body.
    Length,
    /// Stands when the peer is trusted.
    Forwarded(Forwarded),
    ForwardedFor,
    Via,
}

#[derive(Clone, Copy)]
enum Forwarded {
    Proto,
    Host,
    Port,
    Path,
    Prefix,
}

/// Forwarding headers that a trusted peer sent.
#[derive(Clone, Copy, Default)]
struct Said {
    proto: bool,
    host: bool,
    port: bool,
    path: bool,
    prefix: bool,
}

impl Said {
    fn note(&mut self, which: Forwarded) {
        match which {
            Forwarded::Proto => self.proto = true,
            Forwarded::Host => self.host = true,
            Forwarded::Port => self.port = true,
            Forwarded::Path => self.path = true,
            Forwarded::Prefix => self.prefix = true,
        }
    }
}

fn place(name: &HeaderName) -> Place {
    match name.as_str() {
        // Expect is answered by the gateway itself, when the body is first read.
        "host" | "connection" | "expect" | "upgrade" | "te" | "transfer-encoding" | "x-real-ip"
        | "x-kong-request-id" => Place::Dropped,
        "content-length" => Place::Length,
        "via" => Place::Via,
        "x-forwarded-for" => Place::ForwardedFor,
        "x-forwarded-proto" => Place::Forwarded(Forwarded::Proto),
        "x-forwarded-host" => Place::Forwarded(Forwarded::Host),
        "x-forwarded-port" => Place::Forwarded(Forwarded::Port),
        "x-forwarded-path" => Place::Forwarded(Forwarded::Path),
        "x-forwarded-prefix" => Place::Forwarded(Forwarded::Prefix),
        _ => Place::PassedOn,
    }
}

/// The lines of a list header as one, with `own` at its end.
fn joined(headers: &HeaderMap, name: &HeaderName, own: &[u8]) -> Vec<u8> {
    let mut list = Vec::with_capacity(64);
    for value in headers.get_all(name) {
        list.extend_from_slice(value.as_bytes());
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(own);
    list
}

/// Appends to `Via` of a response, joining lines that are there already into one.
pub(crate) fn append_via(headers: &mut HeaderMap, own: HeaderValue) {
    if !headers.keys().any(|name| *name == VIA) {
        headers.insert(VIA, own);
    } else if let Ok(value) = HeaderValue::from_bytes(&joined(headers, &VIA, own.as_bytes())) {
        headers.insert(VIA, value);
    }
}

const VIA_1_0: &[u8] = concat!("1 tidegate/", env!("CARGO_PKG_VERSION")).as_bytes();
const VIA_1_1: &str = concat!("1.1 tidegate/", env!("CARGO_PKG_VERSION"));
const VIA_2: &str = concat!("2 tidegate/", env!("CARGO_PKG_VERSION"));

/// `<received version> tidegate/VERSION`; Kong writes 1.0 as `1`.
fn request_via(version: Version) -> &'static [u8] {
    match version {
        Version::HTTP_09 | Version::HTTP_10 => VIA_1_0,
        Version::HTTP_2 => VIA_2.as_bytes(),
        _ => VIA_1_1.as_bytes(),
    }
}

/// `Via` of a response: the version that the upstream spoke.
pub(crate) fn response_via(is_grpc: bool) -> HeaderValue {
    if is_grpc {
        RESPONSE_VIA_2.clone()
    } else {
        RESPONSE_VIA_1_1.clone()
    }
}

/// `Server` of the gateway.
pub(crate) fn server() -> HeaderValue {
    SERVER.clone()
}

// Static bytes: cloning them touches no reference count.
static RESPONSE_VIA_1_1: LazyLock<HeaderValue> = LazyLock::new(|| HeaderValue::from_static(VIA_1_1));
static RESPONSE_VIA_2: LazyLock<HeaderValue> = LazyLock::new(|| HeaderValue::from_static(VIA_2));
static SERVER: LazyLock<HeaderValue> = LazyLock::new(|| HeaderValue::from_static(PRODUCT));
