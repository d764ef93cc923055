//! Entries of the form `name:value`, shared by the request and response transformers.

use crate::template::Template;
use http::HeaderName;
use serde_json::{Map, Value};
use tidegate_plugin::BuildError;

/// Splits `name:value`. All colons directly behind the first one are skipped; an empty value is none.
#[must_use]
pub fn split(entry: &str) -> (&str, Option<&str>) {
    match entry.split_once(':') {
        Some((name, rest)) => {
            let value = rest.trim_start_matches(':');
            (name, if value.is_empty() { None } else { Some(value) })
        }
        None => (entry, None),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// `name:value`, the value possibly empty: Kong's pattern `^[^:]+:.*$`.
///
/// # Errors
/// `invalid value: ...`.
pub fn check_pair(value: &Value) -> Result<(), String> {
    let entry = text(value);
    match entry.split_once(':') {
        Some((name, _)) if !name.is_empty() => Ok(()),
        _ => Err(format!("invalid value: {entry}")),
    }
}

/// A header name, with or without a value behind it.
///
/// # Errors
/// `'...' is not a valid header`.
pub fn check_header(value: &Value) -> Result<(), String> {
    check_header_name(split(text(value)).0)
}

/// `name:value` with a header name.
///
/// # Errors
/// As [`check_pair`] and [`check_header`].
pub fn check_header_pair(value: &Value) -> Result<(), String> {
    check_pair(value)?;
    check_header(value)
}

/// `old:new`, both header names.
///
/// # Errors
/// As [`check_header_pair`].
pub fn check_header_rename(value: &Value) -> Result<(), String> {
    check_header_pair(value)?;
    check_header_name(split(text(value)).1.unwrap_or_default())
}

fn check_header_name(name: &str) -> Result<(), String> {
    let is_valid = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if is_valid {
        Ok(())
    } else {
        Err(format!("'{name}' is not a valid header"))
    }
}

/// `name:value` with a value that is a template.
///
/// # Errors
/// `key '...' has no value`, or what is wrong with the template.
pub fn check_template_pair(value: &Value) -> Result<(), String> {
    match split(text(value)) {
        (name, None) => Err(format!("key '{name}' has no value")),
        (_, Some(value)) => check_template(value),
    }
}

/// `name:value` with a header name and a value that is a template, possibly empty.
///
/// # Errors
/// As [`check_header_pair`], or what is wrong with the template.
pub fn check_header_template(value: &Value) -> Result<(), String> {
    check_header_pair(value)?;
    check_template(split(text(value)).1.unwrap_or_default())
}

/// A whole value that is a template.
///
/// # Errors
/// What is wrong with it.
pub fn check_whole_template(value: &Value) -> Result<(), String> {
    check_template(text(value))
}

fn check_template(source: &str) -> Result<(), String> {
    match Template::parse(source) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!(
            "value '{source}' is not in supported format, error:{error}"
        )),
    }
}

/// A header name of a checked entry.
///
/// # Errors
/// When it is none after all, with the path of its list.
pub fn header_name(name: &str, path: &str) -> Result<HeaderName, BuildError> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| BuildError {
        path: path.to_owned(),
        message: format!("'{name}' is not a valid header"),
    })
}

/// Appends to a member of a JSON object: a string becomes a list of both, a list gets longer, an object stays, anything
/// else makes way.
pub fn append_member(members: &mut Map<String, Value>, name: String, value: Value) {
    match members.get_mut(&name) {
        Some(Value::Array(items)) => items.push(value),
        Some(Value::Object(_)) => {}
        Some(Value::String(known)) => {
            let known = Value::String(std::mem::take(known));
            members.insert(name, Value::Array(vec![known, value]));
        }
        _ => drop(members.insert(name, Value::Array(vec![value]))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_starts_after_all_leading_colons_and_may_hold_more() {
        assert_eq!(split("h2:value:2"), ("h2", Some("value:2")));
        assert_eq!(split("h2:::value"), ("h2", Some("value")));
        assert_eq!(split("h2:"), ("h2", None));
        assert_eq!(split("h2"), ("h2", None));
    }

    #[test]
    fn each_check_names_what_is_wrong() {
        let refused = |check: fn(&Value) -> Result<(), String>, entry: &str| {
            check(&Value::from(entry)).expect_err(entry)
        };
        assert_eq!(refused(check_pair, "h"), "invalid value: h");
        assert_eq!(refused(check_header_pair, "a b:c"), "'a b' is not a valid header");
        assert_eq!(
            refused(check_header_rename, "h:bad header"),
            "'bad header' is not a valid header"
        );
        assert_eq!(refused(check_template_pair, "p"), "key 'p' has no value");
        assert!(
            refused(check_template_pair, "p:$(for)")
                .starts_with("value '$(for)' is not in supported format, error:")
        );
    }
}
