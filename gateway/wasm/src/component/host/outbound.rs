//! Requests to other hosts.

use super::fields;
use crate::component::bindings::outbound::{Answer, Call, Host};
use crate::component::bindings::types::Failure;
use crate::component::desk;
use crate::component::state::State;
use crate::options::Permission;
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method};
use std::future::poll_fn;
use std::result::Result as StdResult;
use std::task::Poll;
use std::time::Duration;
use tidegate_plugin::filter::{OutboundCall, OutboundError, OutboundResponse};
use wasmtime::Result;

type Dispatched = LocalBoxFuture<'static, StdResult<OutboundResponse, OutboundError>>;

impl State {
    /// Begins a call, if it is granted and can be made.
    fn dispatch(&self, call: Call) -> StdResult<Dispatched, Failure> {
        if !self.may(Permission::Outbound) {
            return Err(Failure::Denied);
        }
        if desk::with(|desk| desk.pool.is_some()) != Some(true) {
            return Err(Failure::Other(
                "no calls while the filter is configured".to_owned(),
            ));
        }
        let options = &self.generation.options;
        let is_allowed = options
            .allowed_hosts
            .as_ref()
            .is_none_or(|allowed| allowed.contains(&call.target));
        let outbound = &self.generation.host.services.outbound;
        let checked = if is_allowed {
            outbound.check(&call.target)
        } else {
            Err(OutboundError::Forbidden)
        };
        checked.map_err(|error| {
            if self.generation.may_warn() {
                tracing::warn!(
                    filter = &*self.generation.name,
                    target = call.target,
                    %error,
                    "a filter's call is refused"
                );
            }
            failure(error)
        })?;
        Ok(outbound.dispatch(self.prepared(call)?))
    }

    fn prepared(&self, call: Call) -> StdResult<OutboundCall, Failure> {
        let invalid = |what: &str| Failure::Invalid(what.to_owned());
        let options = &self.generation.options;
        let mut headers = fields::map(call.headers, options).map_err(|_| invalid("a header is no field"))?;
        let authority = take_own(&mut headers);
        if call.path.parse::<http::uri::PathAndQuery>().is_err() || !call.path.starts_with('/') {
            return Err(invalid("the path is none"));
        }
        let timeout = Duration::from_millis(u64::from(call.timeout_ms));
        Ok(OutboundCall {
            target: call.target.into(),
            method: Method::from_bytes(call.method.as_bytes()).map_err(|_| invalid("the method is none"))?,
            path: call.path,
            authority,
            tls: call.tls.then_some(true),
            http2: false,
            headers,
            body: Bytes::from(call.body),
            trailers: None,
            timeout: (!timeout.is_zero()).then_some(timeout),
            max_response_bytes: options.max_callout_response_bytes,
        })
    }

    /// Begins a call of this exchange; its answer has the place that is given.
    fn start(&self, call: Call) -> StdResult<usize, Failure> {
        let dispatched = self.dispatch(call)?;
        let max = self.generation.options.max_callouts as usize;
        let place = desk::with(|desk| desk.call.dispatch(dispatched, max)).flatten();
        place.ok_or_else(|| Failure::Other("too many calls are outstanding".to_owned()))
    }
}

/// What the connection sees to itself; the host is given.
fn take_own(headers: &mut HeaderMap) -> Option<HeaderValue> {
    for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    headers.remove(HOST)
}

async fn answer(place: usize) -> StdResult<Answer, Failure> {
    let answered = poll_fn(|cx| {
        desk::with(|desk| desk.call.poll_answer(place, cx)).unwrap_or(Poll::Ready(Err(OutboundError::Reset)))
    });
    let response = answered.await.map_err(failure)?;
    Ok(Answer {
        status: response.status.as_u16(),
        headers: fields::all(&response.headers),
        body: response.body.into(),
        trailers: response.trailers.as_ref().map(fields::all).unwrap_or_default(),
    })
}

fn failure(error: OutboundError) -> Failure {
    match error {
        OutboundError::Timeout => Failure::Timeout,
        OutboundError::Connect => Failure::Refused,
        OutboundError::Resolve => Failure::NameResolution,
        OutboundError::Tls => Failure::Tls,
        OutboundError::Reset => Failure::Closed,
        OutboundError::TooLarge => Failure::TooLarge,
        OutboundError::Forbidden => Failure::Denied,
        OutboundError::UnknownTarget => Failure::Invalid(error.to_string()),
    }
}

impl Host for State {
    async fn send(&mut self, call: Call) -> Result<StdResult<Answer, Failure>> {
        Ok(match self.start(call) {
            Ok(place) => answer(place).await,
            Err(failure) => Err(failure),
        })
    }

    async fn send_all(&mut self, calls: Vec<Call>) -> Result<Vec<StdResult<Answer, Failure>>> {
        let started: Vec<_> = calls.into_iter().map(|call| self.start(call)).collect();
        let answers = started.into_iter().map(|started| async move {
            match started {
                Ok(place) => answer(place).await,
                Err(failure) => Err(failure),
            }
        });
        Ok(futures_util::future::join_all(answers).await)
    }

    fn post(&mut self, call: Call) -> Result<StdResult<(), Failure>> {
        let options = &self.generation.options;
        let limit = Duration::from_millis(options.done_timeout_ms);
        Ok(self.dispatch(call).and_then(|dispatched| {
            let pool = desk::with(|desk| desk.pool.clone()).flatten();
            let pool = pool.ok_or_else(|| Failure::Other("it cannot be sent from here".to_owned()))?;
            if pool.lingering() >= MAX_POSTED {
                return Err(Failure::Other("too many calls are outstanding".to_owned()));
            }
            pool.linger(async move {
                // Nobody waits for what becomes of it.
                let _ = tokio::time::timeout(limit, dispatched).await;
            });
            Ok(())
        }))
    }
}

/// Calls of one filter on one worker that nobody waits for.
const MAX_POSTED: usize = 1_024;
