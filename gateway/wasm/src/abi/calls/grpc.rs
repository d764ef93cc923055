//! gRPC calls and streams over the gateway's HTTP/2 connections.

use super::callouts::{issue, may_call, target};
use super::local::plain_headers;
use crate::abi::guest::{Guest, Span};
use crate::abi::pairs;
use crate::abi::state::{CallEvent, CallKind, CallNews, EventStream, State};
use crate::abi::status::{Answer, Fail, Status};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use std::str;
use std::time::Duration;
use tidegate_plugin::filter::OutboundCall;

/// What a call and a stream begin with, in the guest's memory.
#[derive(Clone, Copy)]
pub(crate) struct GrpcCall {
    pub(crate) upstream: Span,
    pub(crate) service: Span,
    pub(crate) method: Span,
    pub(crate) metadata: Span,
    pub(crate) out_id: u32,
}

/// Codes of gRPC that the gateway itself gives.
pub(crate) const GRPC_UNKNOWN: i32 = 2;
pub(crate) const GRPC_INTERNAL: i32 = 13;
pub(crate) const GRPC_UNAVAILABLE: i32 = 14;

pub(crate) fn unary(guest: &mut Guest<'_, '_>, call: GrpcCall, message: Span, timeout_ms: u32) -> Answer {
    guest.write_u32(call.out_id, 0)?;
    let (memory, state) = guest.parts();
    let mut outbound = request(state, memory, call)?;
    outbound.body = frame(message.of(memory)?);
    if timeout_ms != 0 {
        outbound.timeout = Some(Duration::from_millis(u64::from(timeout_ms)));
        if let Ok(value) = HeaderValue::try_from(format!("{timeout_ms}m")) {
            outbound
                .headers
                .insert(HeaderName::from_static("grpc-timeout"), value);
        }
    }
    let token = state.next_token(CallKind::GrpcUnary);
    let answer = state.generation.host.services.outbound.dispatch(outbound);
    let future = Box::pin(async move {
        Some(CallEvent {
            token,
            news: CallNews::Answer(answer.await),
        })
    });
    issue(state, token, CallKind::GrpcUnary, None, future);
    guest.write_u32(call.out_id, token)
}

pub(crate) fn stream(guest: &mut Guest<'_, '_>, call: GrpcCall) -> Answer {
    guest.write_u32(call.out_id, 0)?;
    let (memory, state) = guest.parts();
    let outbound = request(state, memory, call)?;
    let token = state.next_token(CallKind::GrpcStream);
    let opened = state.generation.host.services.outbound.open(outbound);
    issue(
        state,
        token,
        CallKind::GrpcStream,
        Some(opened.sender),
        next_event(token, opened.events),
    );
    guest.write_u32(call.out_id, token)
}

/// Waits for the next event of a stream.
pub(crate) fn next_event(token: u32, events: EventStream) -> LocalBoxFuture<'static, Option<CallEvent>> {
    Box::pin(async move {
        let (event, rest) = events.into_future().await;
        Some(CallEvent {
            token,
            news: CallNews::Event(event, rest),
        })
    })
}

fn request(state: &State, memory: &[u8], call: GrpcCall) -> Answer<OutboundCall> {
    may_call(state)?;
    let upstream = call.upstream.of(memory)?;
    let named = upstream_name(upstream).ok_or(Status::ParseFailure)?;
    let target = target(state, named).map_err(|fail| match fail {
        // The SDKs know no BAD_ARGUMENT here.
        Fail::Status(_) => Fail::Status(Status::ParseFailure),
        other => other,
    })?;
    let text = |span: Span| -> Answer<&str> {
        str::from_utf8(span.of(memory)?).map_err(|_| Status::InternalFailure.into())
    };
    let path = format!("/{}/{}", text(call.service)?, text(call.method)?);
    if path.parse::<http::uri::PathAndQuery>().is_err() {
        return Err(Status::InternalFailure.into());
    }
    let metadata = pairs::decode(call.metadata.of(memory)?).ok_or(Status::InternalFailure)?;
    let mut headers = plain_headers(&metadata).map_err(|_| Status::InternalFailure)?;
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    Ok(OutboundCall {
        target,
        method: Method::POST,
        path,
        authority: None,
        tls: None,
        http2: true,
        headers,
        body: Bytes::new(),
        trailers: None,
        timeout: None,
        max_response_bytes: state.generation.options.max_callout_response_bytes,
    })
}

/// The upstream's name: bare, or out of Envoy's serialised `GrpcService`, where `envoy_grpc.cluster_name` and
/// `google_grpc.target_uri` are field 1 of fields 1 and 2.
fn upstream_name(bytes: &[u8]) -> Option<&[u8]> {
    if let Some(service) = field(bytes, 1).or_else(|| field(bytes, 2))
        && let Some(name) = field(service, 1)
    {
        return Some(name);
    }
    let is_name = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_graphic);
    is_name.then_some(bytes)
}

