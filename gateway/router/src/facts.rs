//! What the router looks at: a borrowed view of one request.

use std::net::IpAddr;

/// Everything of a request that a route can ask for.
#[derive(Clone, Copy)]
pub struct RequestFacts<'a> {
    /// Method as sent; compared with case.
    pub method: &'a str,
    /// `http` or `https`, of the connection.
    pub scheme: &'a str,
    /// Host without port, in lower case; empty when there is none.
    pub host: &'a str,
    /// Port that the client wrote into Host.
    pub host_port: Option<u16>,
    /// Normalised path (kong-core C.3); need not be UTF-8.
    pub path: &'a [u8],
    /// Query string without the question mark.
    pub query: Option<&'a str>,
    /// Header values.
    pub headers: &'a dyn HeaderSource,
    /// Server name of the TLS handshake.
    pub sni: Option<&'a str>,
    /// Client address, after the real-ip rules.
    pub source: Option<(IpAddr, u16)>,
    /// Address that was dialled; the port is the mapped listener port (`port_maps`).
    pub destination: Option<(IpAddr, u16)>,
}

impl RequestFacts<'_> {
    /// Port for matching: the one in Host, else the listener's (kong-core C.2).
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.host_port.or_else(|| self.destination.map(|(_, port)| port))
    }

    pub(crate) fn is_https(&self) -> bool {
        self.scheme == "https"
    }
}

impl std::fmt::Debug for RequestFacts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}://{}", self.method, self.scheme, self.host)?;
        if let Some(port) = self.host_port {
            write!(f, ":{port}")?;
        }
        f.write_str(&String::from_utf8_lossy(self.path))?;
        match self.query {
            Some(query) => write!(f, "?{query}"),
            None => Ok(()),
        }
    }
}

/// Access to header values without a copy of the header map.
pub trait HeaderSource {
    /// Calls `each` with every value of the header. `name` is in lower case with dashes.
    fn visit(&self, name: &str, each: &mut dyn FnMut(&[u8]));
}

/// A request without headers.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHeaders;

impl HeaderSource for NoHeaders {
    fn visit(&self, _name: &str, _each: &mut dyn FnMut(&[u8])) {}
}

/// Headers as a list of name and value, for tools and tests; names in any case.
#[derive(Clone, Debug, Default)]
pub struct HeaderList(pub Vec<(String, Vec<u8>)>);

impl HeaderSource for HeaderList {
    fn visit(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        for (own, value) in &self.0 {
            if own.eq_ignore_ascii_case(name) {
                each(value);
            }
        }
    }
}
