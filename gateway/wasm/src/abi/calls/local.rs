//! Answers of the filter's own, and going on or closing.

use super::ineffective;
use crate::abi::guest::{Guest, Span};
use crate::abi::maps::Scratch;
use crate::abi::pairs;
use crate::abi::state::{Ending, Head, Moment, State};
use crate::abi::status::{Answer, Status};
use crate::scope;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tidegate_plugin::reply::ReplyBody;
use tidegate_plugin::{Direction, Reply};

/// The parts of a local response, in the guest's memory.
#[derive(Clone, Copy)]
pub(crate) struct LocalResponse {
    pub(crate) status: i32,
    pub(crate) details: Span,
    pub(crate) body: Span,
    pub(crate) headers: Span,
    pub(crate) grpc_status: i32,
}

pub(crate) fn send(guest: &mut Guest<'_, '_>, local: LocalResponse) -> Answer {
    let (memory, state) = guest.parts();
    let details = String::from_utf8_lossy(local.details.of(memory)?).into_owned();
    let body = Bytes::copy_from_slice(local.body.of(memory)?);
    let pairs = pairs::decode(local.headers.of(memory)?).ok_or(Status::BadArgument)?;
    let status = u16::try_from(local.status)
        .ok()
        .filter(|status| (200..=599).contains(status))
        .and_then(|status| StatusCode::from_u16(status).ok())
        .ok_or(Status::BadArgument)?;
    if body.len() > state.generation.options.max_body_bytes {
        return Err(Status::BadArgument.into());
    }
    if let Err(reason) = may_reply(state) {
        tracing::warn!(
            filter = &*state.generation.name,
            reason,
            "a filter's local response is refused"
        );
        return Err(Status::BadArgument.into());
    }
    let mut headers = Vec::with_capacity(pairs.len() + 1);
    for (key, value) in pairs {
        if let Some(header) = header(key, value)? {
            headers.push(header);
        }
    }
    let current = state.current;
    let grpc = scope::exchange(current, |x| {
        x.slot::<Scratch>().details = Some(details);
        x.request.is_grpc() && local.grpc_status >= 0
    });
    let reply = if grpc.unwrap_or(false) {
        grpc_reply(local.grpc_status, &body, headers)
    } else {
        plain_reply(status, body, headers)
    };
    state.cancel_calls(current);
    state.asks = true;
    if let Some(stream) = state.current_stream() {
        stream.reply = Some(Box::new(reply));
        stream.has_replied = true;
        stream.wake();
    }
    Ok(())
}

fn may_reply(state: &mut State) -> Result<(), &'static str> {
    if matches!(state.moment, Moment::Done | Moment::Log | Moment::Delete) {
        return Err("the stream is over");
    }
    let stream = state.current_stream().ok_or("there is no stream")?;
    if stream.has_replied {
        return Err("the stream was answered before");
    }
    if stream.response.head == Head::Released {
        return Err("the response head is gone");
    }
    Ok(())
}

/// `None`: computed by the gateway, or not a header.
fn header(key: &[u8], value: &[u8]) -> Answer<Option<(HeaderName, HeaderValue)>> {
    if key.first() == Some(&b':') {
        return Ok(None);
    }
    let name = HeaderName::from_bytes(key).map_err(|_| Status::BadArgument)?;
    let value = HeaderValue::from_bytes(value).map_err(|_| Status::BadArgument)?;
    let is_computed = name == CONTENT_LENGTH || name == TRANSFER_ENCODING;
    Ok((!is_computed).then_some((name, value)))
}

fn plain_reply(status: StatusCode, body: Bytes, mut headers: Vec<(HeaderName, HeaderValue)>) -> Reply {
    if body.is_empty() {
        return Reply {
            status,
            headers,
            body: ReplyBody::Empty,
        };
    }
    if headers.iter().all(|(name, _)| name != CONTENT_TYPE) {
        headers.push((CONTENT_TYPE, HeaderValue::from_static("text/plain")));
    }
    Reply {
        status,
        headers,
        body: ReplyBody::Raw(body),
    }
}

