//! Bodies of requests: JSON, forms and multipart forms become one kind of input (kong-core G.1).

use crate::arguments::{Arguments, MOST_ARGUMENTS};
use crate::errors::ApiError;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

mod brackets;
mod multipart;
mod typing;

use brackets::Tree;
pub(crate) use typing::Types;

/// What a request carries.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// No body and no type.
    Nothing,
    /// A JSON object, with the text that it was.
    Json(Map<String, Value>),
    /// Names and texts; their types are for the table to say.
    Form(Arguments),
    /// YAML, which only `/config` takes.
    Yaml(String),
}

/// Whether YAML is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Yaml {
    Refused,
    Accepted,
}

impl Content {
    /// Reads a body of at most `limit` bytes.
    pub(crate) fn read(headers: &HeaderMap, body: &[u8], limit: usize, yaml: Yaml) -> Result<Self, ApiError> {
        if body.len() > limit {
            let message = "Request body is too large";
            return Err(ApiError::Message(
                StatusCode::PAYLOAD_TOO_LARGE,
                message.to_owned(),
            ));
        }
        let mut types = headers.get_all(CONTENT_TYPE).iter();
        let Some(declared) = types.next() else {
            return if body.is_empty() {
                Ok(Self::Nothing)
            } else {
                Err(ApiError::MediaType)
            };
        };
        if types.next().is_some() {
            return Err(ApiError::bad_request("Multiple Content-Type headers not allowed"));
        }
        let declared = String::from_utf8_lossy(declared.as_bytes());
        let media = declared.split(';').next().unwrap_or_default().trim();
        match media.to_ascii_lowercase().as_str() {
            "application/json" => json(body).map(Self::Json),
            "application/x-www-form-urlencoded" => Arguments::parse(body).map(Self::Form),
            "multipart/form-data" => {
                let parts = multipart::parts(&declared, body, MOST_ARGUMENTS)?;
                Ok(Self::Form(Arguments::from_pairs(parts)))
            }
            "application/yaml" | "text/yaml" | "application/x-yaml" if yaml == Yaml::Accepted => {
                Ok(Self::Yaml(String::from_utf8_lossy(body).into_owned()))
            }
            _ => Err(ApiError::MediaType),
        }
    }

    /// The input for an entity: fields of a form become values of the types that the table has for them.
    pub(crate) fn into_record(self, types: &Types<'_>) -> Result<Map<String, Value>, ApiError> {
        match self {
            Self::Nothing => Ok(Map::new()),
            Self::Json(record) => Ok(record),
            Self::Form(arguments) => Ok(types.typed(Tree::grow(&arguments)?)),
            Self::Yaml(_) => Err(ApiError::MediaType),
        }
    }
}

/// The parser stops at 128 levels. An empty list stands for an empty object, as in Kong.
fn json(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    let refused = || ApiError::bad_request("Cannot parse JSON body");
    match serde_json::from_slice(body).map_err(|_| refused())? {
        Value::Object(record) => Ok(record),
        Value::Array(list) if list.is_empty() => Ok(Map::new()),
        _ => Err(refused()),
    }
}

#[cfg(test)]
mod tests;
