//! Calls to upstreams and other hosts.

use crate::message::borrowed;
use crate::{Error, Result};
use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, MapType};
use std::time::Duration;

/// A request to an Upstream or Service by its name, or to `host:port` where the gateway allows it.
///
/// ```no_run
/// # use tidegate_sdk::{Call, Flow, Head, Result};
/// fn request_head(_: &Head) -> Result<Flow> {
///     Call::new("GET", "auth-service", "/check").header("x-from", "gateway").send()?;
///     Ok(Flow::Pause)
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Call {
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    timeout: Duration,
}

const TIMEOUT: Duration = Duration::from_secs(5);

impl Call {
    /// A call without body, to be answered within five seconds.
    ///
    /// ```
    /// let call = tidegate_sdk::Call::new("POST", "audit-service", "/events?kind=login");
    /// ```
    #[must_use]
    pub fn new(method: &str, target: &str, path: &str) -> Self {
        let pseudo = [(":method", method), (":path", path), (":authority", target)];
        Self {
            target: target.to_owned(),
            headers: pseudo
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            body: Vec::new(),
            timeout: TIMEOUT,
        }
    }

    /// Adds a header; `:authority` and `:scheme` replace what the target gives.
    ///
    /// ```
    /// let call = tidegate_sdk::Call::new("GET", "auth", "/").header(":authority", "auth.example");
    /// ```
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into();
        if name.starts_with(':') {
            self.headers.retain(|(known, _)| *known != name);
        }
        self.headers.push((name, value.into()));
        self
    }

    /// Sets the body.
    ///
    /// ```
    /// let call = tidegate_sdk::Call::new("POST", "audit", "/").body(r#"{"event":"login"}"#);
    /// ```
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets the time for the whole call.
    ///
    /// ```
    /// let call = tidegate_sdk::Call::new("GET", "auth", "/").timeout(std::time::Duration::from_millis(200));
    /// ```
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends it. The answer comes to `call_answered` of whoever sent it, also when there is none.
    ///
    /// ```no_run
    /// let id = tidegate_sdk::Call::new("GET", "auth", "/").send()?;
    /// # Ok::<(), tidegate_sdk::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the target is unknown or forbidden, or too many calls are outstanding.
    pub fn send(&self) -> Result<CallId> {
        let headers = borrowed(&self.headers);
        let body = (!self.body.is_empty()).then_some(self.body.as_slice());
        hostcalls::dispatch_http_call(&self.target, headers, body, Vec::new(), self.timeout)
            .map(CallId)
            .map_err(Error::host("call"))
    }
}

/// Tells calls apart.
///
/// ```no_run
/// # use tidegate_sdk::{Answer, Call, CallId};
/// # fn f(first: CallId, answer: &Answer) {
/// let is_first = answer.id() == first;
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallId(pub(crate) u32);

/// The answer to a call.
///
/// ```no_run
/// # use tidegate_sdk::{Answer, Flow, Reply, Result};
/// fn call_answered(answer: &Answer) -> Result<Flow> {
///     match answer.status() {
///         Some(200) => Ok(Flow::Continue),
///         Some(_) => Ok(Reply::new(403).into()),
///         None => Ok(Reply::new(503).into()),
///     }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Answer {
    id: CallId,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Answer {
    pub(crate) fn take(id: CallId, body_length: usize) -> Result<Self> {
        let headers =
            hostcalls::get_map_bytes(MapType::HttpCallResponseHeaders).map_err(Error::host("get answer"))?;
        let body = match body_length {
            0 => None,
            length => hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, length)
                .map_err(Error::host("get answer"))?,
        };
        Ok(Self {
            id,
            headers,
            body: body.unwrap_or_default(),
        })
    }

    /// The call that is answered.
    ///
    /// ```no_run
    /// # fn f(answer: &tidegate_sdk::Answer) {
    /// let id = answer.id();
    /// # }
    /// ```
    #[must_use]
    pub const fn id(&self) -> CallId {
        self.id
    }

    /// The status; `None` when the call failed or timed out.
    ///
    /// ```no_run
    /// # fn f(answer: &tidegate_sdk::Answer) {
    /// let is_fine = answer.status().is_some_and(|status| status < 300);
    /// # }
    /// ```
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.header(":status")?.parse().ok()
    }

    /// The first header of a name, if it is text.
    ///
    /// ```no_run
    /// # fn f(answer: &tidegate_sdk::Answer) {
    /// let user = answer.header("x-user");
    /// # }
    /// ```
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    /// The body.
    ///
    /// ```no_run
    /// # fn f(answer: &tidegate_sdk::Answer) -> tidegate_sdk::Result<()> {
    /// let roles: Vec<String> = serde_json::from_slice(answer.body())?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}
