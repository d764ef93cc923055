//! A backend that records what it was sent and answers by script.

use crate::http1::{Headers, ReadError, Reader};
use crate::tls::{Certificate, Stream};
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request as the backend received it.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Number of its connection, from 0.
    pub connection: usize,
    /// The address that was connected to; tells apart what a backend on all addresses is asked for.
    pub local: SocketAddr,
    /// Method.
    pub method: String,
    /// Request target, byte for byte.
    pub target: String,
    /// `HTTP/1.1` or `HTTP/1.0`.
    pub version: String,
    /// Header fields in order, names as sent.
    pub headers: Headers,
    /// Body without its framing; empty for scripts that answer at the head.
    pub body: Vec<u8>,
    /// Trailer fields.
    pub trailers: Headers,
    /// Whether the body ended as its framing says.
    pub is_complete: bool,
}

impl Recorded {
    /// A header, or empty.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or("")
    }
}

/// One step of an answer.
#[derive(Debug, Clone)]
enum Act {
    Send(Vec<u8>),
    Wait(Duration),
    /// Sends back what comes in, until the other side closes.
    Tunnel,
    /// Reads nothing more and says nothing more.
    Hang,
    Reset,
    Close,
}

/// What the backend does with a request.
#[derive(Debug, Clone)]
pub struct Answer {
    acts: Vec<Act>,
    status: u16,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Answer {
    /// A status without a body yet.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self {
            acts: Vec::new(),
            status,
            headers: Vec::new(),
            body: Some(Vec::new()),
        }
    }

    /// A 200 with a body.
    #[must_use]
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::status(200).body(body)
    }

    /// Exactly these bytes.
    #[must_use]
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            acts: vec![Act::Send(bytes.into())],
            status: 0,
            headers: Vec::new(),
            body: None,
        }
    }

    /// Nothing at all, the connection stays open.
    #[must_use]
    pub fn never() -> Self {
        Self {
            acts: vec![Act::Hang],
            ..Self::raw("")
        }
    }

    /// One more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A body with its length.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// More bytes after what is there.
    #[must_use]
    pub fn then(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.acts.push(Act::Send(bytes.into()));
        self
    }

    /// A pause.
    #[must_use]
    pub fn wait(mut self, pause: Duration) -> Self {
        self.acts.push(Act::Wait(pause));
        self
    }

    /// From here on everything is sent back.
    #[must_use]
    pub fn tunnel(mut self) -> Self {
        self.acts.push(Act::Tunnel);
        self
    }

    /// Silence, without closing.
    #[must_use]
    pub fn hang(mut self) -> Self {
        self.acts.push(Act::Hang);
        self
    }

    /// An orderly end of the connection.
    #[must_use]
    pub fn close(mut self) -> Self {
        self.acts.push(Act::Close);
        self
    }

    /// A reset of the connection.
    #[must_use]
    pub fn reset(mut self) -> Self {
        self.acts.push(Act::Reset);
        self
    }

    /// A wait before anything is said.
    #[must_use]
    pub fn after(pause: Duration, answer: Self) -> Self {
        let mut acts = vec![Act::Wait(pause)];
        acts.extend(answer.into_acts(false));
        Self {
            acts,
            ..Self::raw("")
        }
    }

    fn into_acts(self, is_head: bool) -> Vec<Act> {
        let Some(body) = self.body else { return self.acts };
        let mut message = format!("HTTP/1.1 {} Scripted\r\n", self.status);
        for (name, value) in &self.headers {
            message.push_str(&format!("{name}: {value}\r\n"));
        }
        let has_body = self.status >= 200 && self.status != 204 && self.status != 304;
        let names_length = self
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        if has_body && !names_length {
            message.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        message.push_str("\r\n");
        let mut bytes = message.into_bytes();
        if has_body && !is_head {
            bytes.extend(body);
        }
        let mut acts = vec![Act::Send(bytes)];
        acts.extend(self.acts);
        acts
    }
}

type Script = Arc<dyn Fn(&Recorded) -> Answer + Send + Sync>;

/// When the script is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    AfterBody,
    AfterHead,
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<Recorded>>,
    connections: AtomicUsize,
    closed: AtomicUsize,
    bytes: AtomicUsize,
}

