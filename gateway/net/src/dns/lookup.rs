//! Asks the hosts file and the name servers.

use super::name_service::{NameService, RecordKind};
use super::{Address, DnsError};
use futures_util::future::{LocalBoxFuture, join_all};
use hashbrown::HashMap;
use hickory_resolver::TokioResolver;
use hickory_resolver::lookup::Lookup as Records;
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{RData, RecordType};
use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest time for which an answer of a server is believed.
const MAX_TTL: Duration = Duration::from_secs(86_400);
/// Answers of the hosts file hold for ten years, as in Kong.
const FIXED_TTL: Duration = Duration::from_secs(10 * 365 * 86_400);
/// Names whose type of record is remembered.
const MAX_REMEMBERED: usize = 65_536;

/// The answer to one query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The addresses, in the order of the server.
    pub addresses: Vec<Address>,
    /// How long they hold: the least time of all records that led to them.
    pub ttl: Duration,
}

/// A way to ask for the addresses of a name.
pub trait Lookup {
    /// Asks once.
    fn lookup<'a>(&'a self, host: &'a str) -> LocalBoxFuture<'a, Result<Answer, DnsError>>;
}

/// The name service as one worker uses it. For each type of record in the configured order, each name of the search
/// list is asked for; the first that has records is the answer.
pub struct SystemLookup {
    service: Arc<NameService>,
    resolver: TokioResolver,
    /// The type that answered, for `LAST`.
    answered: RefCell<HashMap<Box<str>, RecordKind>>,
}

impl SystemLookup {
    /// A lookup whose queries run as tasks of the runtime that awaits them.
    ///
    /// # Errors
    /// Fails when the resolver cannot be built.
    pub fn new(service: Arc<NameService>) -> Result<Self, DnsError> {
        let resolver = service.resolver()?;
        Ok(Self {
            service,
            resolver,
            answered: RefCell::default(),
        })
    }

    async fn find(&self, host: &str) -> Result<Answer, DnsError> {
        let name = host.to_ascii_lowercase();
        if let Some(fixed) = self.service.fixed(name.trim_end_matches('.')) {
            return Ok(Answer {
                addresses: fixed.into_iter().map(Address::plain).collect(),
                ttl: FIXED_TTL,
            });
        }
        let last = self.answered.borrow().get(name.as_str()).copied();
        let kinds = self.service.kinds(&name, last);
        let mut failure = DnsError::NotFound;
        for kind in &kinds {
            match self.of_kind(&name, *kind, &kinds).await {
                Ok(answer) => {
                    self.remember(&name, *kind);
                    return Ok(answer);
                }
                // Servers that refuse to speak of SRV say nothing about the name; a failed question for its
                // addresses does, also when another type was answered with "none".
                Err(DnsError::Other(reason)) if *kind != RecordKind::Srv || kinds.len() == 1 => {
                    failure = DnsError::Other(reason);
                }
                Err(_) => {}
            }
        }
        Err(failure)
    }

    async fn of_kind(&self, name: &str, kind: RecordKind, kinds: &[RecordKind]) -> Result<Answer, DnsError> {
        let mut failure = DnsError::NotFound;
        for candidate in self.service.candidates(name) {
            let outcome = match kind {
                RecordKind::Srv => self.services(&candidate, kinds).await,
                RecordKind::Aaaa => self.addresses(&candidate, RecordType::AAAA).await,
                _ => self.addresses(&candidate, RecordType::A).await,
            };
            match outcome {
                Ok(answer) => return Ok(answer),
                Err(DnsError::Other(reason)) => failure = DnsError::Other(reason),
                Err(DnsError::NotFound) => {}
            }
        }
        Err(failure)
    }

    async fn ask(&self, name: &str, kind: RecordType) -> Result<Records, DnsError> {
        self.resolver
            .lookup(name, kind)
            .await
            .map_err(|error| failure(&error))
    }

    async fn addresses(&self, name: &str, kind: RecordType) -> Result<Answer, DnsError> {
        let found = self.ask(name, kind).await?;
        let ip = |data: &RData| match data {
            RData::A(ip) => Some(IpAddr::V4(ip.0)),
            RData::AAAA(ip) => Some(IpAddr::V6(ip.0)),
            _ => None,
        };
        let addresses: Vec<Address> = found
            .answers()
            .iter()
            .filter_map(|record| ip(&record.data))
            .map(Address::plain)
            .collect();
        if addresses.is_empty() {
            return Err(DnsError::NotFound);
        }
        Ok(Answer {
            addresses,
            ttl: remaining(found.valid_until()),
        })
    }

