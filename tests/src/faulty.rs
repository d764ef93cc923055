//! A backend that can be broken in every way that a socket allows, and mended again while it runs.

use crate::ports::free_address;
use crate::tls::Certificate;
use crate::upstream::{Answer, Recorded, Upstream};
use crate::wait::{PATIENCE, eventually};
use parking_lot::Mutex;
use socket2::{Domain, SockRef, Socket, Type};
use std::net::{SocketAddr, TcpStream as StdStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// How a backend is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nobody listens.
    Refuses,
    /// Takes a connection and ends it.
    ClosesAtOnce,
    /// Takes a connection and resets it.
    ResetsAtOnce,
    /// Ends the connection after it read a request.
    ClosesAfterRequest,
    /// Resets the connection after it read a request.
    ResetsAfterRequest,
    /// Answers the first request of a connection, resets it at the second.
    ResetsWhenReused,
    /// Ends the connection within the head.
    ClosesInHead,
    /// Ends the connection within a body of known length.
    ClosesInBody,
    /// Ends the connection within a chunked body.
    ClosesInChunks,
    /// Resets the connection within a body.
    ResetsInBody,
    /// Sends what is no HTTP.
    Garbage,
    /// Sends a sound answer one byte at a time.
    ByteByByte(Duration),
    /// Sends a head one byte at a time, without an end.
    Dribbles(Duration),
    /// Sends more than its `Content-Length` says.
    TooLong,
    /// Sends two lengths that differ.
    TwoLengths,
    /// Sends header lines without an end.
    EndlessHead,
    /// Sends interim answers without an end.
    InterimFlood,
    /// Reads requests and says nothing.
    Silent,
    /// Answers with this status.
    Status(u16),
}

/// What a sound answer says.
const SOUND: &str = "sound";

impl Fault {
    fn answer(self, is_first: bool) -> Answer {
        let half = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
        match self {
            Self::ClosesAfterRequest => Answer::raw("").close(),
            Self::ResetsWhenReused if is_first => Answer::ok(SOUND),
            Self::ClosesInHead => Answer::raw("HTTP/1.1 200 OK\r\nContent-Le").close(),
            Self::ClosesInBody => Answer::raw(half).close(),
            Self::ClosesInChunks => {
                Answer::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n").close()
            }
            Self::ResetsInBody => Answer::raw(half).wait(Duration::from_millis(20)).reset(),
            Self::Garbage => Answer::raw("\u{16}\u{3}\u{1}SSH-2.0-OpenSSH_9.6\r\n\r\n").hang(),
            Self::ByteByByte(pause) => dribble(
                format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{SOUND}",
                    SOUND.len()
                )
                .as_bytes(),
                pause,
            ),
            Self::Dribbles(pause) => {
                let line = "X-Filler: drip\r\n".repeat(1_000);
                dribble(format!("HTTP/1.1 200 OK\r\n{line}").as_bytes(), pause).hang()
            }
            Self::TooLong => Answer::raw(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{SOUND} and more than that",
                SOUND.len()
            )),
            Self::TwoLengths => {
                Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\nsound").hang()
            }
            Self::EndlessHead => {
                let line = format!("X-Filler: {}\r\n", "x".repeat(1_000));
                repeat(Answer::raw("HTTP/1.1 200 OK\r\n"), &line, 2_000)
            }
            Self::InterimFlood => repeat(Answer::raw(""), "HTTP/1.1 100 Continue\r\n\r\n", 20_000),
            Self::Silent => Answer::never(),
            Self::Status(status) => Answer::status(status).body("as told"),
            Self::Refuses
            | Self::ClosesAtOnce
            | Self::ResetsAtOnce
            | Self::ResetsAfterRequest
            | Self::ResetsWhenReused => Answer::raw("").reset(),
        }
    }
}

fn dribble(bytes: &[u8], pause: Duration) -> Answer {
    bytes.iter().fold(Answer::raw(""), |answer, byte| {
        answer.then(vec![*byte]).wait(pause)
    })
}

fn repeat(start: Answer, piece: &str, times: usize) -> Answer {
    (0..times).fold(start, |answer, _| answer.then(piece)).hang()
}

/// Who is at the address now.
enum Running {
    Nobody,
    Backend(Upstream),
    Door(JoinHandle<()>),
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Self::Door(task) = self {
            task.abort();
        }
    }
}

#[derive(Default)]
struct State {
    fault: Mutex<Option<Fault>>,
    requests: Mutex<Vec<Recorded>>,
    taken: AtomicUsize,
}

/// A backend with a fixed address; sound until it is told otherwise. Stops when dropped.
pub struct Faulty {
    address: SocketAddr,
    certificate: Option<Certificate>,
    state: Arc<State>,
    running: Mutex<Running>,
}

impl Faulty {
    /// A sound one: it answers 200 with `sound`.
    pub async fn sound() -> Self {
        Self::start(None, None).await
    }

