//! One value against its kind: shape first, then rules.

use super::{Level, REQUIRED, checks, nested, record, rules};
use crate::schema::{Context, Kind, PathSegment, Rule, Shape, Violation};
use serde_json::{Map, Value};
use std::collections::HashSet;

/// Whether the text is a `{vault://...}` reference (kong-core B.5).
#[must_use]
pub fn is_reference(text: &str) -> bool {
    text.starts_with("{vault://") && text.ends_with('}')
}

/// Checks one value; returns it in its normal form, or as it is when it is at fault.
pub(super) fn check(kind: &Kind, value: &Value, context: &Context, found: &mut Vec<Violation>) -> Value {
    if value.is_null() {
        found.push(Violation::here(REQUIRED));
        return Value::Null;
    }
    if is_accepted_reference(kind, value) {
        return value.clone();
    }
    let start = found.len();
    let normal = shape(kind, value, context, found);
    match normal {
        Some(normal) => {
            if found.len() == start
                && let Err(message) = rules::apply(kind, &normal)
            {
                found.push(Violation::here(message));
            }
            normal
        }
        None => value.clone(),
    }
}

fn is_accepted_reference(kind: &Kind, value: &Value) -> bool {
    let accepts = kind.rules.iter().any(|rule| matches!(rule, Rule::Referenceable));
    accepts && value.as_str().is_some_and(is_reference)
}

/// Checks the JSON shape, with all that is nested in it. None when the value itself has the wrong shape.
fn shape(kind: &Kind, value: &Value, context: &Context, found: &mut Vec<Violation>) -> Option<Value> {
    let wrong = |found: &mut Vec<Violation>, message: &str| {
        found.push(Violation::here(message));
        None
    };
    match &kind.shape {
        Shape::Any => Some(value.clone()),
        Shape::String if value.is_string() => Some(value.clone()),
        Shape::String => wrong(found, "expected a string"),
        Shape::Boolean if value.is_boolean() => Some(value.clone()),
        Shape::Boolean => wrong(found, "expected a boolean"),
        Shape::Number if value.is_number() => Some(value.clone()),
        Shape::Number => wrong(found, "expected a number"),
        Shape::Integer => integer(value).or_else(|| wrong(found, "expected an integer")),
        Shape::Array(element) => match list(value) {
            Some(items) => Some(elements(
                kind,
                element,
                &items.iter().collect::<Vec<_>>(),
                context,
                found,
            )),
            None => wrong(found, "expected an array"),
        },
        Shape::Set(element) => match list(value) {
            Some(items) => Some(elements(kind, element, &distinct(items), context, found)),
            None => wrong(found, "expected a set"),
        },
        Shape::Map { keys, values } => match object(value) {
            Some(entries) => Some(map(kind, (keys, values), &entries, context, found)),
            None => wrong(found, "expected a map"),
        },
        Shape::Record(source) => match object(value) {
            Some(fields) => Some(Value::Object(record(
                (source.0)(),
                &fields,
                context,
                found,
                Level::Record,
            ))),
            None => wrong(found, "expected a record"),
        },
        Shape::Foreign(_) => Some(foreign(value, found)),
    }
}

/// An integral number as an integer: `5.0` is 5.
fn integer(value: &Value) -> Option<Value> {
    if value.is_i64() {
        return Some(value.clone());
    }
    let number = value.as_f64()?;
    // 2^63 is the first float that an i64 cannot hold; everything below converts exactly.
    let fits = number.fract() == 0.0
        && (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&number);
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the range was checked on the line above"
    )]
    fits.then_some(number as i64).map(Value::from)
}

/// The items of a list. An empty object counts as an empty list: Kong's parser cannot tell them apart.
fn list(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(items) => Some(items),
        Value::Object(entries) if entries.is_empty() => Some(&[]),
        _ => None,
    }
}

/// The members of an object. An empty list counts as an empty object, for the same reason.
fn object(value: &Value) -> Option<std::borrow::Cow<'_, Map<String, Value>>> {
    match value {
        Value::Object(entries) => Some(std::borrow::Cow::Borrowed(entries)),
        Value::Array(items) if items.is_empty() => Some(std::borrow::Cow::Owned(Map::new())),
        _ => None,
    }
}

fn elements(
    list: &Kind,
    element: &Kind,
    items: &[&Value],
    context: &Context,
    found: &mut Vec<Violation>,
) -> Value {
    let check_one = |(index, item): (usize, &&Value)| {
        if is_accepted_reference(list, item) {
            return (*item).clone();
        }
        nested(
            || PathSegment::Index(index),
            found,
            |found| check(element, item, context, found),
        )
    };
    Value::Array(items.iter().enumerate().map(check_one).collect())
}

fn map(
    whole: &Kind,
    (keys, values): (&Kind, &Kind),
    entries: &Map<String, Value>,
    context: &Context,
    found: &mut Vec<Violation>,
) -> Value {
    let mut output = Map::with_capacity(entries.len());
    for (key, value) in entries {
        check(keys, &Value::String(key.clone()), context, found);
        let value = if is_accepted_reference(whole, value) {
            value.clone()
        } else {
            nested(
                || PathSegment::Entry(key.clone()),
                found,
                |found| check(values, value, context, found),
            )
        };
        output.insert(key.clone(), value);
    }
    Value::Object(output)
}

/// `{"id": uuid}`. Names are resolved before a record gets here.
fn foreign(value: &Value, found: &mut Vec<Violation>) -> Value {
    let fault = match value.get("id") {
        None => Some("missing primary key".to_owned()),
        Some(Value::Null) => Some(REQUIRED.to_owned()),
        Some(Value::String(id)) => checks::uuid(id).err(),
        Some(_) => Some("expected a string".to_owned()),
    };
    match (fault, value.get("id")) {
        (None, Some(id)) => Value::Object(Map::from_iter([("id".to_owned(), id.clone())])),
        (fault, _) => {
            found.push(Violation::field("id", fault.unwrap_or_default()));
            value.clone()
        }
    }
}

/// The items without later duplicates.
fn distinct(items: &[Value]) -> Vec<&Value> {
    let mut seen = HashSet::with_capacity(items.len());
    items
        .iter()
        .filter(|item| seen.insert(Identity::of(item)))
        .collect()
}

/// What makes two elements of a set the same: numbers are equal by value, however they are written.
#[derive(PartialEq, Eq, Hash)]
enum Identity<'a> {
    Text(&'a str),
    Number(u64),
    Other(String),
}

impl<'a> Identity<'a> {
    fn of(value: &'a Value) -> Self {
        match value {
            Value::String(text) => Self::Text(text),
            // Adding zero turns -0.0 into 0.0.
            Value::Number(number) => Self::Number((number.as_f64().unwrap_or_default() + 0.0).to_bits()),
            other => Self::Other(other.to_string()),
        }
    }
}
