//! What all workers share of name resolution: servers, search list, hosts file, order of record types.

use super::DnsError;
use super::hosts::Hosts;
use super::resolv_conf::ResolvConf;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::{Resolver, TokioResolver};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// A word of `dns_order` (kong-core F.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// The type that answered for this name before.
    Last,
    /// SRV.
    Srv,
    /// A.
    A,
    /// AAAA.
    Aaaa,
    /// CNAME: servers follow it while they answer for addresses, so it is never asked for by itself.
    Cname,
}

/// Where names are looked up, and in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameServiceSettings {
    /// Servers to ask; empty: those of `resolv_conf`.
    pub servers: Vec<SocketAddr>,
    /// The system's settings, from which search list and options come in any case.
    pub resolv_conf: PathBuf,
    /// Fixed names.
    pub hosts_file: PathBuf,
    /// Record types in the order of asking; the first that has records is taken.
    pub order: Vec<RecordKind>,
    /// SRV is asked only for names of the form `_service._proto.name`.
    pub srv_by_name_only: bool,
}

impl Default for NameServiceSettings {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            resolv_conf: PathBuf::from("/etc/resolv.conf"),
            hosts_file: PathBuf::from("/etc/hosts"),
            order: vec![
                RecordKind::Last,
                RecordKind::Srv,
                RecordKind::A,
                RecordKind::Cname,
            ],
            srv_by_name_only: false,
        }
    }
}

/// The settings with their files read, shared by all workers.
#[derive(Debug)]
pub struct NameService {
    servers: Vec<SocketAddr>,
    system: ResolvConf,
    hosts: Hosts,
    order: Vec<RecordKind>,
    srv_by_name_only: bool,
}

const DNS_PORT: u16 = 53;

impl NameService {
    /// Reads the files. One that cannot be read is worth a warning and counts as empty.
    #[must_use]
    pub fn load(settings: &NameServiceSettings) -> Self {
        let system = match std::fs::read(&settings.resolv_conf) {
            Ok(bytes) => ResolvConf::parse(&String::from_utf8_lossy(&bytes)),
            Err(error) => {
                let path = settings.resolv_conf.display();
                tracing::warn!(%path, %error, "cannot read the resolver settings of the system");
                ResolvConf::default()
            }
        };
        let hosts = Hosts::read(&settings.hosts_file).unwrap_or_else(|error| {
            let path = settings.hosts_file.display();
            tracing::warn!(%path, %error, "cannot read the hosts file");
            Hosts::default()
        });
        let servers = if settings.servers.is_empty() {
            let with_port = |ip: &IpAddr| SocketAddr::new(*ip, DNS_PORT);
            system.servers.iter().map(with_port).collect()
        } else {
            settings.servers.clone()
        };
        Self {
            servers,
            system,
            hosts,
            order: settings.order.clone(),
            srv_by_name_only: settings.srv_by_name_only,
        }
    }

    /// The addresses that the hosts file gives, those of the types in the order first. A name that is listed only with
    /// addresses of other types has them all the same: no server could say more.
    pub(super) fn fixed(&self, name: &str) -> Option<Vec<IpAddr>> {
        let all = self.hosts.get(name)?;
        let of = |kind: RecordKind| -> Vec<IpAddr> {
            let matches = |ip: &&IpAddr| {
                matches!(
                    (kind, ip),
                    (RecordKind::A, IpAddr::V4(_)) | (RecordKind::Aaaa, IpAddr::V6(_))
                )
            };
            all.iter().filter(matches).copied().collect()
        };
        let mut by_order = self.order.iter().map(|kind| of(*kind));
        by_order
            .find(|found| !found.is_empty())
            .or_else(|| Some(all.to_vec()))
    }

