//! Who the client is when the peer is a trusted proxy (kong-core E.1).

use crate::settings::{RealIp, TrustedPeers};
use http::HeaderMap;
use std::net::{IpAddr, SocketAddr};

/// The client's address by the header of a trusted peer; `None`: the peer stays the client.
pub(crate) fn resolve(
    headers: &HeaderMap,
    rule: &RealIp,
    trusted: &TrustedPeers,
) -> Option<(IpAddr, Option<u16>)> {
    let name = rule.header.as_ref()?;
    let mut found = None;
    // Repeated headers form one list; entries are walked from the end.
    for value in headers.get_all(name).iter().rev() {
        for entry in value.to_str().ok()?.rsplit(',') {
            let Some(client) = parse(entry.trim()) else {
                return found;
            };
            found = Some(client);
            if !rule.recursive || !trusted.contains(Some(client.0)) {
                return found;
            }
        }
    }
    found
}

/// `1.2.3.4`, `1.2.3.4:80`, `::1`, `[::1]`, `[::1]:80`.
fn parse(entry: &str) -> Option<(IpAddr, Option<u16>)> {
    if let Ok(address) = entry.parse::<IpAddr>() {
        return Some((address, None));
    }
    if let Ok(socket) = entry.parse::<SocketAddr>() {
        return Some((socket.ip(), Some(socket.port())));
    }
    entry
        .strip_prefix('[')?
        .strip_suffix(']')?
        .parse()
        .ok()
        .map(|address| (address, None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    fn client(list: &str, recursive: bool) -> Option<String> {
        let trusted = TrustedPeers {
            ranges: ["127.0.0.1/32", "172.16.0.1/32", "192.168.0.1/32"]
                .iter()
                .map(|r| r.parse().unwrap())
                .collect(),
            unix: false,
        };
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", list.parse().unwrap());
        let rule = RealIp {
            header: Some(HeaderName::from_static("x-forwarded-for")),
            recursive,
        };
        resolve(&headers, &rule, &trusted).map(|(address, _)| address.to_string())
    }

    #[test]
    fn recursive_takes_the_last_entry_that_is_not_trusted() {
        let list = "127.0.0.1, 10.0.0.1, 192.168.0.1, 127.0.0.1, 172.16.0.1";
        assert_eq!(client(list, true).as_deref(), Some("10.0.0.1"));
        assert_eq!(client(list, false).as_deref(), Some("172.16.0.1"));
    }

    #[test]
    fn ports_are_ignored_and_garbage_ends_the_walk() {
        assert_eq!(client("10.0.0.1:15", false).as_deref(), Some("10.0.0.1"));
        assert_eq!(client("[fe80::1]:15", false).as_deref(), Some("fe80::1"));
        assert_eq!(
            client("10.0.0.9, bogus, 127.0.0.1", true).as_deref(),
            Some("127.0.0.1")
        );
        assert_eq!(client("bogus", false), None);
    }

    #[test]
    fn a_list_of_trusted_addresses_gives_its_first() {
        assert_eq!(
            client("192.168.0.1, 127.0.0.1", true).as_deref(),
            Some("192.168.0.1")
        );
    }
}
