//! The settings of the system's resolver, `resolv.conf(5)`: servers, search list and options.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// What a gateway needs of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ResolvConf {
    /// Never empty: without one, a server on this machine is asked.
    pub(super) servers: Vec<IpAddr>,
    /// Domains that short names are completed with.
    pub(super) search: Vec<String>,
    /// Dots from which a name is first tried as it is.
    pub(super) ndots: usize,
    /// Wait for one answer.
    pub(super) timeout: Duration,
    /// Rounds through the servers.
    pub(super) attempts: usize,
}

impl Default for ResolvConf {
    fn default() -> Self {
        Self {
            servers: vec![Ipv4Addr::LOCALHOST.into()],
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
        }
    }
}

impl ResolvConf {
    /// Unknown lines and options are skipped; of `search` and `domain` the last one counts.
    pub(super) fn parse(text: &str) -> Self {
        let mut conf = Self::default();
        let mut servers = Vec::new();
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    // The zone of a link-local address cannot be kept; the address alone is worth a try.
                    let address = words.next().map(|word| word.split('%').next().unwrap_or(word));
                    servers.extend(address.and_then(|word| word.parse::<IpAddr>().ok()));
                }
                Some("search") => conf.search = words.filter_map(domain).collect(),
                Some("domain") => conf.search = words.next().and_then(domain).into_iter().collect(),
                Some("options") => words.for_each(|option| conf.set(option)),
                _ => {}
            }
        }
        if !servers.is_empty() {
            conf.servers = servers;
        }
        conf
    }

    /// The bounds are those of the manual.
    fn set(&mut self, option: &str) {
        let Some((name, Ok(value))) = option
            .split_once(':')
            .map(|(name, value)| (name, value.parse::<u8>()))
        else {
            return;
        };
        match name {
            "ndots" => self.ndots = usize::from(value.min(15)),
            "timeout" => self.timeout = Duration::from_secs(u64::from(value.clamp(1, 30))),
            "attempts" => self.attempts = usize::from(value.clamp(1, 5)),
            _ => {}
        }
    }
}

/// `.` and `--` stand for no domain.
fn domain(word: &str) -> Option<String> {
    let name = word.trim_end_matches('.').to_ascii_lowercase();
    (!name.is_empty() && name != "--").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_search_list_and_options_are_taken() {
        let conf = ResolvConf::parse(
            "nameserver 10.0.0.1 # first\nnameserver fe80::1%eth0\nnameserver nonsense\n\
             domain old.test\nsearch NS.svc.cluster.local. svc.cluster.local --\n\
             options ndots:5 timeout:0 attempts:99 rotate edns0 ndots:x\n; end\n",
        );
        let expected = ResolvConf {
            servers: vec!["10.0.0.1".parse().unwrap(), "fe80::1".parse().unwrap()],
            search: vec!["ns.svc.cluster.local".to_owned(), "svc.cluster.local".to_owned()],
            ndots: 5,
            timeout: Duration::from_secs(1),
            attempts: 5,
        };
        assert_eq!(conf, expected);
    }

    #[test]
    fn an_empty_file_means_a_server_on_this_machine() {
        assert_eq!(ResolvConf::parse(""), ResolvConf::default());
        assert_eq!(ResolvConf::parse("domain a.test b.test").search, ["a.test"]);
    }
}
