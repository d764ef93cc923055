//! A filter's own answer.

use super::bindings::types;
use crate::abi::maps::Scratch;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, StatusCode};
use tidegate_plugin::reply::ReplyBody;
use tidegate_plugin::{Exchange, Reply};

/// Checks what a filter answers; the error says what is wrong with it.
pub(super) fn reply(x: &mut Exchange, reply: types::Reply, max_body: usize) -> Result<Reply, String> {
    let status = StatusCode::from_u16(reply.status)
        .ok()
        .filter(|status| (200..=599).contains(&status.as_u16()))
        .ok_or_else(|| format!("it responds with the status {}", reply.status))?;
    if reply.body.len() > max_body {
        return Err(format!("it responds with {} bytes", reply.body.len()));
    }
    let mut headers = Vec::with_capacity(reply.headers.len() + 1);
    for field in reply.headers {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let value = HeaderValue::from_bytes(&field.value);
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(format!(
                "it responds with a bad header `{}`",
                field.name.escape_debug()
            ));
        };
        // The gateway computes them.
        if name != CONTENT_LENGTH && name != TRANSFER_ENCODING {
            headers.push((name, value));
        }
    }
    if let Some(reason) = reply.reason {
        x.slot::<Scratch>().details = Some(reason);
    }
    let body = if reply.body.is_empty() {
        ReplyBody::Empty
    } else {
        if headers.iter().all(|(name, _)| name != CONTENT_TYPE) {
            headers.push((CONTENT_TYPE, HeaderValue::from_static("text/plain")));
        }
        ReplyBody::Raw(Bytes::from(reply.body))
    };
    Ok(Reply {
        status,
        headers,
        body,
    })
}
