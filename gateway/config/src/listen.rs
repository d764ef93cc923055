//! The `*_listen` syntax (kong-core H.1): `address:port [flag ...], ...` or `off`.
//!
//! Only the syntax is checked here. Whether an address exists, a host resolves or a port is free is known when the
//! listener opens.

mod keepalive;

#[cfg(test)]
mod tests;

pub use keepalive::TcpKeepalive;

use crate::settings::{Kind, Spec, Value};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Deref;
use std::path::PathBuf;

/// The addresses of one `*_listen` setting; empty means `off`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListenList {
    /// In the order they were written.
    pub addresses: Vec<ListenAddress>,
}

/// One address with its flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenAddress {
    /// Where to listen.
    pub endpoint: Endpoint,
    /// How.
    pub flags: ListenFlags,
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// An address and port; port 0 lets the system choose.
    Socket(SocketAddr),
    /// A host name, resolved when the listener opens.
    Host {
        /// The name.
        name: String,
        /// The port.
        port: u16,
    },
    /// A unix socket.
    Unix(PathBuf),
}

/// Flags behind an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ListenFlags {
    /// TLS on every connection.
    pub ssl: bool,
    /// HTTP/2: by ALPN with `ssl`, by prior knowledge without.
    pub http2: bool,
    /// Every connection starts with a PROXY protocol header.
    pub proxy_protocol: bool,
    /// Accept a connection only when its first bytes are there (`TCP_DEFER_ACCEPT`).
    pub deferred: bool,
    /// Connections that may wait with data in their first packet (`TCP_FASTOPEN`); `None`: not offered.
    pub fastopen: Option<u32>,
    /// Bind this address even where another listener covers it. Every address is always bound by itself, so this
    /// changes nothing.
    pub bind: bool,
    /// Every worker has a socket of its own (`SO_REUSEPORT`).
    pub reuseport: bool,
    /// UDP instead of TCP.
    pub udp: bool,
    /// Length of the queue of connections that wait to be accepted.
    pub backlog: Option<u32>,
    /// Whether an IPv6 socket refuses IPv4 clients.
    pub ipv6only: Option<bool>,
    /// Probes on idle connections.
    pub so_keepalive: Option<TcpKeepalive>,
}

/// What kind of traffic a listener takes, which decides on the flags it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    /// HTTP.
    Http,
    /// Raw TCP, TLS and UDP.
    Stream,
}

/// Why a `*_listen` text is refused. The caller adds the name of the setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListenError {
    /// Nothing, or an empty item between commas.
    #[error("an address is missing: expected `address:port [flag ...]` or `off`")]
    Empty,
    /// `off` beside an address.
    #[error("`off` cannot stand beside an address")]
    OffBesideAddress,
    /// An address without port.
    #[error("`{0}` has no port: expected `address:port`")]
    MissingPort(String),
    /// A port that is no number up to 65535.
    #[error("`{0}` has no valid port: expected a number up to 65535")]
    BadPort(String),
    /// Neither an IP address nor a host name.
    #[error("`{0}` is neither an IP address nor a host name (IPv6 stands in brackets)")]
    BadAddress(String),
    /// `unix:` without an absolute path.
    #[error("`{0}` names no socket: expected `unix:` and an absolute path")]
    BadUnixPath(String),
    /// A word that is no flag of this kind of listener.
    #[error("`{flag}` is no flag of this listener; there are {known}")]
    UnknownFlag {
        /// The word.
        flag: String,
        /// The flags there are.
        known: String,
    },
    /// A flag whose value does not fit.
    #[error("flag `{0}` does not have a legal value")]
    BadFlagValue(String),
    /// A flag that this kind of address cannot have.
    #[error("flag `{flag}` has no meaning for {address}")]
    SenselessFlag {
        /// The flag.
        flag: &'static str,
        /// The kind of address.
        address: &'static str,
    },
    /// The same address twice.
    #[error("`{0}` is listed twice")]
    Duplicate(String),
}

