//! Query strings and form bodies as lists of arguments: decoded, edited, encoded again.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};
use std::borrow::Cow;

/// Everything but letters, digits and `! ' ( ) * - . _ ~`.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The decoded arguments of a query, in order. `None` as a value: there was no `=`. Arguments without a name are skipped.
pub fn pairs(query: &str) -> impl Iterator<Item = (Cow<'_, [u8]>, Option<Cow<'_, [u8]>>)> {
    bytes_pairs(query.as_bytes())
}

/// The same of raw bytes, e.g. of a form body.
pub fn bytes_pairs(query: &[u8]) -> impl Iterator<Item = (Cow<'_, [u8]>, Option<Cow<'_, [u8]>>)> {
    query.split(|byte| *byte == b'&').filter_map(|argument| {
        let equals = argument.iter().position(|byte| *byte == b'=');
        let (name, value) = match equals {
            Some(equals) => (argument.get(..equals)?, argument.get(equals + 1..)),
            None => (argument, None),
        };
        if name.is_empty() {
            None
        } else {
            Some((decode(name), value.map(decode)))
        }
    })
}

/// Percent-decoding with `+` as a blank. A `%` that starts no escape stays.
#[must_use]
pub fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'+' | b'%')) {
        return Cow::Borrowed(text);
    }
    let blanks: Vec<u8> = text
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    Cow::Owned(percent_decode(&blanks).collect())
}

/// Percent-encodes a name or a value.
pub fn encode(text: &[u8], out: &mut String) {
    out.extend(percent_encode(text, COMPONENT));
}

/// A value of an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArgumentValue {
    /// No `=`.
    Flag,
    /// After the `=`.
    Text(Vec<u8>),
}

/// One name with all its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// Decoded name.
    pub name: Vec<u8>,
    /// Decoded values in order; never empty.
    pub values: Vec<ArgumentValue>,
}

/// Arguments in the order in which their names first appear.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arguments {
    list: Vec<Argument>,
}

impl Arguments {
    /// Decodes a query (without `?`) or a form body.
    #[must_use]
    pub fn parse(query: &[u8]) -> Self {
        let mut arguments = Self::default();
        for (name, value) in bytes_pairs(query) {
            let value = value.map_or(ArgumentValue::Flag, |value| {
                ArgumentValue::Text(value.into_owned())
            });
            arguments.push(&name, value);
        }
        arguments
    }

    fn position(&self, name: &[u8]) -> Option<usize> {
        self.list.iter().position(|argument| argument.name == name)
    }

    /// Whether an argument of that name is there.
    #[must_use]
    pub fn contains(&self, name: &[u8]) -> bool {
        self.position(name).is_some()
    }

    /// Whether nothing is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All arguments.
    pub fn iter(&self) -> impl Iterator<Item = &Argument> {
        self.list.iter()
    }

    /// Adds a value behind those that the name has.
    pub fn push(&mut self, name: &[u8], value: ArgumentValue) {
        match self.list.iter_mut().find(|argument| argument.name == name) {
            Some(argument) => argument.values.push(value),
            None => self.list.push(Argument {
                name: name.to_vec(),
                values: vec![value],
            }),
        }
    }

    /// Takes an argument out.
    pub fn remove(&mut self, name: &[u8]) -> Option<Vec<ArgumentValue>> {
        self.position(name)
            .map(|position| self.list.remove(position).values)
    }

    /// Sets all values of a name, in the place that it has or at the end.
    pub fn set(&mut self, name: &[u8], values: Vec<ArgumentValue>) {
        match self.list.iter_mut().find(|argument| argument.name == name) {
            Some(argument) => argument.values = values,
            None => self.list.push(Argument {
                name: name.to_vec(),
                values,
            }),
        }
    }

    /// Appends the way the transformers do: behind given values, but in place of a lone flag.
    pub fn append(&mut self, name: &[u8], value: Vec<u8>) {
        let value = ArgumentValue::Text(value);
        match self.list.iter_mut().find(|argument| argument.name == name) {
            Some(argument) if argument.values == [ArgumentValue::Flag] => argument.values = vec![value],
            Some(argument) => argument.values.push(value),
            None => self.list.push(Argument {
                name: name.to_vec(),
                values: vec![value],
            }),
        }
    }

    /// Adds everything of another list behind what is here.
    pub fn merge(&mut self, other: Self) {
        for argument in other.list {
            for value in argument.values {
                self.push(&argument.name, value);
            }
        }
    }

    /// Encoded, in order.
    #[must_use]
    pub fn encode(&self) -> String {
        self.blocks().join("&")
    }

    /// Encoded, names in the order of their encoded text.
    #[must_use]
    pub fn encode_sorted(&self) -> String {
        let mut blocks = self.blocks();
        blocks.sort_unstable();
        blocks.join("&")
    }

    fn blocks(&self) -> Vec<String> {
        self.list
            .iter()
            .map(|argument| {
                let mut block = String::new();
                for (index, value) in argument.values.iter().enumerate() {
                    if index > 0 {
                        block.push('&');
                    }
                    encode(&argument.name, &mut block);
                    if let ArgumentValue::Text(text) = value {
                        block.push('=');
                        encode(text, &mut block);
                    }
                }
                block
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_names_stay_together_and_blocks_are_sorted() {
        let arguments = Arguments::parse(b"q=2&a=%20x%2f&q=1&flag&=skipped&&e=");
        assert_eq!(arguments.encode_sorted(), "a=%20x%2F&e=&flag&q=2&q=1");
        assert_eq!(arguments.encode(), "q=2&q=1&a=%20x%2F&flag&e=");
    }

    #[test]
    fn plus_is_a_blank_and_broken_escapes_stay() {
        assert_eq!(decode(b"a+b%2B%zz%").as_ref(), b"a b+%zz%");
    }

    #[test]
    fn appending_to_a_flag_replaces_it() {
        let mut arguments = Arguments::parse(b"q1&q2=a");
        arguments.append(b"q1", b"more".to_vec());
        arguments.append(b"q2", b"b".to_vec());
        arguments.append(b"q3", b"c".to_vec());
        assert_eq!(arguments.encode(), "q1=more&q2=a&q2=b&q3=c");
    }
}
