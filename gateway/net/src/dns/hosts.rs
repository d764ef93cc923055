//! The hosts file: fixed names that no server is asked for.

use hashbrown::HashMap;
use std::io;
use std::net::IpAddr;
use std::path::Path;

/// Addresses by name in lower case, in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Hosts(HashMap<Box<str>, Vec<IpAddr>>);

impl Hosts {
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        std::fs::read(path).map(|bytes| Self::parse(&String::from_utf8_lossy(&bytes)))
    }

    /// Lines of an address and its names; `#` starts a comment. What is no address is skipped, as libc does.
    fn parse(text: &str) -> Self {
        let mut hosts: HashMap<Box<str>, Vec<IpAddr>> = HashMap::new();
        for line in text.lines() {
            let mut words = line
                .split('#')
                .next()
                .unwrap_or_default()
                .split_ascii_whitespace();
            let Some(ip) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) else {
                continue;
            };
            for name in words {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                let list = hosts.entry(name.into()).or_default();
                if !list.contains(&ip) {
                    list.push(ip);
                }
            }
        }
        Self(hosts)
    }

    /// All addresses of a name that is in lower case and has no final dot.
    pub(super) fn get(&self, name: &str) -> Option<&[IpAddr]> {
        self.0.get(name).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_addresses_of_all_their_lines() {
        let hosts = Hosts::parse(
            "# comment\n127.0.0.1 localhost Alias.Test # more\n\n::1\tlocalhost\n127.0.0.1 localhost\nfe80::1%eth0 zoned\nbroken\n",
        );
        let ips = |texts: &[&str]| {
            texts
                .iter()
                .map(|ip| ip.parse().unwrap())
                .collect::<Vec<IpAddr>>()
        };
        assert_eq!(
            hosts.get("localhost"),
            Some(ips(&["127.0.0.1", "::1"]).as_slice())
        );
        assert_eq!(hosts.get("alias.test"), Some(ips(&["127.0.0.1"]).as_slice()));
        assert_eq!((hosts.get("zoned"), hosts.get("comment")), (None, None));
    }
}
