//! From an answer or a reply to the response that the client gets (kong-core E.2).

use crate::bodies::{BodyFault, ClientBody, Origin, ResponseStream, UpstreamResponse};
use crate::forward::{Answer, ForwardFault};
use crate::forwarded::{append_via, response_via, server};
use crate::hop_by_hop::clean_response;
use crate::phases::{Ending, Flow};
use crate::reply::{Producer, render};
use crate::tunnel::PendingTunnel;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, SERVER, UPGRADE};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use std::time::Duration;
use tidegate_plugin::headers::{
    X_KONG_PROXY_LATENCY, X_KONG_REQUEST_ID, X_KONG_RESPONSE_LATENCY, X_KONG_UPSTREAM_LATENCY,
    X_KONG_UPSTREAM_STATUS,
};
use tidegate_plugin::log_record::response_head_size;
use tidegate_plugin::{Reply, Source};

/// What follows a head that was taken over.
enum Accepted {
    Body(UpstreamResponse),
    /// The connection was upgraded.
    Tunnel,
}

/// The error page of the HTTP layer.
fn http_layer(status: StatusCode) -> (Reply, Producer) {
    let reply = Reply::error(status, tidegate_plugin::reply::default_message(status));
    (reply, Producer::HttpLayer)
}

impl Flow {
    /// Sends what the gateway itself says.
    pub(crate) fn respond(mut self: Box<Self>, reply: Reply, producer: Producer) -> Response<ClientBody> {
        let origin = self.put_reply(reply, producer);
        self.finish(origin)
    }

    /// A reply as the exchange's response.
    pub(crate) fn put_reply(&mut self, reply: Reply, producer: Producer) -> Origin {
        let rendered = render(
            reply,
            &self.x.request.headers,
            &self.x.request_id,
            &self.worker.settings.error_pages,
            producer,
        );
        self.x.response.status = rendered.status;
        self.x.response.headers = rendered.headers;
        let body = if self.x.request.method == Method::HEAD {
            Bytes::new()
        } else {
            rendered.body
        };
        Origin::Whole(Some(body))
    }

    /// The error page for a request that could not be forwarded.
    pub(crate) fn respond_fault(mut self: Box<Self>, fault: ForwardFault) -> Response<ClientBody> {
        let (reply, producer) = self.reply_to_fault(fault);
        self.respond(reply, producer)
    }

    pub(crate) fn reply_to_fault(&mut self, fault: ForwardFault) -> (Reply, Producer) {
        self.x.source = Source::Error;
        let (status, message, producer): (StatusCode, String, Producer) = match fault {
            ForwardFault::NoPeer => (
                StatusCode::SERVICE_UNAVAILABLE,
                "failure to get a peer from the ring-balancer".to_owned(),
                Producer::Core,
            ),
            ForwardFault::NoSuchName => (
                StatusCode::SERVICE_UNAVAILABLE,
                "name resolution failed".to_owned(),
                Producer::Core,
            ),
            ForwardFault::Resolver(reason) => {
                let host = self.x.service().map_or("", |service| service.host.as_str());
                let message = format!("failed the initial dns/balancer resolve for '{host}' with: {reason}");
                (StatusCode::INTERNAL_SERVER_ERROR, message, Producer::Core)
            }
            ForwardFault::Unreachable => return http_layer(StatusCode::BAD_GATEWAY),
            ForwardFault::Timeout => return http_layer(StatusCode::GATEWAY_TIMEOUT),
            ForwardFault::Body(fault) => return http_layer(self.body_fault_status(fault)),
            ForwardFault::Filter => return http_layer(StatusCode::INTERNAL_SERVER_ERROR),
        };
        (Reply::error(status, message), producer)
    }

    /// The error page of the HTTP layer for a status.
    pub(crate) fn respond_status(mut self: Box<Self>, status: StatusCode) -> Response<ClientBody> {
        let origin = self.put_status(status);
        self.finish(origin)
    }

    /// That page as the exchange's response.
    pub(crate) fn put_status(&mut self, status: StatusCode) -> Origin {
        self.x.source = Source::Error;
        let (reply, producer) = http_layer(status);
        self.put_reply(reply, producer)
    }

    /// The client's body was too long, too slow or broken; the connection cannot be used further.
    pub(crate) fn respond_body_fault(self: Box<Self>, fault: BodyFault) -> Response<ClientBody> {
        let status = self.body_fault_status(fault);
        self.respond_status(status)
    }

