//! Answers that the gateway makes itself.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::Value;
use std::borrow::Cow;

/// A ready answer. Plugins say what; the media type of an error, `request_id`, gRPC form, `Server` and latency headers
/// are added by the gateway when it is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers to set beside those of the body.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What the body is.
    pub body: ReplyBody,
}

/// Body of a [`Reply`].
#[derive(Debug, Clone, PartialEq)]
pub enum ReplyBody {
    /// No body, `Content-Length: 0`.
    Empty,
    /// Kong's error page: JSON, HTML, plain text, XML or gRPC by what the client accepts.
    Error(Cow<'static, str>),
    /// Sent as it is (exit with a string). No content type of its own.
    Raw(Bytes),
    /// Compact JSON, `application/json; charset=utf-8` (exit with a table). `message` also becomes grpc-message.
    Json {
        /// The serialised document.
        bytes: Bytes,
        /// The `message` member, if any.
        message: Option<String>,
    },
}

impl Reply {
    /// An error page negotiated with the client.
    pub fn error(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: ReplyBody::Error(message.into()),
        }
    }

    /// `{"message": ...}` as JSON whatever the client accepts.
    #[must_use]
    pub fn message(status: StatusCode, message: &str) -> Self {
        Self::json(status, &serde_json::json!({ "message": message }))
    }

    /// A JSON document.
    #[must_use]
    pub fn json(status: StatusCode, document: &Value) -> Self {
        let message = document.get("message").and_then(Value::as_str).map(str::to_owned);
        let bytes = Bytes::from(document.to_string());
        Self {
            status,
            headers: Vec::new(),
            body: ReplyBody::Json { bytes, message },
        }
    }

    /// Bytes as they are.
    pub fn raw(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: ReplyBody::Raw(body.into()),
        }
    }

    /// Without body.
    #[must_use]
    pub const fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: ReplyBody::Empty,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Adds `Content-Type`.
    #[must_use]
    pub fn content_type(self, value: HeaderValue) -> Self {
        self.header(header::CONTENT_TYPE, value)
    }
}

/// Kong's default text for a status.
#[must_use]
pub fn default_message(status: StatusCode) -> Cow<'static, str> {
    Cow::Borrowed(match status.as_u16() {
        400 => "Bad request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not found",
        405 => "Method not allowed",
        408 => "Request timeout",
        411 => "Length required",
        412 => "Precondition failed",
        413 => "Payload too large",
        414 => "URI too long",
        415 => "Unsupported media type",
        417 => "Expectation failed",
        426 => "Upgrade required",
        429 => "Too many requests",
        494 => "Request header or cookie too large",
        500 => "An unexpected error occurred",
        501 => "Not implemented",
        502 => "An invalid response was received from the upstream server",
        503 => "The upstream server is currently unavailable",
        504 => "The upstream server is timing out",
        other => return Cow::Owned(format!("The upstream server responded with {other}")),
    })
}
