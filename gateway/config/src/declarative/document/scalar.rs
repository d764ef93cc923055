//! What an unquoted scalar means: the rules of Go's yaml.v3, which decK users know.
//!
//! - `true`, `True`, `TRUE` and the same of `false` are booleans. `yes`, `no`, `on`, `off`, `y`, `n` are text.
//! - empty, `~`, `null`, `Null`, `NULL` are null.
//! - integers: decimal, `0x1f`, `0b101`, `0o17` and `017` (both octal), each with an optional sign and `_` between digits.
//! - floats: `1.5`, `.5`, `1.`, `1e3`; what is too large for an integer becomes a float.
//! - `.inf` and `.nan` have no place in a configuration and are refused.
//! - dates and times are text.

use super::events::{Style, Tag};
use serde_json::{Number, Value};
use std::borrow::Cow;

/// Why a scalar has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotFinite;

/// The value of an unquoted scalar.
pub(super) fn resolve(text: &str) -> Result<Value, NotFinite> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "true" | "True" | "TRUE" => return Ok(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Value::Bool(false)),
        ".nan" | ".NaN" | ".NAN" => return Err(NotFinite),
        _ => {}
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Err(NotFinite);
    }
    let numeric = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    Ok(if numeric {
        number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number)
    } else {
        Value::String(text.to_owned())
    })
}

/// The value of a scalar with its style and tag; the error is the text of the fault.
pub(super) fn scalar_value(text: Cow<'_, str>, style: Style, tag: Option<Tag>) -> Result<Value, String> {
    let resolved = |text: &str| {
        resolve(text)
            .map_err(|_| format!("'{text}' is not a finite number and cannot be used in a configuration"))
    };
    let mismatch = |kind: &str| Err(format!("cannot read '{text}' as {kind}"));
    match tag {
        None if style == Style::Plain => resolved(&text),
        None | Some(Tag::Text) => Ok(Value::String(text.into_owned())),
        Some(Tag::Null) => match resolved(&text)? {
            Value::Null => Ok(Value::Null),
            _ => mismatch("null"),
        },
        Some(Tag::Boolean) => match (resolved(&text)?, legacy_boolean(&text)) {
            (Value::Bool(value), _) | (_, Some(value)) => Ok(Value::Bool(value)),
            _ => mismatch("a boolean"),
        },
        Some(Tag::Integer) => match resolved(&text)? {
            Value::Number(number) if !number.is_f64() => Ok(Value::Number(number)),
            _ => mismatch("an integer"),
        },
        Some(Tag::Float) => match resolved(&text)?.as_f64() {
            Some(number) => Ok(Value::from(number)),
            None => mismatch("a number"),
        },
    }
}

/// Whether older YAML rules (1.1) read this unquoted text as a boolean, and which.
pub(super) fn legacy_boolean(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// An integer or a float, when the text is one.
fn number(text: &str) -> Option<Number> {
    let cleaned;
    let text = if text.contains('_') {
        cleaned = text.replace('_', "");
        &cleaned
    } else {
        text
    };
    integer(text).or_else(|| float(text))
}

fn integer(text: &str) -> Option<Number> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', ..] => (true, text.get(1..)?),
        [b'+', ..] => (false, text.get(1..)?),
        _ => (false, text),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, digits.get(2..)?),
        [b'0', b'b' | b'B', ..] => (2, digits.get(2..)?),
        [b'0', b'o' | b'O', ..] => (8, digits.get(2..)?),
        [b'0', _, ..] => (8, digits.get(1..)?),
        _ => (10, digits),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        0_i64.checked_sub_unsigned(magnitude).map(Number::from)
    } else {
        Some(Number::from(magnitude))
    }
}

fn float(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (
            mantissa,
            Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)),
        ),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let well_formed = digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent));
    if !well_formed {
        return None;
    }
    text.parse::<f64>().ok().and_then(Number::from_f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unquoted_scalars_follow_the_rules_of_yaml_v3() {
        let cases: &[(&str, Value)] = &[
            ("", Value::Null),
            ("~", Value::Null),
            ("NULL", Value::Null),
            ("nULL", json!("nULL")),
            ("true", json!(true)),
            ("FALSE", json!(false)),
            ("tRUE", json!("tRUE")),
            ("yes", json!("yes")),
            ("no", json!("no")),
            ("on", json!("on")),
            ("Off", json!("Off")),
            ("80", json!(80)),
            ("+80", json!(80)),
            ("-80", json!(-80)),
            ("0", json!(0)),
            ("0777", json!(511)),
            ("0o777", json!(511)),
            ("-017", json!(-15)),
            ("08", json!(8.0)),
            ("0x1F", json!(31)),
            ("0b101", json!(5)),
            ("1_000", json!(1000)),
            ("1.5", json!(1.5)),
            (".5", json!(0.5)),
            ("1.", json!(1.0)),
            ("1e3", json!(1000.0)),
            ("1E-2", json!(0.01)),
            ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
            ("-9223372036854775808", json!(i64::MIN)),
            ("18446744073709551616", json!(18_446_744_073_709_551_616.0)),
            ("1e999", json!("1e999")),
            (".", json!(".")),
            ("-", json!("-")),
            ("1.2.3", json!("1.2.3")),
            ("0x", json!("0x")),
            ("1e", json!("1e")),
            ("127.0.0.1:80", json!("127.0.0.1:80")),
            ("2024-01-02", json!("2024-01-02")),
            ("12:30:45", json!("12:30:45")),
        ];
        for (text, expected) in cases {
            assert_eq!(resolve(text).as_ref(), Ok(expected), "reading {text:?}");
        }
    }

    #[test]
    fn infinities_and_nan_are_refused() {
        for text in [".inf", "-.INF", "+.Inf", ".nan", ".NaN"] {
            assert_eq!(resolve(text), Err(NotFinite), "reading {text:?}");
        }
    }
}
