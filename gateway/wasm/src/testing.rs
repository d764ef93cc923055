//! Test kit: drives filters over made-up exchanges as the gateway's runner does, without sockets.
//!
//! [`Drive`] holds a request, the upstream's answer and the filters. [`Drive::run`] hands the parts of both messages to
//! one filter after the other and gives an [`Outcome`]: what went upstream, what went to the client, how it ended. Calls
//! are answered by [`ScriptedOutbound`].

pub mod fuzz;
mod outbound;

pub use outbound::{Script, ScriptedOutbound, StreamScript};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use tidegate_model::entities::{Route, Service};
use tidegate_plugin::exchange::{RouteIndex, ServiceIndex, SnapshotView};
use tidegate_plugin::identity::Identities;
use tidegate_plugin::reply::ReplyBody;
use tidegate_plugin::services::Services;
use tidegate_plugin::{
    Direction, Exchange, Filter, FilterEvent, FilterFault, FilterRun, Flow, Hold, Reply, Source,
};

/// Parameters of every host function of proxy-wasm, as `i` and `I` for 32 and 64 bits; all give a status.
pub const HOST_FUNCTIONS: &[(&str, &str)] = &[
    ("log", "iii"),
    ("get_log_level", "i"),
    ("get_current_time_nanoseconds", "i"),
    ("set_tick_period_milliseconds", "i"),
    ("set_effective_context", "i"),
    ("done", ""),
    ("get_configuration", "ii"),
    ("get_buffer_bytes", "iiiii"),
    ("get_buffer_status", "iii"),
    ("set_buffer_bytes", "iiiii"),
    ("get_header_map_size", "ii"),
    ("get_header_map_pairs", "iii"),
    ("set_header_map_pairs", "iii"),
    ("get_header_map_value", "iiiii"),
    ("add_header_map_value", "iiiii"),
    ("replace_header_map_value", "iiiii"),
    ("remove_header_map_value", "iii"),
    ("get_property", "iiii"),
    ("set_property", "iiii"),
    ("continue_stream", "i"),
    ("close_stream", "i"),
    ("continue_request", ""),
    ("continue_response", ""),
    ("clear_route_cache", ""),
    ("send_local_response", "iiiiiiii"),
    ("http_call", "iiiiiiiiii"),
    ("grpc_call", "iiiiiiiiiiii"),
    ("grpc_stream", "iiiiiiiii"),
    ("grpc_send", "iiii"),
    ("grpc_cancel", "i"),
    ("grpc_close", "i"),
    ("get_status", "iii"),
    ("get_shared_data", "iiiii"),
    ("set_shared_data", "iiiii"),
    ("register_shared_queue", "iii"),
    ("resolve_shared_queue", "iiiii"),
    ("enqueue_shared_queue", "iii"),
    ("dequeue_shared_queue", "iii"),
    ("define_metric", "iiii"),
    ("increment_metric", "iI"),
    ("record_metric", "iI"),
    ("get_metric", "ii"),
    ("call_foreign_function", "iiiiii"),
];

/// A snapshot with at most one route and one service.
pub struct TestWorld {
    /// The route that every request matches.
    pub route: Option<Route>,
    /// Its service.
    pub service: Option<Service>,
    /// Process-wide services.
    pub services: Arc<Services>,
    /// Consumers and credentials.
    pub identities: Identities,
}

impl Default for TestWorld {
    fn default() -> Self {
        Self {
            route: None,
            service: None,
            services: Arc::new(Services::detached()),
            identities: Identities::default(),
        }
    }
}

impl SnapshotView for TestWorld {
    fn route(&self, _: RouteIndex) -> Option<&Route> {
        self.route.as_ref()
    }
    fn service(&self, _: ServiceIndex) -> Option<&Service> {
        self.service.as_ref()
    }
    fn identities(&self) -> &Identities {
        &self.identities
    }
    fn services(&self) -> &Services {
        &self.services
    }
}

/// A request to `gateway.test` from 127.0.0.1:40000, without route or service. Unparsable parts become `GET` and `/`.
#[must_use]
pub fn exchange(method: &str, target: &str) -> Exchange {
    exchange_in(TestWorld::default(), method, target)
}