    fn body_fault_status(&self, fault: BodyFault) -> StatusCode {
        self.connection.close_after_response();
        match fault {
            BodyFault::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            BodyFault::Timeout => StatusCode::REQUEST_TIMEOUT,
            BodyFault::Broken => StatusCode::BAD_REQUEST,
        }
    }

    /// Passes the upstream's response on.
    pub(crate) async fn respond_answer(
        mut self: Box<Self>,
        answer: Answer,
        read_timeout: Duration,
    ) -> Response<ClientBody> {
        let origin = self.take_answer(answer, read_timeout).await;
        self.finish(origin)
    }

    /// The upstream's answer as the source of the response.
    pub(crate) async fn take_answer(&mut self, answer: Answer, read_timeout: Duration) -> Origin {
        let body = match self.accept(answer, read_timeout) {
            Ok(Accepted::Tunnel) => return Origin::Whole(None),
            Ok(Accepted::Body(body)) => body,
            Err(status) => return self.put_status(status),
        };
        if !self.wants_whole_response() {
            return Origin::Upstream(body);
        }
        let max = self.worker.settings.client.response_buffer_max_bytes;
        match Box::pin(body.gather(max)).await {
            Ok(bytes) => Box::pin(self.put_whole(bytes)).await,
            Err(broken) => {
                tracing::warn!(%broken, "upstream response cannot be buffered for a plugin");
                self.put_status(StatusCode::BAD_GATEWAY)
            }
        }
    }

    /// Takes the upstream's head over; what follows it is a body or a tunnel. The status stands for an answer that
    /// cannot be passed on.
    fn accept(&mut self, answer: Answer, read_timeout: Duration) -> Result<Accepted, StatusCode> {
        let Answer { head, stream } = answer;
        self.x.source = Source::Service;
        self.x.upstream_status = Some(head.status);
        self.x.response.status = head.status;
        self.x.response.headers = head.headers;
        let is_upgrade = head.status == StatusCode::SWITCHING_PROTOCOLS;
        clean_response(&mut self.x.response.headers, self.wants, is_upgrade);
        if is_upgrade {
            let ResponseStream::Http1(lease) = stream else {
                return Err(StatusCode::BAD_GATEWAY);
            };
            let Some((upstream, read_ahead)) =
                lease.connection.into_tunnel().filter(|_| self.wants.websocket)
            else {
                return Err(StatusCode::BAD_GATEWAY);
            };
            self.connection.upgrade(PendingTunnel {
                upstream,
                read_ahead,
                idle_timeout: read_timeout,
                pick: self
                    .balancing
                    .as_mut()
                    .and_then(|balancing| balancing.hand_over()),
            });
            self.x
                .response
                .headers
                .insert(CONNECTION, HeaderValue::from_static("Upgrade"));
            self.x
                .response
                .headers
                .entry(UPGRADE)
                .or_insert(HeaderValue::from_static("websocket"));
            return Ok(Accepted::Tunnel);
        }
        let deadline = self.worker.watchdog.deadline();
        Ok(Accepted::Body(UpstreamResponse::new(
            stream,
            deadline,
            read_timeout,
        )))
    }

    /// Runs the response phase over a body in hand.
    async fn put_whole(&mut self, body: Bytes) -> Origin {
        match self.response_phase(body).await {
            Ok(body) => {
                if self.x.request.method != Method::HEAD {
                    self.x
                        .response
                        .headers
                        .insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
                }
                Origin::Whole(Some(body))
            }
            Err(Ending::Reply(reply)) => self.put_reply(*reply, Producer::Core),
            Err(_) => self.put_reply(
                Reply::message(StatusCode::INTERNAL_SERVER_ERROR, "An unexpected error occurred"),
                Producer::Core,
            ),
        }
    }

