//! An HTTP/2 client: prior knowledge in the clear, or ALPN over TLS.

use crate::tls::{self, Hello};
use crate::wait::PATIENCE;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The body type of requests.
pub type Body = BoxBody<Bytes, Infallible>;

/// One HTTP/2 connection.
#[derive(Debug, Clone)]
pub struct H2Client {
    sender: SendRequest<Body>,
}

/// A response read to its end.
#[derive(Debug, Clone)]
pub struct H2Response {
    /// Status.
    pub status: StatusCode,
    /// Header fields.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// Trailer fields.
    pub trailers: HeaderMap,
}

impl H2Response {
    /// A header, or empty.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("")
    }

    /// A trailer, else a header, or empty: where gRPC puts its status.
    #[must_use]
    pub fn trailer(&self, name: &str) -> &str {
        self.trailers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_else(|| self.header(name))
    }
}

impl H2Client {
    /// Connects in the clear with prior knowledge.
    pub async fn cleartext(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream).await
    }

    /// Connects with TLS; panics unless `h2` was agreed.
    pub async fn tls(address: SocketAddr, sni: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let stream = tls::handshake(
            stream,
            Hello {
                alpn: &["h2", "http/1.1"],
                ..Hello::to(sni)
            },
        )
        .await
        .unwrap();
        assert_eq!(
            stream.get_ref().1.alpn_protocol(),
            Some(&b"h2"[..]),
            "the listener offers HTTP/2"
        );
        Self::over(stream).await
    }

    async fn over(stream: impl tls::Stream + 'static) -> Self {
        let (sender, connection) = Builder::new(TokioExecutor::new())
            .handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        Self { sender }
    }

    /// Sends a request and reads the whole answer.
    pub async fn call(&mut self, request: Request<Body>) -> H2Response {
        self.try_call(request)
            .await
            .unwrap_or_else(|error| panic!("no HTTP/2 response: {error}"))
    }

    /// Sends a request; an answer that breaks off is an error.
    ///
    /// # Errors
    /// The stream or the connection was reset.
    pub async fn try_call(&mut self, request: Request<Body>) -> Result<H2Response, hyper::Error> {
        let exchange = async {
            let response = self.start(request).await?;
            let (head, body) = response.into_parts();
            let collected = body.collect().await?;
            let trailers = collected.trailers().cloned().unwrap_or_default();
            Ok(H2Response {
                status: head.status,
                headers: head.headers,
                body: collected.to_bytes(),
                trailers,
            })
        };
        timeout(PATIENCE, exchange).await.expect("an answer in time")
    }

    /// Sends a request and gives the head; the body is the caller's to read.
    ///
    /// # Errors
    /// The stream or the connection was reset.
    pub async fn start(&mut self, request: Request<Body>) -> Result<http::Response<Incoming>, hyper::Error> {
        self.sender.ready().await?;
        self.sender.send_request(request).await
    }
}

/// A request without a body.
#[must_use]
pub fn get(uri: &str) -> Request<Body> {
    Request::get(uri).body(Empty::new().boxed()).unwrap()
}

/// A body of known bytes.
#[must_use]
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed()
}

/// A body with trailers.
#[must_use]
pub fn with_trailers(bytes: impl Into<Bytes>, trailers: HeaderMap) -> Body {
    let frames = [Ok(Frame::data(bytes.into())), Ok(Frame::trailers(trailers))];
    BodyExt::boxed(StreamBody::new(futures_util::stream::iter(frames)))
}

/// A gRPC call: POST with its content type and `te`.
#[must_use]
pub fn grpc(uri: &str, message: &[u8]) -> Request<Body> {
    let mut framed = vec![0];
    framed.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    framed.extend_from_slice(message);
    Request::post(uri)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(full(framed))
        .unwrap()
}
