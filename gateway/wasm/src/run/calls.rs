//! Outstanding calls of one stream, and the delivery of what they bring.

use crate::abi::calls::grpc::{GRPC_INTERNAL, GRPC_UNAVAILABLE, grpc_status, next_event, take_message};
use crate::abi::instance::{Callback, Instance, ModuleVm};
use crate::abi::state::{CallEvent, CallKind, CallNews, Delivery, EventStream};
use crate::failure::Failure;
use crate::pool::Lease;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use http::{HeaderMap, StatusCode};
use std::task::{Context, Poll};
use tidegate_plugin::Exchange;
use tidegate_plugin::filter::{OutboundError, OutboundEvent, OutboundResponse};

type CallFuture = LocalBoxFuture<'static, Option<CallEvent>>;

/// Calls that are polled together. Nothing is allocated before the first.
#[derive(Default)]
pub(crate) struct Calls {
    pending: Option<FuturesUnordered<CallFuture>>,
}

impl Calls {
    /// Takes over what a stream, or the plugin context of an instance that is the stream's alone, has issued.
    pub(crate) fn absorb(&mut self, lease: Option<&Lease<ModuleVm>>, stream: u32) {
        let Some(lease) = lease else {
            return;
        };
        let mut vm = lease.vm().borrow_mut();
        if vm.state().new_calls.is_empty() {
            return;
        }
        let is_shared = vm.generation.options.isolation == crate::options::Isolation::Shared;
        let root = vm.state().root;
        let mut others = Vec::new();
        for call in std::mem::take(&mut vm.state().new_calls) {
            if call.owner == stream || !is_shared {
                self.extend([call.future]);
            } else if call.owner == root {
                lease.pool().beside.root_calls.borrow_mut().push(call);
                lease.pool().wake();
            } else {
                others.push(call);
            }
        }
        vm.state().new_calls = others;
    }

