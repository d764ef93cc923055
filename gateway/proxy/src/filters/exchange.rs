//! A request with filters, from its access phase to its response head.

use super::channel::Part;
use super::{End, Filters, Slot};
use crate::bodies::{BodySource, ClientBody, Origin, ResponseBrokenReason, UpstreamStream};
use crate::forward::{Answer, ForwardFault};
use crate::phases::Flow;
use crate::reply::Producer;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, RETRY_AFTER};
use http::{HeaderValue, Method, Response, StatusCode};
use hyper::body::Frame;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};
use tidegate_plan::{PlannedRoute, PlannedService};
use tidegate_plugin::reply::default_message;
use tidegate_plugin::{FilterFault, Reply, Source};

/// Why the upstream was not asked, or gave nothing.
enum Stop {
    Fault(ForwardFault),
    Filter(End),
}

/// nginx's status of connections that were closed without an answer.
const CLOSED: u16 = 444;

/// Goes on with a request whose chain has filters.
pub(crate) async fn run_filtered(
    mut flow: Box<Flow>,
    planned: &PlannedRoute,
    service: &PlannedService,
    body: BodySource,
) -> Response<ClientBody> {
    if let Err(fault) = flow.start_filters(planned) {
        let origin = flow.put_fault(&fault);
        return flow.finish_filtered(origin).await;
    }
    let origin = match flow.ask_filtered(planned, service, body).await {
        Ok(answer) => flow.take_answer(answer, service.read_timeout).await,
        Err(Stop::Filter(End::Close)) => return flow.reset(),
        Err(Stop::Filter(end)) => flow.put_end(end),
        Err(Stop::Fault(fault)) => {
            let (reply, producer) = flow.reply_to_fault(fault);
            flow.put_reply(reply, producer)
        }
    };
    flow.finish_filtered(origin).await
}

impl Flow {
    /// Begins every filter's part. A failed one ends the request, and those that began see its response.
    fn start_filters(&mut self, planned: &PlannedRoute) -> Result<(), Box<FilterFault>> {
        let live = Rc::clone(&self.live);
        let snapshot = &live.snapshot;
        let of_scopes = snapshot.filters(planned.chain).iter();
        let mut slots = Vec::new();
        let mut outcome = Ok(());
        // Those of consumers were chosen with the plugins; they come last.
        let filters = of_scopes.chain(&self.selected).filter_map(|index| {
            let instance = snapshot.instance(*index)?;
            Some((instance, instance.filter.as_ref()?))
        });
        let mut filters = filters.peekable();
        while let Some((instance, filter)) = filters.next() {
            if let Some((_, next)) = filters.peek() {
                next.prepare();
            }
            match filter.start(&mut self.x) {
                Ok(Some(run)) => slots.push(Slot {
                    hints: run.hints(),
                    run,
                    needs: instance.filter_needs,
                    has_seen_request: false,
                    listens: false,
                }),
                Ok(None) => {}
                Err(fault) => {
                    outcome = Err(fault);
                    break;
                }
            }
        }
        if !slots.is_empty() {
            self.filters = Some(Box::new(Filters::new(slots)));
        }
        outcome
    }

    /// Moves the request through the filters and on to the upstream.
    async fn ask_filtered(
        &mut self,
        planned: &PlannedRoute,
        service: &PlannedService,
        body: BodySource,
    ) -> Result<Answer, Stop> {
        let body = self.or_replaced(body);
        let body = self.filter_request(body, planned.route.request_buffering).await?;
        let answered = self.forward(service, body).await;
        match answered {
            Ok(answer) => Ok(answer),
            Err(ForwardFault::Filter) => match self.take_end() {
                Some(end) => Err(Stop::Filter(end)),
                None => Err(Stop::Fault(ForwardFault::Unreachable)),
            },
            Err(fault) => Err(Stop::Fault(fault)),
        }
    }

