//! Signs each request with a secret that only the gateway and the upstream know.
//!
//! The upstream recomputes `HMAC-SHA256(secret, method \n path \n seconds)` and compares; what did not come through the
//! gateway carries no valid signature. What a client sends under these names never reaches the upstream.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::rc::Rc;
use std::time::UNIX_EPOCH;
use tidegate_sdk::{ConfigError, Error, Exchange, Filter, Flow, Head, Result, filter, now};

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
    type Exchange = Signing;

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

    fn exchange(self: Rc<Self>) -> Signing {
        Signing(self)
    }
}

struct Signing(Rc<Signer>);

impl Exchange for Signing {
    fn request_head(&mut self, request: &Head) -> Result<Flow> {
        let since = now()?.duration_since(UNIX_EPOCH);
        let seconds = since.map_err(|error| Error::other(error.to_string()))?.as_secs();
        let mut mac = self.0.keyed.clone();
        mac.update(format!("{}\n{}\n{seconds}", request.method()?, request.path()?).as_bytes());
        let signature = hex::encode(mac.finalize().into_bytes());
        request.set(&self.0.header, &format!("t={seconds},v1={signature}"))?;
        Ok(Flow::Continue)
    }
}

filter!(Signer);
