//! One exchange on its way through the plugin under test.

use super::block_on;
use super::finished::{Finished, json, lines, reply_parts};
use super::snapshot::TestSnapshot;
use crate::body::RequestBody;
use crate::context::{AccessCx, BodyCx, HeaderCx, LogCx, RewriteCx};
use crate::exchange::{Captures, Exchange, Source};
use crate::kind::{BodyAccess, Fault, Plugin, Step, Verdict};
use crate::reply::{Reply, ReplyBody};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::Value;
use std::rc::Rc;
use std::sync::Arc;

/// A request that is being described. Nothing runs before [`TestRequest::run`].
pub struct TestRequest {
    plugin: Arc<dyn Plugin>,
    exchange: Exchange,
    body: Bytes,
    body_fits: bool,
}

impl TestRequest {
    pub(super) fn new(
        plugin: Arc<dyn Plugin>,
        snapshot: Rc<TestSnapshot>,
        method: &str,
        target: &str,
    ) -> Self {
        let method =
            Method::from_bytes(method.as_bytes()).unwrap_or_else(|_| panic!("{method:?} is not a method"));
        let target = target
            .parse()
            .unwrap_or_else(|error| panic!("{target:?} is not a target: {error}"));
        let exchange = super::exchange(snapshot, method, target);
        Self {
            plugin,
            exchange,
            body: Bytes::new(),
            body_fits: true,
        }
    }

    /// Adds a header line. `Host` replaces the default, `gateway.test`.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let (name, value) = header(name, value);
        if name == HOST {
            let host = value.to_str().unwrap_or_default();
            self.exchange.request.host = host
                .split(':')
                .next()
                .unwrap_or_default()
                .to_ascii_lowercase()
                .into();
            self.exchange.request.raw_host = Some(value.clone());
            self.exchange.request.headers.insert(name, value);
        } else {
            self.exchange.request.headers.append(name, value);
        }
        self
    }

    /// The body, with its `Content-Length`.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.exchange
            .request
            .headers
            .insert(CONTENT_LENGTH, HeaderValue::from(self.body.len()));
        self
    }

    /// The body exceeds the buffer limit: the plugin cannot see it.
    #[must_use]
    pub fn body_too_large(mut self) -> Self {
        self.body_fits = false;
        self
    }

    /// Captures of the route's regex: `groups[0]` is the whole match; `names` point to groups.
    #[must_use]
    pub fn captures(mut self, groups: &[Option<&str>], names: &[(&str, usize)]) -> Self {
        self.exchange.captures = Some(Box::new(Captures {
            groups: groups.iter().map(|group| group.map(str::to_owned)).collect(),
            names: names
                .iter()
                .map(|(name, index)| ((*name).to_owned(), *index))
                .collect(),
        }));
        self
    }

    /// The address of the client.
    #[must_use]
    pub fn client_address(mut self, address: &str) -> Self {
        let address = address
            .parse()
            .unwrap_or_else(|_| panic!("{address:?} is not an address"));
        self.exchange.client.address = Some(address);
        self.exchange.client.peer_address = Some(address);
        self
    }

    /// A consumer that an authentication plugin has found before.
    #[must_use]
    pub fn consumer(mut self, username: &str) -> Self {
        let index = self.exchange.snapshot.identities().find(username);
        assert!(index.is_some(), "no consumer {username:?} in this harness");
        self.exchange.consumer = index;
        self
    }

    /// Anything else about the exchange, before the plugin runs.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Exchange)) -> Self {
        change(&mut self.exchange);
        self
    }

    /// Runs `rewrite` and `access`.
    #[must_use]
    pub fn run(mut self) -> Access {
        let wants_body = self.plugin.needs().request_body == BodyAccess::Buffered;
        self.exchange.request_body_bytes = self.body.len() as u64;
        self.exchange.request.body = match (wants_body, self.body_fits) {
            (true, true) => RequestBody::Buffered(self.body.clone()),
            (true, false) => RequestBody::TooLarge,
            (false, _) => RequestBody::Streaming,
        };
        let mut verdict = wait(self.plugin.rewrite(&mut RewriteCx::new(&mut self.exchange)));
        if matches!(verdict, Verdict::GoOn) {
            verdict = wait(self.plugin.access(&mut AccessCx::new(&mut self.exchange)));
        }
        Access {
            plugin: self.plugin,
            exchange: self.exchange,
            verdict,
            sent_body: self.body,
        }
    }

    /// Another plugin or the gateway answers before this plugin's `access`: only the response phases run.
    #[must_use]
    pub fn answered_by_gateway(self, reply: Reply) -> Finished {
        let verdict = Verdict::Reply(Box::new(reply));
        Access {
            plugin: self.plugin,
            exchange: self.exchange,
            verdict,
            sent_body: self.body,
        }
        .finish()
    }
}

fn wait(step: Step<'_>) -> Verdict {
    match step {
        Step::Done(verdict) => verdict,
        Step::Wait(future) => block_on(future),
    }
}

fn header(name: &str, value: &str) -> (HeaderName, HeaderValue) {
    let parsed = name
        .parse()
        .unwrap_or_else(|_| panic!("{name:?} is not a header name"));
    let value = HeaderValue::from_bytes(value.as_bytes())
        .unwrap_or_else(|_| panic!("{value:?} is not a header value"));
    (parsed, value)
}

