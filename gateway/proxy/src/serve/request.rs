//! One request from its head to its response head.

use super::connection::Connection;
use crate::bodies::{BodySource, ClientBody, UpstreamStream};
use crate::filters::run_filtered;
use crate::phases::{Ending, Flow};
use crate::receive::{Received, receive};
use crate::reply::{Producer, status_page};
use crate::worker::Worker;
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Response, StatusCode};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use tidegate_net::gate::RequestFault;
use tidegate_plugin::body::RequestBody;
use tidegate_plugin::{Reply, Source};

/// Request bodies up to this length are taken in before the upstream is asked (`request_buffering`), so that an attempt
/// can be repeated and a short chunked body goes on with its length.
pub(crate) const REPEATABLE_BODY: usize = 8 * 1_024;

/// Answers a request. A panic ends that exchange alone.
pub(super) async fn handle(
    worker: &Rc<Worker>,
    connection: &Rc<Connection>,
    received: Received,
) -> Response<ClientBody> {
    worker.metrics.requests.increment();
    worker.metrics.requests_in_flight.increment();
    let begun = catch_unwind(AssertUnwindSafe(|| begin(worker, connection, received)));
    let answered = match begun {
        Ok(Begun::Answered(response)) => return response,
        Ok(Begun::Runs(flow, body)) => {
            let mut running = pin!(run(flow, body));
            poll_fn(|cx| {
                let polled = catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx)));
                polled.map_or_else(|panic| Poll::Ready(Err(panic)), |polled| polled.map(Ok))
            })
            .await
        }
        Err(panic) => Err(panic),
    };
    answered.unwrap_or_else(|_| after_panic(worker, connection))
}

fn after_panic(worker: &Worker, connection: &Connection) -> Response<ClientBody> {
    worker.metrics.panics.increment();
    connection.close_after_response();
    tracing::error!("an exchange panicked; its client got 500, other exchanges go on");
    let mut response = Response::new(ClientBody::Bare(Some(Bytes::from_static(
        b"{\"message\":\"An unexpected error occurred\"}",
    ))));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    response
}

enum Begun {
    Answered(Response<ClientBody>),
    Runs(Box<Flow>, BodySource),
}

/// Takes a request in; one that the gate refused is answered here.
fn begin(worker: &Rc<Worker>, connection: &Rc<Connection>, mut received: Received) -> Begun {
    let fault = connection.begin_request().or_else(|| received.fault.take());
    let (flow, body) = receive(worker, connection, received);
    if let Some(fault) = fault {
        return Begun::Answered(flow.refuse(fault));
    }
    if !matches!(body, BodySource::Empty) && flow.announces_too_much() {
        return Begun::Answered(flow.refuse_length());
    }
    Begun::Runs(flow, body)
}

async fn run(mut flow: Box<Flow>, mut body: BodySource) -> Response<ClientBody> {
    // Borrowed from the worker's own handle: counting references would write to memory that all workers share.
    let live = Rc::clone(&flow.live);
    let snapshot = &live.snapshot;
    if let Err(ending) = flow.rewrite().await {
        flow.select_global();
        return flow.end_early(ending);
    }
    let Some(planned) = flow.route(snapshot) else {
        flow.select_global();
        return flow.respond(
            Reply::error(StatusCode::NOT_FOUND, "no Route matched with those values"),
            Producer::Core,
        );
    };
    if let Some(reply) = flow.check_protocol(planned) {
        flow.select_global();
        return flow.respond(reply, Producer::Core);
    }
    if let Err(ending) = flow.access(planned.chain, &mut body).await {
        return flow.end_early(ending);
    }
    let Some(service) = planned.service.and_then(|index| snapshot.planned_service(index)) else {
        flow.x.source = Source::Error;
        return flow.respond(
            Reply::error(
                StatusCode::SERVICE_UNAVAILABLE,
                "no Service found with those values",
            ),
            Producer::Core,
        );
    };
    if snapshot.has_filters(planned.chain) {
        return Box::pin(run_filtered(flow, planned, service, body)).await;
    }
    let body = match flow.body_to_send(body, planned.route.request_buffering).await {
        Ok(body) => body,
        Err(fault) => return flow.respond_body_fault(fault),
    };
    match flow.forward(service, body).await {
        Ok(answer) => flow.respond_answer(answer, service.read_timeout).await,
        Err(fault) => flow.respond_fault(fault),
    }
}

impl Flow {
    fn refuse(mut self: Box<Self>, fault: RequestFault) -> Response<ClientBody> {
        self.worker.metrics.refused(fault.reason);
        self.select_global();
        self.connection.close_after_response();
        self.x.source = Source::Error;
        let status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::BAD_REQUEST);
        if matches!(
            status,
            StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED
        ) {
            let (page, content_type) = status_page(status);
            return self.respond(
                Reply::raw(status, page).content_type(content_type),
                Producer::HttpLayer,
            );
        }
        self.respond(Reply::error(status, fault.message), Producer::HttpLayer)
    }

    fn refuse_length(mut self: Box<Self>) -> Response<ClientBody> {
        self.select_global();
        self.connection.close_after_response();
        self.respond_status(StatusCode::PAYLOAD_TOO_LARGE)
    }

    fn announces_too_much(&self) -> bool {
        let max = self.worker.settings.client.max_body_bytes;
        max != 0
            && self
                .x
                .request
                .headers
                .get(CONTENT_LENGTH)
                .and_then(|value| value.to_str().ok()?.parse::<u64>().ok())
                .is_some_and(|length| length > max)
    }

    fn end_early(mut self: Box<Self>, ending: Ending) -> Response<ClientBody> {
        match ending {
            Ending::Reply(reply) => self.respond(*reply, Producer::Core),
            Ending::Body(fault) => self.respond_body_fault(fault),
            Ending::Failed => {
                self.x.source = Source::Error;
                let reply = Reply::message(StatusCode::INTERNAL_SERVER_ERROR, "An unexpected error occurred");
                self.respond(reply, Producer::Core)
            }
        }
    }

    /// What a plugin put in the body's place, with its length, else the body itself.
    pub(crate) fn or_replaced(&mut self, body: BodySource) -> BodySource {
        let RequestBody::Replaced(bytes) = &self.x.request.body else {
            return body;
        };
        let bytes = bytes.clone();
        let length = HeaderValue::from(bytes.len());
        self.x.request.headers.insert(CONTENT_LENGTH, length);
        BodySource::Whole(bytes)
    }

    /// The body as it goes upstream: replaced by a plugin, taken in when it is short, else streamed.
    pub(crate) async fn body_to_send(
        &mut self,
        body: BodySource,
        buffers: bool,
    ) -> Result<BodySource, crate::bodies::BodyFault> {
        match self.or_replaced(body) {
            BodySource::Stream(stream) if buffers && stream.may_be_short(REPEATABLE_BODY) => {
                Box::pin(UpstreamStream::gather(stream, REPEATABLE_BODY)).await
            }
            body => Ok(body),
        }
    }
}
