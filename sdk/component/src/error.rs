//! What can go wrong in a callback.

use crate::{Failure, FieldError};
use std::fmt;

/// Ends a callback as a failure of the filter.
#[derive(Debug)]
pub struct Error(String);

/// Of callbacks.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Any other reason.
    ///
    /// ```
    /// let error = tidegate_sdk_component::Error::other("no key");
    /// assert_eq!(error.to_string(), "no key");
    /// ```
    #[must_use]
    pub fn other(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self(failure.to_string())
    }
}

impl From<FieldError> for Error {
    fn from(error: FieldError) -> Self {
        Self(error.to_string())
    }
}
