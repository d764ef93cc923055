//! Answers that a filter gives itself.

use crate::message::borrowed;
use crate::{Error, Result};
use proxy_wasm::hostcalls;
use serde::Serialize;

/// An answer to the client in the place of the upstream's. Returned as [`crate::Flow::Reply`].
///
/// ```
/// use tidegate_sdk::Reply;
/// let reply = Reply::new(429).header("retry-after", "1").body("slow down");
/// assert_eq!(reply.status(), 429);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Reply {
    /// An answer without body. The gateway refuses a status below 200 or above 599.
    ///
    /// ```
    /// let reply = tidegate_sdk::Reply::new(204);
    /// ```
    #[must_use]
    pub const fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Adds a header.
    ///
    /// ```
    /// let reply = tidegate_sdk::Reply::new(302).header("location", "/login");
    /// ```
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    ///
    /// ```
    /// let reply = tidegate_sdk::Reply::new(403).body("not yours\n");
    /// ```
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets a JSON body and its type.
    ///
    /// ```
    /// let reply = tidegate_sdk::Reply::new(403).json(&serde_json::json!({ "message": "not yours" }))?;
    /// # Ok::<(), tidegate_sdk::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the value cannot be written as JSON.
    pub fn json(self, body: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(body)?;
        Ok(self.header("content-type", "application/json").body(body))
    }

    /// The status.
    ///
    /// ```
    /// assert_eq!(tidegate_sdk::Reply::new(403).status(), 403);
    /// ```
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    pub(crate) fn send(&self) -> Result<()> {
        let headers = borrowed(&self.headers);
        let body = (!self.body.is_empty()).then_some(self.body.as_slice());
        hostcalls::send_http_response(self.status.into(), headers, body).map_err(Error::host("reply"))
    }
}
