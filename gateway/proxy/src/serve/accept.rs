//! Accepts connections and brings them to HTTP: PROXY protocol, TLS, choice of the HTTP version.

use super::connection::Ends;
use super::{http1, http2};
use crate::worker::Worker;
use hyper_util::rt::TokioIo;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tidegate_net::Prefixed;
use tidegate_net::gate::{ClientProtocol, GateLimits, sniff};
use tidegate_net::limits::ConnectionLimits;
use tidegate_net::proxy_protocol;
use tidegate_net::tls::{self, ServerTls};
use tidegate_plugin::exchange::Tls;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};

/// A bound socket.
pub enum ListenerSocket {
    /// TCP.
    Tcp(TcpListener),
    /// Unix.
    Unix(UnixListener),
}

/// What a listener speaks.
#[derive(Clone)]
pub enum ListenerKind {
    /// Cleartext.
    Plain,
    /// TLS.
    Tls(Arc<ServerTls>),
}

/// A listener of one worker.
pub struct Listener {
    /// The socket.
    pub socket: ListenerSocket,
    /// Cleartext or TLS.
    pub kind: ListenerKind,
    /// Whether HTTP/2 is accepted: by ALPN on TLS, by prior knowledge on cleartext.
    pub http2: bool,
    /// Whether each connection begins with a PROXY protocol header.
    pub proxy_protocol: bool,
    /// Bounds of request heads.
    pub gate: Rc<GateLimits>,
    /// Bounds of connections, shared by the listeners of the process.
    pub limits: Arc<ConnectionLimits>,
    /// Longest TLS handshake, and longest wait for a PROXY protocol header.
    pub handshake_timeout: Duration,
}

/// Pause after an accept that failed for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts until the gateway drains.
pub async fn accept(worker: Rc<Worker>, listener: Listener) {
    let listener = Rc::new(listener);
    loop {
        let accepted = tokio::select! {
            accepted = accept_one(&listener.socket) => accepted,
            () = worker.shared.drained() => return,
        };
        worker.metrics.connections_accepted.increment();
        match accepted {
            Ok(Accepted::Tcp(stream, peer)) => {
                let Ok(permit) = listener.limits.admit(Some(peer.ip())) else {
                    worker.metrics.refused("connection_limit");
                    continue;
                };
                let (worker, listener) = (Rc::clone(&worker), Rc::clone(&listener));
                tokio::task::spawn_local(async move {
                    let _permit = permit;
                    drop(stream.set_nodelay(true));
                    let ends = Ends {
                        peer: Some(peer),
                        client: None,
                        server: stream.local_addr().ok(),
                    };
                    begin(worker, &listener, stream, ends).await;
                });
            }
            Ok(Accepted::Unix(stream)) => {
                let Ok(permit) = listener.limits.admit(None) else {
                    worker.metrics.refused("connection_limit");
                    continue;
                };
                let (worker, listener) = (Rc::clone(&worker), Rc::clone(&listener));
                tokio::task::spawn_local(async move {
                    let _permit = permit;
                    begin(worker, &listener, stream, Ends::default()).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

enum Accepted {
    Tcp(tokio::net::TcpStream, SocketAddr),
    Unix(tokio::net::UnixStream),
}

async fn accept_one(socket: &ListenerSocket) -> io::Result<Accepted> {
    match socket {
        ListenerSocket::Tcp(listener) => listener
            .accept()
            .await
            .map(|(stream, peer)| Accepted::Tcp(stream, peer)),
        ListenerSocket::Unix(listener) => listener.accept().await.map(|(stream, _)| Accepted::Unix(stream)),
    }
}

async fn begin<S>(worker: Rc<Worker>, listener: &Listener, mut stream: S, mut ends: Ends)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    if listener.proxy_protocol {
        match Box::pin(proxy_protocol::read_header(
            &mut stream,
            listener.handshake_timeout,
        ))
        .await
        {
            Ok(header) => {
                if let Some(addresses) = header.addresses {
                    ends.client = Some(addresses.source);
                    ends.server = Some(addresses.destination);
                }
            }
            Err(error) => {
                worker.metrics.refused("proxy_protocol");
                tracing::info!(%error, "connection without a valid PROXY protocol header");
                return;
            }
        }
    }
    match &listener.kind {
        // Boxed: a connection holds room for what it became, not for the largest of what it might have become.
        ListenerKind::Plain if listener.http2 => {
            Box::pin(plain_or_http2(worker, listener, stream, ends)).await;
        }
        ListenerKind::Plain => {
            let gate = Rc::clone(&listener.gate);
            Box::pin(http1::serve(worker, stream, Vec::new(), ends, None, gate)).await;
        }
        ListenerKind::Tls(server) => Box::pin(over_tls(worker, listener, server, stream, ends)).await,
    }
}

async fn over_tls<S>(worker: Rc<Worker>, listener: &Listener, server: &ServerTls, stream: S, ends: Ends)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let (stream, facts) = match tls::accept(server, stream, listener.handshake_timeout).await {
        Ok(accepted) => accepted,
        Err(error) => {
            worker.metrics.tls_handshake_failures.increment();
            tracing::debug!(%error, "TLS handshake failed");
            return;
        }
    };
    let tls = Rc::new(Tls {
        version: facts.version,
        cipher: facts.cipher,
        sni: facts.sni.map(String::from),
        client_verify: facts.client_verify,
    });
    let gate = Rc::clone(&listener.gate);
    if facts.http2 {
        Box::pin(http2::serve(worker, TokioIo::new(stream), ends, Some(tls), gate)).await;
    } else {
        Box::pin(http1::serve(worker, stream, Vec::new(), ends, Some(tls), gate)).await;
    }
}

/// Looks at the first bytes: HTTP/2 with prior knowledge begins with its preface.
async fn plain_or_http2<S>(worker: Rc<Worker>, listener: &Listener, mut stream: S, ends: Ends)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let timeout = worker.settings.client.header_timeout;
    match tokio::time::timeout(timeout, sniff(&mut stream)).await {
        Ok(Ok(ClientProtocol::Http2(bytes))) => {
            let io = TokioIo::new(Prefixed::new(stream, bytes));
            Box::pin(http2::serve(worker, io, ends, None, Rc::clone(&listener.gate))).await;
        }
        Ok(Ok(ClientProtocol::Http1(bytes))) => {
            Box::pin(http1::serve(
                worker,
                stream,
                bytes,
                ends,
                None,
                Rc::clone(&listener.gate),
            ))
            .await;
        }
        Ok(Err(_)) | Err(_) => {}
    }
}
