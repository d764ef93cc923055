//! Asks the upstream: choice of peer, connection, attempts, deadlines (kong-core F.5).

use crate::bodies::{BodyFault, BodySource, UpstreamBody};
use crate::forwarded::upstream_headers;
use crate::phases::Flow;
use crate::tls_targets::TlsTarget;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Method, Request, Response, Uri, Version};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;
use tidegate_net::connect::{self, ConnectError};
use tidegate_net::dns::DnsError;
use tidegate_net::pool::{Lease, PoolKey};
use tidegate_plan::service::{Destination, PlannedService, PlannedTarget, host_header};
use tidegate_plugin::exchange::{Try, UpstreamQuery};

/// The upstream's answer: head, body and the connection that it comes over.
pub(crate) struct Answer {
    pub(crate) response: Response<Incoming>,
    pub(crate) lease: Lease<UpstreamBody>,
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
    address: SocketAddr,
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
        self.x.timings.upstream_start = Some(Instant::now());
        let mut body = Some(body);
        let mut left = service.service.retries;
        loop {
            let peer = self.choose(service).await?;
            self.is_proxied = true;
            let started = self.x.timings.start.elapsed();
            let source = body.take().unwrap_or(BodySource::Empty);
            let outcome = self.attempt(service, &peer, source).await;
            let mut record = Try {
                address: peer.address.ip(),
                port: peer.address.port(),
                started,
                failure: None,
            };
            let failure = match outcome {
                Ok(answer) => {
                    self.x.tries.push(record);
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            let repeats = left > 0 && self.may_repeat(&failure);
            let status = if failure.fault == ForwardFault::Timeout {
                504
            } else {
                502
            };
            record.failure = Some((if repeats { "next" } else { "failed" }, status));
            self.x.tries.push(record);
            if !repeats {
                return Err(failure.fault);
            }
            self.worker.metrics.upstream_retries.increment();
            left -= 1;
            body = failure.body;
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
            Destination::Address(address) => (*address, service.host_header.clone()),
            Destination::Name(name, port) => (self.resolve(name, *port).await?, service.host_header.clone()),
            Destination::Upstream(upstream) => {
                let target = upstream.next().ok_or(ForwardFault::NoPeer)?.clone();
                let name = upstream.host_header.as_deref().unwrap_or(&target.host);
                let host = host_header(name, target.port, service.service.protocol);
                (self.target_address(&target).await?, host)
            }
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

    async fn target_address(&self, target: &PlannedTarget) -> Result<SocketAddr, ForwardFault> {
        match target.address {
            Some(address) => Ok(SocketAddr::new(address, target.port)),
            None => self.resolve(&target.host, target.port).await,
        }
    }

    async fn resolve(&self, name: &str, port: u16) -> Result<SocketAddr, ForwardFault> {
        match Box::pin(self.worker.resolver.resolve(name)).await {
            Ok(addresses) => addresses.next(port).ok_or(ForwardFault::NoSuchName),
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
            .get(service, host, &self.worker)
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
    ) -> Result<Answer, Failure> {
        let key = PoolKey {
            address: peer.address,
            tls: peer.tls.as_ref().map_or(0, |tls| tls.id),
            is_http2: service.is_grpc,
        };
        loop {
            let mut lease = match self.worker.pool.reuse(key) {
                Some(lease) => {
                    self.worker.metrics.upstream_connections_reused.increment();
                    lease
                }
                None => match Box::pin(self.connect(service, peer, key)).await {
                    Ok(lease) => {
                        self.worker.metrics.upstream_connections_opened.increment();
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
                BodySource::Stream(_) => None,
            };
            let request = match self.request(service, peer, body) {
                Ok(request) => request,
                Err(fault) => {
                    return Err(Failure {
                        fault,
                        body: None,
                        was_sent: false,
                    });
                }
            };
            let is_reused = lease.is_reused();
            match self.send(service, &mut lease, request).await {
                Ok(response) => return Ok(Answer { response, lease }),
                Err(Sent::Unsent(request)) if is_reused => body = unsent_body(request.into_body()),
                Err(Sent::Unsent(request)) => {
                    let body = Some(unsent_body(request.into_body()));
                    return Err(Failure {
                        fault: ForwardFault::Unreachable,
                        body,
                        was_sent: false,
                    });
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
        let connected = connect::connect(peer.address, service.connect_timeout, tls)
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
            .open(key, connect::UpstreamIo::new(connected))
            .await
            .map_err(|error| {
                tracing::warn!(peer = %peer.address, %error, "cannot speak HTTP with the upstream");
                ForwardFault::Unreachable
            })
    }

    fn request(
        &self,
        service: &PlannedService,
        peer: &Peer,
        body: BodySource,
    ) -> Result<Request<UpstreamBody>, ForwardFault> {
        let is_http2 = service.is_grpc;
        let mut request = Request::new(match body {
            BodySource::Empty => UpstreamBody::Empty,
            BodySource::Whole(bytes) => UpstreamBody::Whole(Some(bytes)),
            BodySource::Stream(stream) => UpstreamBody::Stream(stream),
        });
        *request.method_mut() = self.x.upstream_method().clone();
        let mut uri = http::uri::Parts::default();
        uri.path_and_query = Some(self.upstream_target().ok_or(ForwardFault::Unreachable)?);
        if is_http2 {
            uri.scheme = Some(if service.is_tls {
                Scheme::HTTPS
            } else {
                Scheme::HTTP
            });
            uri.authority = Authority::try_from(peer.host.as_bytes()).ok();
            *request.version_mut() = Version::HTTP_2;
        }
        *request.uri_mut() = Uri::from_parts(uri).map_err(|_| ForwardFault::Unreachable)?;
        let mut headers = upstream_headers(self, (!is_http2).then_some(&peer.host));
        if is_http2 {
            headers.remove(http::header::CONNECTION);
        }
        *request.headers_mut() = headers;
        Ok(request)
    }

    fn upstream_target(&self) -> Option<PathAndQuery> {
        let x = &self.x;
        if !x.upstream.has_path && x.upstream.query == UpstreamQuery::AsReceived {
            return Some(x.request.target.clone());
        }
        let path = if x.upstream.has_path {
            x.upstream.path.as_str()
        } else {
            x.request.target.path()
        };
        let Some(query) = x.query() else {
            return PathAndQuery::try_from(path).ok();
        };
        let mut text = String::with_capacity(path.len() + query.len() + 1);
        text.push_str(path);
        text.push('?');
        text.push_str(query);
        PathAndQuery::from_maybe_shared(bytes::Bytes::from(text)).ok()
    }

    /// Sends and waits for the head, within `write_timeout` and `read_timeout`.
    async fn send(
        &mut self,
        service: &PlannedService,
        lease: &mut Lease<UpstreamBody>,
        request: Request<UpstreamBody>,
    ) -> Result<Response<Incoming>, Sent> {
        let is_streaming = matches!(request.body(), UpstreamBody::Stream(_));
        let deadline = self.worker.watchdog.deadline();
        let progress = Rc::clone(&self.progress);
        let sent_at = Instant::now();
        let limit = || {
            if is_streaming && !progress.is_finished.get() {
                (!progress.waits_for_client.get())
                    .then(|| progress.last_taken.get().max(sent_at) + service.write_timeout)
            } else {
                let since = if is_streaming {
                    progress.last_taken.get()
                } else {
                    sent_at
                };
                Some(since.max(sent_at) + service.read_timeout)
            }
        };
        let outcome = {
            let sending = std::pin::pin!(lease.send(request));
            let mut sending = sending;
            poll_fn(|cx| {
                if let Poll::Ready(outcome) = sending.as_mut().poll(cx) {
                    return Poll::Ready(Some(outcome));
                }
                let now = Instant::now();
                match limit() {
                    Some(limit) if deadline.is_expired() && limit <= now => return Poll::Ready(None),
                    Some(limit) if !deadline.is_armed() => deadline.arm(limit, cx.waker()),
                    None if !deadline.is_armed() => deadline.arm(now + service.write_timeout, cx.waker()),
                    _ => {}
                }
                Poll::Pending
            })
            .await
        };
        match outcome {
            Some(Ok(response)) => {
                self.x.timings.upstream_head = Some(Instant::now());
                Ok(response)
            }
            Some(Err(error)) => Err(self.classify(error)),
            None => Err(Sent::Failed(ForwardFault::Timeout)),
        }
    }

    fn classify(&self, mut error: TrySendError<Request<UpstreamBody>>) -> Sent {
        if let Some(request) = error.take_message() {
            return Sent::Unsent(Box::new(request));
        }
        if let Some(fault) = self.progress.fault.get() {
            return Sent::Failed(ForwardFault::Body(fault));
        }
        tracing::warn!(error = %error.error(), "upstream gave no valid response");
        Sent::Failed(ForwardFault::Unreachable)
    }
}

/// How sending failed.
enum Sent {
    /// Nothing was written: the request came back.
    Unsent(Box<Request<UpstreamBody>>),
    /// Something may have been written.
    Failed(ForwardFault),
}

fn unsent_body(body: UpstreamBody) -> BodySource {
    match body {
        UpstreamBody::Empty | UpstreamBody::Whole(None) => BodySource::Empty,
        UpstreamBody::Whole(Some(bytes)) => BodySource::Whole(bytes),
        UpstreamBody::Stream(stream) => BodySource::Stream(stream),
    }
}
