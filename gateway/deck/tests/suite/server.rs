//! Servers on a port of their own: the Admin API over entities in memory, or answers made up by a test.

use crate::gateway::Gateway;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::Value;
use std::convert::Infallible;
use std::sync::Arc;
use tidegate_admin::Mode;
use tokio::net::TcpListener;

/// A running server.
pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) gateway: Arc<Gateway>,
    /// Method and target of every request, in the order of their coming.
    pub(crate) seen: Arc<Mutex<Vec<String>>>,
}

/// What stands in front of the Admin API: an answer of its own, or none.
pub(crate) type Interceptor = dyn Fn(&str, &str) -> Option<(u16, String)> + Send + Sync;

impl Server {
    pub(crate) async fn start() -> Self {
        Self::behind(Arc::new(|_: &str, _: &str| None)).await
    }

    /// Requests are answered by the Admin API unless the interceptor has an answer.
    pub(crate) async fn behind(interceptor: Arc<Interceptor>) -> Self {
        let gateway = Arc::new(Gateway::start(Mode::Database));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let server = Self {
            address,
            gateway: Arc::clone(&gateway),
            seen: Arc::clone(&seen),
        };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (gateway, seen, interceptor) =
                    (Arc::clone(&gateway), Arc::clone(&seen), Arc::clone(&interceptor));
                let service = service_fn(move |request| {
                    let (gateway, seen, interceptor) =
                        (Arc::clone(&gateway), Arc::clone(&seen), Arc::clone(&interceptor));
                    async move { Ok::<_, Infallible>(answer(request, &gateway, &seen, &*interceptor).await) }
                });
                let connection = hyper::server::conn::http1::Builder::new();
                tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
            }
        });
        server
    }

    /// How many entities a list has.
    pub(crate) async fn count(&self, path: &str) -> usize {
        let seen = self.gateway.get(&format!("{path}?size=1000")).await.json();
        seen["data"].as_array().map_or(0, Vec::len)
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.gateway.get(path).await.json()
    }

    /// Requests that write, since the last time.
    pub(crate) fn writes(&self) -> Vec<String> {
        let seen = std::mem::take(&mut *self.seen.lock());
        seen.into_iter()
            .filter(|line| !line.starts_with("GET "))
            .collect()
    }
}

async fn answer(
    request: Request<Incoming>,
    gateway: &Gateway,
    seen: &Mutex<Vec<String>>,
    interceptor: &Interceptor,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let target = head.uri.to_string();
    seen.lock().push(format!("{} {target}", head.method));
    if let Some((status, body)) = interceptor(head.method.as_str(), &target) {
        let response = Response::builder().status(status);
        return response.body(Full::new(Bytes::from(body))).expect("an answer");
    }
    let body = body.collect().await.expect("a body").to_bytes();
    let response = gateway.api.answer(Request::from_parts(head, body)).await;
    response.map(Full::new)
}
