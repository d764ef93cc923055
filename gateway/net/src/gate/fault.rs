//! Why a request is refused before it reaches routing.

/// A refusal: what the client is told and what the log says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestFault {
    /// Status of the answer: 400, 405, 414, 417, 501 or 505.
    pub status: u16,
    /// The rule that was broken, for the log; never shown to the client.
    pub reason: &'static str,
    /// The sentence for the client, as Kong words it for this status (kong-core E.3).
    pub message: &'static str,
}

impl RequestFault {
    /// 400 `Bad request`.
    #[must_use]
    pub const fn bad(reason: &'static str) -> Self {
        Self {
            status: 400,
            reason,
            message: "Bad request",
        }
    }

    /// 400 `Request header or cookie too large` (nginx counts this as its own status 494).
    #[must_use]
    pub const fn headers_too_large(reason: &'static str) -> Self {
        Self {
            status: 400,
            reason,
            message: "Request header or cookie too large",
        }
    }

    /// 414 `URI too long`.
    #[must_use]
    pub const fn target_too_long() -> Self {
        Self {
            status: 414,
            reason: "request line longer than the limit",
            message: "URI too long",
        }
    }

    /// 405 `Method not allowed`.
    #[must_use]
    pub const fn method_not_allowed(reason: &'static str) -> Self {
        Self {
            status: 405,
            reason,
            message: "Method not allowed",
        }
    }

    /// 417 `Expectation failed`.
    #[must_use]
    pub const fn expectation() -> Self {
        Self {
            status: 417,
            reason: "expectation other than 100-continue",
            message: "Expectation failed",
        }
    }

    /// 501 `Not Implemented`.
    #[must_use]
    pub const fn not_implemented(reason: &'static str) -> Self {
        Self {
            status: 501,
            reason,
            message: "Not Implemented",
        }
    }

    /// 505 `HTTP Version Not Supported`.
    #[must_use]
    pub const fn version() -> Self {
        Self {
            status: 505,
            reason: "HTTP version other than 1.0 and 1.1",
            message: "HTTP Version Not Supported",
        }
    }
}
