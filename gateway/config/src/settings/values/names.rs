//! Name servers and the records they are asked for.

use crate::settings::spec::Spec;
use crate::settings::value::Value;
use std::net::{IpAddr, SocketAddr};

/// A name server. Its port is 53 when none is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameServer(pub SocketAddr);

const DNS_PORT: u16 = 53;

/// `10.0.0.1`, `10.0.0.1:5353`, `::1`, `[::1]`, `[::1]:5353`. A name would need a server to be found.
impl Value for NameServer {
    fn read(text: &str, spec: &Spec) -> Result<Self, String> {
        let bare = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(text);
        let address = match bare.parse::<IpAddr>() {
            Ok(ip) => Some(SocketAddr::new(ip, DNS_PORT)),
            Err(_) => text.parse().ok(),
        };
        address
            .filter(|address| address.port() != 0)
            .map(Self)
            .ok_or_else(|| spec.refuse(text))
    }
}

/// A word of `dns_order`, in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordType {
    /// The type that answered before.
    Last,
    /// Services with ports and weights.
    Srv,
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Other names.
    Cname,
}

impl RecordType {
    /// Records of this type can lead to an address.
    #[must_use]
    pub const fn leads_to_addresses(self) -> bool {
        matches!(self, Self::Srv | Self::A | Self::Aaaa)
    }
}

impl Value for RecordType {
    fn read(text: &str, spec: &Spec) -> Result<Self, String> {
        match text.to_ascii_uppercase().as_str() {
            "LAST" => Ok(Self::Last),
            "SRV" => Ok(Self::Srv),
            "A" => Ok(Self::A),
            "AAAA" => Ok(Self::Aaaa),
            "CNAME" => Ok(Self::Cname),
            _ => Err(spec.refuse(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::spec::list;

    #[test]
    fn a_name_server_is_an_address_with_or_without_port() {
        let spec = list("", "servers");
        for (text, address) in [
            ("10.0.0.1", "10.0.0.1:53"),
            ("10.0.0.1:5353", "10.0.0.1:5353"),
            ("::1", "[::1]:53"),
            ("[::1]", "[::1]:53"),
            ("[::1]:5353", "[::1]:5353"),
        ] {
            assert_eq!(
                NameServer::read(text, &spec),
                Ok(NameServer(address.parse().unwrap())),
                "{text}"
            );
        }
        for text in [
            "dns.test",
            "10.0.0.1:0",
            "10.0.0.1:",
            "10.0.0.1:99999",
            "[::1",
            "10.0.0",
        ] {
            assert!(NameServer::read(text, &spec).is_err(), "{text}");
        }
    }

    #[test]
    fn record_types_are_words_in_any_case() {
        let spec = list("", "types");
        let order = Vec::<RecordType>::read("last, srv,A,AAAA , Cname", &spec).unwrap();
        use RecordType::{A, Aaaa, Cname, Last, Srv};
        assert_eq!(order, [Last, Srv, A, Aaaa, Cname]);
        assert!(Vec::<RecordType>::read("A,MX", &spec).is_err());
    }
}