    pub(crate) fn extend(&mut self, calls: impl IntoIterator<Item = CallFuture>) {
        for call in calls {
            self.pending.get_or_insert_with(FuturesUnordered::new).push(call);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pending.as_ref().is_none_or(FuturesUnordered::is_empty)
    }

    /// The next event; cancelled calls are passed over.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<CallEvent> {
        let Some(pending) = &mut self.pending else {
            return Poll::Pending;
        };
        loop {
            match pending.poll_next_unpin(cx) {
                Poll::Ready(Some(Some(event))) => return Poll::Ready(event),
                Poll::Ready(Some(None)) => {}
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// An empty gRPC delivery.
fn grpc(status: i32, status_message: String) -> Delivery {
    Delivery::Grpc {
        metadata: HeaderMap::new(),
        trailers: HeaderMap::new(),
        message: Bytes::new(),
        status,
        status_message,
    }
}

/// Tells the guest what a call brought. Gives the future for what comes after it.
pub(crate) fn deliver(
    vm: &mut Instance,
    (stream, x): (u32, Option<&mut Exchange>),
    event: CallEvent,
) -> Result<Option<CallFuture>, Failure> {
    let token = event.token;
    let known = vm.state().calls.iter().find(|call| call.token == token);
    let Some(kind) = known.map(|call| call.kind) else {
        return Ok(None);
    };
    match event.news {
        CallNews::Answer(answer) => {
            vm.state().calls.retain(|call| call.token != token);
            let (callback, delivery) = match kind {
                CallKind::Http => (Callback::HttpCallResponse, http_delivery(answer)),
                CallKind::GrpcUnary | CallKind::GrpcStream => {
                    unary_delivery(answer, vm.generation.options.max_callout_response_bytes)
                }
            };
            vm.deliver((stream, x), token, (callback, delivery))?;
            Ok(None)
        }
        CallNews::Event(event, rest) => deliver_event(vm, (stream, x), token, (event, rest)),
    }
}

fn http_delivery(answer: Result<OutboundResponse, OutboundError>) -> Delivery {
    match answer {
        Ok(response) => Delivery::Http {
            response: Some(response),
            error: None,
        },
        Err(error) => Delivery::Http {
            response: None,
            error: Some(error),
        },
    }
}

/// A success is one message and no close; anything else is a close.
fn unary_delivery(answer: Result<OutboundResponse, OutboundError>, max: usize) -> (Callback, Delivery) {
    let response = match answer {
        Ok(response) => response,
        Err(error) => return (Callback::GrpcClose, grpc(GRPC_UNAVAILABLE, error.to_string())),
    };
    let (status, text) = grpc_status(response.status, &response.headers, response.trailers.as_ref());
    if status != 0 {
        return (Callback::GrpcClose, grpc(status, text));
    }
    let mut received = BytesMut::from(&response.body[..]);
    match take_message(&mut received, max) {
        Ok(Some(message)) => {
            let delivery = Delivery::Grpc {
                metadata: response.headers,
                trailers: response.trailers.unwrap_or_default(),
                message,
                status: 0,
                status_message: text,
            };
            (Callback::GrpcReceive, delivery)
        }
        _ => (
            Callback::GrpcClose,
            grpc(GRPC_INTERNAL, "the message cannot be read".to_owned()),
        ),
    }
}

type StreamEvent = (Option<Result<OutboundEvent, OutboundError>>, EventStream);

fn deliver_event(
    vm: &mut Instance,
    (stream, mut x): (u32, Option<&mut Exchange>),
    token: u32,
    (event, rest): StreamEvent,
) -> Result<Option<CallFuture>, Failure> {
    let is_last = match event {
        Some(Ok(OutboundEvent::Head(status, headers))) => {
            let has_ended = headers.contains_key("grpc-status") || status != StatusCode::OK;
            let end = has_ended.then(|| grpc_status(status, &headers, None));
            let delivery = with_metadata(headers);
            vm.deliver(
                (stream, x.as_deref_mut()),
                token,
                (Callback::GrpcInitialMetadata, delivery),
            )?;
            if let Some((status, message)) = end {
                close(vm, (stream, x), token, (status, message))?;
            }
            has_ended
        }
        Some(Ok(OutboundEvent::Data(data))) => !deliver_data(vm, (stream, x), token, &data)?,
        Some(Ok(OutboundEvent::Trailers(trailers))) => {
            let (status, message) = grpc_status(StatusCode::OK, &trailers, None);
            let delivery = Delivery::Grpc {
                metadata: HeaderMap::new(),
                trailers,
                message: Bytes::new(),
                status,
                status_message: message.clone(),
            };
            vm.deliver(
                (stream, x.as_deref_mut()),
                token,
                (Callback::GrpcTrailingMetadata, delivery),
            )?;
            close(vm, (stream, x), token, (status, message))?;
            true
        }
        Some(Err(error)) => {
            close(vm, (stream, x), token, (GRPC_UNAVAILABLE, error.to_string()))?;
            true
        }
        None => {
            close(
                vm,
                (stream, x),
                token,
                (GRPC_UNAVAILABLE, "the stream ended without a status".to_owned()),
            )?;
            true
        }
    };
    let goes_on = !is_last && vm.state().calls.iter().any(|call| call.token == token);
    Ok(goes_on.then(|| next_event(token, rest)))
}

fn with_metadata(metadata: HeaderMap) -> Delivery {
    Delivery::Grpc {
        metadata,
        trailers: HeaderMap::new(),
        message: Bytes::new(),
        status: 0,
        status_message: String::new(),
    }
}

/// `false`: the stream is over, by the guest or by what it received.
fn deliver_data(
    vm: &mut Instance,
    (stream, mut x): (u32, Option<&mut Exchange>),
    token: u32,
    data: &[u8],
) -> Result<bool, Failure> {
    let max = vm.generation.options.max_callout_response_bytes;
    if let Some(call) = vm.state().calls.iter_mut().find(|call| call.token == token) {
        call.received.extend_from_slice(data);
    }
    loop {
        let Some(call) = vm.state().calls.iter_mut().find(|call| call.token == token) else {
            return Ok(false);
        };
        match take_message(&mut call.received, max) {
            Ok(Some(message)) => {
                let delivery = Delivery::Grpc {
                    metadata: HeaderMap::new(),
                    trailers: HeaderMap::new(),
                    message,
                    status: 0,
                    status_message: String::new(),
                };
                vm.deliver(
                    (stream, x.as_deref_mut()),
                    token,
                    (Callback::GrpcReceive, delivery),
                )?;
            }
            Ok(None) => return Ok(true),
            Err(()) => {
                close(
                    vm,
                    (stream, x),
                    token,
                    (GRPC_INTERNAL, "a message cannot be read".to_owned()),
                )?;
                return Ok(false);
            }
        }
    }
}

fn close(
    vm: &mut Instance,
    (stream, x): (u32, Option<&mut Exchange>),
    token: u32,
    (status, message): (i32, String),
) -> Result<(), Failure> {
    let before = vm.state().calls.len();
    vm.state().calls.retain(|call| call.token != token);
    if vm.state().calls.len() == before {
        return Ok(());
    }
    vm.deliver((stream, x), token, (Callback::GrpcClose, grpc(status, message)))
}