/// As [`exchange`], in a world.
#[must_use]
pub fn exchange_in(world: TestWorld, method: &str, target: &str) -> Exchange {
    let method = Method::from_bytes(method.as_bytes()).unwrap_or_default();
    let target = target
        .parse()
        .unwrap_or_else(|_| http::uri::PathAndQuery::from_static("/"));
    tidegate_plugin::testing::exchange(Rc::new(world), method, target)
}

/// A body in chunks and trailers.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// Chunks as they arrive.
    pub chunks: Vec<Bytes>,
    /// Trailers, if there are any.
    pub trailers: Option<HeaderMap>,
    /// Whether the end is only known after the last chunk, by an empty one.
    pub ends_late: bool,
}

impl Message {
    fn has_no_body(&self) -> bool {
        self.chunks.is_empty() && self.trailers.is_none() && !self.ends_late
    }
}

/// An exchange to be driven.
pub struct Drive {
    /// The exchange; its response head is what the upstream answers.
    pub x: Exchange,
    /// Body and trailers of the request.
    pub request: Message,
    /// Body and trailers of the upstream's response.
    pub response: Message,
    /// Response headers and status of the upstream.
    pub upstream_head: (StatusCode, HeaderMap),
    /// Filters in their order.
    pub filters: Vec<Arc<dyn Filter>>,
    /// The client leaves before this part; counted from 0 over all parts.
    pub abort_after: Option<usize>,
}

/// How an exchange went.
pub struct Outcome {
    /// The exchange as the filters left it.
    pub x: Exchange,
    /// What went upstream, if it came to that: body and trailers. The head is in `x`.
    pub upstream: Option<(Bytes, Option<HeaderMap>)>,
    /// Headers that went upstream.
    pub upstream_headers: HeaderMap,
    /// Body to the client.
    pub body: Bytes,
    /// Trailers to the client.
    pub trailers: Option<HeaderMap>,
    /// A filter answered.
    pub reply: Option<Reply>,
    /// A filter failed and its policy is `closed`.
    pub fault: Option<Box<FilterFault>>,
    /// A filter reset the stream.
    pub is_reset: bool,
}

enum End {
    Reply(Box<Reply>),
    Close,
    Fail(Box<FilterFault>),
    Abort,
}

struct Runner {
    x: Exchange,
    runs: Vec<Box<dyn FilterRun>>,
    parts_left: usize,
}

impl Drive {
    /// An exchange that the upstream answers with 200 and no body.
    #[must_use]
    pub fn new(filters: Vec<Arc<dyn Filter>>, x: Exchange) -> Self {
        Self {
            x,
            request: Message::default(),
            response: Message::default(),
            upstream_head: (StatusCode::OK, HeaderMap::new()),
            filters,
            abort_after: None,
        }
    }

    /// Adds a chunk to the request body.
    #[must_use]
    pub fn chunk(mut self, chunk: &'static str) -> Self {
        self.request.chunks.push(Bytes::from_static(chunk.as_bytes()));
        self
    }

    /// Adds a chunk to the response body.
    #[must_use]
    pub fn response_chunk(mut self, chunk: &'static str) -> Self {
        self.response.chunks.push(Bytes::from_static(chunk.as_bytes()));
        self
    }

