//! Limits requests per client: a bucket of tokens each, refilled at a steady rate, shared by all workers of the node.

use std::rc::Rc;
use std::time::UNIX_EPOCH;
use tidegate_sdk::{ConfigError, Exchange, Filter, Flow, Head, Reply, Result, filter, now, property, shared};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Tokens that a full bucket holds: requests that may come at once.
    burst: u32,
    /// Tokens that come back each second.
    per_second: f64,
    /// Header that tells clients apart; absent: the client's address.
    #[serde(default)]
    header: Option<String>,
}

struct Limit(Config);

impl Filter for Limit {
    type Config = Config;
    type Exchange = Taking;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        if config.burst == 0 {
            return Err(ConfigError::new("burst", "must be above 0"));
        }
        if !(config.per_second > 0.0 && config.per_second.is_finite()) {
            return Err(ConfigError::new("per_second", "must be above 0"));
        }
        Ok(Self(config))
    }

    fn exchange(self: Rc<Self>) -> Taking {
        Taking(self)
    }
}

/// A bucket when a request was last counted.
#[derive(Clone, Copy)]
struct Bucket {
    tokens: f64,
    millis: u64,
}

impl Bucket {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (tokens, millis) = bytes.split_first_chunk::<8>()?;
        Some(Self {
            tokens: f64::from_le_bytes(*tokens),
            millis: u64::from_le_bytes(millis.try_into().ok()?),
        })
    }

    fn write(self) -> Vec<u8> {
        [self.tokens.to_le_bytes(), self.millis.to_le_bytes()].concat()
    }

    /// The bucket after a request, and whether it had a token.
    fn take(self, config: &Config, millis: u64) -> (Self, bool) {
        let seconds = millis.saturating_sub(self.millis) as f64 / 1_000.0;
        let full = f64::from(config.burst);
        let tokens = seconds.mul_add(config.per_second, self.tokens).min(full);
        let has_token = tokens >= 1.0;
        let tokens = if has_token { tokens - 1.0 } else { tokens };
        (Self { tokens, millis }, has_token)
    }
}

struct Taking(Rc<Limit>);

impl Exchange for Taking {
    fn request_head(&mut self, request: &Head) -> Result<Flow> {
        let config = &self.0.0;
        let client = match &config.header {
            Some(name) => request.get(name)?,
            None => property::text(&["source", "address"])?,
        };
        let key = format!("bucket/{}", client.as_deref().map_or("", host));
        let since = now()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let (bucket, has_token) = shared::update(&key, |bytes| {
            let full = Bucket {
                tokens: f64::from(config.burst),
                millis,
            };
            let (bucket, has_token) = bytes.and_then(Bucket::read).unwrap_or(full).take(config, millis);
            (bucket.write(), (bucket, has_token))
        })?;
        if has_token {
            return Ok(Flow::Continue);
        }
        let wait = ((1.0 - bucket.tokens) / config.per_second).ceil().max(1.0);
        Ok(Reply::new(429)
            .header("retry-after", format!("{wait:.0}"))
            .body("Too many requests\n")
            .into())
    }
}

/// An address without its port: `1.2.3.4:5`, `[::1]:5`.
fn host(address: &str) -> &str {
    match address.rsplit_once(':') {
        Some((host, port))
            if port.parse::<u16>().is_ok() && (host.starts_with('[') || !host.contains(':')) =>
        {
            host
        }
        _ => address,
    }
}

filter!(Limit);