    /// Until the head has passed every filter; a short body passes with it, so that an attempt can be repeated.
    async fn filter_request(&mut self, body: BodySource, buffers: bool) -> Result<BodySource, Stop> {
        let Some(filters) = &mut self.filters else {
            return self
                .body_to_send(body, buffers)
                .await
                .map_err(|fault| Stop::Fault(ForwardFault::Body(fault)));
        };
        let announced = self.x.request.headers.get(CONTENT_LENGTH).cloned();
        let takes_whole = filters.begin_request(body, buffers);
        poll_fn(|cx| self.poll_request_filters(cx, takes_whole)).await;
        if let Some(end) = self.take_end() {
            return Err(Stop::Filter(end));
        }
        let Some(filters) = &self.filters else {
            return Ok(BodySource::Empty);
        };
        let channel = &filters.request.out;
        if let Some(whole) = channel.take_whole() {
            return Ok(if whole.is_empty() && announced.is_none() {
                BodySource::Empty
            } else {
                BodySource::Whole(whole)
            });
        }
        if let Some(fault) = self.progress.fault.get() {
            return Err(Stop::Fault(ForwardFault::Body(fault)));
        }
        // What a filter says of a length that it cannot know yet is not trusted.
        let length = self.x.request.headers.get(CONTENT_LENGTH);
        let length = length.filter(|length| announced.as_ref() == Some(*length));
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        Ok(BodySource::Filtered(Rc::clone(channel), length))
    }

    fn poll_request_filters(&mut self, cx: &mut Context<'_>, takes_whole: bool) -> Poll<()> {
        let Some(filters) = &mut self.filters else {
            return Poll::Ready(());
        };
        filters.poll_request(&mut self.x, cx);
        let channel = &filters.request.out;
        let is_ready = filters.has_end()
            || channel.has_failed()
            || (channel.has_head()
                && (!takes_whole
                    || channel.has_ended()
                    || channel.waiting() > crate::serve::REPEATABLE_BODY));
        if is_ready { Poll::Ready(()) } else { Poll::Pending }
    }

    /// While the upstream is waited for. `true`: a filter ended the exchange.
    pub(crate) fn filters_end(&mut self, cx: &mut Context<'_>) -> bool {
        match &mut self.filters {
            Some(filters) => {
                filters.poll_request(&mut self.x, cx);
                filters.has_end()
            }
            None => false,
        }
    }

    fn take_end(&mut self) -> Option<End> {
        self.filters.as_mut()?.end.take()
    }

    /// Moves the response head through the filters; a filter's own answer takes its place.
    async fn finish_filtered(mut self: Box<Self>, origin: Origin) -> Response<ClientBody> {
        let Some(filters) = &mut self.filters else {
            return self.finish(origin);
        };
        let announced = self.x.response.headers.get(CONTENT_LENGTH).cloned();
        filters.begin_response(origin);
        let passed = poll_fn(|cx| self.poll_response_head(cx)).await;
        match self.take_end() {
            Some(End::Close) => return self.reset(),
            Some(end) => {
                let origin = self.put_end(end);
                self.stop_response();
                return self.finish(origin);
            }
            None => {}
        }
        if let Err(broken) = passed {
            self.upstream_broke(broken);
            self.stop_response();
            let origin = self.put_status(StatusCode::BAD_GATEWAY);
            return self.finish(origin);
        }
        let whole = self
            .filters
            .as_ref()
            .and_then(|filters| filters.response.out.take_whole());
        let is_head = self.x.request.method == Method::HEAD;
        let headers = &mut self.x.response.headers;
        let origin = match whole {
            Some(whole) => {
                if !is_head && !whole.is_empty() && headers.contains_key(CONTENT_LENGTH) {
                    headers.insert(CONTENT_LENGTH, HeaderValue::from(whole.len()));
                }
                Origin::Whole(Some(whole))
            }
            None => {
                if headers.get(CONTENT_LENGTH) != announced.as_ref() {
                    headers.remove(CONTENT_LENGTH);
                }
                Origin::Filtered
            }
        };
        self.finish(origin)
    }

