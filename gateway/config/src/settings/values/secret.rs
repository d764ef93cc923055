//! Texts that must not reach a log.

use crate::settings::spec::Spec;
use crate::settings::value::Value;
use std::fmt;

/// A password, a token or a document that may hold some.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Value for Secret {
    fn read(text: &str, _spec: &Spec) -> Result<Self, String> {
        Ok(Self(text.to_owned()))
    }
}
