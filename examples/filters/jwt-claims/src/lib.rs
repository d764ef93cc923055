//! Hands claims of a bearer token to the upstream as headers, after checking the token's signature and times.
//!
//! HS256 alone is taken: the algorithm comes from the configuration, never from the token.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::UNIX_EPOCH;
use tidegate_sdk::{ConfigError, Exchange, Filter, Flow, Head, Reply, Result, filter, now};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    secret: String,
    /// Header by claim.
    claims: BTreeMap<String, String>,
    /// Whether a request without a token may pass.
    #[serde(default)]
    anonymous: bool,
}

const MIN_SECRET_BYTES: usize = 32;

struct Claims {
    keyed: Hmac<Sha256>,
    config: Config,
}

impl Filter for Claims {
    type Config = Config;
    type Exchange = Reading;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        if config.secret.len() < MIN_SECRET_BYTES {
            return Err(ConfigError::new("secret", "must have at least 32 bytes"));
        }
        let keyed = Hmac::new_from_slice(config.secret.as_bytes())
            .map_err(|error| ConfigError::new("secret", error.to_string()))?;
        Ok(Self { keyed, config })
    }

    fn exchange(self: Rc<Self>) -> Reading {
        Reading(self)
    }
}

impl Claims {
    /// The claims of a valid token.
    fn verify(&self, token: &str, seconds: u64) -> Option<Value> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let mut mac = self.keyed.clone();
        mac.update(signed.as_bytes());
        mac.verify_slice(&URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
        let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        if header.get("alg")? != "HS256" {
            return None;
        }
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        // A time that is no number is none that could have come.
        let has_come = |name: &str| match claims.get(name) {
            Some(time) => time.as_f64().map(|time| time <= seconds as f64),
            None => Some(name == "nbf"),
        };
        let is_expired = claims.get("exp").is_some() && has_come("exp")?;
        (has_come("nbf")? && !is_expired && claims.is_object()).then_some(claims)
    }
}

struct Reading(Rc<Claims>);

impl Exchange for Reading {
    fn request_head(&mut self, request: &Head) -> Result<Flow> {
        let filter = &self.0;
        // First: what a client claims about itself is worth nothing.
        for header in filter.config.claims.values() {
            request.remove(header)?;
        }
        let authorization = request.get("authorization")?;
        let token = authorization.as_deref().and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
        });
        let Some(token) = token else {
            return if filter.config.anonymous {
                Ok(Flow::Continue)
            } else {
                refuse("")
            };
        };
        let seconds = now()?
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let Some(claims) = filter.verify(token, seconds) else {
            return refuse(", error=\"invalid_token\"");
        };
        for (claim, header) in &filter.config.claims {
            match claims.get(claim) {
                Some(Value::String(text)) if text.chars().all(|c| !c.is_control()) => {
                    request.set(header, text)?
                }
                Some(value @ (Value::Number(_) | Value::Bool(_))) => {
                    request.set(header, &value.to_string())?
                }
                _ => {}
            }
        }
        Ok(Flow::Continue)
    }
}

fn refuse(detail: &str) -> Result<Flow> {
    let reply = Reply::new(401).header("www-authenticate", format!("Bearer realm=\"gateway\"{detail}"));
    Ok(reply
        .json(&serde_json::json!({ "message": "Unauthorized" }))?
        .into())
}

filter!(Claims);
