//! Requests as tests write them, and what became of them.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use tidegate_plugin::Exchange;
use tidegate_plugin::filter::OutboundResponse;
use tidegate_wasm::testing::{Drive, Message, Outcome, exchange};

/// A request to the gateway, with what the upstream answers to it.
///
/// ```
/// use tidegate_filter_test::{Request, Response};
/// let request = Request::new("POST", "/orders?dry=1")
///     .header("content-type", "application/json")
///     .body(r#"{"item":1}"#)
///     .upstream(Response::new(201));
/// ```
#[derive(Debug, Clone)]
pub struct Request {
    method: String,
    target: String,
    headers: HeaderMap,
    chunks: Vec<Bytes>,
    upstream: Response,
}

impl Request {
    /// A request to `gateway.test` from 127.0.0.1, that the upstream answers with 200 and no body.
    ///
    /// ```
    /// let request = tidegate_filter_test::Request::new("DELETE", "/orders/1");
    /// ```
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: HeaderMap::new(),
            chunks: Vec::new(),
            upstream: Response::new(200),
        }
    }

    /// A GET request.
    ///
    /// ```
    /// let request = tidegate_filter_test::Request::get("/orders?page=2");
    /// ```
    #[must_use]
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// Adds a header.
    ///
    /// ```
    /// let request = tidegate_filter_test::Request::get("/").header("cookie", "a=1");
    /// ```
    ///
    /// # Panics
    /// When name or value are none that HTTP allows.
    #[must_use]
    #[track_caller]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        append(&mut self.headers, name, value);
        self
    }

    /// Adds bytes to the body: each call is a chunk that arrives by itself.
    ///
    /// ```
    /// let request = tidegate_filter_test::Request::new("POST", "/").body("first,").body("second");
    /// ```
    #[must_use]
    pub fn body(mut self, chunk: impl Into<Bytes>) -> Self {
        self.chunks.push(chunk.into());
        self
    }

    /// Sets what the upstream answers.
    ///
    /// ```
    /// use tidegate_filter_test::{Request, Response};
    /// let request = Request::get("/missing").upstream(Response::new(404));
    /// ```
    #[must_use]
    pub fn upstream(mut self, response: Response) -> Self {
        self.upstream = response;
        self
    }

    pub(crate) fn into_drive(self, filter: std::sync::Arc<tidegate_wasm::WasmFilter>) -> Drive {
        let mut x: Exchange = exchange(&self.method, &self.target);
        let host = x.request.headers.clone();
        x.request.headers = self.headers;
        for (name, value) in &host {
            if !x.request.headers.contains_key(name) {
                x.request.headers.insert(name, value.clone());
            }
        }
        let mut drive = Drive::new(vec![filter], x);
        drive.request = message(self.chunks);
        drive.response = message(self.upstream.chunks);
        drive.upstream_head = (self.upstream.status, self.upstream.headers);
        drive
    }
}

/// A response: of the upstream, or to a call.
///
/// ```
/// use tidegate_filter_test::Response;
/// let response = Response::new(200).header("etag", "\"1\"").body("hello");
/// ```
#[derive(Debug, Clone)]
pub struct Response {
    status: StatusCode,
    headers: HeaderMap,
    chunks: Vec<Bytes>,
}

impl Response {
    /// A response without headers and body.
    ///
    /// ```
    /// let response = tidegate_filter_test::Response::new(204);
    /// ```
    ///
    /// # Panics
    /// When the status is none that HTTP allows.
    #[must_use]
    #[track_caller]
    pub fn new(status: u16) -> Self {
        let status = StatusCode::from_u16(status);
        assert!(status.is_ok(), "a status has three digits");
        Self {
            status: status.unwrap_or_default(),
            headers: HeaderMap::new(),
            chunks: Vec::new(),
        }
    }