/// After `access`: the plugin answered, failed, or let the request pass.
pub struct Access {
    plugin: Arc<dyn Plugin>,
    exchange: Exchange,
    verdict: Verdict,
    sent_body: Bytes,
}

impl Access {
    /// The plugin's answer.
    #[must_use]
    pub fn reply(&self) -> Option<&Reply> {
        match &self.verdict {
            Verdict::Reply(reply) => Some(reply),
            Verdict::GoOn | Verdict::Fail(_) => None,
        }
    }

    /// The plugin's failure: a 500 for the client.
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        match &self.verdict {
            Verdict::Fail(fault) => Some(fault),
            Verdict::GoOn | Verdict::Reply(_) => None,
        }
    }

    /// Whether the request goes upstream.
    #[must_use]
    pub fn passed(&self) -> bool {
        matches!(self.verdict, Verdict::GoOn)
    }

    /// The exchange as the plugin left it.
    #[must_use]
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// Method that goes upstream.
    #[must_use]
    pub fn method(&self) -> &str {
        self.exchange.upstream_method().as_str()
    }

    /// Path that goes upstream: the plugin's, else the received one.
    #[must_use]
    pub fn path(&self) -> &str {
        match self.exchange.upstream.has_path {
            true => &self.exchange.upstream.path,
            false => self.exchange.request.target.path(),
        }
    }

    /// Query that goes upstream, empty when there is none.
    #[must_use]
    pub fn query(&self) -> &str {
        self.exchange.query().unwrap_or_default()
    }

    /// Host that a plugin set for the upstream.
    #[must_use]
    pub fn host_header(&self) -> Option<&str> {
        self.exchange
            .upstream
            .host_header
            .as_ref()
            .and_then(|value| value.to_str().ok())
    }

    /// All lines of one header that goes upstream.
    #[must_use]
    pub fn header(&self, name: &str) -> Vec<&str> {
        lines(&self.exchange.request.headers, name)
    }

    /// Body that goes upstream.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        self.exchange.request.body.bytes().unwrap_or(&self.sent_body)
    }

    /// Whether the plugin replaced the body.
    #[must_use]
    pub fn body_was_replaced(&self) -> bool {
        matches!(self.exchange.request.body, RequestBody::Replaced(_))
    }

    /// Body that goes upstream, as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        json(self.body())
    }

    /// The upstream answers: the response phases run.
    #[must_use]
    pub fn upstream_response(mut self, status: u16, headers: &[(&str, &str)], chunks: &[&str]) -> Finished {
        assert!(
            self.passed(),
            "the plugin let nothing through: {:?}",
            self.verdict
        );
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let (name, value) = header(name, value);
            map.append(name, value);
        }
        let status = StatusCode::from_u16(status).unwrap_or_else(|_| panic!("{status} is not a status"));
        self.exchange.source = Source::Service;
        self.exchange.upstream_status = Some(status);
        let chunks = chunks
            .iter()
            .map(|chunk| Bytes::copy_from_slice(chunk.as_bytes()))
            .collect();
        self.respond(status, map, chunks)
    }

    /// The plugin's own answer (or the 500 of its failure) goes to the client: the response phases run.
    #[must_use]
    pub fn finish(mut self) -> Finished {
        let reply = match &self.verdict {
            Verdict::Reply(reply) => (**reply).clone(),
            Verdict::Fail(_) => {
                Reply::message(StatusCode::INTERNAL_SERVER_ERROR, "An unexpected error occurred")
            }
            Verdict::GoOn => panic!("the plugin let the request pass: there is no answer of its own"),
        };
        self.exchange.source = match (&self.verdict, &reply.body) {
            (Verdict::Fail(_), _) | (_, ReplyBody::Error(_)) => Source::Error,
            _ => Source::Exit,
        };
        let (headers, body) = reply_parts(&reply);
        self.respond(reply.status, headers, vec![body])
    }

    fn respond(mut self, status: StatusCode, mut headers: HeaderMap, chunks: Vec<Bytes>) -> Finished {
        for (name, value) in std::mem::take(&mut self.exchange.response_headers) {
            headers.insert(name, value);
        }
        self.exchange.response.status = status;
        self.exchange.response.headers = headers;
        let mut faults = Vec::new();
        faults.extend(
            self.plugin
                .header_filter(&mut HeaderCx::new(&mut self.exchange))
                .err(),
        );
        let mut body = Vec::new();
        let last_chunk = Bytes::new();
        let chunks: Vec<_> = chunks
            .into_iter()
            .map(|chunk| (chunk, false))
            .chain([(last_chunk, true)])
            .collect();
        for (chunk, last) in chunks {
            let outcome = self
                .plugin
                .body_filter(&mut BodyCx::new(&mut self.exchange), chunk.clone(), last);
            match outcome {
                Ok(chunk) => body.extend_from_slice(&chunk),
                Err(fault) => {
                    faults.push(fault);
                    body.extend_from_slice(&chunk);
                }
            }
        }
        self.exchange.response_body_bytes = body.len() as u64;
        self.plugin.log(&mut LogCx::new(&mut self.exchange));
        Finished::new(self.exchange, body.into(), faults)
    }
}