/// The bytes of a length-delimited field of a protobuf message.
fn field(mut message: &[u8], wanted: u64) -> Option<&[u8]> {
    while !message.is_empty() {
        let (tag, rest) = varint(message)?;
        let (value, rest) = match tag & 7 {
            0 => (None, varint(rest)?.1),
            1 => (None, rest.get(8..)?),
            2 => {
                let (length, rest) = varint(rest)?;
                let (value, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
                (Some(value), rest)
            }
            5 => (None, rest.get(4..)?),
            _ => return None,
        };
        if tag >> 3 == wanted {
            return value;
        }
        message = rest;
    }
    None
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f).checked_shl(u32::try_from(7 * index).ok()?)?;
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(index + 1..)?));
        }
    }
    None
}

pub(crate) fn send(guest: &mut Guest<'_, '_>, token: u32, message: Span, end: i32) -> Answer {
    let (memory, state) = guest.parts();
    let message = message.of(memory)?;
    let call = state
        .calls
        .iter_mut()
        .find(|call| call.token == token)
        .ok_or(Status::NotFound)?;
    if call.kind != CallKind::GrpcStream {
        return Err(Status::BadArgument.into());
    }
    let sender = call.sender.as_mut().ok_or(Status::NotFound)?;
    let sent = sender.send(frame(message), end != 0);
    if end != 0 || sent.is_err() {
        call.sender = None;
    }
    sent.map_err(|_| Status::NotFound.into())
}

/// Ends a call: nothing of it is delivered any more.
pub(crate) fn cancel(guest: &mut Guest<'_, '_>, token: u32) -> Answer {
    let state = guest.state();
    let position = state
        .calls
        .iter()
        .position(|call| call.token == token)
        .ok_or(Status::NotFound)?;
    if state
        .calls
        .get(position)
        .is_some_and(|call| call.kind == CallKind::Http)
    {
        return Err(Status::BadArgument.into());
    }
    state.calls.swap_remove(position).abort.abort();
    Ok(())
}

/// Closes our half of a stream; the rest of it is still delivered. A unary call is cancelled.
pub(crate) fn close(guest: &mut Guest<'_, '_>, token: u32) -> Answer {
    let state = guest.state();
    let call = state
        .calls
        .iter_mut()
        .find(|call| call.token == token)
        .ok_or(Status::NotFound)?;
    if call.kind != CallKind::GrpcStream {
        return cancel(guest, token);
    }
    if let Some(mut sender) = call.sender.take() {
        let _ = sender.send(Bytes::new(), true);
    }
    Ok(())
}

/// A message with the five bytes in front of it.
fn frame(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.extend_from_slice(message);
    framed.freeze()
}

/// Takes the first whole message. `Err`: it is compressed, or larger than `max`.
pub(crate) fn take_message(received: &mut BytesMut, max: usize) -> Result<Option<Bytes>, ()> {
    let Some(head) = received.first_chunk::<5>() else {
        return Ok(None);
    };
    let [compressed, length @ ..] = *head;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if compressed != 0 || length > max {
        return Err(());
    }
    if received.len() < 5 + length {
        return Ok(None);
    }
    let _ = received.split_to(5);
    Ok(Some(received.split_to(length).freeze()))
}

/// Status and message of a call, from its trailers or a head without body.
pub(crate) fn grpc_status(
    status: StatusCode,
    headers: &HeaderMap,
    trailers: Option<&HeaderMap>,
) -> (i32, String) {
    let given = trailers.into_iter().chain([headers]).find_map(|map| {
        let code = map.get("grpc-status")?.to_str().ok()?.parse().ok()?;
        let message = map.get("grpc-message").map(|message| message.as_bytes());
        Some((
            code,
            String::from_utf8_lossy(message.unwrap_or_default()).into_owned(),
        ))
    });
    given.unwrap_or_else(|| {
        let code = match status.as_u16() {
            400 => GRPC_INTERNAL,
            401 => 16,
            403 => 7,
            404 => 12,
            429 | 502..=504 => GRPC_UNAVAILABLE,
            _ => GRPC_UNKNOWN,
        };
        (code, format!("HTTP status {}", status.as_u16()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_named_bare_or_by_envoys_message() {
        // envoy_grpc { cluster_name: "auth" } and google_grpc { target_uri: "h:1" }, with a timeout behind.
        assert_eq!(upstream_name(b"\x0a\x06\x0a\x04auth"), Some(&b"auth"[..]));
        assert_eq!(
            upstream_name(b"\x12\x05\x0a\x03h:1\x1a\x02\x08\x05"),
            Some(&b"h:1"[..])
        );
        assert_eq!(upstream_name(b"auth-service"), Some(&b"auth-service"[..]));
        assert_eq!(upstream_name(b""), None);
        assert_eq!(upstream_name(b"\xff\xff"), None);
    }

    #[test]
    fn messages_come_out_whole() {
        let mut received = BytesMut::new();
        for byte in frame(b"one").iter().chain(frame(b"").iter()) {
            received.put_u8(*byte);
        }
        received.put_u8(0);
        assert_eq!(
            take_message(&mut received, 10),
            Ok(Some(Bytes::from_static(b"one")))
        );
        assert_eq!(take_message(&mut received, 10), Ok(Some(Bytes::new())));
        assert_eq!(take_message(&mut received, 10), Ok(None));
        let mut large = BytesMut::from(&frame(b"12345678901")[..]);
        assert_eq!(take_message(&mut large, 10), Err(()));
        let mut compressed = BytesMut::from(&[1, 0, 0, 0, 0][..]);
        assert_eq!(take_message(&mut compressed, 10), Err(()));
    }
}