    fn poll_response_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ResponseBrokenReason>> {
        let Some(filters) = &mut self.filters else {
            return Poll::Ready(Ok(()));
        };
        filters.poll_response(&mut self.x, cx)?;
        if filters.has_end() || filters.response.out.has_head() {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }

    /// The response body behind the filters.
    pub(crate) fn poll_filtered(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseBrokenReason>>> {
        let Some(filters) = &mut self.filters else {
            return Poll::Ready(None);
        };
        let outcome = filters.poll_response(&mut self.x, cx);
        if let Poll::Ready(frame) = filters.poll_client_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(|_| ResponseBrokenReason::Filter)));
        }
        if let Err(broken) = outcome {
            return Poll::Ready(Some(Err(broken)));
        }
        // The head is gone: all that a filter can still do is to cut the message off.
        match filters.end.take() {
            Some(End::Fail(fault)) => {
                tracing::error!(%fault, "a filter failed within the response body");
                Poll::Ready(Some(Err(ResponseBrokenReason::Filter)))
            }
            Some(_) => Poll::Ready(Some(Err(ResponseBrokenReason::Filter))),
            None => Poll::Pending,
        }
    }

    pub(crate) fn is_filtered_to_end(&self) -> bool {
        self.filters
            .as_ref()
            .is_none_or(|filters| filters.response.out.is_drained())
    }

    /// What was on its way is dropped.
    fn stop_response(&mut self) {
        if let Some(filters) = &mut self.filters {
            filters.upstream = None;
        }
    }

    fn put_end(&mut self, end: End) -> Origin {
        match end {
            End::Reply(reply) => {
                self.x.source = Source::Exit;
                self.put_reply(*reply, Producer::Core)
            }
            End::Fail(fault) => self.put_fault(&fault),
            End::Close => Origin::Reset,
        }
    }

    fn put_fault(&mut self, fault: &FilterFault) -> Origin {
        tracing::error!(request_id = ?self.x.request_id, %fault, "a filter ended the request");
        self.x.source = Source::Error;
        let mut reply = Reply::error(fault.status, default_message(fault.status));
        if let Some(seconds) = fault.retry_after {
            reply = reply.header(RETRY_AFTER, HeaderValue::from(seconds));
        }
        self.put_reply(reply, Producer::Core)
    }

    /// Ends the connection, or the stream, without an answer.
    fn reset(mut self: Box<Self>) -> Response<ClientBody> {
        self.stop_response();
        self.connection.close_after_response();
        self.is_answered = true;
        self.x.source = Source::Exit;
        self.x.response.status = StatusCode::from_u16(CLOSED).unwrap_or(StatusCode::BAD_GATEWAY);
        self.x.response.headers.clear();
        let mut response = Response::new(ClientBody::new(Origin::Reset, self));
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response
    }
}

impl Filters {
    /// Puts the request in front of the first filter. `true`: its body is short enough to be taken whole.
    fn begin_request(&mut self, body: BodySource, buffers: bool) -> bool {
        let ends = matches!(body, BodySource::Empty);
        self.request.put(0, Part::Head { ends });
        match body {
            BodySource::Empty | BodySource::Filtered(..) => true,
            BodySource::Whole(bytes) => {
                self.request.put(0, Part::Body { bytes, ends: true });
                true
            }
            BodySource::Stream(stream) => {
                let is_short =
                    buffers && UpstreamStream::may_be_short(&stream, crate::serve::REPEATABLE_BODY);
                self.client = Some(stream);
                is_short
            }
        }
    }

    fn begin_response(&mut self, origin: Origin) {
        let ends = match &origin {
            Origin::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Origin::Upstream(upstream) => upstream.is_end(),
            Origin::Filtered | Origin::Reset => true,
        };
        self.response.put(0, Part::Head { ends });
        match origin {
            Origin::Whole(Some(bytes)) if !ends => self.response.put(0, Part::Body { bytes, ends: true }),
            Origin::Upstream(upstream) if !ends => self.upstream = Some(upstream),
            _ => {}
        }
    }
}
