//! `<name>.meta.json` beside a module: a schema for its configuration, how its metrics are labelled, and options.

use crate::host::metrics::Labels;
use crate::options::FilterOptions;
use jsonschema::{Draft, Validator};
use regex::Regex;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// What a filter's author says about it.
#[derive(Default)]
pub struct FilterMeta {
    schema: Option<Schema>,
    labels: Arc<LabelPatterns>,
    /// Options that the author set for every attachment.
    pub options: Option<FilterOptions>,
}

struct Schema {
    document: Value,
    validator: Validator,
}

/// What takes labels out of the names of metrics.
#[derive(Default)]
pub(crate) struct LabelPatterns(Vec<Label>);

struct Label {
    name: String,
    pattern: Regex,
}

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MetaError {
    /// Not JSON, or not the shape of a metadata file.
    #[error("not a metadata file: {0}")]
    Shape(#[from] serde_json::Error),
    /// The schema is none.
    #[error("config_schema: {0}")]
    Schema(String),
    /// It grants itself what only an attachment may grant.
    #[error("tidegate.secrets: only an attachment grants secrets")]
    Secrets,
    /// A pattern is none.
    #[error("metrics.label_patterns: {0}")]
    Pattern(#[from] Box<regex::Error>),
}

#[derive(Deserialize)]
struct File {
    config_schema: Option<Value>,
    #[serde(default)]
    metrics: Metrics,
    tidegate: Option<FilterOptions>,
}

#[derive(Default, Deserialize)]
struct Metrics {
    #[serde(default)]
    label_patterns: Vec<LabelPattern>,
}

#[derive(Deserialize)]
struct LabelPattern {
    label: String,
    pattern: String,
}

impl FilterMeta {
    /// Reads the file's text.
    ///
    /// # Errors
    /// When any part of it cannot be used.
    pub fn parse(text: &[u8]) -> Result<Self, MetaError> {
        let file: File = serde_json::from_slice(text)?;
        let options = file.tidegate;
        if options
            .as_ref()
            .is_some_and(|options| !options.secrets.is_empty())
        {
            return Err(MetaError::Secrets);
        }
        let schema = file.config_schema.map(Schema::new).transpose()?;
        let mut labels = Vec::new();
        for LabelPattern { label, pattern } in file.metrics.label_patterns {
            labels.push(Label {
                name: label,
                pattern: Regex::new(&without_percent(&pattern)).map_err(Box::new)?,
            });
        }
        Ok(Self {
            schema,
            labels: Arc::new(LabelPatterns(labels)),
            options,
        })
    }

    /// The schema of the configuration, if there is one.
    #[must_use]
    pub fn config_schema(&self) -> Option<&Value> {
        self.schema.as_ref().map(|schema| &schema.document)
    }

    /// All violations, each with its place below the configuration (`/a/0/b`). Without a schema the configuration is a
    /// string or null.
    #[must_use]
    pub fn check(&self, config: &Value) -> Vec<(String, String)> {
        match &self.schema {
            Some(schema) => {
                let violations = schema.validator.iter_errors(config);
                violations
                    .map(|violation| (violation.instance_path().to_string(), violation.to_string()))
                    .collect()
            }
            None if config.is_string() || config.is_null() => Vec::new(),
            None => vec![(
                String::new(),
                "must be a string or null: the filter has no schema".to_owned(),
            )],
        }
    }

    /// What takes labels out of the names of the filter's metrics.
    pub(crate) const fn labels(&self) -> &Arc<LabelPatterns> {
        &self.labels
    }
}

impl LabelPatterns {
    /// Takes the labels out of a metric's name. Group 1 of a pattern is the label's whole text, group 2 its value; the
    /// first match ends the name.
    pub(crate) fn split(&self, name: &str) -> (String, Labels) {
        let mut end = name.len();
        let mut labels = Labels::new();
        for label in &self.0 {
            let Some(found) = label.pattern.captures(name) else {
                continue;
            };
            if let (Some(whole), Some(value)) = (found.get(1), found.get(2)) {
                end = end.min(whole.start());
                labels.push((label.name.clone(), value.as_str().to_owned()));
            }
        }
        (name.get(..end).unwrap_or(name).to_owned(), labels)
    }
}

/// A pattern whose escapes begin with `%`, as Kong reads them, with those of regular expressions.
fn without_percent(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut characters = pattern.chars().peekable();
    let mut is_in_class = false;
    while let Some(character) = characters.next() {
        let escaped = characters.peek().copied().filter(|_| character == '%');
        let class = match escaped {
            Some('a') => "a-zA-Z",
            Some('d') => "0-9",
            Some('l') => "a-z",
            Some('u') => "A-Z",
            Some('w') => "a-zA-Z0-9",
            Some('x') => "a-fA-F0-9",
            Some(literal) if literal.is_ascii_punctuation() => {
                characters.next();
                out.extend(['\\', literal]);
                continue;
            }
            _ => {
                is_in_class = match character {
                    '[' => true,
                    ']' => false,
                    _ => is_in_class,
                };
                out.push(character);
                continue;
            }
        };
        characters.next();
        if is_in_class {
            out.push_str(class);
        } else {
            out.extend(["[", class, "]"]);
        }
    }
    out
}

impl Schema {
    /// Kong holds every schema for draft 4, whatever it says.
    fn new(mut document: Value) -> Result<Self, MetaError> {
        if let Value::Object(members) = &mut document {
            members.insert(
                "$schema".to_owned(),
                Value::from("http://json-schema.org/draft-04/schema#"),
            );
        }
        let validator = jsonschema::options().with_draft(Draft::Draft4).build(&document);
        match validator {
            Ok(validator) => Ok(Self { document, validator }),
            Err(error) => Err(MetaError::Schema(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn meta(value: &Value) -> FilterMeta {
        FilterMeta::parse(value.to_string().as_bytes()).expect("a metadata file")
    }

    #[test]
    fn a_configuration_is_checked_against_the_schema_with_all_violations() {
        let meta = meta(&json!({
            "config_schema": {
                "type": "object",
                "properties": { "name": { "type": "string" }, "limits": { "type": "array", "items": { "type": "integer" } } },
                "required": ["name"],
                "additionalProperties": false
            }
        }));
        assert_eq!(meta.check(&json!({ "name": "n", "limits": [1] })), []);
        let paths = |config: Value| {
            meta.check(&config)
                .into_iter()
                .map(|(path, _)| path)
                .collect::<Vec<_>>()
        };
        assert_eq!(paths(json!({ "name": "n", "limits": [1, "x"] })), ["/limits/1"]);
        assert_eq!(paths(json!({ "name": 1, "other": 2 })).len(), 2);
        assert_eq!(paths(json!("text")), [""]);
    }

    #[test]
    fn without_a_schema_the_configuration_is_a_string_or_null() {
        let meta = FilterMeta::default();
        assert!(meta.check(&json!("text")).is_empty() && meta.check(&Value::Null).is_empty());
        assert_eq!(meta.check(&json!({})).len(), 1);
    }

    #[test]
    fn labels_are_taken_out_of_metric_names() {
        let meta = meta(&json!({ "metrics": { "label_patterns": [
            { "label": "service", "pattern": "(_s_id=([0-9a-z-]+))" },
            { "label": "route", "pattern": "(_r_id=([0-9a-z-]+))" }
        ] } }));
        let labels = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect()
        };
        assert_eq!(
            meta.labels.split("hits_s_id=a-1_r_id=b2"),
            ("hits".to_owned(), labels(&[("service", "a-1"), ("route", "b2")]))
        );
        assert_eq!(meta.labels.split("hits"), ("hits".to_owned(), Vec::new()));
    }

    #[test]
    fn patterns_may_have_the_escapes_that_kong_reads() {
        for (pattern, expected) in [
            ("(_s_id=([0-9a-z%-]+))", r"(_s_id=([0-9a-z\-]+))"),
            ("(_c=(%d+)%.(%a))", r"(_c=([0-9]+)\.([a-zA-Z]))"),
            (r"(_x=(\d{3}))", r"(_x=(\d{3}))"),
            ("50%2", "50%2"),
        ] {
            assert_eq!(without_percent(pattern), expected);
        }
    }

    #[test]
    fn a_file_that_cannot_be_used_is_refused_with_its_place() {
        let refusal = |text: &str| {
            FilterMeta::parse(text.as_bytes())
                .err()
                .expect("a refusal")
                .to_string()
        };
        assert!(refusal("{").starts_with("not a metadata file"));
        assert!(refusal(r#"{"config_schema": {"type": "nonsense"}}"#).starts_with("config_schema"));
        assert!(
            refusal(r#"{"metrics": {"label_patterns": [{"label": "l", "pattern": "("}]}}"#)
                .starts_with("metrics")
        );
        assert!(refusal(r#"{"metrics": {"label_patterns": [{"label": "l"}]}}"#).contains("pattern"));
        let secrets = r#"{"tidegate": {"secrets": ["{vault://env/a}"]}}"#;
        assert!(refusal(secrets).starts_with("tidegate.secrets"));
        assert!(refusal(r#"{"tidegate": {"no_such_option": 1}}"#).contains("no_such_option"));
    }
}
