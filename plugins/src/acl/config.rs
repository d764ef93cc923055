//! Configuration of `acl`.

use tidegate_model::record;
use tidegate_model::schema::{EntityCheck, array, boolean, string};

record! {
    /// Configuration of `acl`: exactly one of `allow` and `deny`.
    pub struct AclConfig {
        /// Groups that may pass; all others may not.
        pub allow: Option<Vec<String>> = array(string()),
        /// Groups that may not pass; all others may.
        pub deny: Option<Vec<String>> = array(string()),
        /// Whether the upstream is kept from seeing the groups.
        pub hide_groups_header: bool = boolean().required().default(false),
        /// Whether groups given by an authentication plugin decide although the consumer has groups of its own.
        pub always_use_authenticated_groups: bool = boolean().required().default(false),
    }
    checks [
        EntityCheck::ExactlyOneOf(&["config.allow", "config.deny"]),
        EntityCheck::AtLeastOneOf(&["config.allow", "config.deny"]),
    ]
}
