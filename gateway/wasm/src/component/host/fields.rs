//! Header fields, as both heads and trailers have them.

use crate::component::bindings::types::{Field, FieldError};
use crate::options::FilterOptions;
use http::{HeaderMap, HeaderName, HeaderValue};

type Edited = Result<(), FieldError>;

pub(super) fn all(headers: &HeaderMap) -> Vec<Field> {
    let fields = headers.iter().map(|(name, value)| Field {
        name: name.as_str().to_owned(),
        value: value.as_bytes().to_vec(),
    });
    fields.collect()
}

/// The first value, if it is text.
pub(super) fn first(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?;
    std::str::from_utf8(value.as_bytes()).ok().map(str::to_owned)
}

pub(super) fn values(headers: &HeaderMap, name: &str) -> Vec<Vec<u8>> {
    let values = headers.get_all(name).into_iter();
    values.map(|value| value.as_bytes().to_vec()).collect()
}

/// Puts values in place of all others of the name.
pub(super) fn set(
    headers: &mut HeaderMap,
    name: &str,
    values: impl IntoIterator<Item: AsRef<[u8]>>,
    options: &FilterOptions,
) -> Edited {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| FieldError::BadName)?;
    let values = values
        .into_iter()
        .map(|value| HeaderValue::from_bytes(value.as_ref()).map_err(|_| FieldError::BadValue))
        .collect::<Result<smallvec::SmallVec<[HeaderValue; 2]>, _>>()?;
    let kept = headers.len() - headers.get_all(&name).iter().count();
    check_count(kept + values.len(), options)?;
    headers.remove(&name);
    for value in values {
        headers
            .try_append(&name, value)
            .map_err(|_| FieldError::TooMany)?;
    }
    Ok(())
}

pub(super) fn append(headers: &mut HeaderMap, name: &str, value: &[u8], options: &FilterOptions) -> Edited {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| FieldError::BadName)?;
    let value = HeaderValue::from_bytes(value).map_err(|_| FieldError::BadValue)?;
    check_count(headers.len() + 1, options)?;
    let appended = headers.try_append(name, value);
    appended.map(drop).map_err(|_| FieldError::TooMany)
}

pub(super) fn remove(headers: &mut HeaderMap, name: &str) -> Edited {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| FieldError::BadName)?;
    headers.remove(name);
    Ok(())
}

/// A map of its own, e.g. of trailers.
pub(super) fn map(fields: Vec<Field>, options: &FilterOptions) -> Result<HeaderMap, FieldError> {
    let mut headers = HeaderMap::new();
    for field in fields {
        append(&mut headers, &field.name, &field.value, options)?;
    }
    Ok(headers)
}

const fn check_count(count: usize, options: &FilterOptions) -> Edited {
    if count > options.max_headers {
        Err(FieldError::TooMany)
    } else {
        Ok(())
    }
}
