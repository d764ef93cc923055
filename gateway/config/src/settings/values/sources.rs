//! How clients and ports look from outside.

use crate::settings::spec::Spec;
use crate::settings::value::Value;
use ipnet::IpNet;
use std::net::IpAddr;

/// A peer whose forwarding headers are believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustedSource {
    /// Peers with an address in this network.
    Net(IpNet),
    /// Peers on unix sockets.
    Unix,
}

/// An address, a network in CIDR form, or `unix:`.
impl Value for TrustedSource {
    fn read(text: &str, spec: &Spec) -> Result<Self, String> {
        if text == "unix:" {
            return Ok(Self::Unix);
        }
        let net = match text.parse::<IpAddr>() {
            Ok(address) => Some(IpNet::from(address)),
            // nginx masks the host bits away, so `10.0.0.1/8` is legal.
            Err(_) => text.parse::<IpNet>().ok().map(|net| net.trunc()),
        };
        net.map(Self::Net).ok_or_else(|| spec.refuse(text))
    }
}

/// Where the address of the client stands when the peer is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RealIpHeader {
    /// In the PROXY protocol header of the connection.
    ProxyProtocol,
    /// In the request header of this lower-case name.
    Header(String),
}

impl Value for RealIpHeader {
    fn read(text: &str, spec: &Spec) -> Result<Self, String> {
        if text == "proxy_protocol" {
            return Ok(Self::ProxyProtocol);
        }
        // RFC 9110 section 5.6.2: a field name is a token.
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if !text.is_empty() && text.bytes().all(is_token) {
            Ok(Self::Header(text.to_ascii_lowercase()))
        } else {
            Err(spec.refuse(text))
        }
    }
}

/// A port that clients see and the port we listen on behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortMap {
    /// The port clients connect to.
    pub outside: u16,
    /// The port of our listener.
    pub inside: u16,
}

impl Value for PortMap {
    fn read(text: &str, spec: &Spec) -> Result<Self, String> {
        let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port != 0);
        text.split_once(':')
            .and_then(|(outside, inside)| {
                Some(Self {
                    outside: port(outside)?,
                    inside: port(inside)?,
                })
            })
            .ok_or_else(|| spec.refuse(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::spec::{list, text};

    #[test]
    fn trusted_sources_are_addresses_networks_and_unix_sockets() {
        let spec = list("", "addresses");
        let read = |text: &str| TrustedSource::read(text, &spec);
        let net = |text: &str| TrustedSource::Net(text.parse().expect("a network"));
        assert_eq!(read("127.0.0.1"), Ok(net("127.0.0.1/32")));
        assert_eq!(read("10.1.2.3/8"), Ok(net("10.0.0.0/8")));
        assert_eq!(read("::/0"), Ok(net("::/0")));
        assert_eq!(read("unix:"), Ok(TrustedSource::Unix));
        for text in ["localhost", "10.0.0.0/33", "unix:/x", "1.2.3"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_real_address_comes_from_a_header_or_the_proxy_protocol() {
        let spec = text("", "a header name");
        assert_eq!(
            RealIpHeader::read("X-Real-IP", &spec),
            Ok(RealIpHeader::Header("x-real-ip".to_owned()))
        );
        assert_eq!(
            RealIpHeader::read("proxy_protocol", &spec),
            Ok(RealIpHeader::ProxyProtocol)
        );
        assert!(RealIpHeader::read("X Real", &spec).is_err());
    }

    #[test]
    fn port_maps_pair_two_ports() {
        let spec = list("", "pairs");
        assert_eq!(
            PortMap::read("80:8000", &spec),
            Ok(PortMap {
                outside: 80,
                inside: 8_000
            })
        );
        for text in ["80", "0:1", "80:70000", "a:b", "80:8000:1"] {
            assert!(PortMap::read(text, &spec).is_err(), "{text}");
        }
    }
}
