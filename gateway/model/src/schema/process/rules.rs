//! The rules of one value, each with Kong's text (kong-core A.1).

use super::checks;
use crate::schema::{Kind, Rule};
use regex::Regex;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::HashMap;

/// Applies the rules of a kind to a value of its shape.
pub(super) fn apply(kind: &Kind, value: &Value) -> Result<(), String> {
    if value.as_str().is_some_and(str::is_empty) {
        return apply_to_empty(kind, value);
    }
    kind.rules.iter().try_for_each(|rule| apply_one(rule, value))
}

/// The empty string is refused unless the table says otherwise. Rules on whole values speak first, as in Kong.
fn apply_to_empty(kind: &Kind, value: &Value) -> Result<(), String> {
    let on_whole_values = |rule: &&Rule| {
        matches!(
            rule,
            Rule::OneOf(_) | Rule::NotOneOf(_) | Rule::Equals(_) | Rule::Uuid
        )
    };
    kind.rules
        .iter()
        .filter(on_whole_values)
        .try_for_each(|rule| apply_one(rule, value))?;
    if !kind
        .rules
        .iter()
        .any(|rule| matches!(rule, Rule::AllowEmpty | Rule::LenMin(_)))
    {
        return Err("length must be at least 1".to_owned());
    }
    kind.rules
        .iter()
        .filter(|rule| !on_whole_values(rule))
        .try_for_each(|rule| apply_one(rule, value))
}

fn apply_one(rule: &Rule, value: &Value) -> Result<(), String> {
    match rule {
        Rule::AllowEmpty | Rule::Referenceable => Ok(()),
        #[allow(clippy::cast_precision_loss, reason = "limits of tables are far below 2^53")]
        Rule::Between(low, high) => ensure(
            number(value).is_none_or(|number| (*low as f64..=*high as f64).contains(&number)),
            || format!("value should be between {low} and {high}"),
        ),
        Rule::GreaterThan(low) => ensure(number(value).is_none_or(|number| number > *low), || {
            format!("value must be greater than {low}")
        }),
        Rule::OneOfAnd(_, own) if own.contains(value) => Ok(()),
        Rule::OneOf(options) | Rule::OneOfAnd(options, _) => is_one_of(value, options),
        Rule::NotOneOf(options) => ensure(!options.iter().any(|option| same(option, value)), || {
            format!("must not be one of: {}", listed(options))
        }),
        Rule::Equals(wanted) => is_equal(value, wanted),
        Rule::LenMin(least) => ensure(length(value).is_none_or(|length| length >= *least), || {
            format!("length must be at least {least}")
        }),
        Rule::LenMax(most) => ensure(length(value).is_none_or(|length| length <= *most), || {
            format!("length must be at most {most}")
        }),
        Rule::Matches(pattern, message) => {
            let text = value.as_str().unwrap_or_default();
            ensure(matches(pattern, text), || {
                let shown = if message.ends_with(": ") { text } else { "" };
                format!("{message}{shown}")
            })
        }
        Rule::WithinOneOf(sets) => is_within_one_of(value, sets),
        Rule::Uuid => checks::uuid(value.as_str().unwrap_or_default()),
        Rule::Custom(_, check) => check(value),
    }
}

fn ensure(holds: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(message()) }
}

/// `expected one of: a, b`.
pub(super) fn is_one_of(value: &Value, options: &[Value]) -> Result<(), String> {
    ensure(options.iter().any(|option| same(option, value)), || {
        format!("expected one of: {}", listed(options))
    })
}

/// `value must be X`.
pub(super) fn is_equal(value: &Value, wanted: &Value) -> Result<(), String> {
    ensure(same(value, wanted), || format!("value must be {}", shown(wanted)))
}

fn is_within_one_of(value: &Value, sets: &[&[&str]]) -> Result<(), String> {
    let mut touched: Vec<&[&str]> = Vec::new();
    for item in value.as_array().into_iter().flatten().filter_map(Value::as_str) {
        if let Some(set) = sets.iter().find(|set| set.contains(&item))
            && !touched.contains(set)
        {
            touched.push(set);
        }
    }
    ensure(touched.len() <= 1, || {
        let quoted = |set: &&[&str]| {
            let names: Vec<String> = set.iter().map(|name| format!("'{name}'")).collect();
            format!("({})", names.join(", "))
        };
        let sets: Vec<String> = touched.iter().map(quoted).collect();
        format!("these sets are mutually exclusive: {}", sets.join(", "))
    })
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64()
}

/// Bytes of a string, elements of a list, members of an object.
fn length(value: &Value) -> Option<usize> {
    match value {
        Value::String(text) => Some(text.len()),
        Value::Array(items) => Some(items.len()),
        Value::Object(entries) => Some(entries.len()),
        _ => None,
    }
}

/// Equality of JSON values in which `1` is `1.0`.
pub(super) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left == right || left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        _ => left == right,
    }
}

fn listed(options: &[Value]) -> String {
    let options: Vec<String> = options.iter().map(shown).collect();
    options.join(", ")
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

thread_local! {
    /// Compiled patterns of tables. Bounded, since patterns are part of the program.
    static PATTERNS: RefCell<HashMap<&'static str, Option<Regex>>> = RefCell::new(HashMap::new());
}

/// Whether the text matches. A pattern that does not compile matches nothing: the fault shows in the first test.
fn matches(pattern: &'static str, text: &str) -> bool {
    PATTERNS.with_borrow_mut(|patterns| {
        let compiled = patterns
            .entry(pattern)
            .or_insert_with(|| Regex::new(pattern).ok());
        compiled.as_ref().is_some_and(|regex| regex.is_match(text))
    })
}
