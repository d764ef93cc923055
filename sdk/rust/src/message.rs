//! Heads, headers and bodies of the exchange in hand.

use crate::{Error, Result};
use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, MapType};
use std::ops::Deref;

/// The head of a request or response: its headers, and whether that is all of it.
///
/// ```no_run
/// # use tidegate_sdk::{Flow, Head, Result};
/// fn request_head(request: &Head) -> Result<Flow> {
///     if request.ends_here() {
///         request.set("x-body", "none")?;
///     }
///     Ok(Flow::Continue)
/// }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Head {
    headers: Headers,
    ends_here: bool,
}

impl Head {
    pub(crate) const fn new(headers: Headers, ends_here: bool) -> Self {
        Self { headers, ends_here }
    }

    /// Whether there is neither body nor trailers.
    ///
    /// ```no_run
    /// # fn f(request: &tidegate_sdk::Head) -> tidegate_sdk::Flow {
    /// if request.ends_here() { tidegate_sdk::Flow::Continue } else { tidegate_sdk::Flow::Pause }
    /// # }
    /// ```
    #[must_use]
    pub const fn ends_here(&self) -> bool {
        self.ends_here
    }
}

impl Deref for Head {
    type Target = Headers;

    fn deref(&self) -> &Headers {
        &self.headers
    }
}

/// A set of headers or trailers, read and written at the gateway. Names are compared without regard to case.
///
/// The four constants name the sets of an exchange; each can be used as long as its part has not gone on.
///
/// ```no_run
/// use tidegate_sdk::Headers;
/// let agent = Headers::REQUEST.get("user-agent")?;
/// # Ok::<(), tidegate_sdk::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headers(MapType);

impl Headers {
    /// Headers of the request, with `:method`, `:path`, `:authority` and `:scheme`.
    ///
    /// ```no_run
    /// let path = tidegate_sdk::Headers::REQUEST.path()?;
    /// # Ok::<(), tidegate_sdk::Error>(())
    /// ```
    pub const REQUEST: Self = Self(MapType::HttpRequestHeaders);
    /// Trailers of the request.
    ///
    /// ```no_run
    /// tidegate_sdk::Headers::REQUEST_TRAILERS.add("x-sum", "1")?;
    /// # Ok::<(), tidegate_sdk::Error>(())
    /// ```
    pub const REQUEST_TRAILERS: Self = Self(MapType::HttpRequestTrailers);
    /// Headers of the response, with `:status`.
    ///
    /// ```no_run
    /// let status = tidegate_sdk::Headers::RESPONSE.status()?;
    /// # Ok::<(), tidegate_sdk::Error>(())
    /// ```
    pub const RESPONSE: Self = Self(MapType::HttpResponseHeaders);
    /// Trailers of the response.
    ///
    /// ```no_run
    /// tidegate_sdk::Headers::RESPONSE_TRAILERS.add("x-sum", "1")?;
    /// # Ok::<(), tidegate_sdk::Error>(())
    /// ```
    pub const RESPONSE_TRAILERS: Self = Self(MapType::HttpResponseTrailers);

    /// The value of a header; several are joined as the gateway joins them.
    ///
    /// ```no_run
    /// # fn f(request: &tidegate_sdk::Head) -> tidegate_sdk::Result<()> {
    /// let token = request.get("authorization")?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::NotText`], and when the headers are not to be had in this phase.
    pub fn get(&self, name: &str) -> Result<Option<String>> {
        let value = hostcalls::get_map_value_bytes(self.0, name).map_err(Error::host("get header"))?;
        let text = value.map(String::from_utf8).transpose();
        text.map_err(|_| Error::NotText(name.to_owned()))
    }

    /// All headers in their order.
    ///
    /// ```no_run
    /// # fn f(request: &tidegate_sdk::Head) -> tidegate_sdk::Result<()> {
    /// for (name, value) in request.all()? {
    ///     tidegate_sdk::log::debug!("{name}: {}", String::from_utf8_lossy(&value));
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the headers are not to be had in this phase.
    pub fn all(&self) -> Result<Vec<(String, Vec<u8>)>> {
        hostcalls::get_map_bytes(self.0).map_err(Error::host("get headers"))
    }

    /// Puts a header in the place of all of this name.
    ///
    /// ```no_run
    /// # fn f(request: &tidegate_sdk::Head) -> tidegate_sdk::Result<()> {
    /// request.set("x-tenant", "blue")?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the gateway refuses it.
    pub fn set(&self, name: &str, value: &str) -> Result<()> {
        hostcalls::set_map_value_bytes(self.0, name, Some(value.as_bytes()))
            .map_err(Error::host("set header"))
    }

    /// Adds a header beside those of this name.
    ///
    /// ```no_run
    /// # fn f(response: &tidegate_sdk::Head) -> tidegate_sdk::Result<()> {
    /// response.add("set-cookie", "variant=b; Path=/")?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the gateway refuses it.
    pub fn add(&self, name: &str, value: &str) -> Result<()> {
        hostcalls::add_map_value_bytes(self.0, name, value.as_bytes()).map_err(Error::host("add header"))
    }

    /// Removes all headers of a name; none is fine.
    ///
    /// ```no_run
    /// # fn f(response: &tidegate_sdk::Head) -> tidegate_sdk::Result<()> {
    /// response.remove("server")?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the gateway refuses it.
    pub fn remove(&self, name: &str) -> Result<()> {
        hostcalls::remove_map_value(self.0, name).map_err(Error::host("remove header"))
    }

