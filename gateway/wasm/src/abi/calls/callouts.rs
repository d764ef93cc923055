//! Calls over HTTP.

use super::local::plain_headers;
use crate::abi::guest::{Guest, Span};
use crate::abi::pairs;
use crate::abi::state::{CallEntry, CallEvent, CallKind, CallNews, Delivery, Moment, NewCall, State};
use crate::abi::status::{Answer, Fail, Status};
use bytes::{Bytes, BytesMut};
use futures_util::future::{AbortHandle, Abortable, LocalBoxFuture};
use http::{HeaderMap, HeaderValue, Method};
use std::str;
use std::sync::Arc;
use std::time::Duration;
use tidegate_plugin::filter::{OutboundCall, OutboundError, OutboundSender};

/// The parts of a call, in the guest's memory.
#[derive(Clone, Copy)]
pub(crate) struct HttpCall {
    pub(crate) upstream: Span,
    pub(crate) headers: Span,
    pub(crate) body: Span,
    pub(crate) trailers: Span,
    pub(crate) timeout_ms: u32,
    pub(crate) out_id: u32,
}

pub(crate) fn http_call(guest: &mut Guest<'_, '_>, call: HttpCall) -> Answer {
    guest.write_u32(call.out_id, 0)?;
    let (memory, state) = guest.parts();
    may_call(state)?;
    let outbound = http_request(state, memory, call)?;
    let token = state.next_token(CallKind::Http);
    let answer = state.generation.host.services.outbound.dispatch(outbound);
    let future = Box::pin(async move {
        Some(CallEvent {
            token,
            news: CallNews::Answer(answer.await),
        })
    });
    issue(state, token, CallKind::Http, None, future);
    guest.write_u32(call.out_id, token)
}

fn http_request(state: &State, memory: &[u8], call: HttpCall) -> Answer<OutboundCall> {
    let target = target(state, call.upstream.of(memory)?)?;
    let pairs = pairs::decode(call.headers.of(memory)?).ok_or(Status::BadArgument)?;
    let trailers = pairs::decode(call.trailers.of(memory)?).ok_or(Status::BadArgument)?;
    let pseudo = |name: &[u8]| {
        pairs
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| *value)
    };
    let method = pseudo(b":method").ok_or(Status::BadArgument)?;
    let path = pseudo(b":path").and_then(|path| str::from_utf8(path).ok());
    let path = path.filter(|path| path.parse::<http::uri::PathAndQuery>().is_ok());
    let authority = pseudo(b":authority").or_else(|| pseudo(b"host"));
    Ok(OutboundCall {
        target,
        method: Method::from_bytes(method).map_err(|_| Status::BadArgument)?,
        path: path.ok_or(Status::BadArgument)?.to_owned(),
        authority: authority
            .map(HeaderValue::from_bytes)
            .transpose()
            .map_err(|_| Status::BadArgument)?,
        tls: pseudo(b":scheme").map(|scheme| scheme == b"https"),
        http2: false,
        headers: plain_headers(&pairs)?,
        body: Bytes::copy_from_slice(call.body.of(memory)?),
        trailers: (!trailers.is_empty())
            .then(|| plain_headers(&trailers))
            .transpose()?,
        timeout: (call.timeout_ms != 0).then(|| Duration::from_millis(u64::from(call.timeout_ms))),
        max_response_bytes: state.generation.options.max_callout_response_bytes,
    })
}

/// Whether the context may issue one more call now.
pub(crate) fn may_call(state: &State) -> Answer {
    if matches!(state.moment, Moment::Start | Moment::Delete) {
        return Err(Status::InternalFailure.into());
    }
    let outstanding = state.outstanding(state.current);
    if outstanding >= state.generation.options.max_callouts as usize {
        if state.generation.may_warn() {
            tracing::warn!(
                filter = &*state.generation.name,
                outstanding,
                "a filter has too many calls outstanding"
            );
        }
        return Err(Status::InternalFailure.into());
    }
    Ok(())
}

/// The name of a target that exists and is allowed. `outbound|PORT||HOST` is the name that Istio and Higress give.
pub(crate) fn target(state: &State, name: &[u8]) -> Answer<Arc<str>> {
    let name = str::from_utf8(name).map_err(|_| Status::BadArgument)?;
    let istio = name
        .strip_prefix("outbound|")
        .and_then(|rest| rest.split_once('|'));
    let target: Arc<str> = match istio.and_then(|(port, rest)| Some((port, rest.rsplit_once('|')?.1))) {
        Some((port, host)) => format!("{host}:{port}").into(),
        None => name.into(),
    };
    let allowed = &state.generation.options.allowed_hosts;
    let is_allowed = allowed.as_ref().is_none_or(|allowed| allowed.contains(&*target));
    let checked = if is_allowed {
        state.generation.host.services.outbound.check(&target)
    } else {
        Err(OutboundError::Forbidden)
    };
    checked.map(|()| target).map_err(|error| {
        if state.generation.may_warn() {
            tracing::warn!(filter = &*state.generation.name, target = name, %error, "a filter's call is refused");
        }
        Fail::Status(Status::BadArgument)
    })
}

/// Notes a call; who drives the context polls it.
pub(crate) fn issue(
    state: &mut State,
    token: u32,
    kind: CallKind,
    sender: Option<Box<dyn OutboundSender>>,
    future: LocalBoxFuture<'static, Option<CallEvent>>,
) {
    let (abort, registration) = AbortHandle::new_pair();
    let owner = state.current;
    state.calls.push(CallEntry {
        token,
        owner,
        kind,
        abort,
        sender,
        received: BytesMut::new(),
    });
    state.asks = true;
    state.new_calls.push(NewCall {
        owner,
        future: Box::pin(async move { Abortable::new(future, registration).await.unwrap_or(None) }),
    });
    if let Some(stream) = state.current_stream() {
        stream.wake();
    }
}

/// How ngx_wasm names failures.
pub(crate) const fn dispatch_status(error: OutboundError) -> &'static str {
    match error {
        OutboundError::Timeout => "timeout",
        OutboundError::Tls => "tls handshake failure",
        OutboundError::Resolve | OutboundError::UnknownTarget | OutboundError::Forbidden => {
            "resolver failure"
        }
        OutboundError::Connect | OutboundError::Reset => "broken connection",
        OutboundError::TooLarge => "reader failure",
    }
}

/// `proxy_get_status`: of the answer that is being delivered.
pub(crate) fn status(guest: &mut Guest<'_, '_>, out_code: u32, out: crate::abi::guest::Out) -> Answer {
    let state = guest.state();
    let (code, message) = match &state.delivery {
        Some(Delivery::Grpc {
            status,
            status_message,
            ..
        }) => (*status, status_message.clone()),
        // Envoy's words for a call that got no answer.
        Some(Delivery::Http { error: Some(_), .. }) => (11, "reset".to_owned()),
        Some(Delivery::Http { .. }) | None => (0, String::new()),
    };
    guest.write_u32(out_code, code.cast_unsigned())?;
    guest.give(message.as_bytes(), out)
}

/// Entries of a map that a callback is told of.
pub(crate) fn count(headers: Option<&HeaderMap>) -> i32 {
    i32::try_from(headers.map_or(0, HeaderMap::len)).unwrap_or(i32::MAX)
}
