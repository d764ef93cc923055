//! Configuration of `key-auth`.

use serde_json::json;
use tidegate_model::record;
use tidegate_model::schema::{array, boolean, header_name, string};

record! {
    /// Configuration of `key-auth`.
    pub struct KeyAuthConfig {
        /// Names of the header, query argument or body member that holds the key, tried in order.
        pub key_names: Vec<String> = array(header_name()).required().default(json!(["apikey"])),
        /// Whether the key is taken away from what the upstream gets.
        pub hide_credentials: bool = boolean().required().default(false),
        /// Consumer, by id or username, that stands for callers that are not authenticated; null: they are refused.
        pub anonymous: Option<String> = string(),
        /// Whether keys are looked for in headers.
        pub key_in_header: bool = boolean().required().default(true),
        /// Whether keys are looked for in the query.
        pub key_in_query: bool = boolean().required().default(true),
        /// Whether keys are looked for in the body: form, JSON or multipart.
        pub key_in_body: bool = boolean().required().default(false),
        /// Whether `OPTIONS` requests need a key.
        pub run_on_preflight: bool = boolean().required().default(true),
        /// Realm in `WWW-Authenticate`.
        pub realm: Option<String> = string(),
    }
}
