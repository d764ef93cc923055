//! Calls and streams over HTTP/2, for gRPC.

use super::headers_to_send;
use super::place::Place;
use crate::bodies::{BodySource, Progress, UpstreamBody};
use crate::filters::{Channel, Part};
use crate::worker::Worker;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, LocalBoxStream};
use http::uri::{Authority, Parts, PathAndQuery, Scheme};
use http::{Request, Response, Uri, Version};
use hyper::body::{Body, Frame, Incoming};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use tidegate_net::pool::{Lease, StreamLease};
use tidegate_plugin::filter::{
    OutboundCall, OutboundError, OutboundEvent, OutboundResponse, OutboundSender, OutboundStream,
};

/// Bytes that a stream may hold back for a slow peer.
const MAX_QUEUED: usize = 1 << 20;

/// One request and its whole answer.
pub(super) async fn call(worker: &Rc<Worker>, call: OutboundCall) -> Result<OutboundResponse, OutboundError> {
    let whole = || match call.body.is_empty() {
        true => UpstreamBody::Empty,
        false => UpstreamBody::Whole(Some(call.body.clone())),
    };
    let Begun {
        response,
        lease: _lease,
    } = begin(worker, &call, whole).await?;
    let (head, mut incoming) = response.into_parts();
    let mut body = BytesMut::new();
    let mut trailers = None;
    while let Some(frame) = next_frame(&mut incoming).await? {
        match frame.into_data() {
            Ok(data) if body.len() + data.len() > call.max_response_bytes => {
                return Err(OutboundError::TooLarge);
            }
            Ok(data) => body.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    Ok(OutboundResponse {
        status: head.status,
        headers: head.headers,
        body: body.freeze(),
        trailers,
    })
}

/// An exchange whose response began; the lease counts its stream.
struct Begun {
    response: Response<Incoming>,
    lease: StreamLease<UpstreamBody>,
}

/// Sends on a kept connection, and once more on a fresh one when nothing could be written. `body` makes the body anew.
async fn begin(
    worker: &Rc<Worker>,
    call: &OutboundCall,
    body: impl Fn() -> UpstreamBody,
) -> Result<Begun, OutboundError> {
    let place = Place::of(worker, call).await?;
    if let Some(Lease::Http2(lease)) = worker.pool.reuse(place.key(true)) {
        match lease.send(request(call, &place, body())?).await {
            Ok(response) => return Ok(Begun { response, lease }),
            Err(mut error) => {
                if error.take_message().is_none() {
                    return Err(OutboundError::Reset);
                }
            }
        }
    }
    let connected = place.connect(true).await?;
    let opened = worker.pool.open(place.key(true), connected, place.owner()).await;
    let Ok(Lease::Http2(lease)) = opened else {
        return Err(OutboundError::Connect);
    };
    match lease.send(request(call, &place, body())?).await {
        Ok(response) => Ok(Begun { response, lease }),
        Err(_) => Err(OutboundError::Reset),
    }
}

fn request(
    call: &OutboundCall,
    place: &Place,
    body: UpstreamBody,
) -> Result<Request<UpstreamBody>, OutboundError> {
    let authority = call.authority.as_ref().unwrap_or(&place.host);
    let mut parts = Parts::default();
    parts.scheme = Some(if place.is_tls() {
        Scheme::HTTPS
    } else {
        Scheme::HTTP
    });
    parts.authority =
        Some(Authority::try_from(authority.as_bytes()).map_err(|_| OutboundError::UnknownTarget)?);
    parts.path_and_query =
        Some(PathAndQuery::try_from(call.path.as_str()).map_err(|_| OutboundError::Reset)?);
    let mut request = Request::new(body);
    *request.method_mut() = call.method.clone();
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| OutboundError::Reset)?;
    *request.version_mut() = Version::HTTP_2;
    for (name, value) in headers_to_send(&call.headers) {
        request.headers_mut().append(name.clone(), value.clone());
    }
    Ok(request)
}

async fn next_frame(incoming: &mut Incoming) -> Result<Option<Frame<Bytes>>, OutboundError> {
    let frame = poll_fn(|cx| Pin::new(&mut *incoming).poll_frame(cx)).await;
    frame.transpose().map_err(|_| OutboundError::Reset)
}

/// Opens a stream. It begins when its events are waited for.
pub(super) fn open(worker: Rc<Worker>, call: OutboundCall) -> OutboundStream {
    let halves = Rc::new(Halves(Channel::new()));
    let sender = Box::new(Sender(Rc::clone(&halves)));
    let begin = Stage::Begin(Box::new((worker, call)));
    let events: LocalBoxStream<'static, _> = Box::pin(stream::unfold(Some((begin, halves)), |stage| async {
        let (stage, halves) = stage?;
        match step(stage, &halves).await {
            Ok((event, next)) => Some((Ok(event), next.map(|next| (next, halves)))),
            Err(Some(error)) => Some((Err(error), None)),
            Err(None) => None,
        }
    }));
    OutboundStream { sender, events }
}

/// What is queued for the peer. Gone with both halves of its stream, and the stream is reset if it had no end.
struct Halves(Rc<Channel>);

impl Drop for Halves {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

struct Sender(Rc<Halves>);

impl OutboundSender for Sender {
    fn send(&mut self, data: Bytes, end: bool) -> Result<(), OutboundError> {
        let channel = &self.0.0;
        if channel.has_ended() {
            return Err(OutboundError::Reset);
        }
        if channel.waiting() + data.len() > MAX_QUEUED {
            return Err(OutboundError::TooLarge);
        }
        channel.push(Part::Body {
            bytes: data,
            ends: end,
        });
        Ok(())
    }
}

/// How far a stream got.
enum Stage {
    Begin(Box<(Rc<Worker>, OutboundCall)>),
    Body(Incoming, StreamLease<UpstreamBody>),
}

/// The next event, and what comes after it. An error ends the stream; without one it ended by itself.
async fn step(
    stage: Stage,
    halves: &Halves,
) -> Result<(OutboundEvent, Option<Stage>), Option<OutboundError>> {
    match stage {
        Stage::Begin(begin_with) => {
            let (worker, call) = *begin_with;
            let body = || {
                let source = BodySource::Filtered(Rc::clone(&halves.0), None);
                UpstreamBody::new(source, &Progress::new())
            };
            let begun = begin(&worker, &call, body).await.map_err(Some)?;
            let (head, incoming) = begun.response.into_parts();
            let event = OutboundEvent::Head(head.status, head.headers);
            Ok((event, Some(Stage::Body(incoming, begun.lease))))
        }
        Stage::Body(mut incoming, lease) => {
            let frame = next_frame(&mut incoming).await.map_err(Some)?.ok_or(None)?;
            match frame.into_data() {
                Ok(data) => Ok((OutboundEvent::Data(data), Some(Stage::Body(incoming, lease)))),
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    Ok((OutboundEvent::Trailers(trailers), None))
                }
            }
        }
    }
}