    /// The types to ask for, each once: `last` where the order says so, CNAME never.
    pub(super) fn kinds(&self, name: &str, last: Option<RecordKind>) -> Vec<RecordKind> {
        let is_service = name.starts_with('_');
        let mut kinds = Vec::with_capacity(self.order.len());
        for kind in &self.order {
            let kind = match (*kind, last) {
                (RecordKind::Last, Some(last)) => last,
                (RecordKind::Last, None) | (RecordKind::Cname, _) => continue,
                (RecordKind::Srv, _) if self.srv_by_name_only && !is_service => continue,
                (kind, _) => kind,
            };
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        kinds
    }

    /// The full names to try for `name`, which has no final dot unless it is complete (`ndots`, `search`).
    pub(super) fn candidates(&self, name: &str) -> Vec<String> {
        if name.ends_with('.') {
            return vec![name.to_owned()];
        }
        let dots = name.bytes().filter(|byte| *byte == b'.').count();
        let completed = self
            .system
            .search
            .iter()
            .map(|domain| format!("{name}.{domain}."));
        let as_it_is = std::iter::once(format!("{name}."));
        if dots >= self.system.ndots {
            as_it_is.chain(completed).collect()
        } else {
            completed.chain(as_it_is).collect()
        }
    }

    /// A resolver for the current runtime. It keeps nothing and completes no names: both happen in front of it.
    pub(super) fn resolver(&self) -> Result<TokioResolver, DnsError> {
        let servers = self.servers.iter().map(|server| {
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()]
                .map(|mut connection| {
                    connection.port = server.port();
                    connection
                })
                .to_vec();
            NameServerConfig::new(server.ip(), true, connections)
        });
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
        let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
        let options: &mut ResolverOpts = builder.options_mut();
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        options.timeout = self.system.timeout;
        options.attempts = self.system.attempts;
        builder
            .build()
            .map_err(|error| DnsError::Other(error.to_string().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RecordKind::{A, Aaaa, Cname, Last, Srv};

    fn service(order: &[RecordKind], srv_by_name_only: bool, resolv_conf: &str, hosts: &str) -> NameService {
        let folder = tempfile::tempdir().unwrap();
        let (resolv, fixed) = (folder.path().join("resolv.conf"), folder.path().join("hosts"));
        std::fs::write(&resolv, resolv_conf).unwrap();
        std::fs::write(&fixed, hosts).unwrap();
        NameService::load(&NameServiceSettings {
            servers: Vec::new(),
            resolv_conf: resolv,
            hosts_file: fixed,
            order: order.to_vec(),
            srv_by_name_only,
        })
    }

    #[test]
    fn the_type_that_answered_before_is_asked_first_and_only_once() {
        let service = service(&[Last, Srv, A, Cname], false, "", "");
        assert_eq!(service.kinds("a.test", None), [Srv, A]);
        assert_eq!(service.kinds("a.test", Some(A)), [A, Srv]);
        assert_eq!(service.kinds("_http._tcp.a.test", Some(Srv)), [Srv, A]);
    }

    #[test]
    fn the_newer_resolver_asks_for_services_by_their_name_only() {
        let service = service(&[A, Srv], true, "", "");
        assert_eq!(service.kinds("a.test", None), [A]);
        assert_eq!(service.kinds("_http._tcp.a.test", None), [A, Srv]);
    }

    #[test]
    fn short_names_are_completed_first_and_long_ones_last() {
        let service = service(&[A], false, "search b.test c.test\noptions ndots:2", "");
        assert_eq!(service.candidates("a"), ["a.b.test.", "a.c.test.", "a."]);
        assert_eq!(
            service.candidates("x.y.z"),
            ["x.y.z.", "x.y.z.b.test.", "x.y.z.c.test."]
        );
        assert_eq!(service.candidates("a."), ["a."]);
    }

    #[test]
    fn fixed_names_follow_the_order_of_types() {
        let hosts = "10.0.0.1 both\n::1 both\n::2 six\n";
        let first = |order: &[RecordKind], name: &str| service(order, false, "", hosts).fixed(name);
        assert_eq!(
            first(&[Aaaa, A], "both").unwrap(),
            ["::1".parse::<IpAddr>().unwrap()]
        );
        assert_eq!(
            first(&[A, Aaaa], "both").unwrap(),
            ["10.0.0.1".parse::<IpAddr>().unwrap()]
        );
        assert_eq!(
            first(&[A], "six").unwrap(),
            ["::2".parse::<IpAddr>().unwrap()],
            "better than none"
        );
        assert_eq!(first(&[A], "other"), None);
    }
}
