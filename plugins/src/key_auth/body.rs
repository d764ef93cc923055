//! A key in the request body: form, JSON or multipart. Other content has no key.

use super::{Found, query};
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value};
use std::borrow::Cow;
use tidegate_plugin::Exchange;

mod multipart;

use multipart::Parts;

/// The members of a body, parsed once per request.
#[derive(Default)]
pub(super) enum Fields<'x> {
    /// No body, another content type, or one that cannot be read.
    #[default]
    None,
    Form(&'x [u8]),
    Json(Map<String, Value>),
    Multipart(Parts<'x>),
}

impl<'x> Fields<'x> {
    pub(super) fn of(x: &'x Exchange) -> Self {
        let Some(body) = x.request.body.bytes().filter(|body| !body.is_empty()) else {
            return Self::None;
        };
        let content_type = x
            .request
            .headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Self::Form(body);
        }
        if media_type.eq_ignore_ascii_case("application/json") {
            return serde_json::from_slice(body).map_or(Self::None, Self::Json);
        }
        if media_type.eq_ignore_ascii_case("multipart/form-data") {
            return Parts::parse(content_type, body).map_or(Self::None, Self::Multipart);
        }
        Self::None
    }

    /// What the body holds under a name, at its top level.
    pub(super) fn find(&self, name: &str) -> Found<'x> {
        match self {
            Self::None => Found::Absent,
            Self::Form(body) => query::find(body, name),
            Self::Json(members) => match members.get(name) {
                None => Found::Absent,
                Some(Value::String(key)) => Found::Key(Cow::Owned(key.clone().into_bytes())),
                Some(Value::Array(_) | Value::Object(_)) => Found::Many,
                Some(Value::Null | Value::Bool(_) | Value::Number(_)) => Found::Other,
            },
            Self::Multipart(parts) => parts.find(name),
        }
    }
}

/// The body without a member, in the same content type; `None` when it is not there.
pub(super) fn without(x: &Exchange, name: &str) -> Option<Vec<u8>> {
    match Fields::of(x) {
        Fields::None => None,
        Fields::Form(body) => query::without(std::str::from_utf8(body).ok()?, name).map(String::into_bytes),
        Fields::Json(mut members) => {
            members.shift_remove(name)?;
            serde_json::to_vec(&members).ok()
        }
        Fields::Multipart(parts) => parts.without(name),
    }
}
