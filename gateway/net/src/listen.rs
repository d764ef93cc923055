//! Opens listening sockets.

mod tcp_options;

use socket2::{Domain, Protocol, SockAddr, Socket, TcpKeepalive, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Options of a TCP listener (kong-core H.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketOptions {
    /// Each worker opens the address for itself and the kernel spreads the connections.
    pub reuseport: bool,
    /// Connections that wait to be accepted, at most.
    pub backlog: u32,
    /// An IPv6 address takes no IPv4 connections; `None`: the default of nginx, on.
    pub ipv6_only: Option<bool>,
    /// `so_keepalive`; `None`: the default of the system.
    pub keepalive: Option<Keepalive>,
    /// Connections are accepted when their first bytes are there, or after a second (`TCP_DEFER_ACCEPT`).
    pub deferred: bool,
    /// Connections that may wait with data in their first packet (`TCP_FASTOPEN`, RFC 7413); `None`: not offered.
    pub fastopen: Option<u32>,
}

/// TCP keep-alive of accepted connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keepalive {
    /// No probes.
    Off,
    /// Probes, with the system's value where one is not given.
    On {
        /// Idle time before the first probe.
        idle: Option<Duration>,
        /// Time between two probes.
        interval: Option<Duration>,
        /// Unanswered probes before the connection counts as dead.
        probes: Option<u32>,
    },
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self {
            reuseport: true,
            backlog: 16_384,
            ipv6_only: None,
            keepalive: None,
            deferred: false,
            fastopen: None,
        }
    }
}

/// Why a listener cannot be opened. It is the inner error of the [`io::Error`] that the functions return.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another process holds the port.
    #[error(
        "cannot open listener {address}: the port is in use; `ss -ltnp 'sport = :{}'` shows by whom",
        address.port()
    )]
    PortInUse {
        /// The address.
        address: SocketAddr,
    },
    /// The port is below 1024 and the process has no right to it.
    #[error(
        "cannot open listener {address}: no permission; ports below 1024 need the capability CAP_NET_BIND_SERVICE"
    )]
    NoPermission {
        /// The address.
        address: SocketAddr,
    },
    /// Another failure.
    #[error("cannot open listener {address}")]
    Address {
        /// The address.
        address: SocketAddr,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A process listens on the socket file.
    #[error("cannot open listener unix:{}: a process listens on it", path.display())]
    PathInUse {
        /// The socket file.
        path: PathBuf,
    },
    /// The file is no socket and is left alone.
    #[error("cannot open listener unix:{}: the file exists and is no socket", path.display())]
    NoSocket {
        /// The file.
        path: PathBuf,
    },
    /// Another failure.
    #[error("cannot open listener unix:{}", path.display())]
    Path {
        /// The socket file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl From<ListenError> for io::Error {
    fn from(error: ListenError) -> Self {
        let kind = match &error {
            ListenError::PortInUse { .. } | ListenError::PathInUse { .. } => io::ErrorKind::AddrInUse,
            ListenError::NoPermission { .. } => io::ErrorKind::PermissionDenied,
            ListenError::NoSocket { .. } => io::ErrorKind::AlreadyExists,
            ListenError::Address { source, .. } | ListenError::Path { source, .. } => source.kind(),
        };
        Self::new(kind, error)
    }
}

/// Opens a TCP listener in non-blocking mode.
///
/// # Errors
/// Fails when the address cannot be bound; the inner error is a [`ListenError`].
pub fn bind_tcp(address: SocketAddr, options: &SocketOptions) -> io::Result<TcpListener> {
    open_tcp(address, options).map_err(|source| {
        let error = match source.kind() {
            io::ErrorKind::AddrInUse => ListenError::PortInUse { address },
            io::ErrorKind::PermissionDenied => ListenError::NoPermission { address },
            _ => ListenError::Address { address, source },
        };
        error.into()
    })
}

/// Opens a unix socket listener in non-blocking mode, with at most `backlog` connections that wait to be accepted. A
/// socket file that nobody listens on is replaced.
///
/// # Errors
/// Fails when a process listens on the path, when the file is no socket, or when it cannot be created; the inner
/// error is a [`ListenError`].
pub fn bind_unix(path: &Path, backlog: u32) -> io::Result<UnixListener> {
    let failed = |source| ListenError::Path {
        path: path.to_owned(),
        source,
    };
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(ListenError::NoSocket {
                path: path.to_owned(),
            }
            .into());
        }
        Ok(_) if UnixStream::connect(path).is_ok() => {
            return Err(ListenError::PathInUse {
                path: path.to_owned(),
            }
            .into());
        }
        Ok(_) => std::fs::remove_file(path).map_err(failed)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error).into()),
    }
    open_unix(path, backlog).map_err(|source| failed(source).into())
}

