//! Asks a service whether a request may pass, and hands on who it says the caller is.

use std::rc::Rc;
use std::time::Duration;
use tidegate_sdk::{
    Answer, Call, ConfigError, Exchange, Filter, Flow, Head, Headers, Reply, Result, filter, log,
};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Upstream or Service to ask, or `host:port`.
    target: String,
    #[serde(default = "default_path")]
    path: String,
    #[serde(default = "default_timeout")]
    timeout_ms: u64,
    /// Headers of the answer that go upstream with the request.
    #[serde(default)]
    headers: Vec<String>,
}

fn default_path() -> String {
    "/".to_owned()
}

const fn default_timeout() -> u64 {
    1_000
}

struct Auth(Config);

impl Filter for Auth {
    type Config = Config;
    type Exchange = Asking;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        if config.target.is_empty() {
            return Err(ConfigError::new("target", "must not be empty"));
        }
        if !config.path.starts_with('/') {
            return Err(ConfigError::new("path", "must begin with `/`"));
        }
        Ok(Self(config))
    }

    fn exchange(self: Rc<Self>) -> Asking {
        Asking(self)
    }
}

struct Asking(Rc<Auth>);

impl Exchange for Asking {
    fn request_head(&mut self, request: &Head) -> Result<Flow> {
        let config = &self.0.0;
        // What the service alone may say.
        for name in &config.headers {
            request.remove(name)?;
        }
        let mut call = Call::new("GET", &config.target, &config.path)
            .header("x-original-method", request.method()?)
            .header("x-original-path", request.path()?)
            .timeout(Duration::from_millis(config.timeout_ms));
        for name in ["authorization", "cookie"] {
            if let Some(value) = request.get(name)? {
                call = call.header(name, value);
            }
        }
        match call.send() {
            Ok(_) => Ok(Flow::Pause),
            Err(error) => {
                log::error!("cannot ask {}: {error}", config.target);
                Ok(Reply::new(503).into())
            }
        }
    }

    fn call_answered(&mut self, answer: &Answer) -> Result<Flow> {
        let config = &self.0.0;
        match answer.status() {
            Some(200..300) => {
                for name in &config.headers {
                    if let Some(value) = answer.header(name) {
                        Headers::REQUEST.set(name, value)?;
                    }
                }
                Ok(Flow::Continue)
            }
            Some(status @ (401 | 403)) => {
                let mut reply = Reply::new(status).body(answer.body());
                for name in ["www-authenticate", "content-type"] {
                    if let Some(value) = answer.header(name) {
                        reply = reply.header(name, value);
                    }
                }
                Ok(reply.into())
            }
            // Nobody passes because the service is down.
            status => {
                log::error!("{} gave no verdict: {status:?}", config.target);
                Ok(Reply::new(503).into())
            }
        }
    }
}

filter!(Auth);
