use std::net::SocketAddr; use std::time::Duration; use std::sync::Arc; use crate::tls::*;
#[derive(Debug, thiserror::Error)] pub enum ConnectError { #[error("t")] Timeout, #[error("o")] Io(std::io::Error) }
pub type Connected = tokio::net::TcpStream; pub type UpstreamIo = hyper_util::rt::TokioIo<Connected>;
pub async fn connect(a: SocketAddr, t: Duration, _tls: Option<(&Arc<UpstreamTls>, ServerName<'static>)>) -> Result<Connected, ConnectError> { match tokio::time::timeout(t, tokio::net::TcpStream::connect(a)).await { Ok(Ok(s)) => { let _ = s.set_nodelay(true); Ok(s) }, Ok(Err(e)) => Err(ConnectError::Io(e)), Err(_) => Err(ConnectError::Timeout) } }