    /// Header filters, the gateway's own headers, and the body.
    pub(crate) fn finish(mut self: Box<Self>, origin: Origin) -> Response<ClientBody> {
        for (name, value) in std::mem::take(&mut self.x.response_headers) {
            self.x.response.headers.insert(name, value);
        }
        self.give_cookie();
        self.header_filter();
        if self.x.source == Source::Service {
            add_charset(&mut self.x.response.headers);
        }
        self.add_own_headers();
        if self.connection.closes_after_response() && self.x.request.version != http::Version::HTTP_2 {
            self.x
                .response
                .headers
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        self.is_answered = true;
        let mut response = Response::new(());
        *response.status_mut() = self.x.response.status;
        // Log plugins read the response's headers afterwards, so those that need them keep a copy.
        *response.headers_mut() = if self.keeps_response_headers() {
            self.x.response.headers.clone()
        } else {
            if self.x.request.version == http::Version::HTTP_2 {
                self.x.response_head_bytes = Some(response_head_size(&self.x));
            }
            std::mem::take(&mut self.x.response.headers)
        };
        response.map(|()| ClientBody::new(origin, self))
    }

    fn add_own_headers(&mut self) {
        let added = self.worker.settings.headers;
        let x = &mut self.x;
        let headers = &mut x.response.headers;
        if self.is_proxied {
            if added.via {
                let is_grpc = x.request.is_grpc() && x.source == Source::Service;
                append_via(headers, response_via(is_grpc));
            }
            if added.server && !headers.keys().any(|name| *name == SERVER) {
                headers.insert(SERVER, server());
            }
            let sent = x.timings.upstream_start.unwrap_or(x.timings.start);
            if added.upstream_latency {
                let waited = x
                    .timings
                    .upstream_head
                    .unwrap_or_else(std::time::Instant::now)
                    .saturating_duration_since(sent);
                set_millis(headers, X_KONG_UPSTREAM_LATENCY, waited);
            }
            if added.proxy_latency {
                set_millis(
                    headers,
                    X_KONG_PROXY_LATENCY,
                    sent.saturating_duration_since(x.timings.start),
                );
            }
            if added.upstream_status
                && let Some(status) = x.upstream_status
            {
                headers.insert(X_KONG_UPSTREAM_STATUS, HeaderValue::from(status.as_u16()));
            }
        } else {
            if added.server {
                headers.insert(SERVER, server());
            }
            if added.response_latency {
                set_millis(headers, X_KONG_RESPONSE_LATENCY, x.timings.start.elapsed());
            }
        }
        if added.request_id {
            headers.insert(X_KONG_REQUEST_ID, x.request_id.clone());
        }
        if self.worker.settings.allow_debug_header {
            self.add_debug_headers();
        }
    }

    /// `Kong-Debug: 1`: which route and service served the request.
    fn add_debug_headers(&mut self) {
        if self
            .x
            .request
            .headers
            .get("kong-debug")
            .is_none_or(|value| value != "1")
        {
            return;
        }
        let mut facts: Vec<(&'static str, Option<String>)> = Vec::new();
        if let Some(route) = self.x.route() {
            facts.push(("kong-route-id", Some(route.id.to_string())));
            facts.push(("kong-route-name", route.name.clone()));
        }
        if let Some(service) = self.x.service() {
            facts.push(("kong-service-id", Some(service.id.to_string())));
            facts.push(("kong-service-name", service.name.clone()));
        }
        facts.push(("tidegate-snapshot", Some(self.plan().version.to_string())));
        for (name, value) in facts {
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
                self.x
                    .response
                    .headers
                    .insert(HeaderName::from_static(name), value);
            }
        }
    }
}

/// Types to which Kong's nginx adds a charset when the upstream names none.
const CHARSET_TYPES: [&[u8]; 6] = [
    b"text/html",
    b"text/plain",
    b"text/xml",
    b"text/vnd.wap.wml",
    b"application/javascript",
    b"application/rss+xml",
];

/// `charset=UTF-8` on text without a charset (setting `nginx_http_charset` of Kong).
fn add_charset(headers: &mut http::HeaderMap) {
    let Some(value) = headers.get_mut(CONTENT_TYPE) else {
        return;
    };
    let bytes = value.as_bytes();
    let media_type = bytes
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or(bytes)
        .trim_ascii();
    if bytes.len() != media_type.len()
        || !CHARSET_TYPES
            .iter()
            .any(|known| media_type.eq_ignore_ascii_case(known))
    {
        return;
    }
    let with_charset = [media_type, b"; charset=UTF-8"].concat();
    if let Ok(with_charset) = HeaderValue::from_maybe_shared(Bytes::from(with_charset)) {
        *value = with_charset;
    }
}

fn set_millis(headers: &mut http::HeaderMap, name: HeaderName, duration: Duration) {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    // Most are short, and a static value costs no allocation.
    let value = usize::try_from(millis)
        .ok()
        .and_then(|index| FEW_MILLIS.get(index))
        .map_or_else(
            || HeaderValue::from(millis),
            |text| HeaderValue::from_static(text),
        );
    headers.insert(name, value);
}

const FEW_MILLIS: [&str; 20] = [
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18",
    "19",
];
