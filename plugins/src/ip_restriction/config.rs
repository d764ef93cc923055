//! Configuration of `ip-restriction`.

use tidegate_model::record;
use tidegate_model::schema::{EntityCheck, array, ip_or_cidr, number, string};

record! {
    /// Configuration of `ip-restriction`: `allow`, `deny` or both.
    pub struct IpRestrictionConfig {
        /// Addresses and ranges that may pass; all others may not.
        pub allow: Option<Vec<String>> = array(ip_or_cidr()),
        /// Addresses and ranges that may not pass, also when they are allowed.
        pub deny: Option<Vec<String>> = array(ip_or_cidr()),
        /// Status of a rejection, 400 to 599; null: 403.
        pub status: Option<f64> = number().check("error_status", crate::checks::error_status),
        /// Message of a rejection; null: one that names the address.
        pub message: Option<String> = string(),
    }
    checks [ EntityCheck::AtLeastOneOf(&["config.allow", "config.deny"]) ]
}
