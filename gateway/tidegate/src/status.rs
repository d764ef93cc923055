//! The status listener: `/status`, `/status/ready`, `/status/upstreams`, `/metrics` (kong-core G.5).

use crate::configuration::NO_CONFIGURATION;
use crate::control_listener::Answer;
use crate::prober::Prober;
use crate::reload::Reloader;
use crate::upstream_status;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, SERVER};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tidegate_proxy::Shared;
use tidegate_proxy::settings::PRODUCT;
use tidegate_store::BackendHealth;
use tidegate_telemetry::metrics::Metrics;
use tidegate_telemetry::process_log::LogHandle;

/// What the status endpoints tell of.
pub(crate) struct StatusContext {
    pub(crate) shared: Arc<Shared>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) reloader: Arc<Reloader>,
    pub(crate) prober: Arc<Prober>,
    pub(crate) level: LogHandle,
}

/// Answers requests to the status listener.
pub(crate) struct StatusAnswers {
    context: StatusContext,
    is_marked_draining: AtomicBool,
}

impl StatusAnswers {
    pub(crate) fn new(context: StatusContext) -> Arc<Self> {
        Arc::new(Self {
            context,
            is_marked_draining: AtomicBool::new(false),
        })
    }

    pub(crate) fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        answer(self, request)
    }
}

impl Answer for StatusAnswers {
    fn to(
        self: &Arc<Self>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send + 'static {
        std::future::ready(Ok(answer(self, &request)))
    }
}

fn answer(state: &StatusAnswers, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path().trim_end_matches('/');
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    match path {
        "/status" if is_read => json_reply(StatusCode::OK, &status(state)),
        "/status/ready" if is_read => ready(state),
        "/status/ready" if request.method() == Method::POST => mark_draining(state, request),
        "/metrics" if is_read => metrics(state),
        "/status/upstreams" if is_read => json_reply(
            StatusCode::OK,
            &upstream_status::all(&state.context.prober.upstreams()),
        ),
        _ if is_read && path.starts_with(UPSTREAM) => upstream(state, path),
        "/status/log-level" if is_read => json_reply(
            StatusCode::OK,
            &json!({ "message": format!("log level: {}", state.context.level.level().name()) }),
        ),
        "" | "/status" | "/status/ready" | "/status/upstreams" | "/metrics" => json_reply(
            StatusCode::METHOD_NOT_ALLOWED,
            &json!({ "message": "Method not allowed" }),
        ),
        _ => json_reply(StatusCode::NOT_FOUND, &json!({ "message": "Not found" })),
    }
}

/// What stands before an upstream's name.
const UPSTREAM: &str = "/status/upstreams/";

fn upstream(state: &StatusAnswers, path: &str) -> Response<Full<Bytes>> {
    let name = path.strip_prefix(UPSTREAM).unwrap_or_default();
    match upstream_status::one(&state.context.prober.upstreams(), name) {
        Some(found) => json_reply(StatusCode::OK, &found),
        None => json_reply(StatusCode::NOT_FOUND, &json!({ "message": "Not found" })),
    }
}

fn status(state: &StatusAnswers) -> Value {
    let (connections, reload) = (
        state.context.metrics.connections(),
        state.context.reloader.state(),
    );
    let mut status = json!({
        "server": {
            "connections_accepted": connections.accepted,
            "connections_handled": connections.handled,
            "connections_active": connections.active,
            "connections_reading": 0,
            "connections_writing": connections.writing,
            "connections_waiting": connections.waiting,
            "total_requests": state.context.metrics.total_requests(),
        },
        "snapshot": { "version": state.context.shared.snapshot().version, "refused": reload.refused },
    });
    // As in Kong: the hash without a database, how the database is with one.
    let (name, value) = match state.context.reloader.configuration_hash() {
        Some(hash) => ("configuration_hash", json!(hash)),
        None => {
            let health = state.context.reloader.stored().store.health();
            (
                "database",
                json!({ "reachable": health == BackendHealth::Reachable }),
            )
        }
    };
    if let Value::Object(members) = &mut status {
        members.insert(name.to_owned(), value);
    }
    status
}

fn ready(state: &StatusAnswers) -> Response<Full<Bytes>> {
    let hash = state.context.reloader.configuration_hash();
    let reason = if state.context.shared.is_draining() || state.is_marked_draining.load(Ordering::Relaxed) {
        "draining"
    } else if hash.as_deref() == Some(NO_CONFIGURATION) {
        "no configuration available (empty configuration present)"
    } else if state.context.shared.snapshot().lacks_filters() {
        "a filter is attached and not there"
    } else {
        return json_reply(StatusCode::OK, &json!({ "message": "ready" }));
    };
    json_reply(StatusCode::SERVICE_UNAVAILABLE, &json!({ "message": reason }))
}

/// `POST /status/ready?status=draining`: load balancers are told to look elsewhere, traffic goes on.
fn mark_draining(state: &StatusAnswers, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if request.uri().query() != Some("status=draining") {
        return json_reply(
            StatusCode::BAD_REQUEST,
            &json!({ "message": "expected status=draining" }),
        );
    }
    state.is_marked_draining.store(true, Ordering::Relaxed);
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

fn metrics(state: &StatusAnswers) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(state.context.metrics.render()));
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    response
        .headers_mut()
        .insert(SERVER, HeaderValue::from_static(PRODUCT));
    response
}

pub(crate) fn json_reply(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    response
        .headers_mut()
        .insert(SERVER, HeaderValue::from_static(PRODUCT));
    response
}