    /// Adds a request header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &'static str) -> Self {
        let headers = &mut self.x.request.headers;
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        self
    }

    /// Adds a header to the upstream's response.
    #[must_use]
    pub fn response_header(mut self, name: &'static str, value: &'static str) -> Self {
        let headers = &mut self.upstream_head.1;
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        self
    }

    /// Drives the exchange to its end.
    pub async fn run(self) -> Outcome {
        let mut runner = Runner {
            x: self.x,
            runs: Vec::new(),
            parts_left: self.abort_after.unwrap_or(usize::MAX),
        };
        let mut outcome = Ended::default();
        for filter in &self.filters {
            match filter.start(&mut runner.x) {
                Ok(run) => runner.runs.extend(run),
                Err(fault) => {
                    outcome.fault = Some(fault);
                    return runner.finish(outcome);
                }
            }
        }
        let answer = match runner.pass(Direction::Request, self.request, 0).await {
            Ok((body, trailers)) => {
                outcome.upstream = Some((body, trailers));
                outcome.upstream_headers = runner.x.request.headers.clone();
                runner.x.source = Source::Service;
                runner.x.upstream_status = Some(self.upstream_head.0);
                runner.x.response.status = self.upstream_head.0;
                runner.x.response.headers = self.upstream_head.1;
                runner.poll_once().map(|()| self.response)
            }
            Err(end) => Err(end),
        };
        let response = match answer {
            Ok(response) => response,
            Err(End::Reply(reply)) => {
                let message = runner.take_reply(&reply);
                outcome.reply = Some(*reply);
                message
            }
            Err(end) => return runner.finish(outcome.ended(end)),
        };
        match runner.pass(Direction::Response, response, 0).await {
            Ok((body, trailers)) => (outcome.body, outcome.trailers) = (body, trailers),
            Err(End::Reply(reply)) => {
                let message = runner.take_reply(&reply);
                outcome.body = message.chunks.into_iter().next().unwrap_or_default();
                outcome.reply = Some(*reply);
            }
            Err(end) => outcome = outcome.ended(end),
        }
        runner.finish(outcome)
    }
}

#[derive(Default)]
struct Ended {
    upstream: Option<(Bytes, Option<HeaderMap>)>,
    upstream_headers: HeaderMap,
    body: Bytes,
    trailers: Option<HeaderMap>,
    reply: Option<Reply>,
    fault: Option<Box<FilterFault>>,
    is_reset: bool,
}

impl Ended {
    fn ended(mut self, end: End) -> Self {
        match end {
            End::Fail(fault) => self.fault = Some(fault),
            End::Close => self.is_reset = true,
            End::Reply(reply) => self.reply = Some(*reply),
            End::Abort => {}
        }
        self
    }
}

/// What one filter lets out of a message.
#[derive(Default)]
struct Passed {
    body: Vec<Bytes>,
    trailers: Option<HeaderMap>,
    discards_body: bool,
}

impl Runner {
    /// Hands a message to each filter in turn: the whole of it to the first, what that lets out to the next.
    async fn pass(
        &mut self,
        direction: Direction,
        mut message: Message,
        first: usize,
    ) -> Result<(Bytes, Option<HeaderMap>), End> {
        for index in first..self.runs.len() {
            let passed = self.stage(index, direction, message).await?;
            message = Message {
                chunks: passed.body,
                trailers: passed.trailers,
                ends_late: false,
            };
        }
        Ok((message.chunks.concat().into(), message.trailers))
    }

    async fn stage(&mut self, index: usize, direction: Direction, message: Message) -> Result<Passed, End> {
        let mut passed = Passed::default();
        self.count_part()?;
        let is_whole = message.has_no_body();
        let flow = self.call(index, |run, x| run.head(x, direction, is_whole));
        let mut is_held = self.settle(index, direction, flow, &mut passed, is_whole).await?;
        let last = message.chunks.len();
        let has_trailers = message.trailers.is_some();
        let late = message.ends_late.then(Bytes::new);
        for (place, chunk) in message.chunks.into_iter().chain(late).enumerate() {
            if passed.discards_body {
                break;
            }
            self.count_part()?;
            let is_last = !has_trailers && (place == last || (place + 1 == last && !message.ends_late));
            let flow = self.call(index, |run, x| run.body(x, direction, chunk, is_last));
            is_held = self.settle(index, direction, flow, &mut passed, is_last).await?;
        }
        if let Some(trailers) = message.trailers {
            self.count_part()?;
            let flow = self.call(index, |run, x| run.trailers(x, direction, trailers));
            is_held = self.settle(index, direction, flow, &mut passed, true).await?;
        }
        if is_held {
            self.wait(index, direction, &mut passed).await?;
            self.take(index, direction, &mut passed);
        }
        Ok(passed)
    }

