//! The Admin API on its listeners. It also answers what the status listener answers and Kong's own API does not have.

mod audit;
mod inspection;
mod node;

pub(crate) use node::GatewayNode;

use crate::control_listener::{self, Answer, ControlListener};
use crate::entity_store;
use crate::status::{StatusAnswers, json_reply};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tidegate_admin::{AdminApi, AdminToken, Mode, Options};
use tidegate_config::settings::Settings;
use tidegate_store::Store;
use tidegate_telemetry::line_writer::LineWriter;

/// Longest wait for the body of a request.
const BODY_PATIENCE: Duration = Duration::from_secs(60);

const TOO_LARGE: (StatusCode, &str) = (StatusCode::PAYLOAD_TOO_LARGE, "request body too large");

/// The Admin API under these settings.
pub(crate) fn api(
    settings: &Settings,
    store: Store,
    node: Arc<GatewayNode>,
    lines: &Arc<LineWriter>,
) -> Arc<AdminApi> {
    let mode = if entity_store::is_declarative(settings) {
        Mode::Declarative
    } else {
        Mode::Database
    };
    let admin = &settings.admin;
    let options = Options {
        context: crate::configuration::model_context(settings),
        limits: crate::configuration::declarative_limits(settings),
        max_body: max_body(settings),
        origins: admin.admin_gui_url.clone(),
        token: admin
            .admin_token
            .as_ref()
            .map(|token| AdminToken::new(token.expose())),
        audit: audit::log(settings, lines),
        ..Options::new(mode)
    };
    Arc::new(AdminApi::new(store, node, options))
}

/// Bytes of a body at most.
fn max_body(settings: &Settings) -> usize {
    match settings.admin.admin_client_max_body_size {
        0 => usize::MAX,
        limit => limit,
    }
}

/// Serves every listener of the Admin API on the current runtime.
pub(crate) fn serve(
    settings: &Settings,
    listeners: Vec<ControlListener>,
    api: Arc<AdminApi>,
    status: Arc<StatusAnswers>,
) {
    let answers = AdminAnswers {
        api,
        status,
        max_body: max_body(settings),
    };
    control_listener::serve(listeners, &Arc::new(answers));
}

struct AdminAnswers {
    api: Arc<AdminApi>,
    status: Arc<StatusAnswers>,
    max_body: usize,
}

impl Answer for AdminAnswers {
    fn to(
        self: &Arc<Self>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send + 'static {
        let answers = Arc::clone(self);
        async move { Ok(answers.answer(request).await) }
    }
}

impl AdminAnswers {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if is_of_status(request.uri().path()) && self.api.admits(request.headers()) {
            return self.status.answer(&request);
        }
        let (head, body) = request.into_parts();
        // Nothing is kept in memory for those who will be refused.
        let body = if self.api.admits(&head.headers) {
            match self.read(body).await {
                Ok(body) => body,
                Err(refusal) => return *refusal,
            }
        } else {
            Bytes::new()
        };
        self.api
            .answer(Request::from_parts(head, body))
            .await
            .map(Full::new)
    }

    async fn read(&self, body: Incoming) -> Result<Bytes, Box<Response<Full<Bytes>>>> {
        let (status, message) = if body.size_hint().lower() > self.max_body as u64 {
            TOO_LARGE
        } else {
            let body = Limited::new(body, self.max_body).collect();
            match tokio::time::timeout(BODY_PATIENCE, body).await {
                Ok(Ok(body)) => return Ok(body.to_bytes()),
                Ok(Err(error)) if error.is::<LengthLimitError>() => TOO_LARGE,
                Ok(Err(_)) => (StatusCode::BAD_REQUEST, "the request body broke off"),
                Err(_) => (StatusCode::REQUEST_TIMEOUT, "the request body took too long"),
            }
        };
        Err(Box::new(json_reply(status, &json!({ "message": message }))))
    }
}

/// Paths of the status listener that are none of Kong's Admin API.
fn is_of_status(path: &str) -> bool {
    let path = path.trim_end_matches('/');
    matches!(path, "/metrics" | "/status/ready") || path.starts_with("/status/upstreams")
}
