//! Sends a share of the clients to another upstream, and keeps each client where it was by a cookie.

use std::rc::Rc;
use tidegate_sdk::{ConfigError, Exchange, Filter, Flow, Head, Headers, Result, filter, property};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Share of new clients that get variant `b`, in percent.
    percent: u8,
    /// Upstream of variant `b`; variant `a` keeps the route's own.
    upstream: String,
    #[serde(default = "default_cookie")]
    cookie: String,
    /// How long a client keeps its variant, in seconds.
    #[serde(default = "default_max_age")]
    max_age: u32,
}

fn default_cookie() -> String {
    "variant".to_owned()
}

const fn default_max_age() -> u32 {
    7 * 24 * 3_600
}

struct Split(Config);

impl Filter for Split {
    type Config = Config;
    type Exchange = Choice;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        if config.percent > 100 {
            return Err(ConfigError::new("percent", "must be at most 100"));
        }
        if config.cookie.is_empty()
            || !config
                .cookie
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_')
        {
            return Err(ConfigError::new(
                "cookie",
                "must consist of letters, digits and `_`",
            ));
        }
        Ok(Self(config))
    }

    fn exchange(self: Rc<Self>) -> Choice {
        Choice {
            filter: self,
            variant: "a",
            is_new: false,
        }
    }
}

struct Choice {
    filter: Rc<Split>,
    variant: &'static str,
    is_new: bool,
}

impl Exchange for Choice {
    fn request_head(&mut self, request: &Head) -> Result<Flow> {
        let config = &self.filter.0;
        let kept = request.cookie(&config.cookie)?;
        (self.variant, self.is_new) = match kept.as_deref() {
            Some("a") => ("a", false),
            Some("b") => ("b", false),
            _ => (draw(request, config.percent)?, true),
        };
        request.set("x-variant", self.variant)?;
        if self.variant == "b" {
            property::set(&["kong.service.upstream"], config.upstream.as_bytes())?;
        }
        Ok(Flow::Continue)
    }

    fn response_head(&mut self, response: &Head) -> Result<Flow> {
        if self.is_new {
            let Config { cookie, max_age, .. } = &self.filter.0;
            let cookie = format!(
                "{cookie}={}; Path=/; Max-Age={max_age}; SameSite=Lax",
                self.variant
            );
            response.add("set-cookie", &cookie)?;
        }
        Ok(Flow::Continue)
    }
}

/// By the request's id, which is random and the same on every filter of the chain; else by the client's address, so
/// that clients without cookies stay on one side too.
fn draw(request: &Headers, percent: u8) -> Result<&'static str> {
    let seed = match request.get("x-request-id")? {
        Some(id) => id,
        None => property::text(&["source", "address"])?.unwrap_or_default(),
    };
    // FNV-1a, whose low bits alone are even enough for a draw after a last mix.
    let hash = seed.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let drawn = (hash ^ (hash >> 32)) % 100;
    Ok(if drawn < u64::from(percent) { "b" } else { "a" })
}

filter!(Split);
