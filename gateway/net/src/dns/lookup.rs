//! Asks the hosts file and the name servers of the system.

use super::{Address, DnsError};
use futures_util::future::LocalBoxFuture;
use hickory_resolver::config::{LookupIpStrategy, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use hickory_resolver::{Resolver, TokioResolver};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Longest time for which an answer of the hosts file or of a server is believed.
const MAX_TTL: Duration = Duration::from_secs(86_400);

/// The answer to one query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The addresses, in the order of the server.
    pub addresses: Vec<Address>,
    /// How long they hold.
    pub ttl: Duration,
}

/// A way to ask for the addresses of a name.
pub trait Lookup {
    /// Asks once.
    fn lookup<'a>(&'a self, host: &'a str) -> LocalBoxFuture<'a, Result<Answer, DnsError>>;
}

/// The resolver of the system: `/etc/resolv.conf` with search domains, and the hosts file.
///
/// A name of the form `_service._proto.name` is looked up as SRV, any other as A, then AAAA.
#[derive(Clone)]
pub struct SystemLookup(TokioResolver);

impl SystemLookup {
    /// Reads the settings of the system. Queries run as tasks of the runtime that awaits them.
    ///
    /// # Errors
    /// Fails when the resolver cannot be built.
    pub fn new() -> Result<Self, DnsError> {
        let builder = Resolver::builder_tokio().or_else(|error| {
            tracing::warn!(%error, "cannot read the resolver settings of the system; only the hosts file is used");
            let empty = ResolverConfig::from_parts(None, Vec::new(), Vec::new());
            Ok::<_, NetError>(Resolver::builder_with_config(empty, TokioRuntimeProvider::default()))
        });
        let mut builder = builder.map_err(|error| failure(&error))?;
        let options = builder.options_mut();
        options.ip_strategy = LookupIpStrategy::Ipv4thenIpv6;
        // The cache in front knows about stale answers; a second one would only hide renewals.
        options.cache_size = 0;
        builder.build().map(Self).map_err(|error| failure(&error))
    }

    async fn addresses(&self, host: &str) -> Result<Answer, DnsError> {
        let found = self.0.lookup_ip(host).await.map_err(|error| failure(&error))?;
        let addresses = found
            .iter()
            .map(|ip| Address {
                ip,
                port: None,
                weight: 1,
            })
            .collect();
        Ok(Answer {
            addresses,
            ttl: remaining(found.valid_until()),
        })
    }

    /// The records of the lowest priority, each with the addresses of its target.
    async fn services(&self, host: &str) -> Result<Answer, DnsError> {
        let found = self.0.srv_lookup(host).await.map_err(|error| failure(&error))?;
        let records = || {
            found.answers().iter().filter_map(|record| match &record.data {
                RData::SRV(service) => Some(service),
                _ => None,
            })
        };
        let lowest = records()
            .map(|service| service.priority)
            .min()
            .ok_or(DnsError::NotFound)?;
        let mut answer = Answer {
            addresses: Vec::new(),
            ttl: remaining(found.valid_until()),
        };
        for service in records().filter(|service| service.priority == lowest) {
            let target = self.addresses(&service.target.to_utf8()).await?;
            answer.ttl = answer.ttl.min(target.ttl);
            answer
                .addresses
                .extend(target.addresses.into_iter().map(|address| Address {
                    port: Some(service.port),
                    weight: service.weight.max(1),
                    ..address
                }));
        }
        Ok(answer)
    }
}

impl Lookup for SystemLookup {
    fn lookup<'a>(&'a self, host: &'a str) -> LocalBoxFuture<'a, Result<Answer, DnsError>> {
        Box::pin(async move {
            if host.starts_with('_') {
                self.services(host).await
            } else {
                self.addresses(host).await
            }
        })
    }
}

impl std::fmt::Debug for SystemLookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SystemLookup").finish_non_exhaustive()
    }
}

fn remaining(valid_until: Instant) -> Duration {
    valid_until.saturating_duration_since(Instant::now()).min(MAX_TTL)
}

fn failure(error: &NetError) -> DnsError {
    if error.is_nx_domain() || error.is_no_records_found() {
        DnsError::NotFound
    } else {
        DnsError::Other(Rc::from(error.to_string()))
    }
}
