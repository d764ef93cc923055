//! Facts about the exchange that no header tells: addresses, the route, the consumer.
//!
//! Names are Envoy's, by segments (`["source", "address"]`), and Kong's, whole (`["kong.route_name"]`).

use crate::{Error, Result};
use proxy_wasm::hostcalls;

/// A property that is text; `None` when it has no value.
///
/// ```no_run
/// let client = tidegate_sdk::property::text(&["source", "address"])?;
/// # Ok::<(), tidegate_sdk::Error>(())
/// ```
///
/// # Errors
/// When the value is no UTF-8 or the gateway refuses the path.
pub fn text(path: &[&str]) -> Result<Option<String>> {
    let value = bytes(path)?;
    let text =
        value.map(|value| String::from_utf8(value).map_err(|error| wrong(path, error.as_bytes(), "text")));
    text.transpose()
}

/// A property that is an integer, written as eight bytes or as text.
///
/// ```no_run
/// let port = tidegate_sdk::property::integer(&["source", "port"])?;
/// # Ok::<(), tidegate_sdk::Error>(())
/// ```
///
/// # Errors
/// When the value is no integer or the gateway refuses the path.
pub fn integer(path: &[&str]) -> Result<Option<i64>> {
    let value = bytes(path)?;
    let number = value.map(|value| decode_integer(&value).ok_or_else(|| wrong(path, &value, "integer")));
    number.transpose()
}

/// A property that is a truth value, written as one byte or as text.
///
/// ```no_run
/// let is_mtls = tidegate_sdk::property::boolean(&["connection", "mtls"])?.unwrap_or(false);
/// # Ok::<(), tidegate_sdk::Error>(())
/// ```
///
/// # Errors
/// When the value is none or the gateway refuses the path.
pub fn boolean(path: &[&str]) -> Result<Option<bool>> {
    let value = bytes(path)?;
    let flag = value.map(|value| decode_boolean(&value).ok_or_else(|| wrong(path, &value, "boolean")));
    flag.transpose()
}

/// A property as it is written.
///
/// ```no_run
/// let digest = tidegate_sdk::property::bytes(&["connection", "sha256_peer_certificate_digest"])?;
/// # Ok::<(), tidegate_sdk::Error>(())
/// ```
///
/// # Errors
/// When the gateway refuses the path.
pub fn bytes(path: &[&str]) -> Result<Option<Vec<u8>>> {
    hostcalls::get_property(path.to_vec()).map_err(Error::host("get property"))
}

/// Sets a property: one that the gateway obeys, such as `["kong.service.target"]`, or a note to later filters.
///
/// ```no_run
/// tidegate_sdk::property::set(&["kong.service.upstream"], b"canary")?;
/// # Ok::<(), tidegate_sdk::Error>(())
/// ```
///
/// # Errors
/// When the gateway refuses it.
pub fn set(path: &[&str], value: &[u8]) -> Result<()> {
    hostcalls::set_property(path.to_vec(), Some(value)).map_err(Error::host("set property"))
}

fn wrong(path: &[&str], value: &[u8], expected: &'static str) -> Error {
    Error::Property {
        path: path.join("."),
        length: value.len(),
        expected,
    }
}

/// Text first: eight digits are a number in text, while a number below 2^24 in eight bytes always holds zeros.
fn decode_integer(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    text.or_else(|| Some(i64::from_le_bytes(value.try_into().ok()?)))
}

fn decode_boolean(value: &[u8]) -> Option<bool> {
    match value {
        [0] | b"false" => Some(false),
        [1] | b"true" => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_truth_values_are_read_in_both_encodings() {
        assert_eq!(decode_integer(&443_i64.to_le_bytes()), Some(443));
        assert_eq!(decode_integer(&(-1_i64).to_le_bytes()), Some(-1));
        assert_eq!(decode_integer(b"443"), Some(443));
        assert_eq!(decode_integer(b"12345678"), Some(12_345_678));
        assert_eq!(decode_integer(b"nine"), None);
        assert_eq!(decode_boolean(&[1]), Some(true));
        assert_eq!(decode_boolean(b"false"), Some(false));
        assert_eq!(decode_boolean(b"yes"), None);
    }

    #[test]
    fn a_wrong_type_is_told_with_the_path() {
        let error = wrong(&["source", "port"], b"nine", "integer");
        assert_eq!(
            error.to_string(),
            "the property source.port has 4 bytes, which are no integer"
        );
    }
}
