//! Values of `DECK_*` variables are not shown.

use regex::{Captures, Regex};
use std::collections::{BTreeMap, HashSet};

const MASKED: &str = "[masked]";

/// Finds the values of variables in printed values, never in names.
#[derive(Debug)]
pub(crate) struct Masking {
    values: HashSet<String>,
    /// Longest first, so that a value within another one does not break it.
    patterns: Vec<Regex>,
    member: Regex,
    element: Regex,
}

impl Masking {
    /// None when there is nothing to mask.
    pub(crate) fn new(environment: &BTreeMap<String, String>) -> Option<Self> {
        let values: HashSet<String> = environment
            .iter()
            .filter(|(name, value)| name.starts_with("DECK_") && !value.is_empty())
            .map(|(_, value)| value.clone())
            .collect();
        if values.is_empty() {
            return None;
        }
        let mut longest_first: Vec<&String> = values.iter().collect();
        longest_first.sort_by_key(|value| (std::cmp::Reverse(value.len()), (*value).clone()));
        let patterns = longest_first
            .into_iter()
            .filter_map(|value| Regex::new(&format!(r"\b{}\b", regex::escape(value))).ok())
            .collect();
        Some(Self {
            patterns,
            member: Regex::new(r#"(:\s*)(?:"((?:[^"\\]|\\.)*)"|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\b)"#)
                .ok()?,
            element: Regex::new(r#"^([+\- ]*\s+)"((?:[^"\\]|\\.)*)"(,?)$"#).ok()?,
            values,
        })
    }

    /// The text of JSON, one member or element a line, without the values of variables.
    pub(crate) fn mask(&self, text: &str) -> String {
        let lines: Vec<String> = text.split('\n').map(|line| self.line(line)).collect();
        lines.join("\n")
    }

    fn line(&self, line: &str) -> String {
        let masked = self.member.replace_all(line, |found: &Captures<'_>| {
            let whole = found.get(0).map_or("", |whole| whole.as_str());
            let ahead = found.get(1).map_or("", |ahead| ahead.as_str());
            if let Some(text) = found.get(2) {
                return format!("{ahead}\"{}\"", self.within(text.as_str()));
            }
            match found.get(3) {
                Some(number) if self.values.contains(number.as_str()) => format!("{ahead}\"{MASKED}\""),
                _ => whole.to_owned(),
            }
        });
        if masked != line {
            return masked.into_owned();
        }
        let masked = self.element.replace(line, |found: &Captures<'_>| {
            let ahead = found.get(1).map_or("", |ahead| ahead.as_str());
            let text = found.get(2).map_or("", |text| text.as_str());
            let comma = found.get(3).map_or("", |comma| comma.as_str());
            format!("{ahead}\"{}\"{comma}", self.within(text))
        });
        masked.into_owned()
    }

    fn within(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for pattern in &self.patterns {
            if pattern.is_match(&text) {
                text = pattern.replace_all(&text, MASKED).into_owned();
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::Masking;
    use std::collections::BTreeMap;

    fn masking() -> Masking {
        let environment = [
            ("DECK_HOST", "example.com"),
            ("DECK_PORT", "8443"),
            ("DECK_EMPTY", ""),
            ("HOME", "/root"),
        ];
        let environment: BTreeMap<String, String> = environment
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Masking::new(&environment).expect("there is something to mask")
    }

    #[test]
    fn values_are_masked_and_names_are_not() {
        for (line, expected) in [
            ("   \"host\": \"example.com\",", "   \"host\": \"[masked]\","),
            (
                "+  \"url\": \"https://example.com/x\"",
                "+  \"url\": \"https://[masked]/x\"",
            ),
            ("   \"example.com\": 1", "   \"example.com\": 1"),
            ("-  \"port\": 8443,", "-  \"port\": \"[masked]\","),
            ("-  \"port\": 84431,", "-  \"port\": 84431,"),
            ("     \"example.com\",", "     \"[masked]\","),
            (
                "   \"host\": \"notexample.community\"",
                "   \"host\": \"notexample.community\"",
            ),
            ("   \"path\": \"/root\"", "   \"path\": \"/root\""),
        ] {
            assert_eq!(masking().mask(line), expected);
        }
    }

    #[test]
    fn there_is_nothing_to_mask_without_variables() {
        assert!(Masking::new(&BTreeMap::new()).is_none());
    }
}
