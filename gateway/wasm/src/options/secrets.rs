//! Secrets that an attachment grants to its filter.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Vault references with their values. Shows only references.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct GrantedSecrets(BTreeMap<String, Option<String>>);

impl GrantedSecrets {
    /// The value behind a granted reference, if it has one. `None`: it is not granted.
    #[must_use]
    pub fn get(&self, reference: &str) -> Option<Option<&str>> {
        self.0.get(reference).map(Option::as_deref)
    }

    /// Whether nothing is granted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(String, String)> for GrantedSecrets {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(secrets: I) -> Self {
        let secrets = secrets.into_iter();
        Self(
            secrets
                .map(|(reference, value)| (reference, Some(value)))
                .collect(),
        )
    }
}

impl fmt::Debug for GrantedSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// References as a configuration lists them, or with their values once they are resolved.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    References(Vec<String>),
    Resolved(BTreeMap<String, Option<String>>),
}

impl<'de> Deserialize<'de> for GrantedSecrets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The error of an untagged enum would say less, and must not show a value.
        let written = Written::deserialize(deserializer)
            .map_err(|_| D::Error::custom("secrets: expected a list of vault references"))?;
        let secrets: BTreeMap<_, _> = match written {
            Written::References(list) => list.into_iter().map(|reference| (reference, None)).collect(),
            Written::Resolved(secrets) => secrets,
        };
        let is_reference = |text: &String| text.starts_with("{vault://") && text.ends_with('}');
        if secrets.keys().all(is_reference) {
            Ok(Self(secrets))
        } else {
            Err(D::Error::custom(
                "secrets: expected vault references, such as `{vault://env/signing-key}`",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn references_are_listed_or_resolved_and_values_are_not_shown() {
        let listed: GrantedSecrets = serde_json::from_value(json!(["{vault://env/a}"])).expect("references");
        assert_eq!(listed.get("{vault://env/a}"), Some(None));
        assert_eq!(listed.get("{vault://env/b}"), None);
        let resolved = json!({ "{vault://env/a}": "open sesame" });
        let resolved: GrantedSecrets = serde_json::from_value(resolved).expect("values");
        assert_eq!(resolved.get("{vault://env/a}"), Some(Some("open sesame")));
        assert_eq!(format!("{resolved:?}"), r#"{"{vault://env/a}"}"#);
        for wrong in [
            json!(["env/a"]),
            json!("{vault://env/a}"),
            json!([1]),
            json!({ "a": "b" }),
        ] {
            let refusal = serde_json::from_value::<GrantedSecrets>(wrong.clone()).expect_err("a refusal");
            assert!(
                refusal.to_string().contains("vault references"),
                "{wrong}: {refusal}"
            );
        }
    }
}
