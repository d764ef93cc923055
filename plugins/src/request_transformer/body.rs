//! Rules for bodies: JSON objects, forms, multipart forms.

use super::rules::{PairRules, Rendered, Templates};
use super::{Config, multipart, values};
use crate::entry;
use crate::query::Arguments;
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value};
use tidegate_plugin::{AccessCx, BuildError};

/// Body formats that can be edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ContentKind {
    Json,
    Multipart,
    Form,
}

impl ContentKind {
    /// By the content type, which may carry anything around the name of the format.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(CONTENT_TYPE)?.as_bytes().to_ascii_lowercase();
        let contains = |name: &str| value.windows(name.len()).any(|window| window == name.as_bytes());
        if contains("application/json") {
            Some(Self::Json)
        } else if contains("multipart/form-data") {
            Some(Self::Multipart)
        } else if contains("application/x-www-form-urlencoded") {
            Some(Self::Form)
        } else {
            None
        }
    }
}

/// At least one rule for the body.
#[derive(Debug)]
pub(super) struct BodyRules(PairRules);

impl BodyRules {
    pub(super) fn new(config: &Config, templates: &mut Templates) -> Result<Option<Self>, BuildError> {
        Ok(PairRules::of_body(config, templates)?.map(Self))
    }

    /// Edits the body if it is in hand and in a known format.
    pub(super) fn apply(&self, rendered: &Rendered, x: &mut AccessCx<'_>) {
        let Some(kind) = ContentKind::of(&x.request.headers) else {
            return;
        };
        let Some(body) = x.request_body() else {
            tracing::warn!(
                "request-transformer: the body is too large to be transformed and goes on unchanged"
            );
            return;
        };
        let changed = match kind {
            ContentKind::Json => self.json(rendered, body),
            ContentKind::Form => self.form(rendered, body),
            ContentKind::Multipart => {
                let boundary = x
                    .request
                    .headers
                    .get(CONTENT_TYPE)
                    .and_then(|value| multipart::boundary(value.as_bytes()));
                boundary.and_then(|boundary| self.multipart(rendered, body, &boundary))
            }
        };
        if let Some(changed) = changed {
            x.set_request_body(changed);
        }
    }

    fn json(&self, rendered: &Rendered, body: &[u8]) -> Option<Bytes> {
        let is_empty = body.is_empty();
        let mut members = if is_empty {
            Map::new()
        } else {
            serde_json::from_slice(body).ok()?
        };
        let mut has_changed = false;
        if !is_empty {
            for name in &self.0.remove {
                has_changed |= members.shift_remove(text(name)).is_some();
            }
            for (old, new) in values(&self.0.rename, rendered) {
                if is_there(&members, old)
                    && let Some(value) = members.shift_remove(text(old))
                {
                    members.insert(lossy(new), value);
                    has_changed = true;
                }
            }
            for (name, value) in values(&self.0.replace, rendered) {
                if is_there(&members, name) {
                    members.insert(lossy(name), Value::String(lossy(value)));
                    has_changed = true;
                }
            }
        }
        for (name, value) in values(&self.0.add, rendered) {
            if !is_there(&members, name) {
                members.insert(lossy(name), Value::String(lossy(value)));
                has_changed = true;
            }
        }
        for (name, value) in values(&self.0.append, rendered) {
            entry::append_member(&mut members, lossy(name), Value::String(lossy(value)));
            has_changed = true;
        }
        if has_changed {
            serde_json::to_vec(&members).ok().map(Bytes::from)
        } else {
            None
        }
    }

    fn form(&self, rendered: &Rendered, body: &[u8]) -> Option<Bytes> {
        let mut arguments = Arguments::parse(body);
        let has_changed = self.0.apply(rendered, &mut arguments);
        has_changed.then(|| Bytes::from(arguments.encode()))
    }

    fn multipart(&self, rendered: &Rendered, body: &[u8], boundary: &[u8]) -> Option<Bytes> {
        let mut form = multipart::Form::parse(body, boundary)?;
        let mut has_changed = false;
        for (old, new) in values(&self.0.rename, rendered) {
            if let Some(value) = form.remove(old) {
                form.set(new, value);
                has_changed = true;
            }
        }
        for name in &self.0.remove {
            has_changed |= form.remove(name).is_some();
        }
        for (name, value) in values(&self.0.replace, rendered) {
            if form.contains(name) {
                form.set(name, value.to_vec());
                has_changed = true;
            }
        }
        for (name, value) in values(&self.0.add, rendered) {
            if !form.contains(name) {
                form.set(name, value.to_vec());
                has_changed = true;
            }
        }
        has_changed.then(|| Bytes::from(form.encode(boundary)))
    }
}

/// A member that is `false` counts as absent, one that is `null` does not (Lua's truth).
fn is_there(members: &Map<String, Value>, name: &[u8]) -> bool {
    members
        .get(text(name))
        .is_some_and(|value| *value != Value::Bool(false))
}

/// Names come from the configuration and are UTF-8.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
