//! Members that plugins add: `a.b` is a member of a member, `a\.b` one name with a dot in it.

use serde_json::{Map, Value};

/// Sets a member; null removes it. A path through a member that is not an object is logged and leaves the record as it
/// was.
pub(super) fn set(record: &mut Map<String, Value>, name: &str, value: Value) {
    let mut path = split(name);
    let Some(last) = path.pop() else { return };
    let mut target = record;
    for step in path {
        let member = match value {
            Value::Null => target.get_mut(&step),
            _ => Some(target.entry(step).or_insert_with(|| Value::Object(Map::new()))),
        };
        match member {
            Some(Value::Object(inner)) => target = inner,
            Some(_) => {
                tracing::warn!(
                    name,
                    "cannot set a member of the log object: part of its path is not an object"
                );
                return;
            }
            None => return,
        }
    }
    match value {
        Value::Null => drop(target.shift_remove(&last)),
        value => drop(target.insert(last, value)),
    }
}

fn split(name: &str) -> Vec<String> {
    let mut path = vec![String::new()];
    let mut letters = name.chars().peekable();
    while let Some(letter) = letters.next() {
        let is_escape = letter == '\\' && letters.peek() == Some(&'.');
        match (letter, path.last_mut()) {
            ('.', _) => path.push(String::new()),
            (_, Some(step)) if is_escape => step.extend(letters.next()),
            (letter, Some(step)) => step.push(letter),
            (_, None) => {}
        }
    }
    path
}
