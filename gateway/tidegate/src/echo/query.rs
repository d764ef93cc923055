//! Names and values of queries and forms.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

/// The pairs of a query or of an `application/x-www-form-urlencoded` body, decoded, in their order.
pub(super) fn pairs(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        })
        .collect()
}

/// An object with one member for each name; a name that is there several times has a list.
pub(super) fn grouped(pairs: &[(String, String)]) -> Value {
    let mut members: Map<String, Value> = Map::new();
    for (name, value) in pairs {
        add(&mut members, name.clone(), Value::from(value.as_str()));
    }
    members.sort_keys();
    Value::Object(members)
}

/// Adds a member, making a list of the values when the name is there already.
pub(super) fn add(members: &mut Map<String, Value>, name: String, value: Value) {
    match members.get_mut(&name) {
        None => drop(members.insert(name, value)),
        Some(Value::Array(values)) => values.push(value),
        Some(single) => *single = Value::Array(vec![single.take(), value]),
    }
}

fn decoded(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pairs_are_decoded_and_repeated_names_become_lists() {
        let pairs = pairs("b=2&a=1&b=x+y%21&empty&=&b=3");
        assert_eq!(
            grouped(&pairs),
            json!({ "": "", "a": "1", "b": ["2", "x y!", "3"], "empty": "" })
        );
    }
}