    /// Method of the request.
    ///
    /// ```no_run
    /// let is_get = tidegate_sdk::Headers::REQUEST.method()? == "GET";
    /// # Ok::<(), tidegate_sdk::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Headers::get`].
    pub fn method(&self) -> Result<String> {
        Ok(self.get(":method")?.unwrap_or_default())
    }

    /// Path and query of the request.
    ///
    /// ```no_run
    /// let is_admin = tidegate_sdk::Headers::REQUEST.path()?.starts_with("/admin/");
    /// # Ok::<(), tidegate_sdk::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Headers::get`].
    pub fn path(&self) -> Result<String> {
        Ok(self.get(":path")?.unwrap_or_default())
    }

    /// Status of the response; `None` in a request.
    ///
    /// ```no_run
    /// let failed = tidegate_sdk::Headers::RESPONSE.status()?.is_some_and(|status| status >= 500);
    /// # Ok::<(), tidegate_sdk::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Headers::get`].
    pub fn status(&self) -> Result<Option<u16>> {
        Ok(self.get(":status")?.and_then(|status| status.parse().ok()))
    }

    /// Value of a cookie that the request carries, as it stands there (RFC 6265 section 5.4); the first of its name.
    ///
    /// ```no_run
    /// let session = tidegate_sdk::Headers::REQUEST.cookie("session")?;
    /// # Ok::<(), tidegate_sdk::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Headers::get`].
    pub fn cookie(&self, name: &str) -> Result<Option<String>> {
        let cookies = self.get("cookie")?;
        Ok(cookies.and_then(|cookies| find_cookie(&cookies, name).map(str::to_owned)))
    }
}

/// Several `Cookie` fields may have been joined by commas: HTTP/2 splits them, and no cookie holds one.
fn find_cookie<'c>(cookies: &'c str, name: &str) -> Option<&'c str> {
    let mut pairs = cookies
        .split([';', ','])
        .filter_map(|pair| pair.trim().split_once('='));
    pairs.find_map(|(key, value)| (key.trim_end() == name).then_some(value.trim()))
}

/// The bytes of a body that the gateway holds for this callback.
///
/// A body whose length changes must not announce the old one: remove `content-length` with the head.
///
/// ```no_run
/// # use tidegate_sdk::{Body, Flow, Result};
/// fn response_body(body: &Body) -> Result<Flow> {
///     if !body.is_complete() {
///         return Ok(Flow::Pause);
///     }
///     let bytes = body.bytes()?;
///     body.replace(&bytes.to_ascii_uppercase())?;
///     Ok(Flow::Continue)
/// }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Body {
    buffer: BufferType,
    length: usize,
    is_complete: bool,
}

impl Body {
    pub(crate) const fn request(length: usize, is_complete: bool) -> Self {
        Self {
            buffer: BufferType::HttpRequestBody,
            length,
            is_complete,
        }
    }

    pub(crate) const fn response(length: usize, is_complete: bool) -> Self {
        Self {
            buffer: BufferType::HttpResponseBody,
            length,
            is_complete,
        }
    }

    /// Bytes that are held.
    ///
    /// ```no_run
    /// # fn f(body: &tidegate_sdk::Body) {
    /// let is_large = body.len() > 100_000;
    /// # }
    /// ```
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether none are held.
    ///
    /// ```no_run
    /// # fn f(body: &tidegate_sdk::Body) {
    /// let has_nothing = body.is_empty();
    /// # }
    /// ```
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether nothing follows.
    ///
    /// ```no_run
    /// # fn f(body: &tidegate_sdk::Body) -> tidegate_sdk::Flow {
    /// if body.is_complete() { tidegate_sdk::Flow::Continue } else { tidegate_sdk::Flow::Pause }
    /// # }
    /// ```
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// The bytes.
    ///
    /// ```no_run
    /// # fn f(body: &tidegate_sdk::Body) -> tidegate_sdk::Result<()> {
    /// let order: std::collections::HashMap<String, u32> = serde_json::from_slice(&body.bytes()?)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the body is not to be had in this phase.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let bytes = hostcalls::get_buffer(self.buffer, 0, self.length).map_err(Error::host("get body"))?;
        Ok(bytes.unwrap_or_default())
    }

    /// Puts other bytes in their place.
    ///
    /// ```no_run
    /// # fn f(body: &tidegate_sdk::Body) -> tidegate_sdk::Result<()> {
    /// body.replace(b"{}")?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the gateway refuses it.
    pub fn replace(&self, bytes: &[u8]) -> Result<()> {
        hostcalls::set_buffer(self.buffer, 0, self.length, bytes).map_err(Error::host("set body"))
    }
}

/// Headers as host calls take them.
pub(crate) fn borrowed(headers: &[(String, String)]) -> Vec<(&str, &str)> {
    let pairs = headers.iter();
    pairs
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::find_cookie;

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let cookies = "variant2=x; variant=b ;other=\"q\", joined=1";
        assert_eq!(find_cookie(cookies, "variant"), Some("b"));
        assert_eq!(find_cookie(cookies, "other"), Some("\"q\""));
        assert_eq!(find_cookie(cookies, "joined"), Some("1"));
        assert_eq!(find_cookie(cookies, "x"), None);
        assert_eq!(find_cookie("flag", "flag"), None);
    }
}
