//! Which of the built-in plugins and vaults may be used.

use crate::settings::spec::Spec;
use crate::settings::value::Value;

/// Names that are enabled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnabledNames {
    /// Everything that is built in.
    pub bundled: bool,
    /// These, which may be built in too.
    pub names: Vec<String>,
}

impl EnabledNames {
    /// Whether something that is built in may be used.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.bundled || self.names.iter().any(|known| known == name)
    }
}

/// `off` stands alone.
impl Value for EnabledNames {
    fn read(text: &str, spec: &Spec) -> Result<Self, String> {
        let words = Vec::<String>::read(text, spec)?;
        if words == ["off"] {
            return Ok(Self {
                bundled: false,
                names: Vec::new(),
            });
        }
        if words
            .iter()
            .any(|word| word == "off" || word.contains(char::is_whitespace))
        {
            return Err(spec.refuse(text));
        }
        let (bundled, names): (Vec<_>, Vec<_>) = words.into_iter().partition(|word| word == "bundled");
        Ok(Self {
            bundled: !bundled.is_empty(),
            names,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::spec::list;

    fn read(text: &str) -> Result<EnabledNames, String> {
        EnabledNames::read(text, &list("bundled", "names"))
    }

    #[test]
    fn bundled_stands_for_all_and_off_for_none() {
        let bundled = read("bundled, own").unwrap();
        assert!(bundled.has("acl") && bundled.has("own"));
        let some = read("acl,cors").unwrap();
        assert!(some.has("acl") && !some.has("key-auth"));
        assert!(!read("off").unwrap().has("acl"));
        assert!(read("off, acl").is_err() && read("acl cors").is_err());
    }
}