    /// Adds a header.
    ///
    /// ```
    /// let response = tidegate_filter_test::Response::new(200).header("server", "x");
    /// ```
    ///
    /// # Panics
    /// When name or value are none that HTTP allows.
    #[must_use]
    #[track_caller]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        append(&mut self.headers, name, value);
        self
    }

    /// Adds bytes to the body: each call is a chunk that arrives by itself.
    ///
    /// ```
    /// let response = tidegate_filter_test::Response::new(200).body("first,").body("second");
    /// ```
    #[must_use]
    pub fn body(mut self, chunk: impl Into<Bytes>) -> Self {
        self.chunks.push(chunk.into());
        self
    }

    /// Adds a JSON body with its type.
    ///
    /// ```
    /// let response = tidegate_filter_test::Response::new(200).json(&[1, 2]);
    /// ```
    ///
    /// # Panics
    /// When the value cannot be written as JSON.
    #[must_use]
    #[track_caller]
    pub fn json(self, body: &impl Serialize) -> Self {
        let json = serde_json::to_vec(body);
        assert!(json.is_ok(), "the value is no JSON");
        self.header("content-type", "application/json")
            .body(json.unwrap_or_default())
    }

    pub(crate) fn into_outbound(self) -> OutboundResponse {
        OutboundResponse {
            status: self.status,
            headers: self.headers,
            body: self.chunks.concat().into(),
            trailers: None,
        }
    }
}

fn message(chunks: Vec<Bytes>) -> Message {
    Message {
        chunks,
        ..Message::default()
    }
}

#[track_caller]
fn append(headers: &mut HeaderMap, name: &str, value: &str) {
    let pair = (name.parse::<HeaderName>(), value.parse::<HeaderValue>());
    assert!(pair.0.is_ok() && pair.1.is_ok(), "no header: `{name}: {value}`");
    if let (Ok(name), Ok(value)) = pair {
        headers.append(name, value);
    }
}

/// What became of a request.
///
/// ```no_run
/// # use tidegate_filter_test::{Harness, Request};
/// # fn f(mut harness: Harness) {
/// let passed = harness.request(Request::get("/"));
/// assert_eq!(passed.status(), 200);
/// assert!(passed.header("x-signature").is_some_and(|value| value.len() == 64));
/// # }
/// ```
pub struct Passed {
    outcome: Outcome,
}

impl std::fmt::Debug for Passed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passed")
            .field("upstream", &self.outcome.upstream_headers)
            .field("status", &self.status())
            .field("headers", &self.outcome.x.response.headers)
            .field("body", &String::from_utf8_lossy(self.body()))
            .field("failure", &self.failure())
            .finish_non_exhaustive()
    }
}

impl Passed {
    pub(crate) const fn new(outcome: Outcome) -> Self {
        Self { outcome }
    }

    /// Whether the request went upstream.
    ///
    /// ```no_run
    /// # fn f(passed: tidegate_filter_test::Passed) {
    /// assert!(!passed.is_forwarded());
    /// # }
    /// ```
    #[must_use]
    pub const fn is_forwarded(&self) -> bool {
        self.outcome.upstream.is_some()
    }