fn open_unix(path: &Path, backlog: u32) -> io::Result<UnixListener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

fn open_tcp(address: SocketAddr, options: &SocketOptions) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(options.ipv6_only.unwrap_or(true))?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(options.reuseport)?;
    set_keepalive(&socket, options.keepalive)?;
    socket.set_nonblocking(true)?;
    if options.deferred {
        tcp_options::defer_accept(&socket)?;
    }
    if let Some(length) = options.fastopen {
        tcp_options::fast_open(&socket, length)?;
    }
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// Accepted sockets inherit this from the listener on Linux.
fn set_keepalive(socket: &Socket, keepalive: Option<Keepalive>) -> io::Result<()> {
    let (idle, interval, probes) = match keepalive {
        None => return Ok(()),
        Some(Keepalive::Off) => return socket.set_keepalive(false),
        Some(Keepalive::On {
            idle,
            interval,
            probes,
        }) => (idle, interval, probes),
    };
    socket.set_keepalive(true)?;
    let mut parameters = TcpKeepalive::new();
    if let Some(idle) = idle {
        parameters = parameters.with_time(idle);
    }
    if let Some(interval) = interval {
        parameters = parameters.with_interval(interval);
    }
    if let Some(probes) = probes {
        parameters = parameters.with_retries(probes);
    }
    socket.set_tcp_keepalive(&parameters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn any_port() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    #[test]
    fn workers_share_a_port_with_reuseport() {
        let first = bind_tcp(any_port(), &SocketOptions::default()).unwrap();
        let second = bind_tcp(first.local_addr().unwrap(), &SocketOptions::default()).unwrap();
        assert_eq!(first.local_addr().unwrap(), second.local_addr().unwrap());
    }

    #[test]
    fn a_taken_port_is_named_with_the_way_to_find_its_holder() {
        let alone = SocketOptions {
            reuseport: false,
            ..SocketOptions::default()
        };
        let first = bind_tcp(any_port(), &alone).unwrap();
        let address = first.local_addr().unwrap();
        let error = bind_tcp(address, &alone).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let port = address.port();
        assert_eq!(
            error.to_string(),
            format!(
                "cannot open listener {address}: the port is in use; `ss -ltnp 'sport = :{port}'` shows by whom"
            )
        );
    }

    #[test]
    fn keepalive_values_reach_the_socket() {
        let keepalive = Keepalive::On {
            idle: Some(Duration::from_secs(77)),
            interval: None,
            probes: Some(3),
        };
        let options = SocketOptions {
            keepalive: Some(keepalive),
            ..SocketOptions::default()
        };
        let socket = Socket::from(bind_tcp(any_port(), &options).unwrap());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(77));
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
    }

    #[test]
    fn a_deferred_listener_shows_a_connection_with_its_first_bytes() {
        let options = SocketOptions {
            deferred: true,
            ..SocketOptions::default()
        };
        let listener = bind_tcp(any_port(), &options).unwrap();
        let mut silent = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(
            listener.accept().unwrap_err().kind(),
            io::ErrorKind::WouldBlock,
            "nothing was sent yet"
        );
        silent.write_all(b"G").unwrap();
        listener.set_nonblocking(false).unwrap();
        assert_eq!(listener.accept().unwrap().1, silent.local_addr().unwrap());
    }

    #[test]
    fn a_stale_socket_file_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("proxy.sock");
        let first = bind_unix(&path, 16).unwrap();
        assert_eq!(bind_unix(&path, 16).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(first);
        bind_unix(&path, 16).unwrap();
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(
            bind_unix(file.path(), 16).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        assert!(file.path().exists());
    }
}
