//! A query string as an object.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

/// Decoded arguments: a repeated name has an array, a name without `=` is true.
pub(super) fn decode(query: &str) -> Value {
    let mut arguments = Map::new();
    for argument in query.split('&').filter(|argument| !argument.is_empty()) {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Value::String(unescape(value))),
            None => (argument, Value::Bool(true)),
        };
        match arguments.get_mut(&unescape(name)) {
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
            None => drop(arguments.insert(unescape(name), value)),
        }
    }
    Value::Object(arguments)
}

/// Percent escapes and `+`; a broken escape stays as it is, bytes that are not UTF-8 are replaced.
fn unescape(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}
