//! Names and values of a query or of a form.

use crate::errors::ApiError;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

/// Arguments of one request at most, as in Kong.
pub(crate) const MOST_ARGUMENTS: usize = 1_000;

/// Arguments in the order in which they were sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Arguments(Vec<(String, String)>);

impl Arguments {
    /// Reads `a=b&c=d`; a name without `=` has an empty value. Bytes that are no UTF-8 are replaced.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, ApiError> {
        let mut arguments = Vec::new();
        for pair in text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            if arguments.len() == MOST_ARGUMENTS {
                return Err(ApiError::bad_request("Too many arguments"));
            }
            let (name, value) = match pair.iter().position(|byte| *byte == b'=') {
                Some(at) => (pair.get(..at), pair.get(at + 1..)),
                None => (Some(pair), None),
            };
            arguments.push((
                decoded(name.unwrap_or_default()),
                decoded(value.unwrap_or_default()),
            ));
        }
        Ok(Self(arguments))
    }

    /// The first value of a name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    /// Whether a name says yes, in any of Kong's words.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.get(name).is_some_and(is_yes)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(crate) fn from_pairs(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }
}

pub(crate) fn is_yes(text: &str) -> bool {
    matches!(text, "1" | "true" | "on" | "yes")
}

fn decoded(text: &[u8]) -> String {
    let spaced: Vec<u8> = text
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    percent_decode(&spaced).decode_utf8_lossy().into_owned()
}

/// A value as it stands in a query.
pub(crate) fn encoded(text: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~');
    utf8_percent_encode(text, KEPT).to_string()
}

#[cfg(test)]
mod tests {
    use super::{Arguments, MOST_ARGUMENTS, encoded};

    #[test]
    fn names_and_values_are_decoded() {
        let arguments = Arguments::parse(b"a=b%20c&d+e=f&g&h=&a=2&%ff=1").unwrap();
        let pairs: Vec<_> = arguments.iter().collect();
        assert_eq!(
            pairs,
            [
                ("a", "b c"),
                ("d e", "f"),
                ("g", ""),
                ("h", ""),
                ("a", "2"),
                ("\u{fffd}", "1")
            ]
        );
        assert_eq!(arguments.get("a"), Some("b c"));
        assert_eq!(encoded("x|y z/ü"), "x%7Cy%20z%2F%C3%BC");
    }

    #[test]
    fn a_thousand_arguments_pass_and_one_more_does_not() {
        let text = vec!["a=1"; MOST_ARGUMENTS].join("&");
        assert!(Arguments::parse(text.as_bytes()).is_ok());
        assert!(Arguments::parse(format!("{text}&a=1").as_bytes()).is_err());
    }
}
