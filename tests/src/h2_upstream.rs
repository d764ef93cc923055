//! An HTTP/2 backend, in the clear or with TLS; speaks gRPC when the script does.

use crate::h2_client::Body;
use crate::tls::Certificate;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A request as the backend received it.
#[derive(Debug, Clone)]
pub struct H2Recorded {
    /// Method.
    pub method: Method,
    /// Target with scheme and authority.
    pub uri: Uri,
    /// Protocol version.
    pub version: Version,
    /// Header fields.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// Trailer fields.
    pub trailers: HeaderMap,
}

type Script = Arc<dyn Fn(&H2Recorded) -> Response<Body> + Send + Sync>;

/// A running HTTP/2 backend; stops when dropped.
pub struct H2Upstream {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<H2Recorded>>>,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl H2Upstream {
    /// A backend in the clear, prior knowledge.
    pub async fn serving(script: impl Fn(&H2Recorded) -> Response<Body> + Send + Sync + 'static) -> Self {
        Self::start(Arc::new(script), None).await
    }

    /// A backend behind TLS with ALPN `h2`.
    pub async fn tls(
        certificate: &Certificate,
        script: impl Fn(&H2Recorded) -> Response<Body> + Send + Sync + 'static,
    ) -> Self {
        Self::start(
            Arc::new(script),
            Some(tokio_rustls::TlsAcceptor::from(
                certificate.server_config(&["h2"]),
            )),
        )
        .await
    }

    async fn start(script: Script, acceptor: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let (recorded, counted) = (Arc::clone(&requests), Arc::clone(&connections));
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                counted.fetch_add(1, SeqCst);
                let (script, recorded, acceptor) =
                    (Arc::clone(&script), Arc::clone(&recorded), acceptor.clone());
                let service =
                    service_fn(move |request| answer(request, Arc::clone(&script), Arc::clone(&recorded)));
                tokio::spawn(async move {
                    let builder = Builder::new(TokioExecutor::new());
                    match acceptor {
                        None => builder.serve_connection(TokioIo::new(stream), service).await,
                        Some(acceptor) => {
                            let Ok(stream) = acceptor.accept(stream).await else {
                                return;
                            };
                            builder.serve_connection(TokioIo::new(stream), service).await
                        }
                    }
                    .ok();
                });
            }
        });
        Self {
            address,
            requests,
            connections,
            task,
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<H2Recorded> {
        self.requests.lock().clone()
    }

    /// The latest request.
    #[must_use]
    pub fn last(&self) -> H2Recorded {
        self.requests
            .lock()
            .last()
            .cloned()
            .expect("the upstream was asked")
    }

    /// How many connections were opened so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }
}

impl std::fmt::Debug for H2Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("H2Upstream")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Drop for H2Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    request: Request<Incoming>,
    script: Script,
    recorded: Arc<Mutex<Vec<H2Recorded>>>,
) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(collected) = body.collect().await else {
        return std::future::pending().await;
    };
    let request = H2Recorded {
        method: head.method,
        uri: head.uri,
        version: head.version,
        headers: head.headers,
        trailers: collected.trailers().cloned().unwrap_or_default(),
        body: collected.to_bytes(),
    };
    let response = script(&request);
    recorded.lock().push(request);
    Ok(response)
}
