//! The difference of two JSON objects as text, line for line as decK shows it: the old object with `-` and `+` lines.
//!
//! Members come sorted; added ones stand at the end of their object. Elements of lists are paired by their longest
//! common subsequence, then by likeness; an element that only moved is left out of the text.

mod arrays;
mod writer;

use serde_json::{Map, Value};
use writer::Writer;

/// One difference between two values at the same place.
#[derive(Debug)]
enum Delta<'v> {
    Object(Vec<(&'v str, Self)>),
    Array(Vec<ArrayDelta<'v>>),
    Modified(&'v Value, &'v Value),
    Added(&'v Value),
    Deleted(&'v Value),
}

/// One difference within a list.
#[derive(Debug)]
struct ArrayDelta<'v> {
    /// Where it shows: the old index of what is deleted, the new one of everything else.
    index: usize,
    what: Element<'v>,
}

#[derive(Debug)]
enum Element<'v> {
    Changed(Delta<'v>),
    Moved,
}

/// The text; without a line break ahead, with one behind.
pub(crate) fn diff_text(old: &Map<String, Value>, new: &Map<String, Value>) -> String {
    let deltas = compare_objects(old, new);
    let mut writer = Writer::default();
    writer.root(old, &deltas);
    writer.finish()
}

fn compare_objects<'v>(
    old: &'v Map<String, Value>,
    new: &'v Map<String, Value>,
) -> Vec<(&'v str, Delta<'v>)> {
    let mut deltas = Vec::new();
    for (name, value) in sorted(old) {
        match new.get(name) {
            Some(other) => deltas.extend(compare(value, other).map(|delta| (name, delta))),
            None => deltas.push((name, Delta::Deleted(value))),
        }
    }
    for (name, value) in sorted(new) {
        if !old.contains_key(name) {
            deltas.push((name, Delta::Added(value)));
        }
    }
    deltas
}

/// None: there is no difference.
fn compare<'v>(old: &'v Value, new: &'v Value) -> Option<Delta<'v>> {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let deltas = compare_objects(old, new);
            (!deltas.is_empty()).then_some(Delta::Object(deltas))
        }
        (Value::Array(old), Value::Array(new)) => {
            let deltas = arrays::compare(old, new);
            (!deltas.is_empty()).then_some(Delta::Array(deltas))
        }
        _ if crate::compare::same(old, new) => None,
        _ => Some(Delta::Modified(old, new)),
    }
}

fn sorted(members: &Map<String, Value>) -> Vec<(&str, &Value)> {
    let mut sorted: Vec<(&str, &Value)> = members
        .iter()
        .map(|(name, value)| (name.as_str(), value))
        .collect();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    sorted
}

/// A number as Go prints one by default: shortest, with an exponent from a million on.
pub(crate) fn go_number(number: f64) -> String {
    let magnitude = number.abs();
    if magnitude != 0.0 && !(1e-4..1e6).contains(&magnitude) {
        let text = format!("{number:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    number.to_string()
}

#[cfg(test)]
mod tests;
