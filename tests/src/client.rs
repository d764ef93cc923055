//! A client that sends exactly what it is told and reads strictly.

use crate::http1::{ReadError, Reader, Response};
use crate::tls::{self, Hello, Stream};
use crate::wait::PATIENCE;
use rustls::pki_types::CertificateDer;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A request to be written in order, without anything added but `Host`.
#[derive(Debug, Clone)]
pub struct Request {
    method: String,
    target: String,
    host: Option<String>,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    /// A request for `localhost`.
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            host: Some("localhost".to_owned()),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// A GET.
    #[must_use]
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// A POST with a body and its `Content-Length`.
    #[must_use]
    pub fn post(target: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", target).body(body)
    }

    /// Another `Host`.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }

    /// No `Host` at all.
    #[must_use]
    pub fn without_host(mut self) -> Self {
        self.host = None;
        self
    }

    /// One more header line.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A body with its `Content-Length`.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.headers
            .push(("Content-Length".to_owned(), self.body.len().to_string()));
        self
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The bytes on the wire.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if let Some(host) = &self.host {
            let _ = write!(head, "Host: {host}\r\n");
        }
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// One connection to the gateway.
pub struct RawClient {
    reader: Reader<Box<dyn Stream>>,
    /// Certificate that the server presented.
    pub certificate: Option<CertificateDer<'static>>,
    /// Protocol agreed by ALPN.
    pub alpn: Option<String>,
    /// TLS version in use.
    pub tls_version: Option<rustls::ProtocolVersion>,
}

impl RawClient {
    /// Connects in the clear.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::over(connect(address).await)
    }

    /// Connects in the clear, or says why not.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn try_connect(address: SocketAddr) -> std::io::Result<Self> {
        Ok(Self::over(try_connect(address).await?))
    }

    fn over(stream: TcpStream) -> Self {
        Self {
            reader: Reader::new(Box::new(stream)),
            certificate: None,
            alpn: None,
            tls_version: None,
        }
    }

    /// Connects with TLS, taking any certificate.
    pub async fn connect_tls(address: SocketAddr, hello: Hello<'_>) -> Self {
        Self::try_connect_tls(address, hello)
            .await
            .unwrap_or_else(|error| panic!("TLS handshake: {error}"))
    }

    /// Connects with TLS, or says why not.
    ///
    /// # Errors
    /// The handshake failed.
    pub async fn try_connect_tls(address: SocketAddr, hello: Hello<'_>) -> std::io::Result<Self> {
        let stream = timeout(PATIENCE, tls::handshake(connect(address).await, hello)).await??;
        let (_, session) = stream.get_ref();
        let certificate = session
            .peer_certificates()
            .and_then(|chain| chain.first())
            .cloned();
        let certificate = certificate.map(CertificateDer::into_owned);
        let alpn = session
            .alpn_protocol()
            .map(|name| String::from_utf8_lossy(name).into_owned());
        let tls_version = session.protocol_version();
        Ok(Self {
            reader: Reader::new(Box::new(stream)),
            certificate,
            alpn,
            tls_version,
        })
    }

    /// Writes bytes; a connection that the gateway closed meanwhile is no failure here, reading will tell.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let write = async {
            self.reader.stream.write_all(bytes.as_ref()).await?;
            self.reader.stream.flush().await
        };
        let _ = timeout(PATIENCE, write).await.expect("the gateway keeps reading");
    }

    /// Writes bytes; false when the connection is gone or nobody reads for `patience`.
    pub async fn try_send(&mut self, bytes: &[u8], patience: Duration) -> bool {
        let write = async {
            self.reader.stream.write_all(bytes).await?;
            self.reader.stream.flush().await
        };
        matches!(timeout(patience, write).await, Ok(Ok(())))
    }

    /// Closes the sending half.
    pub async fn finish(&mut self) {
        let _ = self.reader.stream.shutdown().await;
    }

    /// Reads the answer to a request that may have a body in its answer.
    pub async fn response(&mut self) -> Response {
        self.response_to("GET").await
    }

    /// Reads the answer to a request of that method.
    pub async fn response_to(&mut self, method: &str) -> Response {
        self.try_response(method)
            .await
            .unwrap_or_else(|error| panic!("no response: {error:?}"))
    }

    /// Reads an answer, or says why there is none.
    ///
    /// # Errors
    /// The connection ended or the bytes are no response.
    pub async fn try_response(&mut self, method: &str) -> Result<Response, ReadError> {
        timeout(PATIENCE, self.reader.response(method))
            .await
            .unwrap_or(Err(ReadError::Silent))
    }

    /// Reads only a head, for answers whose body is watched piece by piece.
    pub async fn head(&mut self) -> String {
        timeout(PATIENCE, self.reader.head())
            .await
            .expect("a head in time")
            .expect("a head")
    }

    /// Reads exactly `count` bytes.
    pub async fn exactly(&mut self, count: usize) -> Vec<u8> {
        timeout(PATIENCE, self.reader.exactly(count))
            .await
            .expect("bytes in time")
            .expect("bytes")
    }

    /// Reads until something contains `needle`; gives all that was read so far.
    pub async fn until(&mut self, needle: &[u8]) -> Vec<u8> {
        let read = async {
            while crate::http1::find(&self.reader.buffer, needle).is_none() {
                assert!(
                    self.reader.fill().await.expect("bytes"),
                    "closed before {:?}",
                    String::from_utf8_lossy(needle)
                );
            }
            std::mem::take(&mut self.reader.buffer)
        };
        timeout(PATIENCE, read).await.expect("bytes in time")
    }

    /// Sends a request and reads its answer.
    pub async fn call(&mut self, request: &Request) -> Response {
        self.send(request.bytes()).await;
        self.response_to(request.method()).await
    }

    /// Waits until the gateway closes; gives the bytes that came before that. Panics when it stays open.
    pub async fn rest_until_closed(&mut self, what: &str) -> Vec<u8> {
        let read = async { while matches!(self.reader.fill().await, Ok(true)) {} };
        if timeout(PATIENCE, read).await.is_err() {
            panic!("the connection stayed open: {what}");
        }
        std::mem::take(&mut self.reader.buffer)
    }

    /// Panics unless the gateway closes the connection without another byte.
    pub async fn assert_closed(&mut self, what: &str) {
        let rest = self.rest_until_closed(what).await;
        assert!(
            rest.is_empty(),
            "{what}: unexpected bytes {:?}",
            String::from_utf8_lossy(&rest)
        );
    }

    /// Whether the gateway closes the connection within `patience`.
    pub async fn closes_within(&mut self, patience: Duration) -> bool {
        let read = async { while matches!(self.reader.fill().await, Ok(true)) {} };
        timeout(patience, read).await.is_ok()
    }

    /// Panics unless another request on this connection is answered.
    pub async fn assert_open(&mut self, request: &Request, what: &str) -> Response {
        self.send(request.bytes()).await;
        self.try_response(request.method())
            .await
            .unwrap_or_else(|error| panic!("{what}: {error:?}"))
    }
}

impl std::fmt::Debug for RawClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawClient")
            .field("buffer", &self.reader.buffer.len())
            .finish_non_exhaustive()
    }
}

async fn connect(address: SocketAddr) -> TcpStream {
    try_connect(address)
        .await
        .unwrap_or_else(|error| panic!("connect to {address}: {error}"))
}

async fn try_connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = timeout(PATIENCE, TcpStream::connect(address)).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}