    /// The records of the lowest priority, each with the addresses of its target. A target without an address is left
    /// out as long as another one has some.
    async fn services(&self, name: &str, kinds: &[RecordKind]) -> Result<Answer, DnsError> {
        let found = self.ask(name, RecordType::SRV).await?;
        let records: Vec<&SRV> = found
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                RData::SRV(service) if !service.target.is_root() => Some(service),
                _ => None,
            })
            .collect();
        let lowest = records.iter().map(|service| service.priority).min();
        let chosen: Vec<&SRV> = records
            .into_iter()
            .filter(|service| Some(service.priority) == lowest)
            .collect();
        let targets = join_all(chosen.iter().map(|service| self.target(service, kinds))).await;
        let mut answer = Answer {
            addresses: Vec::new(),
            ttl: remaining(found.valid_until()),
        };
        let mut reason = DnsError::NotFound;
        for target in targets {
            match target {
                Ok(target) => {
                    answer.ttl = answer.ttl.min(target.ttl);
                    answer.addresses.extend(target.addresses);
                }
                Err(error) => reason = error,
            }
        }
        if answer.addresses.is_empty() {
            Err(reason)
        } else {
            Ok(answer)
        }
    }

    async fn target(&self, service: &SRV, kinds: &[RecordKind]) -> Result<Answer, DnsError> {
        let name = service.target.to_utf8().to_ascii_lowercase();
        let bare = name.trim_end_matches('.');
        let mut answer = match self.service.fixed(bare) {
            Some(fixed) => Answer {
                addresses: fixed.into_iter().map(Address::plain).collect(),
                ttl: FIXED_TTL,
            },
            None => self.target_addresses(&name, kinds).await?,
        };
        let shared_by = u16::try_from(answer.addresses.len()).unwrap_or(u16::MAX);
        let target: Arc<str> = bare.into();
        for address in &mut answer.addresses {
            address.port = (service.port != 0).then_some(service.port);
            address.weight = service.weight.max(1);
            address.shared_by = shared_by;
            address.target = Some(Arc::clone(&target));
        }
        Ok(answer)
    }

    /// By the address types of the order; A when it has none.
    async fn target_addresses(&self, name: &str, kinds: &[RecordKind]) -> Result<Answer, DnsError> {
        let types = kinds.iter().filter_map(|kind| match kind {
            RecordKind::A => Some(RecordType::A),
            RecordKind::Aaaa => Some(RecordType::AAAA),
            _ => None,
        });
        let types: Vec<RecordType> = types.collect();
        let types = if types.is_empty() {
            vec![RecordType::A]
        } else {
            types
        };
        let mut failure = DnsError::NotFound;
        for kind in types {
            match self.addresses(name, kind).await {
                Ok(answer) => return Ok(answer),
                Err(DnsError::Other(reason)) => failure = DnsError::Other(reason),
                Err(DnsError::NotFound) => {}
            }
        }
        Err(failure)
    }

    fn remember(&self, name: &str, kind: RecordKind) {
        let mut answered = self.answered.borrow_mut();
        if answered.len() >= MAX_REMEMBERED {
            answered.clear();
        }
        if answered.get(name) != Some(&kind) {
            answered.insert(name.into(), kind);
        }
    }
}

impl Lookup for SystemLookup {
    fn lookup<'a>(&'a self, host: &'a str) -> LocalBoxFuture<'a, Result<Answer, DnsError>> {
        Box::pin(self.find(host))
    }
}

impl std::fmt::Debug for SystemLookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SystemLookup").finish_non_exhaustive()
    }
}

/// Whole seconds, as records have them: the part of a second that the query took is no loss of time to live.
fn remaining(valid_until: Instant) -> Duration {
    let left = valid_until.saturating_duration_since(Instant::now());
    let whole = left.as_secs() + u64::from(left.subsec_nanos() > 0);
    Duration::from_secs(whole).min(MAX_TTL)
}

fn failure(error: &NetError) -> DnsError {
    if error.is_nx_domain() || error.is_no_records_found() {
        DnsError::NotFound
    } else {
        DnsError::Other(error.to_string().into())
    }
}
