//! What can go wrong between a filter and its gateway.

use proxy_wasm::types::Status;

/// Result of everything here that asks the gateway.
///
/// ```
/// fn length(text: Option<&str>) -> tidegate_sdk::Result<usize> {
///     Ok(text.ok_or_else(|| tidegate_sdk::Error::other("no text"))?.len())
/// }
/// assert_eq!(length(None).unwrap_err().to_string(), "no text");
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a callback of a filter cannot do its work.
///
/// ```
/// let error = tidegate_sdk::Error::NotText("x-name".to_owned());
/// assert_eq!(error.to_string(), "the header `x-name` is not UTF-8");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The gateway refused a call.
    #[error("{call}: the gateway answered {status:?}")]
    Host {
        /// What was asked for.
        call: &'static str,
        /// What it answered.
        status: Status,
    },
    /// A header that was read as text holds other bytes.
    #[error("the header `{0}` is not UTF-8")]
    NotText(String),
    /// A property has another type than the one it was read as.
    #[error("the property {path} has {length} bytes, which are no {expected}")]
    Property {
        /// Its segments, joined by dots.
        path: String,
        /// Bytes that there are.
        length: usize,
        /// The type it was read as.
        expected: &'static str,
    },
    /// JSON that is none.
    #[error("JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A shared value changed under the filter each time it was written.
    #[error("the shared value `{0}` is contended")]
    Contended(String),
    /// Anything else, in the filter's own words.
    #[error("{0}")]
    Other(String),
}

impl Error {
    /// An error in the filter's own words.
    ///
    /// ```
    /// assert_eq!(tidegate_sdk::Error::other("no token").to_string(), "no token");
    /// ```
    #[must_use]
    pub fn other(message: impl Into<String>) -> Self {
        Self::Other(message.into())
    }

    pub(crate) fn host(call: &'static str) -> impl FnOnce(Status) -> Self {
        move |status| Self::Host { call, status }
    }
}
