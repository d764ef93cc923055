//! Connections: opened when needed, kept while they last.

use super::Connection;
use super::address::Address;
use crate::error::Error;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tidegate_net::connect::{Connected, connect};
use tidegate_net::tls::{ClientCertificate, UpstreamTls, UpstreamTlsOptions};
use tokio::io::{AsyncRead, AsyncWrite};

/// Bytes of one answer, at most.
const MAX_ANSWER: usize = 256 << 20;

pub(super) struct Wire {
    address: Address,
    timeout: Duration,
    tls: Option<(Arc<UpstreamTls>, ServerName<'static>)>,
    idle: RefCell<Vec<SendRequest<Full<Bytes>>>>,
    /// Looked up once.
    resolved: RefCell<Vec<SocketAddr>>,
}

/// Why there is no answer.
enum Failure {
    /// The connection had been kept and is gone: another one may do.
    Stale,
    Other(String),
}

impl Wire {
    pub(super) fn new(address: Address, connection: &Connection) -> Result<Self, Error> {
        Ok(Self {
            tls: address.is_tls.then(|| tls(&address, connection)).transpose()?,
            address,
            timeout: connection.timeout,
            idle: RefCell::default(),
            resolved: RefCell::default(),
        })
    }

    pub(super) fn origin(&self) -> String {
        let scheme = if self.address.is_tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address.authority)
    }

    /// Sends a request and reads the whole answer.
    pub(super) async fn send(
        &self,
        method: Method,
        target: &str,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<(StatusCode, Bytes), String> {
        let exchange = async {
            loop {
                let kept = self.kept();
                let is_kept = kept.is_some();
                let sender = match kept {
                    Some(sender) => sender,
                    None => self.open().await?,
                };
                let request = request(&method, target, headers.clone(), body.clone())?;
                match self.exchange(sender, request).await {
                    Ok(answer) => return Ok(answer),
                    Err(Failure::Stale) if is_kept => {}
                    Err(Failure::Stale) => return Err("EOF".to_owned()),
                    Err(Failure::Other(reason)) => return Err(reason),
                }
            }
        };
        match tokio::time::timeout(self.timeout, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {} s", self.timeout.as_secs_f64())),
        }
    }

    fn kept(&self) -> Option<SendRequest<Full<Bytes>>> {
        let mut idle = self.idle.borrow_mut();
        while let Some(sender) = idle.pop() {
            if sender.is_ready() {
                return Some(sender);
            }
        }
        None
    }

    async fn exchange(
        &self,
        mut sender: SendRequest<Full<Bytes>>,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), Failure> {
        let response = sender.send_request(request).await.map_err(|error| {
            // Every request that is sent may be sent again: writes carry their ids.
            if error.is_canceled() || error.is_incomplete_message() || error.is_closed() {
                Failure::Stale
            } else {
                Failure::Other(error.to_string())
            }
        })?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await;
        let body = body
            .map_err(|error| Failure::Other(error.to_string()))?
            .to_bytes();
        if sender.ready().await.is_ok() {
            self.idle.borrow_mut().push(sender);
        }
        Ok((head.status, body))
    }

    async fn open(&self) -> Result<SendRequest<Full<Bytes>>, String> {
        let addresses = self.resolve().await?;
        let tls = self.tls.as_ref().map(|(tls, name)| (tls, name.clone()));
        let mut reason = "no address".to_owned();
        for address in addresses {
            match connect(address, self.timeout, tls.clone()).await {
                Ok(Connected::Tcp(stream)) => return start(stream).await,
                Ok(Connected::TcpTls(stream)) => return start(*stream).await,
                Ok(Connected::Unix(_) | Connected::UnixTls(_)) => {}
                Err(error) => reason = format!("dial tcp {address}: connect: {error}"),
            }
        }
        Err(reason)
    }

    async fn resolve(&self) -> Result<Vec<SocketAddr>, String> {
        let known = self.resolved.borrow().clone();
        if !known.is_empty() {
            return Ok(known);
        }
        let host = self.address.host.as_str();
        let found = tokio::net::lookup_host((host, self.address.port)).await;
        let found: Vec<SocketAddr> = found
            .map_err(|error| format!("dial tcp: lookup {host}: {error}"))?
            .collect();
        self.resolved.borrow_mut().clone_from(&found);
        Ok(found)
    }
}

fn request(
    method: &Method,
    target: &str,
    headers: HeaderMap,
    body: Option<Bytes>,
) -> Result<Request<Full<Bytes>>, String> {
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .body(Full::new(body.unwrap_or_default()))
        .map_err(|error| error.to_string())?;
    *request.headers_mut() = headers;
    Ok(request)
}

async fn start<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, String>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        // Whoever uses the connection is told of its end.
        let _ = connection.await;
    });
    Ok(sender)
}

fn tls(address: &Address, connection: &Connection) -> Result<(Arc<UpstreamTls>, ServerName<'static>), Error> {
    let settings = &connection.tls;
    let options = UpstreamTlsOptions {
        verify: !settings.skips_verification,
        ca_certificates: settings
            .ca_certificate
            .iter()
            .map(|pem| Arc::from(pem.as_str()))
            .collect(),
        trusts_system: true,
        client_certificate: settings
            .client_certificate
            .as_ref()
            .map(|(cert, key)| ClientCertificate {
                cert: Arc::from(cert.as_str()),
                key: Arc::from(key.as_str()),
            }),
        ..UpstreamTlsOptions::default()
    };
    let tls = UpstreamTls::build(&options)
        .map_err(|error| Error::input(format!("TLS to the Admin API: {error}")))?;
    let name = settings.server_name.as_ref().unwrap_or(&address.host).clone();
    let name = ServerName::try_from(name.clone())
        .map_err(|_| Error::input(format!("'{name}' is no name for a TLS server")))?;
    Ok((tls, name))
}
