//! Asks the upstream: choice of peer, connection, attempts, deadlines (kong-core F.5).

use crate::balance;
use crate::bodies::{BodyFault, BodySource, Progress, ResponseStream, UpstreamBody};
use crate::phases::Flow;
use crate::tls_targets::TlsTarget;
use bytes::{BufMut, BytesMut};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Method, Request, Uri, Version};
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tidegate_model::address::Address;
use tidegate_net::connect::{self, ConnectError};
use tidegate_net::dns::DnsError;
use tidegate_net::http1::{BodyFraming, Http1Error, ResponseHead};
use tidegate_net::pool::{Http1Lease, Lease, PoolKey, StreamLease};
use tidegate_net::watchdog::Deadline;
use tidegate_plan::service::{Destination, PlannedService};
use tidegate_plugin::exchange::{Try, UpstreamQuery};

/// The upstream's answer: head, and the connection that its body comes over.
pub(crate) struct Answer {
    pub(crate) head: ResponseHead,
    pub(crate) stream: ResponseStream,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ForwardFault {
    /// No target can be chosen: 503.
    NoPeer,
    /// The name does not resolve: 503.
    NoSuchName,
    /// The resolver failed: 500 with the reason.
    Resolver(String),
    /// Refused, reset, TLS failure, malformed response: 502.
    Unreachable,
    /// Connect, write or read took too long: 504.
    Timeout,
    /// The client's body failed.
    Body(BodyFault),
    /// A filter ended the exchange.
    Filter,
}

/// One attempt's failure.
struct Failure {
    fault: ForwardFault,
    /// The request body, when it is still whole.
    body: Option<BodySource>,
    /// Something of the request may have reached the upstream.
    was_sent: bool,
}

/// A concrete peer of one attempt.
struct Peer {
    address: Address,
    host: HeaderValue,
    tls: Option<Rc<TlsTarget>>,
}

impl Flow {
    /// Sends the request, trying again where that is safe.
    pub(crate) async fn forward(
        &mut self,
        service: &PlannedService,
        body: BodySource,
    ) -> Result<Answer, ForwardFault> {
        let mut began = Instant::now();
        self.x.timings.upstream_start = Some(began);
        if !self.has_sound_target() {
            tracing::error!(request_id = ?self.x.request_id, "a plugin left a target that cannot be sent");
            return Err(ForwardFault::Unreachable);
        }
        let mut body = Some(body);
        let mut left = service.service.retries;
        loop {
            let started = began.saturating_duration_since(self.x.timings.start);
            let peer = self.choose(service).await?;
            self.is_proxied = true;
            let choice = match service.destination {
                Destination::Address(_) => Duration::ZERO,
                Destination::Name(..) | Destination::Upstream(_) => began.elapsed(),
            };
            let source = body.take().unwrap_or(BodySource::Empty);
            let outcome = self.attempt(service, &peer, source, began).await;
            let mut record = Try {
                address: peer.address,
                started,
                choice,
                failure: None,
            };
            let failure = match outcome {
                Ok(answer) => {
                    self.report_answer(answer.head.status, began);
                    self.x.tries.push(record);
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            let repeats = left > 0 && self.may_repeat(&failure) && self.has_retry_budget();
            self.report_failure(&failure.fault, repeats, began);
            let status = if failure.fault == ForwardFault::Timeout {
                504
            } else {
                502
            };
            record.failure = Some(("failed", status));
            self.x.tries.push(record);
            if !repeats {
                return Err(failure.fault);
            }
            self.worker.metrics.upstream_retries.increment();
            left -= 1;
            body = failure.body;
            began = Instant::now();
        }
    }

    /// Whether the request can be sent once more: its body is in hand, and either nothing was sent or the method may
    /// be repeated (RFC 9110 §9.2.2; Kong excludes POST, PATCH and LOCK).
    fn may_repeat(&self, failure: &Failure) -> bool {
        let is_idempotent = !matches!(*self.x.upstream_method(), Method::POST | Method::PATCH)
            && self.x.upstream_method().as_str() != "LOCK";
        failure.body.is_some()
            && (!failure.was_sent || is_idempotent)
            && matches!(failure.fault, ForwardFault::Unreachable | ForwardFault::Timeout)
    }

    async fn choose(&mut self, service: &PlannedService) -> Result<Peer, ForwardFault> {
        let (address, host) = match &service.destination {
            Destination::Address(address) => (Address::Tcp(*address), service.host_header.clone()),
            Destination::Name(name, port) => (self.resolve(name, *port).await?, service.host_header.clone()),
            Destination::Upstream(upstream) => self.choose_target(upstream, service.default_port).await?,
        };
        let preserve = self.x.route().is_some_and(|route| route.preserve_host);
        let host = match (&self.x.upstream.host_header, &self.x.request.raw_host) {
            (Some(by_plugin), _) => by_plugin.clone(),
            (None, Some(clients)) if preserve => clients.clone(),
            _ => host,
        };
        let tls = if service.is_tls {
            Some(self.tls_target(service, &host)?)
        } else {
            None
        };
        Ok(Peer { address, host, tls })
    }

    async fn resolve(&self, name: &str, port: u16) -> Result<Address, ForwardFault> {
        match Box::pin(self.worker.resolver.resolve(name)).await {
            Ok(addresses) => addresses
                .next(port)
                .map(Address::Tcp)
                .ok_or(ForwardFault::NoSuchName),
            Err(DnsError::NotFound) => Err(ForwardFault::NoSuchName),
            Err(error) => Err(ForwardFault::Resolver(error.to_string())),
        }
    }

    fn tls_target(
        &self,
        service: &PlannedService,
        host: &HeaderValue,
    ) -> Result<Rc<TlsTarget>, ForwardFault> {
        self.worker
            .tls_targets
            .get(service, host, service.is_grpc, &self.worker)
            .map_err(|error| {
                tracing::error!(service = %service.service.id, error, "cannot set up TLS to the upstream");
                ForwardFault::Unreachable
            })
    }

    /// One try at one peer. A kept connection that turns out dead before anything was written is replaced silently.
    async fn attempt(
        &mut self,
        service: &PlannedService,
        peer: &Peer,
        mut body: BodySource,
        mut began: Instant,
    ) -> Result<Answer, Failure> {
        let key = PoolKey {
            address: balance::peer(peer.address),
            tls: peer.tls.as_ref().map_or(0, |tls| tls.id),
            is_http2: service.is_grpc,
        };
        loop {
            let lease = match self.worker.pool.reuse(key) {
                Some(lease) => {
                    self.worker.metrics.upstream_connections_reused.increment();
                    lease
                }
                None => match Box::pin(self.connect(service, peer, key)).await {
                    Ok(lease) => {
                        self.worker.metrics.upstream_connections_opened.increment();
                        began = Instant::now();
                        lease
                    }
                    Err(fault) => {
                        self.worker.metrics.upstream_connections_failed.increment();
                        return Err(Failure {
                            fault,
                            body: Some(body),
                            was_sent: false,
                        });
                    }
                },
            };
            self.holds_upstream();
            let replay = match &body {
                BodySource::Empty => Some(BodySource::Empty),
                BodySource::Whole(bytes) => Some(BodySource::Whole(bytes.clone())),
                BodySource::Stream(_) | BodySource::Filtered(..) => None,
            };
            let is_reused = lease.is_reused();
            let sent = match lease {
                Lease::Http1(lease) => {
                    let body = UpstreamBody::new(body, &self.progress);
                    self.send_http1(service, peer, lease, body, began).await
                }
                Lease::Http2(lease) => {
                    let body = UpstreamBody::new(body, &self.progress);
                    Box::pin(self.send_http2(service, peer, lease, body)).await
                }
            };
            match sent {
                Ok(answer) => return Ok(answer),
                Err(Sent::Unsent(unsent)) => {
                    // The connection may have taken a body in hand to itself before it failed: what was kept counts.
                    let unsent = replay.unwrap_or_else(|| unsent.into_source());
                    if !is_reused {
                        return Err(Failure {
                            fault: ForwardFault::Unreachable,
                            body: Some(unsent),
                            was_sent: false,
                        });
                    }
                    body = unsent;
                }
                Err(Sent::Failed(fault)) => {
                    return Err(Failure {
                        fault,
                        body: replay,
                        was_sent: true,
                    });
                }
            }
        }
    }

    async fn connect(
        &self,
        service: &PlannedService,
        peer: &Peer,
        key: PoolKey,
    ) -> Result<Lease<UpstreamBody>, ForwardFault> {
        let tls = peer
            .tls
            .as_ref()
            .map(|tls| (&tls.config, tls.server_name.clone()));
        let connected = connect::connect(key.address, service.connect_timeout, tls)
            .await
            .map_err(|error| {
                tracing::warn!(peer = %peer.address, %error, "cannot connect to the upstream");
                match error {
                    ConnectError::Timeout => ForwardFault::Timeout,
                    _ => ForwardFault::Unreachable,
                }
            })?;
        self.worker
            .pool
            .open(key, connected, self.owner())
            .await
            .map_err(|error| {
                tracing::warn!(peer = %peer.address, %error, "cannot speak HTTP with the upstream");
                ForwardFault::Unreachable
            })
    }

    /// Sends over HTTP/1.1, the head straight into the connection's buffer.
    async fn send_http1(
        &mut self,
        service: &PlannedService,
        peer: &Peer,
        mut lease: Http1Lease<UpstreamBody>,
        body: UpstreamBody,
        began: Instant,
    ) -> Result<Answer, Sent> {
        let framing = body.framing();
        let is_streaming = body.is_streaming();
        let is_head = *self.x.upstream_method() == Method::HEAD;
        let body = (framing != BodyFraming::Empty).then_some(body);
        let out = lease.connection.begin(body, framing, is_head);
        self.write_request_line(out);
        self.write_http1_headers(&peer.host, framing, out);
        out.put_slice(b"\r\n");
        let waiting = Waiting::new(self, service, is_streaming, began);
        let mut progress = (0, 0);
        let poll = |cx: &mut Context<'_>, waiting: &mut Waiting| {
            let polled = lease.connection.poll_head(cx);
            if polled.is_pending() && progress != lease.connection.head_progress() {
                progress = lease.connection.head_progress();
                waiting.heard_at = Some(Instant::now());
            }
            polled
        };
        let outcome = self.wait(waiting, poll).await;
        match outcome {
            Some(Ok(head)) => {
                self.x.timings.upstream_head = Some(Instant::now());
                Ok(Answer {
                    head,
                    stream: ResponseStream::Http1(lease),
                })
            }
            Some(Err(error)) => Err(self.classify(&error, &mut lease)),
            None => Err(Sent::Failed(self.why_over())),
        }
    }

    /// What `poll` comes to; `None` when a filter ended the exchange, or the upstream took too long.
    async fn wait<T>(
        &mut self,
        mut waiting: Waiting,
        mut poll: impl FnMut(&mut Context<'_>, &mut Waiting) -> Poll<T>,
    ) -> Option<T> {
        poll_fn(|cx| {
            if self.filters_end(cx) {
                return Poll::Ready(None);
            }
            match poll(cx, &mut waiting) {
                Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
                Poll::Pending if waiting.is_over(cx) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Why nothing is waited for any more.
    fn why_over(&self) -> ForwardFault {
        match &self.filters {
            Some(filters) if filters.has_end() => ForwardFault::Filter,
            _ => ForwardFault::Timeout,
        }
    }

    /// Path and query for the upstream.
    fn upstream_target(&self) -> (&str, Option<&str>) {
        let x = &self.x;
        let path = if x.upstream.has_path {
            x.upstream.path.as_str()
        } else {
            x.request.target.path()
        };
        (path, x.query())
    }

    /// Whether no plugin touched the target.
    fn keeps_target(&self) -> bool {
        !self.x.upstream.has_path && self.x.upstream.query == UpstreamQuery::AsReceived
    }

    /// Whether what plugins made of the target can stand in a request line.
    fn has_sound_target(&self) -> bool {
        self.keeps_target() || is_sound(self.upstream_target())
    }

    fn write_request_line(&self, out: &mut BytesMut) {
        let (path, query) = self.upstream_target();
        out.reserve(512);
        out.put_slice(self.x.upstream_method().as_str().as_bytes());
        out.put_u8(b' ');
        out.put_slice(path.as_bytes());
        if let Some(query) = query {
            out.put_u8(b'?');
            out.put_slice(query.as_bytes());
        }
        out.put_slice(b" HTTP/1.1\r\n");
    }

    fn classify(&self, error: &Http1Error, lease: &mut Http1Lease<UpstreamBody>) -> Sent {
        let connection = &mut lease.connection;
        if self.progress.fault.get().is_none() && !connection.is_begun() && !self.progress.is_started.get() {
            return Sent::Unsent(connection.take_body().unwrap_or(UpstreamBody::Empty));
        }
        self.failed(error)
    }

    /// Something of the request may have been written.
    fn failed(&self, error: &dyn std::fmt::Display) -> Sent {
        if let Some(fault) = self.progress.fault.get() {
            return Sent::Failed(ForwardFault::Body(fault));
        }
        tracing::warn!(%error, "upstream gave no valid response");
        Sent::Failed(ForwardFault::Unreachable)
    }

    /// Sends as one stream of HTTP/2.
    async fn send_http2(
        &mut self,
        service: &PlannedService,
        peer: &Peer,
        lease: StreamLease<UpstreamBody>,
        body: UpstreamBody,
    ) -> Result<Answer, Sent> {
        let is_streaming = body.is_streaming();
        let request = self
            .http2_request(service, peer, body)
            .ok_or(Sent::Failed(ForwardFault::Unreachable))?;
        let waiting = Waiting::new(self, service, is_streaming, Instant::now());
        let outcome = {
            let mut sending = std::pin::pin!(lease.send(request));
            self.wait(waiting, |cx, _| sending.as_mut().poll(cx)).await
        };
        match outcome {
            Some(Ok(response)) => {
                self.x.timings.upstream_head = Some(Instant::now());
                let (parts, incoming) = response.into_parts();
                let head = ResponseHead {
                    status: parts.status,
                    headers: parts.headers,
                };
                let stream = ResponseStream::Http2 {
                    incoming,
                    _lease: lease,
                };
                Ok(Answer { head, stream })
            }
            Some(Err(mut error)) => Err(match error.take_message() {
                Some(request) => Sent::Unsent(request.into_body()),
                None => self.failed(error.error()),
            }),
            None => Err(Sent::Failed(self.why_over())),
        }
    }

    fn http2_request(
        &self,
        service: &PlannedService,
        peer: &Peer,
        body: UpstreamBody,
    ) -> Option<Request<UpstreamBody>> {
        let headers = self.http2_headers(body.framing());
        let mut request = Request::new(body);
        *request.method_mut() = self.x.upstream_method().clone();
        *request.version_mut() = Version::HTTP_2;
        let mut uri = http::uri::Parts::default();
        uri.path_and_query = Some(if self.keeps_target() {
            self.x.request.target.clone()
        } else {
            let (path, query) = self.upstream_target();
            let target = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
            PathAndQuery::try_from(target).ok()?
        });
        let scheme = if service.is_tls {
            Scheme::HTTPS
        } else {
            Scheme::HTTP
        };
        uri.scheme = Some(scheme);
        uri.authority = Authority::try_from(peer.host.as_bytes()).ok();
        *request.uri_mut() = Uri::from_parts(uri).ok()?;
        *request.headers_mut() = headers;
        Some(request)
    }
}

/// Whether path and query are in one piece on a request line: no space, no control byte.
fn is_sound((path, query): (&str, Option<&str>)) -> bool {
    path.starts_with('/')
        && path
            .bytes()
            .chain(query.unwrap_or_default().bytes())
            .all(|byte| byte > b' ' && byte != 0x7f)
}

/// Deadlines while the response's head is awaited: `write_timeout` between two chunks of the request, `read_timeout`
/// after the last one and between two parts of the head. Time in which the client keeps the upstream waiting counts for
/// neither.
struct Waiting {
    deadline: Deadline,
    progress: Rc<Progress>,
    is_streaming: bool,
    sent_at: Instant,
    /// When a part of the head came that is not whole yet.
    heard_at: Option<Instant>,
    write_timeout: Duration,
    read_timeout: Duration,
}

impl Waiting {
    fn new(flow: &Flow, service: &PlannedService, is_streaming: bool, sent_at: Instant) -> Self {
        Self {
            deadline: flow.worker.watchdog.deadline(),
            progress: Rc::clone(&flow.progress),
            is_streaming,
            sent_at,
            heard_at: None,
            write_timeout: service.write_timeout,
            read_timeout: service.read_timeout,
        }
    }

    fn limit(&self) -> Option<Instant> {
        let progress = &self.progress;
        let since = self.heard_at.unwrap_or(self.sent_at);
        if !self.is_streaming {
            return Some(since + self.read_timeout);
        }
        let since = progress.last_taken.get().max(since);
        if progress.is_finished.get() {
            return Some(since + self.read_timeout);
        }
        (!progress.waits_for_client.get()).then_some(since + self.write_timeout)
    }

    /// Whether the upstream took too long; arms the deadline otherwise.
    fn is_over(&self, cx: &Context<'_>) -> bool {
        let expired = self.deadline.is_expired();
        if !expired && self.deadline.is_armed() {
            return false;
        }
        match self.limit() {
            Some(limit) if expired && limit <= Instant::now() => return true,
            Some(limit) => self.deadline.arm(limit, cx.waker()),
            None => self.deadline.arm(Instant::now() + self.write_timeout, cx.waker()),
        }
        false
    }
}

/// How sending failed.
enum Sent {
    /// Nothing was written: the request came back.
    Unsent(UpstreamBody),
    /// Something may have been written.
    Failed(ForwardFault),
}

#[cfg(test)]
mod tests {
    use super::is_sound;

    #[test]
    fn what_would_split_a_request_line_is_no_target() {
        for target in [("/", None), ("/a%20b", Some("")), ("/\u{e9}", Some("q=1?2"))] {
            assert!(is_sound(target), "{target:?}");
        }
        for target in [
            ("", None),
            ("a", None),
            ("/a b", None),
            ("/a\r\nEvil: 1", None),
            ("/", Some("a b")),
            ("/", Some("a\n")),
            ("/\u{7f}", None),
        ] {
            assert!(!is_sound(target), "{target:?}");
        }
    }
}
