//! A filter's configuration.

use serde::de::DeserializeOwned;
use std::fmt;

/// Why a configuration is not taken; the gateway refuses the attachment with this text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    member: String,
    reason: String,
}

impl ConfigError {
    /// What is wrong with a member; empty: with the whole.
    ///
    /// ```
    /// let error = tidegate_sdk_component::ConfigError::new("secret", "must have at least 16 bytes");
    /// assert_eq!(error.to_string(), "`secret`: must have at least 16 bytes");
    /// ```
    #[must_use]
    pub fn new(member: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            member: member.into(),
            reason: reason.into(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.member.is_empty() {
            f.write_str(&self.reason)
        } else {
            write!(f, "`{}`: {}", self.member, self.reason)
        }
    }
}

impl std::error::Error for ConfigError {}

/// Reads a configuration. None at all is `null`, so that filters without one take `()`.
///
/// ```
/// let error = tidegate_sdk_component::parse::<Vec<u8>>("[1, 300]").unwrap_err();
/// assert!(error.to_string().starts_with("`[1]`: invalid value"));
/// assert!(tidegate_sdk_component::parse::<Vec<u8>>("[1] x").is_err());
/// ```
///
/// # Errors
/// Where the JSON does not fit the type, with the member's path.
pub fn parse<C: DeserializeOwned>(text: &str) -> Result<C, ConfigError> {
    let text = if text.trim().is_empty() { "null" } else { text };
    let mut json = serde_json::Deserializer::from_str(text);
    let config = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let member = if path == "." { String::new() } else { path };
        ConfigError::new(member, error.inner().to_string())
    })?;
    json.end()
        .map_err(|error| ConfigError::new("", error.to_string()))?;
    Ok(config)
}
