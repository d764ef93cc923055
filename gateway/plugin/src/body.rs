//! The request body as plugins see it.

use bytes::Bytes;

/// State of the request body in the access phase.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub enum RequestBody {
    /// Not read: it streams to the upstream.
    #[default]
    Streaming,
    /// The whole body.
    Buffered(Bytes),
    /// Larger than the buffer limit: it streams on, unseen.
    TooLarge,
    /// Replaced by a plugin; Content-Length follows.
    Replaced(Bytes),
}

impl RequestBody {
    /// The bytes, when they are in hand.
    #[must_use]
    pub const fn bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Buffered(bytes) | Self::Replaced(bytes) => Some(bytes),
            Self::Streaming | Self::TooLarge => None,
        }
    }
}
