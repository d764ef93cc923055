//! What the client got, and what was logged.

use crate::exchange::Exchange;
use crate::kind::Fault;
use crate::reply::{Reply, ReplyBody};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use serde_json::Value;

/// Headers and body of a reply in the form that a JSON client gets.
#[must_use]
pub fn reply_parts(reply: &Reply) -> (HeaderMap, Bytes) {
    let mut headers = HeaderMap::new();
    let json_type = HeaderValue::from_static("application/json; charset=utf-8");
    let body = match &reply.body {
        ReplyBody::Empty => Bytes::new(),
        ReplyBody::Raw(bytes) => bytes.clone(),
        ReplyBody::Json { bytes, .. } => {
            headers.insert(CONTENT_TYPE, json_type);
            bytes.clone()
        }
        ReplyBody::Error(message) => {
            headers.insert(CONTENT_TYPE, json_type);
            Bytes::from(serde_json::json!({ "message": message }).to_string())
        }
    };
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    for (name, value) in &reply.headers {
        headers.insert(name.clone(), value.clone());
    }
    (headers, body)
}

/// The whole exchange is over.
pub struct Finished {
    exchange: Exchange,
    body: Bytes,
    faults: Vec<Fault>,
}

impl Finished {
    pub(super) fn new(exchange: Exchange, body: Bytes, faults: Vec<Fault>) -> Self {
        Self {
            exchange,
            body,
            faults,
        }
    }

    /// Status sent to the client.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.exchange.response.status.as_u16()
    }

    /// All lines of one response header.
    #[must_use]
    pub fn header(&self, name: &str) -> Vec<&str> {
        lines(&self.exchange.response.headers, name)
    }

    /// Body sent to the client.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Body sent to the client, as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        json(&self.body)
    }

    /// Failures of `header_filter` and `body_filter`.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// A member that the plugin added to the log object.
    #[must_use]
    pub fn log_field(&self, name: &str) -> Option<&Value> {
        self.exchange
            .log_fields
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }

    /// The exchange at its end.
    #[must_use]
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }
}

pub(super) fn lines<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    headers
        .get_all(name)
        .iter()
        .map(|value| value.to_str().unwrap_or("(not ASCII)"))
        .collect()
}

pub(super) fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body)
        .unwrap_or_else(|error| panic!("{:?} is not JSON: {error}", String::from_utf8_lossy(body)))
}
