//! Reads the configuration of a filter.

use serde::de::DeserializeOwned;

/// Why a configuration is refused, with the place of the fault. The gateway shows it where the filter is attached and
/// keeps the version in service that it had.
///
/// ```
/// use tidegate_sdk::ConfigError;
/// let error = ConfigError::new("upstreams[0].weight", "must be above 0");
/// assert_eq!(error.to_string(), "config.upstreams[0].weight: must be above 0");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", self.place())]
pub struct ConfigError {
    path: String,
    message: String,
}

impl ConfigError {
    /// A fault at `path` below the configuration; an empty path names the whole.
    ///
    /// ```
    /// let error = tidegate_sdk::ConfigError::new("", "either `a` or `b` is needed");
    /// assert_eq!(error.to_string(), "config: either `a` or `b` is needed");
    /// ```
    #[must_use]
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
        }
    }

    /// Where the fault is, below the configuration.
    ///
    /// ```
    /// assert_eq!(tidegate_sdk::ConfigError::new("a.b", "wrong").path(), "a.b");
    /// ```
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    fn place(&self) -> String {
        match self.path.as_str() {
            "" | "." => "config".to_owned(),
            path => format!("config.{path}"),
        }
    }
}

/// Reads a configuration. No bytes at all mean `{}`, so that a type whose fields all have defaults needs none; a type
/// that takes no object may take `null`.
///
/// ```
/// #[derive(Debug, serde::Deserialize)]
/// struct Config { limits: Vec<u32> }
///
/// let config: Config = tidegate_sdk::parse(br#"{"limits": [1, 2]}"#)?;
/// assert_eq!(config.limits, [1, 2]);
/// let error = tidegate_sdk::parse::<Config>(br#"{"limits": [1, "x"]}"#).unwrap_err();
/// assert_eq!(error.path(), "limits[1]");
/// # Ok::<(), tidegate_sdk::ConfigError>(())
/// ```
///
/// # Errors
/// When the bytes are no JSON or do not fit the type; the first fault with its place.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ConfigError> {
    if bytes.trim_ascii().is_empty() {
        return read(b"{}").or_else(|fault| read(b"null").map_err(|_| fault));
    }
    read(bytes)
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ConfigError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        // `?`: the text ends or breaks before the place has a name.
        let path = error.path().to_string();
        let path = path.trim_end_matches('?').trim_end_matches('.');
        ConfigError::new(path, error.inner().to_string())
    })?;
    reader
        .end()
        .map_err(|error| ConfigError::new("", error.to_string()))?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        #[serde(default)]
        rules: Vec<Rule>,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Rule {
        name: String,
    }

    fn refusal(text: &str) -> String {
        parse::<Config>(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_fault_is_told_with_its_place() {
        assert!(
            refusal(r#"{"rules": [{"name": "a"}, {"name": 1}]}"#)
                .starts_with("config.rules[1].name: invalid type")
        );
        assert!(refusal(r#"{"rules": [{}]}"#).starts_with("config.rules[0]: missing field `name`"));
        assert!(refusal(r#"{"rulez": []}"#).starts_with("config.rulez: unknown field"));
        assert!(refusal("{} {}").starts_with("config: trailing characters"));
        assert!(refusal("{").starts_with("config: EOF"));
    }

    #[test]
    fn no_configuration_is_an_empty_one() {
        assert_eq!(parse::<Config>(b" "), Ok(Config { rules: Vec::new() }));
        assert_eq!(parse::<()>(b""), Ok(()));
        assert!(
            parse::<Rule>(b"")
                .unwrap_err()
                .to_string()
                .contains("missing field `name`")
        );
    }
}
