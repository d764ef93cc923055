//! Plugin `request-termination`: answers in place of the upstream.

mod config;
mod echo;

pub use config::Config;

use crate::query;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::Value;
use std::sync::Arc;
use tidegate_model::schema::{Declared, RecordSchema};
use tidegate_plugin::{
    AccessCx, BodyAccess, BuildCx, BuildError, Exchange, Kind, Needs, Phase, PhaseSet, Plugin, Reply, Step,
};

/// The kind.
#[derive(Debug, Default, Clone, Copy)]
pub struct RequestTermination;

impl Kind for RequestTermination {
    fn name(&self) -> &'static str {
        "request-termination"
    }
    fn priority(&self) -> i32 {
        2
    }
    fn phases(&self) -> PhaseSet {
        PhaseSet::of(&[Phase::Access])
    }
    fn schema(&self) -> &'static RecordSchema {
        Config::schema()
    }
    fn build(&self, config: &Value, cx: &BuildCx<'_>) -> Result<Arc<dyn Plugin>, BuildError> {
        Ok(Arc::new(Instance::new(cx.config(config)?)?))
    }
}

struct Instance {
    status: StatusCode,
    answer: Answer,
    trigger: Option<Trigger>,
}

enum Answer {
    /// The same for every request.
    Ready(Reply),
    /// The request itself, with a message.
    Echo(Option<String>),
}

/// A header or an argument that a request must have to be answered.
struct Trigger {
    header: HeaderName,
    argument: String,
}

impl Trigger {
    fn is_in(&self, x: &Exchange) -> bool {
        let has_argument = || {
            query::pairs(x.query().unwrap_or_default()).any(|(name, _)| *name == *self.argument.as_bytes())
        };
        x.request.headers.contains_key(&self.header) || has_argument()
    }
}

impl Instance {
    fn new(config: Config) -> Result<Self, BuildError> {
        let refused = |field: &str, message: String| BuildError {
            path: format!("config.{field}"),
            message,
        };
        let status = StatusCode::from_u16(config.status_code)
            .map_err(|_| refused("status_code", "value should be between 100 and 599".to_owned()))?;
        let trigger = match config.trigger {
            Some(name) => Some(Trigger {
                header: HeaderName::from_bytes(name.as_bytes())
                    .map_err(|_| refused("trigger", format!("'{name}' is not a valid header")))?,
                argument: name,
            }),
            None => None,
        };
        let message = config
            .message
            .or_else(|| default_message(status).map(str::to_owned));
        let answer = match (config.echo, config.body) {
            (true, _) => Answer::Echo(message),
            (false, Some(body)) => {
                let reply = Reply::raw(status, Bytes::from(body));
                Answer::Ready(match config.content_type {
                    Some(text) => reply.content_type(
                        HeaderValue::try_from(text)
                            .map_err(|_| refused("content_type", "cannot be a header value".to_owned()))?,
                    ),
                    None => reply,
                })
            }
            (false, None) => Answer::Ready(match message {
                Some(message) => Reply::message(status, &message),
                None => Reply::empty(status),
            }),
        };
        Ok(Self {
            status,
            answer,
            trigger,
        })
    }
}

impl Plugin for Instance {
    fn needs(&self) -> Needs {
        let wants_body = matches!(self.answer, Answer::Echo(_));
        Needs {
            request_body: if wants_body {
                BodyAccess::Buffered
            } else {
                BodyAccess::None
            },
        }
    }

    fn access<'a>(&'a self, x: &'a mut AccessCx<'_>) -> Step<'a> {
        if self
            .trigger
            .as_ref()
            .is_some_and(|trigger| !trigger.is_in(x.exchange()))
        {
            return Step::go_on();
        }
        Step::reply(match &self.answer {
            Answer::Ready(reply) => reply.clone(),
            Answer::Echo(message) => Reply::json(self.status, &echo::document(message.as_deref(), x)),
        })
    }
}

/// The statuses that speak for themselves.
fn default_message(status: StatusCode) -> Option<&'static str> {
    Some(match status.as_u16() {
        401 => "Unauthorized",
        404 => "Not found",
        405 => "Method not allowed",
        500 => "An unexpected error occurred",
        502 => "Bad Gateway",
        503 => "Service unavailable",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