impl ListenList {
    /// Reads the text of a `*_listen` setting.
    ///
    /// # Errors
    /// The first fault of the text.
    pub fn parse(text: &str, traffic: Traffic) -> Result<Self, ListenError> {
        let mut addresses: Vec<ListenAddress> = Vec::new();
        let items: Vec<&str> = text.split(',').map(str::trim).collect();
        if items.as_slice() == ["off"] {
            return Ok(Self::default());
        }
        for item in items {
            if item == "off" {
                return Err(ListenError::OffBesideAddress);
            }
            let address = ListenAddress::parse(item, traffic)?;
            let is_twin = |other: &ListenAddress| {
                other.endpoint == address.endpoint
                    && other.flags.udp == address.flags.udp
                    && !address.endpoint.is_any_port()
            };
            if addresses.iter().any(is_twin) {
                return Err(ListenError::Duplicate(address.endpoint.to_string()));
            }
            addresses.push(address);
        }
        Ok(Self { addresses })
    }
}

impl Deref for ListenList {
    type Target = [ListenAddress];

    fn deref(&self) -> &[ListenAddress] {
        &self.addresses
    }
}

impl Value for ListenList {
    fn read(text: &str, spec: &Spec) -> Result<Self, String> {
        let traffic = match spec.kind {
            Kind::Listen { stream: true } => Traffic::Stream,
            _ => Traffic::Http,
        };
        Self::parse(text, traffic).map_err(|error| error.to_string())
    }
}

impl ListenAddress {
    /// Reads one item: an address and its flags.
    ///
    /// # Errors
    /// The first fault of the text.
    pub fn parse(text: &str, traffic: Traffic) -> Result<Self, ListenError> {
        let mut words = text.split_ascii_whitespace();
        let endpoint = Endpoint::parse(words.next().ok_or(ListenError::Empty)?)?;
        let mut flags = ListenFlags::default();
        for word in words {
            flags.set(word, traffic)?;
        }
        flags.check(&endpoint)?;
        Ok(Self { endpoint, flags })
    }
}

impl Endpoint {
    fn parse(text: &str) -> Result<Self, ListenError> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            return if path.is_absolute() {
                Ok(Self::Unix(path))
            } else {
                Err(ListenError::BadUnixPath(text.to_owned()))
            };
        }
        let (host, port) = split_port(text)?;
        if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let ip: Ipv6Addr = inner
                .parse()
                .map_err(|_| ListenError::BadAddress(text.to_owned()))?;
            return Ok(Self::Socket(SocketAddr::new(IpAddr::V6(ip), port)));
        }
        if host == "*" {
            return Ok(Self::Socket(SocketAddr::new(
                IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                port,
            )));
        }
        if let Ok(ip) = host.parse::<Ipv4Addr>() {
            return Ok(Self::Socket(SocketAddr::new(IpAddr::V4(ip), port)));
        }
        if is_host_name(host) {
            Ok(Self::Host {
                name: host.to_ascii_lowercase(),
                port,
            })
        } else {
            Err(ListenError::BadAddress(text.to_owned()))
        }
    }

    fn is_any_port(&self) -> bool {
        match self {
            Self::Socket(address) => address.port() == 0,
            Self::Host { port, .. } => *port == 0,
            Self::Unix(_) => false,
        }
    }
}

