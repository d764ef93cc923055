//! Plugin `response-transformer`: edits headers and JSON bodies of responses, whoever made them.
//!
//! A JSON body is collected and edited as a whole; it goes on unchanged when it is larger than [`MAX_BODY`] or does not
//! parse. Without rules for the body everything streams.

mod config;
mod headers;
mod json;

pub use config::{Config, RemoveRules, RenameRules, ValueRules};

use bytes::Bytes;
use headers::HeaderRules;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use json::JsonRules;
use serde_json::Value;
use std::sync::Arc;
use tidegate_model::schema::{Declared, RecordSchema};
use tidegate_plugin::{BodyCx, BuildCx, BuildError, Fault, HeaderCx, Kind, Phase, PhaseSet, Plugin};

/// Largest body that is edited, in bytes.
pub const MAX_BODY: usize = 16 << 20;

/// The kind.
#[derive(Debug, Default, Clone, Copy)]
pub struct ResponseTransformer;

impl Kind for ResponseTransformer {
    fn name(&self) -> &'static str {
        "response-transformer"
    }
    fn priority(&self) -> i32 {
        800
    }
    fn phases(&self) -> PhaseSet {
        PhaseSet::of(&[Phase::HeaderFilter, Phase::BodyFilter])
    }
    fn schema(&self) -> &'static RecordSchema {
        Config::schema()
    }
    fn build(&self, config: &Value, cx: &BuildCx<'_>) -> Result<Arc<dyn Plugin>, BuildError> {
        let config: Config = cx.config(config)?;
        Ok(Arc::new(Instance {
            headers: HeaderRules::new(&config)?,
            json: JsonRules::new(&config),
        }))
    }
}

struct Instance {
    headers: HeaderRules,
    json: Option<JsonRules>,
}

/// Body of this response, while it is being collected.
#[derive(Default)]
struct Collected {
    is_wanted: bool,
    bytes: Vec<u8>,
}

impl Plugin for Instance {
    fn header_filter(&self, x: &mut HeaderCx<'_>) -> Result<(), Fault> {
        let source = x.source();
        self.headers.apply(source, &mut x.response_mut().headers);
        if self.json.is_some() && is_json(&x.response.headers) {
            // The edited body has another length, known only at its end.
            x.response_mut().headers.remove(CONTENT_LENGTH);
            x.slot::<Collected>().is_wanted = true;
        }
        Ok(())
    }

    fn body_filter(&self, x: &mut BodyCx<'_>, chunk: Bytes, last: bool) -> Result<Bytes, Fault> {
        let Some(rules) = &self.json else { return Ok(chunk) };
        let collected = x.slot::<Collected>();
        if !collected.is_wanted {
            return Ok(chunk);
        }
        if collected.bytes.len() + chunk.len() > MAX_BODY {
            collected.is_wanted = false;
            let mut bytes = std::mem::take(&mut collected.bytes);
            bytes.extend_from_slice(&chunk);
            tracing::warn!("response-transformer: the body exceeds {MAX_BODY} bytes and goes on unchanged");
            return Ok(bytes.into());
        }
        if !last {
            collected.bytes.extend_from_slice(&chunk);
            return Ok(Bytes::new());
        }
        collected.is_wanted = false;
        // A body that came in one piece is not copied.
        let body = if collected.bytes.is_empty() {
            chunk
        } else {
            let mut bytes = std::mem::take(&mut collected.bytes);
            bytes.extend_from_slice(&chunk);
            bytes.into()
        };
        Ok(rules.apply(&body).unwrap_or(body))
    }
}

/// A part of the content type is `application/json` or ends in `+json`, parameters aside.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return false;
    };
    value.as_bytes().split(|byte| *byte == b',').any(|part| {
        let media_type = part
            .split(|byte| *byte == b';')
            .next()
            .unwrap_or_default()
            .trim_ascii();
        let suffix = media_type
            .len()
            .checked_sub(5)
            .and_then(|start| media_type.get(start..));
        media_type.eq_ignore_ascii_case(b"application/json")
            || suffix.is_some_and(|end| end.eq_ignore_ascii_case(b"+json"))
    })
}

#[cfg(test)]
mod tests;
