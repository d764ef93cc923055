//! Checks of configuration fields that several plugins share.

use http::StatusCode;
use serde_json::Value;

/// Statuses of error answers. Kong takes other numbers and then fails at run time.
///
/// # Errors
/// When the value is not a whole number from 400 to 599.
pub fn error_status(value: &Value) -> Result<(), String> {
    match status(value.as_f64()) {
        Some(_) => Ok(()),
        None => Err("value should be a status between 400 and 599".to_owned()),
    }
}

/// The status of a number that passed [`error_status`].
#[must_use]
pub fn status(value: Option<f64>) -> Option<StatusCode> {
    let value = value?;
    if !(400.0..=599.0).contains(&value) || value.fract() != 0.0 {
        return None;
    }
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number from 400 to 599"
    )]
    let code = value as u16;
    StatusCode::from_u16(code).ok()
}

/// Lua is not embedded: a field that holds it must be empty.
///
/// # Errors
/// When it holds anything.
pub fn no_lua(value: &Value) -> Result<(), String> {
    let is_empty = match value {
        Value::Object(entries) => entries.is_empty(),
        Value::Array(entries) => entries.is_empty(),
        Value::Null => true,
        _ => false,
    };
    if is_empty {
        return Ok(());
    }
    Err("Lua code is not supported: leave this field out and let a filter add what is needed".to_owned())
}
