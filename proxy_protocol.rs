use std::net::SocketAddr; use std::time::Duration; pub struct Header { pub source: Option<SocketAddr>, pub destination: Option<SocketAddr> }
pub async fn read<S: tokio::io::AsyncRead+Unpin>(_s:&mut S,_t:Duration)->std::io::Result<Header>{ Err(std::io::Error::other("x")) }