    /// The first header of a name in the request that went upstream.
    ///
    /// ```no_run
    /// # fn f(passed: tidegate_filter_test::Passed) {
    /// assert_eq!(passed.header("x-user"), Some("alice"));
    /// # }
    /// ```
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.outcome.upstream_headers.get(name)?.to_str().ok()
    }

    /// Path and query that went upstream.
    ///
    /// ```no_run
    /// # fn f(passed: tidegate_filter_test::Passed) {
    /// assert_eq!(passed.target(), "/v2/orders");
    /// # }
    /// ```
    #[must_use]
    pub fn target(&self) -> &str {
        self.outcome.x.request.target.as_str()
    }

    /// Body that went upstream.
    ///
    /// ```no_run
    /// # fn f(passed: tidegate_filter_test::Passed) {
    /// assert_eq!(passed.upstream_body(), b"{}");
    /// # }
    /// ```
    #[must_use]
    pub fn upstream_body(&self) -> &[u8] {
        self.outcome.upstream.as_ref().map_or(&[], |(body, _)| body)
    }

    /// Status that the client got: of the upstream, of a filter's reply, or of its failure.
    ///
    /// ```no_run
    /// # fn f(passed: tidegate_filter_test::Passed) {
    /// assert_eq!(passed.status(), 200);
    /// # }
    /// ```
    #[must_use]
    pub fn status(&self) -> u16 {
        let status = match &self.outcome.fault {
            Some(fault) => fault.status,
            None => self.outcome.x.response.status,
        };
        status.as_u16()
    }

    /// The first header of a name in the response to the client.
    ///
    /// ```no_run
    /// # fn f(passed: tidegate_filter_test::Passed) {
    /// assert_eq!(passed.response_header("server"), None);
    /// # }
    /// ```
    #[must_use]
    pub fn response_header(&self, name: &str) -> Option<&str> {
        self.outcome.x.response.headers.get(name)?.to_str().ok()
    }

    /// Body that the client got.
    ///
    /// ```no_run
    /// # fn f(passed: tidegate_filter_test::Passed) {
    /// assert_eq!(passed.body(), b"hello");
    /// # }
    /// ```
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.outcome.body
    }

    /// Why the exchange ended, if the filter failed and its policy is `closed`.
    ///
    /// ```no_run
    /// # fn f(passed: tidegate_filter_test::Passed) {
    /// assert_eq!(passed.failure(), None);
    /// # }
    /// ```
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.outcome.fault.as_ref().map(ToString::to_string)
    }

    /// The request went upstream with this header.
    ///
    /// ```no_run
    /// # fn f(passed: tidegate_filter_test::Passed) {
    /// passed.expect_header("x-user", "alice").expect_status(200);
    /// # }
    /// ```
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn expect_header(self, name: &str, value: &str) -> Self {
        assert_eq!(
            self.header(name),
            Some(value),
            "request header {name} of {self:#?}"
        );
        self
    }

    /// The request went upstream without any header of this name.
    ///
    /// ```no_run
    /// # fn f(passed: tidegate_filter_test::Passed) {
    /// passed.expect_no_header("authorization");
    /// # }
    /// ```
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn expect_no_header(self, name: &str) -> Self {
        assert!(self.is_forwarded(), "forwarded: {self:#?}");
        assert_eq!(self.header(name), None, "request header {name} of {self:#?}");
        self
    }

    /// The client got this status.
    ///
    /// ```no_run
    /// # fn f(passed: tidegate_filter_test::Passed) {
    /// passed.expect_status(403);
    /// # }
    /// ```
    ///
    /// # Panics
    /// When it got another.
    #[track_caller]
    pub fn expect_status(self, status: u16) -> Self {
        assert_eq!(self.status(), status, "status of {self:#?}");
        self
    }

    /// The client got this header.
    ///
    /// ```no_run
    /// # fn f(passed: tidegate_filter_test::Passed) {
    /// passed.expect_response_header("retry-after", "1");
    /// # }
    /// ```
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn expect_response_header(self, name: &str, value: &str) -> Self {
        let found = self.response_header(name);
        assert_eq!(found, Some(value), "response header {name} of {self:#?}");
        self
    }

    /// The client got no header of this name.
    ///
    /// ```no_run
    /// # fn f(passed: tidegate_filter_test::Passed) {
    /// passed.expect_no_response_header("server");
    /// # }
    /// ```
    ///
    /// # Panics
    /// When it did.
    #[track_caller]
    pub fn expect_no_response_header(self, name: &str) -> Self {
        assert_eq!(
            self.response_header(name),
            None,
            "response header {name} of {self:#?}"
        );
        self
    }

    /// The client got this body.
    ///
    /// ```no_run
    /// # fn f(passed: tidegate_filter_test::Passed) {
    /// passed.expect_body("hello");
    /// # }
    /// ```
    ///
    /// # Panics
    /// When it got another.
    #[track_caller]
    pub fn expect_body(self, body: impl AsRef<[u8]>) -> Self {
        let found = String::from_utf8_lossy(self.body());
        assert_eq!(found, String::from_utf8_lossy(body.as_ref()), "body of {self:#?}");
        self
    }
}
