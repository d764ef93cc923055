use std::net::*; use std::io; #[derive(Default)] pub struct SocketOptions { pub reuseport: bool, pub backlog: u32, pub ipv6_only: Option<bool>, pub deferred: bool }
pub fn bind_tcp(a: SocketAddr, _o:&SocketOptions)->io::Result<TcpListener>{ let l=TcpListener::bind(a)?; l.set_nonblocking(true)?; Ok(l)}
pub fn bind_unix(p:&std::path::Path)->io::Result<std::os::unix::net::UnixListener>{ std::os::unix::net::UnixListener::bind(p) }
