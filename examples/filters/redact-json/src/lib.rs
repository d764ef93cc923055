//! Blanks the values of named members in JSON responses, at any depth, as the bytes pass: nothing is gathered, whatever
//! the size of the body.

mod redactor;

use redactor::Redactor;
use std::collections::BTreeSet;
use std::rc::Rc;
use tidegate_sdk::{Body, ConfigError, Exchange, Filter, Flow, Head, Result, filter};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Names of members.
    members: BTreeSet<String>,
    /// What stands in the place of their values.
    #[serde(default = "default_replacement")]
    replacement: String,
}

fn default_replacement() -> String {
    "[redacted]".to_owned()
}

struct Redact {
    members: Rc<BTreeSet<String>>,
    replacement: Rc<[u8]>,
}

impl Filter for Redact {
    type Config = Config;
    type Exchange = Redacting;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        if config.members.is_empty() {
            return Err(ConfigError::new("members", "names no member"));
        }
        let replacement = serde_json::Value::from(config.replacement).to_string();
        Ok(Self {
            members: Rc::new(config.members),
            replacement: replacement.into_bytes().into(),
        })
    }

    fn exchange(self: Rc<Self>) -> Redacting {
        Redacting {
            filter: self,
            redactor: None,
        }
    }
}

struct Redacting {
    filter: Rc<Redact>,
    /// There while a JSON body passes.
    redactor: Option<Redactor>,
}

impl Exchange for Redacting {
    fn request_head(&mut self, request: &Head) -> Result<Flow> {
        // A compressed body could not be read, and parts of one could not be told apart.
        request.remove("accept-encoding")?;
        request.remove("range")?;
        Ok(Flow::Continue)
    }

    fn response_head(&mut self, response: &Head) -> Result<Flow> {
        let kind = response.get("content-type")?.unwrap_or_default();
        let kind = kind
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        if kind == "application/json" || kind.ends_with("+json") {
            // The length changes, and with it the meaning of a validator.
            response.remove("content-length")?;
            response.remove("etag")?;
            self.redactor = Some(Redactor::new(
                Rc::clone(&self.filter.members),
                Rc::clone(&self.filter.replacement),
            ));
        }
        Ok(Flow::Continue)
    }

    fn response_body(&mut self, body: &Body) -> Result<Flow> {
        if let Some(redactor) = &mut self.redactor
            && !body.is_empty()
        {
            let bytes = body.bytes()?;
            body.replace(&redactor.pass(&bytes))?;
        }
        Ok(Flow::Continue)
    }
}

filter!(Redact);