/// A running backend; stops when dropped, and its connections with it.
pub struct Upstream {
    address: SocketAddr,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

impl Upstream {
    /// A backend that answers each request, body read, by the script.
    pub async fn serving(script: impl Fn(&Recorded) -> Answer + Send + Sync + 'static) -> Self {
        Self::start(Arc::new(script), Moment::AfterBody, None, None).await
    }

    /// A backend that answers as soon as it has the head.
    pub async fn serving_at_head(script: impl Fn(&Recorded) -> Answer + Send + Sync + 'static) -> Self {
        Self::start(Arc::new(script), Moment::AfterHead, None, None).await
    }

    /// A backend that says 200 `ok` to everything.
    pub async fn ok() -> Self {
        Self::serving(|_| Answer::ok("ok")).await
    }

    /// A backend behind TLS.
    pub async fn tls(
        certificate: &Certificate,
        script: impl Fn(&Recorded) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::tls_with(certificate.server_config(&["http/1.1"]), script).await
    }

    /// A backend behind TLS with settings of the caller's choice.
    pub async fn tls_with(
        config: Arc<rustls::ServerConfig>,
        script: impl Fn(&Recorded) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let acceptor = tokio_rustls::TlsAcceptor::from(config);
        Self::start(Arc::new(script), Moment::AfterBody, Some(acceptor), None).await
    }

    /// A backend on an address of the caller's choice.
    pub async fn at(
        address: SocketAddr,
        script: impl Fn(&Recorded) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::start(Arc::new(script), Moment::AfterBody, None, Some(address)).await
    }

    /// A backend on an address of the caller's choice, behind TLS if there is a certificate.
    pub async fn at_with(
        address: SocketAddr,
        certificate: Option<&Certificate>,
        script: impl Fn(&Recorded) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let acceptor = certificate
            .map(|certificate| tokio_rustls::TlsAcceptor::from(certificate.server_config(&["http/1.1"])));
        Self::start(Arc::new(script), Moment::AfterBody, acceptor, Some(address)).await
    }

    async fn start(
        script: Script,
        moment: Moment,
        acceptor: Option<tokio_rustls::TlsAcceptor>,
        address: Option<SocketAddr>,
    ) -> Self {
        let address = address.unwrap_or_else(|| ([127, 0, 0, 1], 0).into());
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let shared = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            // Ends with this task: a backend that stops takes its connections along.
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                while connections.try_join_next().is_some() {}
                let connection = shared.connections.fetch_add(1, SeqCst);
                let (script, seen, acceptor) = (Arc::clone(&script), Arc::clone(&shared), acceptor.clone());
                connections.spawn(async move {
                    let place = Place {
                        connection,
                        local: stream.local_addr().unwrap_or(address),
                    };
                    let control = Control::of(&stream);
                    let stream: Box<dyn Stream> = match acceptor {
                        None => Box::new(stream),
                        Some(acceptor) => match acceptor.accept(stream).await {
                            Ok(stream) => Box::new(stream),
                            Err(_) => {
                                seen.closed.fetch_add(1, SeqCst);
                                return;
                            }
                        },
                    };
                    let counted = Counted {
                        stream,
                        seen: Arc::clone(&seen),
                    };
                    serve(Reader::new(counted), control, place, script, moment, &seen).await;
                    seen.closed.fetch_add(1, SeqCst);
                });
            }
        });
        Self { address, seen, task }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// `http://` with its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.seen.requests.lock().clone()
    }

    /// All requests since the last time, which are forgotten.
    #[must_use]
    pub fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut self.seen.requests.lock())
    }

    /// The latest request.
    #[must_use]
    pub fn last(&self) -> Recorded {
        self.seen
            .requests
            .lock()
            .last()
            .cloned()
            .expect("the upstream was asked")
    }

    /// How many connections were opened so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.seen.connections.load(SeqCst)
    }

    /// How many of them ended.
    #[must_use]
    pub fn closed_connections(&self) -> usize {
        self.seen.closed.load(SeqCst)
    }

    /// How many bytes came in over all connections (after TLS).
    #[must_use]
    pub fn bytes_received(&self) -> usize {
        self.seen.bytes.load(SeqCst)
    }
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Lets a reset be sent below TLS.
struct Control(socket2::Socket);