/// Splits at the last colon outside brackets.
fn split_port(text: &str) -> Result<(&str, u16), ListenError> {
    let missing = || ListenError::MissingPort(text.to_owned());
    if text.ends_with(']') {
        return Err(missing());
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(missing)?;
    if port.is_empty() {
        return Err(missing());
    }
    let is_number = port.bytes().all(|b| b.is_ascii_digit());
    let port = if is_number { port.parse().ok() } else { None };
    Ok((host, port.ok_or_else(|| ListenError::BadPort(text.to_owned()))?))
}

/// RFC 1123 section 2.1, with underscores as container names have them. A name of digits and dots alone would be a
/// mistyped IPv4 address.
fn is_host_name(host: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    host.len() <= 253 && host.split('.').all(is_label) && host.bytes().any(|b| b.is_ascii_alphabetic())
}

const HTTP_FLAGS: &str = "ssl, http2, proxy_protocol, deferred, bind, reuseport, backlog=N, fastopen=N, ipv6only=on|off, so_keepalive=...";
const STREAM_FLAGS: &str =
    "ssl, udp, proxy_protocol, bind, reuseport, backlog=N, fastopen=N, ipv6only=on|off, so_keepalive=...";

impl ListenFlags {
    fn set(&mut self, word: &str, traffic: Traffic) -> Result<(), ListenError> {
        let bad_value = || ListenError::BadFlagValue(word.to_owned());
        match (word.split_once('='), traffic) {
            (None, _) => return self.set_word(word, traffic),
            (Some(("backlog", value)), _) => self.backlog = Some(queue_length(value).ok_or_else(bad_value)?),
            (Some(("fastopen", value)), _) => {
                self.fastopen = Some(queue_length(value).ok_or_else(bad_value)?)
            }
            (Some(("ipv6only", value)), _) => self.ipv6only = Some(on_off(value).ok_or_else(bad_value)?),
            (Some(("so_keepalive", value)), _) => {
                self.so_keepalive = Some(TcpKeepalive::parse(value).ok_or_else(bad_value)?);
            }
            (Some(_), _) => return Err(unknown_flag(word, traffic)),
        }
        Ok(())
    }

    fn set_word(&mut self, word: &str, traffic: Traffic) -> Result<(), ListenError> {
        match (word, traffic) {
            ("ssl", _) => self.ssl = true,
            ("proxy_protocol", _) => self.proxy_protocol = true,
            ("bind", _) => self.bind = true,
            ("reuseport", _) => self.reuseport = true,
            ("http2", Traffic::Http) => self.http2 = true,
            ("deferred", Traffic::Http) => self.deferred = true,
            ("udp", Traffic::Stream) => self.udp = true,
            _ => return Err(unknown_flag(word, traffic)),
        }
        Ok(())
    }
}

impl ListenFlags {
    /// Flags of TCP on a unix socket, and of IPv6 on an IPv4 address, would be dropped in silence.
    fn check(&self, endpoint: &Endpoint) -> Result<(), ListenError> {
        let refuse = |flag, address| Err(ListenError::SenselessFlag { flag, address });
        match endpoint {
            Endpoint::Unix(_) => {
                let set = [
                    ("deferred", self.deferred),
                    ("fastopen", self.fastopen.is_some()),
                    ("ipv6only", self.ipv6only.is_some()),
                    ("so_keepalive", self.so_keepalive.is_some()),
                    ("udp", self.udp),
                ];
                match set.iter().find(|(_, is_set)| *is_set) {
                    Some((flag, _)) => refuse(flag, "a unix socket"),
                    None => Ok(()),
                }
            }
            Endpoint::Socket(SocketAddr::V4(_)) if self.ipv6only.is_some() => {
                refuse("ipv6only", "an IPv4 address")
            }
            _ if self.udp && self.fastopen.is_some() => refuse("fastopen", "UDP"),
            _ => Ok(()),
        }
    }
}

/// A length that the kernel takes.
fn queue_length(text: &str) -> Option<u32> {
    text.parse::<u32>()
        .ok()
        .filter(|n| (1..=i32::MAX.unsigned_abs()).contains(n))
}

fn unknown_flag(word: &str, traffic: Traffic) -> ListenError {
    let known = match traffic {
        Traffic::Http => HTTP_FLAGS,
        Traffic::Stream => STREAM_FLAGS,
    };
    ListenError::UnknownFlag {
        flag: word.to_owned(),
        known: known.to_owned(),
    }
}

fn on_off(text: &str) -> Option<bool> {
    match text {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

impl fmt::Display for ListenList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.addresses.is_empty() {
            return f.write_str("off");
        }
        for (index, address) in self.addresses.iter().enumerate() {
            write!(f, "{}{address}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = &self.flags;
        write!(f, "{}", self.endpoint)?;
        for (is_set, word) in [
            (flags.ssl, "ssl"),
            (flags.http2, "http2"),
            (flags.udp, "udp"),
            (flags.proxy_protocol, "proxy_protocol"),
            (flags.deferred, "deferred"),
            (flags.bind, "bind"),
            (flags.reuseport, "reuseport"),
        ] {
            if is_set {
                write!(f, " {word}")?;
            }
        }
        if let Some(backlog) = flags.backlog {
            write!(f, " backlog={backlog}")?;
        }
        if let Some(fastopen) = flags.fastopen {
            write!(f, " fastopen={fastopen}")?;
        }
        if let Some(only) = flags.ipv6only {
            write!(f, " ipv6only={}", if only { "on" } else { "off" })?;
        }
        if let Some(keepalive) = flags.so_keepalive {
            write!(f, " so_keepalive={keepalive}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) => write!(f, "{address}"),
            Self::Host { name, port } => write!(f, "{name}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
