//! Where a target listens: an address and port, or a socket file.

use parking_lot::Mutex;
use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::LazyLock;

/// Marks a target that is a socket file, as in `unix:/run/app.sock` (our extension).
pub const UNIX: &str = "unix:";

/// Longest path of a socket file in bytes: what fits into `sun_path` with its end mark (unix(7)).
pub const MAX_SOCKET_PATH: usize = 107;

/// Where a target listens. As small as an address, so that it can be a part of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// An address and port.
    Tcp(SocketAddr),
    /// A socket file.
    Unix(SocketFile),
}

/// The path of a socket file. Each path that was ever configured is kept for the life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketFile(&'static str);

impl SocketFile {
    /// The file of an absolute path, which must have at most [`MAX_SOCKET_PATH`] bytes and no characters that logs
    /// would have to escape.
    #[must_use]
    pub fn new(path: &str) -> Option<Self> {
        static PATHS: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Mutex::default);
        let is_sound = path.starts_with('/')
            && path.len() > 1
            && path.len() <= MAX_SOCKET_PATH
            && !path
                .chars()
                .any(|character| character.is_control() || matches!(character, '"' | '\\'));
        if !is_sound {
            return None;
        }
        let mut paths = PATHS.lock();
        if let Some(known) = paths.get(path) {
            return Some(Self(known));
        }
        let path: &'static str = Box::leak(Box::from(path));
        paths.insert(path);
        Some(Self(path))
    }

    /// The path.
    #[must_use]
    pub fn path(self) -> &'static Path {
        Path::new(self.0)
    }
}

impl Address {
    /// The address of `unix:/path`.
    #[must_use]
    pub fn of_unix(target: &str) -> Option<Self> {
        SocketFile::new(target.strip_prefix(UNIX)?).map(Self::Unix)
    }

    /// The IP address, unless it is a socket file.
    #[must_use]
    pub const fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip()),
            Self::Unix(_) => None,
        }
    }

    /// The port, unless it is a socket file.
    #[must_use]
    pub const fn port(self) -> Option<u16> {
        match self {
            Self::Tcp(address) => Some(address.port()),
            Self::Unix(_) => None,
        }
    }

    /// The address without its port, as logs show it: `10.0.0.1`, `::1` or `unix:/run/app.sock`.
    #[must_use]
    pub fn without_port(self) -> String {
        match self {
            Self::Tcp(address) => address.ip().to_string(),
            Self::Unix(_) => self.to_string(),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(file) => write!(f, "{UNIX}{}", file.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_file_is_named_by_its_absolute_path() {
        let address = Address::of_unix("unix:/run/app.sock").unwrap();
        assert_eq!(address.to_string(), "unix:/run/app.sock");
        assert_eq!((address.ip(), address.port()), (None, None));
        assert_eq!(Some(address), Address::of_unix("unix:/run/app.sock"));
        for text in [
            "unix:",
            "unix:/",
            "unix:run/app.sock",
            "/run/app.sock",
            "unix:/a\nb",
        ] {
            assert_eq!(Address::of_unix(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_path_is_as_long_as_the_system_takes() {
        let path = |length: usize| format!("unix:/{}", "a".repeat(length - 1));
        assert!(Address::of_unix(&path(MAX_SOCKET_PATH)).is_some());
        assert!(Address::of_unix(&path(MAX_SOCKET_PATH + 1)).is_none());
    }
}
