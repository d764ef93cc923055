//! Fields of the configuration.

use super::origin;
use serde_json::Value;
use tidegate_model::record;
use tidegate_model::schema::{array, boolean, number, string};

const METHODS: [&str; 9] = [
    "GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS", "TRACE", "CONNECT",
];

record! {
    /// Configuration of `cors`.
    pub struct Config {
        /// Allowed origins: `*`, literal ones, or regular expressions. Unset: all.
        pub origins: Option<Vec<String>> = array(string().check("origin", check_origin)),
        /// Value of Access-Control-Allow-Headers; unset: what the client asks for.
        pub headers: Option<Vec<String>> = array(string()),
        /// Value of Access-Control-Expose-Headers.
        pub exposed_headers: Option<Vec<String>> = array(string()),
        /// Value of Access-Control-Allow-Methods.
        pub methods: Vec<String> = array(string().one_of(METHODS)).default(METHODS.to_vec()),
        /// Seconds for which a preflight may be cached.
        pub max_age: Option<f64> = number(),
        /// Whether responses may be read with credentials.
        pub credentials: bool = boolean().required().default(false),
        /// Whether pages of public networks may call private ones.
        pub private_network: bool = boolean().required().default(false),
        /// Whether preflights go to the upstream.
        pub preflight_continue: bool = boolean().required().default(false),
        /// Whether responses to requests without Origin are marked too.
        pub allow_origin_absent: Option<bool> = boolean().hidden_when_unset(),
    }
}

fn check_origin(value: &Value) -> Result<(), String> {
    let entry = value.as_str().unwrap_or_default();
    match entry == "*" || origin::Entry::new(entry).is_ok() {
        true => Ok(()),
        false => Err(format!("'{entry}' is not a valid regex")),
    }
}
