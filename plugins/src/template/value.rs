//! Values of expressions.

use super::expr::RequestTable;
use std::borrow::Cow;
use std::fmt::Write as _;

/// A value, borrowed from the request or the template where possible.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    Nil,
    Bool(bool),
    Number(f64),
    Text(Cow<'a, [u8]>),
    /// Values of a repeated header or argument.
    List(Vec<Self>),
    /// A whole table of the request.
    Table(RequestTable),
    /// An object or array of `shared`.
    Json(&'a serde_json::Value),
}

impl<'a> Value<'a> {
    /// Lua's truth: everything but `nil` and `false`.
    pub(super) fn is_true(&self) -> bool {
        !matches!(self, Self::Nil | Self::Bool(false))
    }

    /// Name of the type, as `type()` gives it.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "boolean",
            Self::Number(_) => "number",
            Self::Text(_) => "string",
            Self::List(_) | Self::Table(_) | Self::Json(_) => "table",
        }
    }

    /// As `tostring()` gives it; `None` for tables.
    pub(super) fn to_text(&self) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Nil => Some(Cow::Borrowed(b"nil")),
            Self::Bool(true) => Some(Cow::Borrowed(b"true")),
            Self::Bool(false) => Some(Cow::Borrowed(b"false")),
            Self::Number(number) => Some(Cow::Owned(format_number(*number).into_bytes())),
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::List(_) | Self::Table(_) | Self::Json(_) => None,
        }
    }

    /// A string or a number as a string: what string functions and `..` take.
    pub(super) fn into_string(self) -> Option<Cow<'a, [u8]>> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(number) => Some(Cow::Owned(format_number(number).into_bytes())),
            Self::Nil | Self::Bool(_) | Self::List(_) | Self::Table(_) | Self::Json(_) => None,
        }
    }

    /// A number, or a string that holds one.
    pub(super) fn to_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => parse_number(text),
            Self::Nil | Self::Bool(_) | Self::List(_) | Self::Table(_) | Self::Json(_) => None,
        }
    }

    /// A member of `shared`.
    pub(super) fn from_json(value: &'a serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Nil,
            serde_json::Value::Bool(value) => Self::Bool(*value),
            serde_json::Value::Number(number) => number.as_f64().map_or(Self::Nil, Self::Number),
            serde_json::Value::String(text) => Self::Text(Cow::Borrowed(text.as_bytes())),
            serde_json::Value::Array(_) | serde_json::Value::Object(_) => Self::Json(value),
        }
    }
}

/// Lua's reading of a number in a string: decimal or `0x`, blanks around it.
pub(super) fn parse_number(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text)
        .ok()?
        .trim_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']);
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u32::from_str_radix(digits, 16).ok().map(f64::from);
    }
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
    if plain { text.parse().ok() } else { None }
}

/// C's `%.14g`, which is how Lua shows numbers.
pub(super) fn format_number(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{number:.13e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-5..14).contains(&exponent) && exponent != -5 {
        let decimals = usize::try_from(13 - exponent).unwrap_or(0);
        return trim_zeros(&format!("{number:.decimals$}")).to_owned();
    }
    let mut text = trim_zeros(mantissa).to_owned();
    let sign = if exponent < 0 { '-' } else { '+' };
    let _ = write!(text, "e{sign}{:02}", exponent.unsigned_abs());
    text
}

fn trim_zeros(text: &str) -> &str {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_as_lua_shows_them() {
        for (number, text) in [
            (3.0, "3"),
            (-0.5, "-0.5"),
            (0.1 + 0.2, "0.3"),
            (1e15, "1e+15"),
            (123_456_789_012_345.0, "1.2345678901234e+14"),
            (99_999_999_999_999.0, "99999999999999"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(format_number(number), text);
        }
    }

    #[test]
    fn only_lua_numbers_are_read_from_strings() {
        assert_eq!(parse_number(b" 12 "), Some(12.0));
        assert_eq!(parse_number(b"0x10"), Some(16.0));
        assert_eq!(parse_number(b"1e2"), Some(100.0));
        for text in ["", "inf", "nan", "1_000", "abc", "1 2"] {
            assert_eq!(parse_number(text.as_bytes()), None, "{text:?}");
        }
    }
}
