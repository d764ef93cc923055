//! Signs each request with a secret that only the gateway and the upstream know.
//!
//! The upstream recomputes `HMAC-SHA256(secret, method \n path \n seconds)` and compares; what did not come through the
//! gateway carries no valid signature. What a client sends under these names never reaches the upstream.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::time::{SystemTime, UNIX_EPOCH};
use tidegate_sdk_component::{
    ConfigError, Context, Decision, Error, Filter, RequestFilter, RequestHead, Result, filter, next,
};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    secret: String,
    #[serde(default = "default_header")]
    header: String,
}

fn default_header() -> String {
    "x-gateway-signature".to_owned()
}

const MIN_SECRET_BYTES: usize = 16;

struct Signer {
    /// Holds the secret already: per request only the message is hashed.
    keyed: Hmac<Sha256>,
    header: String,
}

impl Filter for Signer {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        if config.secret.len() < MIN_SECRET_BYTES {
            return Err(ConfigError::new("secret", "must have at least 16 bytes"));
        }
        let keyed = Hmac::new_from_slice(config.secret.as_bytes())
            .map_err(|error| ConfigError::new("secret", error.to_string()))?;
        Ok(Self {
            keyed,
            header: config.header,
        })
    }
}

impl RequestFilter for Signer {
    fn on_request(&self, _: &Context, request: &RequestHead) -> Result<Decision> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let seconds = since.map_err(|error| Error::other(error.to_string()))?.as_secs();
        let mut mac = self.keyed.clone();
        mac.update(format!("{}\n{}\n{seconds}", request.method(), request.path()).as_bytes());
        let signature = hex::encode(mac.finalize().into_bytes());
        request.set(&self.header, &format!("t={seconds},v1={signature}"))?;
        Ok(next())
    }
}

filter!(Signer: request);
