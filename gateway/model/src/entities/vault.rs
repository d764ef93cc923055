//! Vaults (kong-core A.10).

use crate::ids::VaultId;
use crate::record;
use crate::schema::{self, any, string, tags, timestamp};
use serde_json::Value;

record! {
    /// A source of secrets, addressed by its prefix in `{vault://prefix/...}`.
    pub struct Vault {
        /// Unique id.
        pub id: VaultId = schema::uuid().required(),
        /// Unix seconds of creation.
        pub created_at: Option<i64> = timestamp(),
        /// Unix seconds of the last change.
        pub updated_at: Option<i64> = timestamp(),
        /// Unique prefix.
        pub prefix: String = string().required().unique(),
        /// Type, e.g. `env`.
        pub name: String = string().required(),
        /// Free text.
        pub description: Option<String> = string(),
        /// Options of the type.
        pub config: Option<Value> = any(),
        /// Labels.
        pub tags: Option<Vec<String>> = tags(),
    }
}