    /// `true`: the filter holds the message and wants more of it.
    async fn settle(
        &mut self,
        index: usize,
        direction: Direction,
        flow: Flow,
        passed: &mut Passed,
        is_last: bool,
    ) -> Result<bool, End> {
        match flow {
            Flow::Continue => {}
            Flow::ContinueAndEnd => passed.discards_body = true,
            Flow::Pause(Hold::Body) if !is_last => return Ok(true),
            Flow::Pause(_) => {
                if self.wait(index, direction, passed).await? && !is_last {
                    return Ok(true);
                }
            }
            Flow::Reply(reply) => return Err(End::Reply(reply)),
            Flow::Close => return Err(End::Close),
            Flow::Fail(fault) => return Err(End::Fail(fault)),
        }
        self.take(index, direction, passed);
        Ok(false)
    }

    fn take(&mut self, index: usize, direction: Direction, passed: &mut Passed) {
        if let Some(run) = self.runs.get_mut(index) {
            let body = run.take_body(direction);
            if !body.is_empty() {
                passed.body.push(body);
            }
            passed.trailers = run.take_trailers(direction).or_else(|| passed.trailers.take());
        }
    }

    fn call(&mut self, index: usize, act: impl FnOnce(&mut dyn FilterRun, &mut Exchange) -> Flow) -> Flow {
        match self.runs.get_mut(index) {
            Some(run) => act(&mut **run, &mut self.x),
            None => Flow::Continue,
        }
    }

    /// Waits until a filter lets a direction go on, or wants more of it (`true`); listens to all of them.
    async fn wait(&mut self, index: usize, direction: Direction, passed: &mut Passed) -> Result<bool, End> {
        poll_fn(|cx| {
            for (place, run) in self.runs.iter_mut().enumerate() {
                while let Poll::Ready(event) = run.poll_event(&mut self.x, cx) {
                    match event {
                        FilterEvent::Resume(resumed) if place == index && resumed == direction => {
                            return Poll::Ready(Ok(false));
                        }
                        FilterEvent::Pause(paused, hold) if place == index && paused == direction => {
                            let body = run.take_body(direction);
                            passed.body.extend((!body.is_empty()).then_some(body));
                            if hold == Hold::Body {
                                return Poll::Ready(Ok(true));
                            }
                        }
                        FilterEvent::Resume(_) | FilterEvent::Pause(..) => {}
                        FilterEvent::Reply(reply) => return Poll::Ready(Err(End::Reply(reply))),
                        FilterEvent::Close => return Poll::Ready(Err(End::Close)),
                        FilterEvent::Fail(fault) => return Poll::Ready(Err(End::Fail(fault))),
                    }
                }
            }
            Poll::Pending
        })
        .await
    }

    /// What the runner does while it waits for the upstream.
    fn poll_once(&mut self) -> Result<(), End> {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        for run in &mut self.runs {
            while let Poll::Ready(event) = run.poll_event(&mut self.x, &mut cx) {
                match event {
                    FilterEvent::Resume(_) | FilterEvent::Pause(..) => {}
                    FilterEvent::Reply(reply) => return Err(End::Reply(reply)),
                    FilterEvent::Close => return Err(End::Close),
                    FilterEvent::Fail(fault) => return Err(End::Fail(fault)),
                }
            }
        }
        Ok(())
    }

    fn count_part(&mut self) -> Result<(), End> {
        self.parts_left = self.parts_left.checked_sub(1).ok_or(End::Abort)?;
        Ok(())
    }

    fn take_reply(&mut self, reply: &Reply) -> Message {
        self.x.source = Source::Exit;
        self.x.response.status = reply.status;
        self.x.response.headers = reply.headers.iter().cloned().collect();
        let body = match &reply.body {
            ReplyBody::Raw(bytes) | ReplyBody::Json { bytes, .. } => bytes.clone(),
            ReplyBody::Error(text) => Bytes::copy_from_slice(text.as_bytes()),
            ReplyBody::Empty => Bytes::new(),
        };
        Message {
            chunks: if body.is_empty() { Vec::new() } else { vec![body] },
            ..Message::default()
        }
    }

    fn finish(mut self, ended: Ended) -> Outcome {
        for run in self.runs.drain(..) {
            run.finish(&mut self.x);
        }
        Outcome {
            x: self.x,
            upstream: ended.upstream,
            upstream_headers: ended.upstream_headers,
            body: ended.body,
            trailers: ended.trailers,
            reply: ended.reply,
            fault: ended.fault,
            is_reset: ended.is_reset,
        }
    }
}