impl Control {
    fn of(stream: &TcpStream) -> Self {
        Self(
            socket2::SockRef::from(stream)
                .try_clone()
                .expect("a socket can be cloned"),
        )
    }

    fn reset_on_close(&self) {
        let _ = self.0.set_linger(Some(Duration::ZERO));
    }
}

/// Which connection a request came over.
#[derive(Debug, Clone, Copy)]
struct Place {
    connection: usize,
    local: SocketAddr,
}

async fn serve(
    mut reader: Reader<Counted>,
    control: Control,
    place: Place,
    script: Script,
    moment: Moment,
    seen: &Seen,
) {
    while let Ok(mut request) = head(&mut reader, place).await {
        let index = {
            let mut requests = seen.requests.lock();
            requests.push(request.clone());
            requests.len() - 1
        };
        let mut answer = (moment == Moment::AfterHead).then(|| script(&request));
        if answer.is_none() {
            let is_complete = body(&mut reader, &mut request).await.is_ok();
            request.is_complete = is_complete;
            if let Some(known) = seen.requests.lock().get_mut(index) {
                *known = request.clone();
            }
            if !is_complete {
                return;
            }
            answer = Some(script(&request));
        }
        let acts = answer
            .unwrap_or_else(Answer::never)
            .into_acts(request.method == "HEAD");
        if !perform(acts, &mut reader, &control).await {
            return;
        }
        if moment == Moment::AfterHead && body(&mut reader, &mut request).await.is_err() {
            return;
        }
    }
}

async fn head(reader: &mut Reader<Counted>, place: Place) -> Result<Recorded, ReadError> {
    let head = reader.head().await?;
    let (line, fields) = head.split_once("\r\n").unwrap_or((&head, ""));
    let words: Vec<&str> = line.split(' ').collect();
    let [method, target, version] = words[..] else {
        panic!("the gateway sent a broken request line: {line:?}");
    };
    let headers = Headers::parse(fields).unwrap_or_else(|error| panic!("the gateway sent {error}"));
    Ok(Recorded {
        connection: place.connection,
        local: place.local,
        method: method.to_owned(),
        target: target.to_owned(),
        version: version.to_owned(),
        headers,
        body: Vec::new(),
        trailers: Headers::default(),
        is_complete: false,
    })
}

async fn body(reader: &mut Reader<Counted>, request: &mut Recorded) -> Result<(), ReadError> {
    if request.headers.has("transfer-encoding") {
        let (body, trailers) = reader.chunked().await?;
        (request.body, request.trailers) = (body, trailers);
    } else if let Some(length) = request.headers.get("content-length") {
        request.body = reader
            .exactly(length.parse().expect("the gateway sends a number"))
            .await?;
    }
    Ok(())
}

/// Performs the acts; whether the connection goes on.
async fn perform(acts: Vec<Act>, reader: &mut Reader<Counted>, control: &Control) -> bool {
    for act in acts {
        match act {
            Act::Send(bytes) => {
                if reader.stream.stream.write_all(&bytes).await.is_err()
                    || reader.stream.stream.flush().await.is_err()
                {
                    return false;
                }
            }
            Act::Wait(pause) => tokio::time::sleep(pause).await,
            Act::Hang => std::future::pending().await,
            Act::Reset => {
                control.reset_on_close();
                return false;
            }
            Act::Close => {
                let _ = reader.stream.stream.shutdown().await;
                return false;
            }
            Act::Tunnel => {
                let mut chunk = std::mem::take(&mut reader.buffer);
                loop {
                    if reader.stream.stream.write_all(&chunk).await.is_err() {
                        return false;
                    }
                    chunk.resize(16_384, 0);
                    match reader.stream.stream.read(&mut chunk).await {
                        Ok(0) | Err(_) => {
                            let _ = reader.stream.stream.shutdown().await;
                            return false;
                        }
                        Ok(count) => chunk.truncate(count),
                    }
                }
            }
        }
    }
    true
}

/// A stream whose incoming bytes are counted.
struct Counted {
    stream: Box<dyn Stream>,
    seen: Arc<Seen>,
}

impl tokio::io::AsyncRead for Counted {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let result = std::pin::Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.seen.bytes.fetch_add(buffer.filled().len() - before, SeqCst);
        result
    }
}
