//! A request as JSON, in the shape that httpbin made customary.

use super::form::multipart;
use super::query::{grouped, pairs};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_TYPE, HOST};
use http::request::Parts;
use http::{HeaderMap, Request, Uri};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// What is said about a request.
#[derive(Debug)]
pub(super) struct Report<'a> {
    head: &'a Parts,
    body: &'a [u8],
    peer: SocketAddr,
}

impl<'a> Report<'a> {
    pub(super) const fn new(head: &'a Parts, body: &'a [u8], peer: SocketAddr) -> Self {
        Self { head, body, peer }
    }

    /// `args data files form headers json method origin url`. A form is shown decoded, other bodies as `data`, and
    /// as `json` too when they are JSON.
    pub(super) fn to_json(&self) -> Value {
        let content_type = self.header(CONTENT_TYPE.as_str()).unwrap_or_default();
        let media_type = content_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        let mut form = Value::Object(Map::new());
        let mut files = Value::Object(Map::new());
        let mut data = "".to_owned();
        match media_type.as_str() {
            "application/x-www-form-urlencoded" => {
                form = grouped(&pairs(&String::from_utf8_lossy(self.body)))
            }
            "multipart/form-data" => match multipart(content_type, self.body) {
                Some(found) => (form, files) = (Value::Object(found.fields), Value::Object(found.files)),
                None => data = text_or_base64(self.body),
            },
            _ => data = text_or_base64(self.body),
        }
        let json: Value = if data.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(self.body).unwrap_or_default()
        };
        let uri = &self.head.uri;
        json!({
            "args": grouped(&pairs(uri.query().unwrap_or_default())),
            "data": data,
            "files": files,
            "form": form,
            "headers": shown_headers(&self.head.headers, uri),
            "json": json,
            "method": self.head.method.as_str(),
            "origin": origin(&self.head.headers, self.peer),
            "url": url(&self.head.headers, uri),
        })
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }
}

/// What each line of `/stream/{n}` says.
pub(super) fn brief<B>(request: &Request<B>, peer: SocketAddr) -> Map<String, Value> {
    let mut brief = Map::new();
    brief.insert(
        "args".to_owned(),
        grouped(&pairs(request.uri().query().unwrap_or_default())),
    );
    brief.insert(
        "headers".to_owned(),
        shown_headers(request.headers(), request.uri()),
    );
    brief.insert("origin".to_owned(), Value::from(origin(request.headers(), peer)));
    brief.insert(
        "url".to_owned(),
        Value::from(url(request.headers(), request.uri())),
    );
    brief
}

/// Headers by name, sorted; HTTP/2 carries the host in `:authority`, which is shown as `Host`.
pub(super) fn shown_headers(headers: &HeaderMap, uri: &Uri) -> Value {
    let mut shown: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        shown
            .entry(title_case(name.as_str()))
            .and_modify(|joined| {
                joined.push(',');
                joined.push_str(&value);
            })
            .or_insert_with(|| value.to_string());
    }
    if let Some(authority) = uri.authority() {
        shown
            .entry("Host".to_owned())
            .or_insert_with(|| authority.to_string());
    }
    json!(shown)
}

/// `x-kong-request-id` becomes `X-Kong-Request-Id`.
fn title_case(name: &str) -> String {
    let mut starts_word = true;
    name.chars()
        .map(|c| {
            let shown = if starts_word { c.to_ascii_uppercase() } else { c };
            starts_word = c == '-';
            shown
        })
        .collect()
}

fn origin(headers: &HeaderMap, peer: SocketAddr) -> String {
    let forwarded = headers
        .get("x-forwarded-for")
        .and_then(|value| value.to_str().ok());
    forwarded.map_or_else(|| peer.ip().to_string(), str::to_owned)
}

fn url(headers: &HeaderMap, uri: &Uri) -> String {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = header("x-forwarded-proto").unwrap_or("http");
    let host = header(HOST.as_str())
        .or_else(|| uri.authority().map(http::uri::Authority::as_str))
        .unwrap_or_default();
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    format!("{scheme}://{host}{path}")
}

/// The text itself, or a `data:` URL for what is not UTF-8.
pub(super) fn text_or_base64(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("data:application/octet-stream;base64,{}", STANDARD.encode(bytes)),
    }
}
