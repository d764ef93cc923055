//! Short names for what callbacks decide.

use crate::{BodyDecision, BodyMode, Decision, Field, Reply};

/// The head goes on; the body passes by.
///
/// ```
/// use tidegate_sdk_component::{BodyMode, Decision, next};
/// assert!(matches!(next(), Decision::Next(BodyMode::Skip)));
/// ```
#[must_use]
pub const fn next() -> Decision {
    Decision::Next(BodyMode::Skip)
}

/// The head goes on; the body callback sees the body as it passes.
///
/// ```
/// use tidegate_sdk_component::{BodyMode, Decision, stream};
/// assert!(matches!(stream(), Decision::Next(BodyMode::Stream)));
/// ```
#[must_use]
pub const fn stream() -> Decision {
    Decision::Next(BodyMode::Stream)
}

/// The head waits until the body callback has returned; at most `limit` bytes are held.
///
/// ```
/// use tidegate_sdk_component::{BodyMode, Decision, hold};
/// assert!(matches!(hold(1024), Decision::Next(BodyMode::Hold(1024))));
/// ```
#[must_use]
pub const fn hold(limit: u64) -> Decision {
    Decision::Next(BodyMode::Hold(limit))
}

/// The client is answered with this.
///
/// ```
/// use tidegate_sdk_component::{Decision, reply, respond};
/// assert!(matches!(respond(reply(403, "no")), Decision::Respond(_)));
/// ```
#[must_use]
pub const fn respond(reply: Reply) -> Decision {
    Decision::Respond(reply)
}

/// What is left of a body goes on as it is.
///
/// ```
/// use tidegate_sdk_component::{BodyDecision, pass};
/// assert!(matches!(pass(), BodyDecision::Next));
/// ```
#[must_use]
pub const fn pass() -> BodyDecision {
    BodyDecision::Next
}

/// An answer without headers; a body without `content-type` is `text/plain`.
///
/// ```
/// let reply = tidegate_sdk_component::reply(403, "no").header("x-why", "because");
/// assert_eq!((reply.status, reply.headers.len()), (403, 1));
/// ```
#[must_use]
pub fn reply(status: u16, body: impl Into<Vec<u8>>) -> Reply {
    Reply {
        status,
        headers: Vec::new(),
        body: body.into(),
        reason: None,
    }
}

impl Reply {
    /// Adds a header.
    ///
    /// ```
    /// let reply = tidegate_sdk_component::reply(200, "{}").header("content-type", "application/json");
    /// assert_eq!(reply.headers[0].name, "content-type");
    /// ```
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push(Field {
            name: name.into(),
            value: value.into(),
        });
        self
    }

    /// Says why, for the log.
    ///
    /// ```
    /// let reply = tidegate_sdk_component::reply(403, "").reason("no signature");
    /// assert_eq!(reply.reason.as_deref(), Some("no signature"));
    /// ```
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }
}