/// Trailers only: everything is in the head.
fn grpc_reply(status: i32, message: &[u8], mut headers: Vec<(HeaderName, HeaderValue)>) -> Reply {
    headers.retain(|(name, _)| name != CONTENT_TYPE);
    headers.push((CONTENT_TYPE, HeaderValue::from_static("application/grpc")));
    headers.push((HeaderName::from_static("grpc-status"), HeaderValue::from(status)));
    if let Some(message) = grpc_message(message) {
        headers.push((HeaderName::from_static("grpc-message"), message));
    }
    Reply {
        status: StatusCode::OK,
        headers,
        body: ReplyBody::Empty,
    }
}

/// Percent-encoded as gRPC wants it: all but printable ASCII, and the percent sign.
fn grpc_message(message: &[u8]) -> Option<HeaderValue> {
    use std::fmt::Write;
    if message.is_empty() {
        return None;
    }
    let mut text = String::with_capacity(message.len());
    for byte in message {
        match byte {
            b' '..=b'~' if *byte != b'%' => text.push(char::from(*byte)),
            _ => drop(write!(text, "%{byte:02X}")),
        }
    }
    HeaderValue::try_from(text).ok()
}

/// Lets a direction go on, once the callback has returned.
pub(crate) fn resume(guest: &mut Guest<'_, '_>, stream_type: i32) -> Answer {
    let direction = stream_direction(stream_type)?;
    guest.state().asks = true;
    let Some(stream) = guest.state().current_stream() else {
        return ineffective(guest, "proxy_continue_stream");
    };
    let lane = stream.lane(direction);
    // What has not begun cannot be held: a later pause counts.
    if lane.head != Head::Unseen {
        lane.wants_resume = true;
        stream.wake();
    }
    Ok(())
}

/// Resets the stream.
pub(crate) fn close(guest: &mut Guest<'_, '_>, stream_type: i32) -> Answer {
    stream_direction(stream_type)?;
    guest.state().asks = true;
    let Some(stream) = guest.state().current_stream() else {
        return ineffective(guest, "proxy_close_stream");
    };
    stream.wants_close = true;
    stream.wake();
    Ok(())
}

fn stream_direction(stream_type: i32) -> Answer<Direction> {
    match stream_type {
        0 => Ok(Direction::Request),
        1 => Ok(Direction::Response),
        // Raw TCP streams carry no filters here.
        2 | 3 => Err(Status::Unimplemented.into()),
        _ => Err(Status::BadArgument.into()),
    }
}

/// `proxy_done`: the context that put off its end has finished.
pub(crate) fn done(guest: &mut Guest<'_, '_>) -> Answer {
    let state = guest.state();
    if state.current == state.root && state.root_ending == Ending::Deferred {
        state.root_ending = Ending::Confirmed;
        return Ok(());
    }
    match state.current_stream() {
        Some(stream) if stream.ending == Ending::Deferred => {
            stream.ending = Ending::Confirmed;
            stream.wake();
            Ok(())
        }
        _ => Err(Status::NotFound.into()),
    }
}

/// The headers that a call or stream starts with; what the gateway computes is left out.
pub(crate) fn plain_headers(pairs: &[(&[u8], &[u8])]) -> Answer<HeaderMap> {
    const COMPUTED: [&[u8]; 9] = [
        b"host",
        b"connection",
        b"content-length",
        b"transfer-encoding",
        b"keep-alive",
        b"proxy-connection",
        b"upgrade",
        b"trailer",
        b"http2-settings",
    ];
    let mut headers = HeaderMap::new();
    for (key, value) in pairs {
        let is_computed = COMPUTED.iter().any(|name| key.eq_ignore_ascii_case(name));
        if key.first() == Some(&b':') || is_computed {
            continue;
        }
        let name = HeaderName::from_bytes(key).map_err(|_| Status::BadArgument)?;
        let value = HeaderValue::from_bytes(value).map_err(|_| Status::BadArgument)?;
        headers.try_append(name, value).map_err(|_| Status::BadArgument)?;
    }
    Ok(headers)
}
