//! Fields of the configuration.

use serde_json::{Map, Value};
use tidegate_model::record;
use tidegate_model::schema::{EntityCheck, Violation, boolean, header_name, integer, string};

record! {
    /// Configuration of `request-termination`.
    pub struct Config {
        /// Status of the answer.
        pub status_code: u16 = integer().between(100, 599).required().default(503),
        /// Message of the answer; unset: by status.
        pub message: Option<String> = string(),
        /// Content type of `body`.
        pub content_type: Option<String> = string(),
        /// Body, in place of a message.
        pub body: Option<String> = string(),
        /// Whether the answer shows the request.
        pub echo: bool = boolean().required().default(false),
        /// Header or argument that a request must have to be answered.
        pub trigger: Option<String> = header_name(),
    }
    checks [ EntityCheck::Custom("message_body_echo", check) ]
}

fn check(config: &Map<String, Value>) -> Vec<Violation> {
    let is_set = |name: &str| config.get(name).is_some_and(|value| !value.is_null());
    let has_echo = config.get("echo") == Some(&Value::Bool(true));
    let mut violations = Vec::new();
    if is_set("message") && (is_set("content_type") || is_set("body")) {
        violations.push(Violation::entity(
            "message cannot be used with content_type or body",
        ));
    } else if is_set("content_type") && !is_set("body") {
        violations.push(Violation::entity("content_type requires a body"));
    }
    if has_echo && (is_set("content_type") || is_set("body")) {
        violations.push(Violation::entity(
            "echo cannot be used with content_type and body",
        ));
    }
    violations
}