    /// One that is broken from the start.
    pub async fn with(fault: Fault) -> Self {
        Self::start(None, Some(fault)).await
    }

    /// One behind TLS.
    pub async fn tls(certificate: &Certificate, fault: Option<Fault>) -> Self {
        Self::start(Some(certificate.clone()), fault).await
    }

    async fn start(certificate: Option<Certificate>, fault: Option<Fault>) -> Self {
        let faulty = Self {
            address: free_address(),
            certificate,
            state: Arc::default(),
            running: Mutex::new(Running::Nobody),
        };
        faulty.becomes(fault).await;
        faulty
    }

    /// Breaks it that way from now on. Connections that it has live on, unless nobody is to listen any more.
    pub async fn breaks(&self, fault: Fault) {
        self.becomes(Some(fault)).await;
    }

    /// Makes it sound again.
    pub async fn is_mended(&self) {
        self.becomes(None).await;
    }

    async fn becomes(&self, fault: Option<Fault>) {
        *self.state.fault.lock() = fault;
        let is_backend = matches!(&*self.running.lock(), Running::Backend(_));
        let door = match fault {
            Some(Fault::Refuses) => None,
            Some(Fault::ClosesAtOnce) => Some(false),
            Some(Fault::ResetsAtOnce) => Some(true),
            _ if is_backend => return,
            _ => {
                self.vacate().await;
                let state = Arc::clone(&self.state);
                let backend = Upstream::at_with(self.address, self.certificate.as_ref(), move |request| {
                    state.answer(request)
                });
                let backend = backend.await;
                *self.running.lock() = Running::Backend(backend);
                return;
            }
        };
        self.vacate().await;
        if let Some(is_reset) = door {
            let listener = TcpListener::bind(self.address).await.unwrap();
            let state = Arc::clone(&self.state);
            let task = tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    state.taken.fetch_add(1, SeqCst);
                    if is_reset {
                        let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
                    }
                    drop(stream);
                }
            });
            *self.running.lock() = Running::Door(task);
        }
    }

    /// Waits until nobody listens any more.
    async fn vacate(&self) {
        let before = std::mem::replace(&mut *self.running.lock(), Running::Nobody);
        if let Running::Backend(backend) = &before {
            self.state.taken.fetch_add(backend.connections(), SeqCst);
        }
        drop(before);
        eventually("the backend lets go of its port", PATIENCE, async || {
            TcpStream::connect(self.address).await.is_err().then_some(())
        })
        .await;
    }

    /// Where it is, whether it listens or not.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://` with its address, or `https://localhost` with its port.
    #[must_use]
    pub fn url(&self) -> String {
        match self.certificate {
            None => format!("http://{}", self.address),
            Some(_) => format!("https://localhost:{}", self.address.port()),
        }
    }

    /// All requests so far that came in whole.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.state.requests.lock().clone()
    }

    /// How many requests of that method came in whole.
    #[must_use]
    pub fn count(&self, method: &str) -> usize {
        let requests = self.state.requests.lock();
        requests.iter().filter(|request| request.method == method).count()
    }

    /// Connections taken so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        let now = match &*self.running.lock() {
            Running::Backend(backend) => backend.connections(),
            Running::Nobody | Running::Door(_) => 0,
        };
        self.state.taken.load(SeqCst) + now
    }

    /// Connections that are open.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        match &*self.running.lock() {
            Running::Backend(backend) => backend.connections() - backend.closed_connections(),
            Running::Nobody | Running::Door(_) => 0,
        }
    }
}

impl State {
    fn answer(&self, request: &Recorded) -> Answer {
        let is_first = {
            let mut requests = self.requests.lock();
            requests.push(request.clone());
            let on_same = requests
                .iter()
                .filter(|known| known.connection == request.connection);
            on_same.count() == 1
        };
        let fault = *self.fault.lock();
        fault.map_or_else(|| Answer::ok(SOUND), |fault| fault.answer(is_first))
    }
}

impl std::fmt::Debug for Faulty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Faulty")
            .field("address", &self.address)
            .field("fault", &*self.state.fault.lock())
            .finish_non_exhaustive()
    }
}

/// An address that answers no SYN: its backlog is full and nobody accepts.
#[derive(Debug)]
pub struct BlackHole {
    address: SocketAddr,
    _listener: Socket,
    _waiting: Vec<StdStream>,
}

impl BlackHole {
    /// Listens and fills the backlog.
    #[must_use]
    pub fn open() -> Self {
        let address = free_address();
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.set_reuse_address(true).unwrap();
        listener.bind(&address.into()).unwrap();
        listener.listen(0).unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) = StdStream::connect_timeout(&address, Duration::from_millis(200)) {
            assert!(waiting.len() < 64, "the backlog has no end");
            waiting.push(stream);
        }
        Self {
            address,
            _listener: listener,
            _waiting: waiting,
        }
    }

    /// Where nobody answers.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://` with its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}
