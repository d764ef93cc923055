//! Requests to an Admin API over connections that are kept.

mod address;
mod cookies;
mod wire;

use crate::error::Error;
use address::Address;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};
use std::path::PathBuf;
use std::time::Duration;
use wire::Wire;

/// How the Admin API is reached.
#[derive(Debug, Clone, Default)]
pub struct Connection {
    /// Base URL; a path prefix is kept.
    pub address: String,
    /// Sent as `Kong-Admin-Token`.
    pub admin_token: Option<String>,
    /// Further headers, as `name:value`.
    pub headers: Vec<String>,
    /// Cookies in Netscape's format.
    pub cookie_jar: Option<PathBuf>,
    /// Bound on each request.
    pub timeout: Duration,
    /// TLS.
    pub tls: TlsSettings,
    /// Set when `address` is that of a hosted control plane instead of a gateway.
    pub konnect: Option<Konnect>,
    /// Requests and answers are shown on standard error.
    pub verbose: bool,
}

/// TLS towards the Admin API.
#[derive(Debug, Clone, Default)]
pub struct TlsSettings {
    /// Any certificate is accepted.
    pub skips_verification: bool,
    /// Name to ask for and to verify, in place of the host.
    pub server_name: Option<String>,
    /// PEM of certificates to trust beside those of the system.
    pub ca_certificate: Option<String>,
    /// PEM of the client's certificate and key.
    pub client_certificate: Option<(String, String)>,
}

/// A control plane of a hosted control API.
#[derive(Debug, Clone)]
pub struct Konnect {
    /// Bearer token.
    pub token: String,
    /// Name of the control plane; `default` when neither the command line nor a file tells.
    pub control_plane: Option<String>,
}

impl Konnect {
    pub(crate) fn control_plane(&self) -> &str {
        self.control_plane.as_deref().unwrap_or("default")
    }
}

/// Told of what goes over the wire.
pub(crate) type Log<'l> = &'l dyn Fn(&str);

/// An Admin API, or a part of it below a path.
pub(crate) struct Client<'l> {
    wire: Wire,
    /// Path ahead of everything.
    prefix: String,
    headers: HeaderMap,
    log: Option<Log<'l>>,
    pub(crate) is_konnect: bool,
}

/// Entities in one answer, at most.
const PAGE: usize = 1_000;

/// What Go leaves as it is in a query.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

impl<'l> Client<'l> {
    pub(crate) fn new(connection: &Connection, log: Log<'l>) -> Result<Self, Error> {
        let address = Address::parse(&connection.address)?;
        let headers = headers(connection, &address)?;
        Ok(Self {
            prefix: address.path.clone(),
            wire: Wire::new(address, connection)?,
            headers,
            log: connection.verbose.then_some(log),
            is_konnect: connection.konnect.is_some(),
        })
    }

    /// Everything from now on stands below this path.
    pub(crate) fn go_below(&mut self, path: &str) {
        self.prefix = format!("{}/{}", self.prefix, path.trim_matches('/'));
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value, Error> {
        let answer = self.send(Method::GET, path, None).await?;
        serde_json::from_slice(&answer).map_err(|error| {
            Error::Request(format!(
                "{} answers with something other than JSON: {error}",
                self.url(path)
            ))
        })
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<(), Error> {
        self.send(Method::PUT, path, Some(body)).await.map(drop)
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<(), Error> {
        self.send(Method::POST, path, Some(body)).await.map(drop)
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<(), Error> {
        self.send(Method::DELETE, path, None).await.map(drop)
    }

    /// All entities of a list, page by page; with tags those that have all of them.
    pub(crate) async fn list(&self, path: &str, tags: &[String]) -> Result<Vec<Map<String, Value>>, Error> {
        let mut query = format!("{path}?size={PAGE}");
        if !tags.is_empty() {
            let tags = tags.join(",");
            query = format!("{query}&tags={}", utf8_percent_encode(&tags, QUERY));
        }
        let mut entities = Vec::new();
        let mut offset = String::new();
        loop {
            let mut page = self.get(&format!("{query}{offset}")).await?;
            if let Some(Value::Array(list)) = page.get_mut("data").map(Value::take) {
                entities.extend(list.into_iter().filter_map(|entity| match entity {
                    Value::Object(members) => Some(members),
                    _ => None,
                }));
            }
            let next = page.get("offset").and_then(Value::as_str).unwrap_or_default();
            if next.is_empty() {
                return Ok(entities);
            }
            let next = format!("&offset={}", utf8_percent_encode(next, QUERY));
            if next == offset {
                return Err(Error::Request(format!(
                    "{} does not come to an end",
                    self.url(path)
                )));
            }
            offset = next;
        }
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Bytes, Error> {
        let target = format!("{}{path}", self.prefix);
        let body = body.map(|body| Bytes::from(body.to_string()));
        if let Some(log) = self.log {
            let shown = body.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
            log(&format!("{method} {target} HTTP/1.1\n{shown}\n"));
        }
        let headers = self.headers.clone();
        let sent = self.wire.send(method.clone(), &target, headers, body).await;
        let (status, answer) = sent.map_err(|reason| {
            let title = method.as_str();
            let title = format!(
                "{}{}",
                title.get(..1).unwrap_or_default(),
                title.get(1..).unwrap_or_default().to_ascii_lowercase()
            );
            Error::Request(format!("{title} \"{}\": {reason}", self.url(path)))
        })?;
        if let Some(log) = self.log {
            log(&format!(
                "HTTP/1.1 {status}\n{}\n",
                String::from_utf8_lossy(&answer)
            ));
        }
        if status.is_success() || status.is_redirection() {
            return Ok(answer);
        }
        Err(Error::Status {
            status: status.as_u16(),
            message: message(&answer),
        })
    }

    fn url(&self, path: &str) -> String {
        format!("{}{}{path}", self.wire.origin(), self.prefix)
    }
}

/// The field `message` of an error.
fn message(answer: &[u8]) -> String {
    match serde_json::from_slice::<Value>(answer) {
        Ok(body) => {
            let message = body.get("message").and_then(Value::as_str);
            message.unwrap_or_default().to_owned()
        }
        Err(error) => format!("<failed to parse response body: {error}>"),
    }
}

fn headers(connection: &Connection, address: &Address) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    let own = concat!("tidegate/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(own));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(HOST, value(&address.authority)?);
    for header in &connection.headers {
        let (name, content) = header
            .split_once(':')
            .ok_or_else(|| Error::input(format!("malformed header '{header}': expected name:value")))?;
        let name = HeaderName::try_from(name.trim())
            .map_err(|_| Error::input(format!("malformed header name '{name}'")))?;
        headers.append(name, value(content.trim())?);
    }
    if let Some(token) = &connection.admin_token {
        headers.insert(HeaderName::from_static("kong-admin-token"), secret(token)?);
    }
    if let Some(konnect) = &connection.konnect {
        headers.insert(AUTHORIZATION, secret(&format!("Bearer {}", konnect.token))?);
    }
    if let Some(jar) = &connection.cookie_jar
        && let Some(cookies) = cookies::header(jar, address)?
    {
        headers.insert(COOKIE, secret(&cookies)?);
    }
    Ok(headers)
}

fn value(text: &str) -> Result<HeaderValue, Error> {
    HeaderValue::try_from(text).map_err(|_| Error::input(format!("'{text}' cannot stand in a header")))
}

fn secret(text: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::try_from(text)
        .map_err(|_| Error::input("a token or cookie has characters that cannot stand in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}
