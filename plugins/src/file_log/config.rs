//! Configuration of `file-log`.

use serde_json::Value;
use tidegate_model::record;
use tidegate_model::schema::{boolean, map, string};

record! {
    /// Configuration of `file-log`.
    pub struct FileLogConfig {
        /// File to append to; `/dev/stdout` and `/dev/stderr` work. Its folder must exist.
        pub path: String = string().required().matches(r"^[^\s*&%\\`][^*&%\\`]*[^\s*&%\\`]$", "not a valid filename"),
        /// Whether the file is opened for each line, so that a rotated file is noticed at once.
        pub reopen: bool = boolean().required().default(false),
        /// Kong's Lua snippets; not supported, accepted only when empty.
        pub custom_fields_by_lua: Option<Value> = map(string(), string()).check("no_lua", crate::checks::no_lua),
    }
}
