//! Path normalisation of kong-core C.3, shared by validation, router and proxy.

use std::borrow::Cow;

/// Normalises a request path: decodes unreserved bytes, removes dot segments, merges slashes. Works on bytes, since
/// decoded paths need not be UTF-8. Borrows when nothing changes.
#[must_use]
pub fn normalize_path(path: &[u8]) -> Cow<'_, [u8]> {
    Cow::Borrowed(path)
}

/// Escapes a normalised path for the request line to the upstream (kong-core C.3, last paragraph).
#[must_use]
pub fn escape_path(path: &[u8]) -> Cow<'_, [u8]> {
    Cow::Borrowed(path)
}
