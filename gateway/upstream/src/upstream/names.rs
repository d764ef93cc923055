//! Targets whose host is a name: what it came to.

use crate::spec::{TargetSpec, UpstreamSpec};
use crate::upstream::Upstream;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;
use tidegate_model::address::Address;
use tidegate_model::ids::TargetId;

/// A target that somebody has to resolve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedTarget {
    /// The target.
    pub target: TargetId,
    /// Its name.
    pub host: Arc<str>,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedAddress {
    /// The address.
    pub ip: IpAddr,
    /// Port of an SRV record; `None` or 0: the target's.
    pub port: Option<u16>,
    /// Weight of an SRV record, where 0 counts as 1; `None`: the target's.
    pub weight: Option<u32>,
    /// Name that an SRV record points to, for `use_srv_name`.
    pub name: Option<Arc<str>>,
}

impl ResolvedAddress {
    /// An A or AAAA record.
    #[must_use]
    pub fn plain(ip: IpAddr) -> Self {
        Self {
            ip,
            port: None,
            weight: None,
            name: None,
        }
    }

    /// Address and weight that it stands for (kong-core F.3). A target of weight 0 gives none to its records.
    pub(crate) fn place(&self, target: &TargetSpec) -> (Address, u32) {
        let port = self.port.filter(|port| *port != 0).unwrap_or(target.port);
        let weight = match self.weight {
            Some(weight) if target.weight > 0 => weight.max(1),
            _ => u32::from(target.weight),
        };
        (Address::Tcp(SocketAddr::new(self.ip, port)), weight)
    }
}

/// Why a name has no addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DnsFault {
    /// It does not exist, or has none.
    #[error("name resolution failed")]
    NotFound,
    /// The servers failed, so nothing is known.
    #[error("{0}")]
    Servers(Arc<str>),
}

/// What is known of one name.
#[derive(Debug, Clone)]
struct Known {
    host: Arc<str>,
    port: u16,
    addresses: Vec<ResolvedAddress>,
    fault: Option<DnsFault>,
    /// When the addresses were; `None`: the servers never said anything.
    learned: Option<Instant>,
}

impl Known {
    fn is_of(&self, target: &TargetSpec) -> bool {
        self.host == target.host && self.port == target.port
    }
}

/// What is known of the names of an upstream.
#[derive(Debug, Default)]
pub(crate) struct Names(Vec<Known>);

impl Names {
    fn find(&self, target: &TargetSpec) -> Option<&Known> {
        self.0.iter().find(|known| known.is_of(target))
    }

    pub(crate) fn addresses(&self, target: &TargetSpec) -> &[ResolvedAddress] {
        self.find(target).map_or(&[], |known| &known.addresses)
    }

    pub(crate) fn is_known(&self, target: &TargetSpec) -> bool {
        self.find(target).is_some()
    }

    pub(crate) fn fault(&self, target: &TargetSpec) -> Option<DnsFault> {
        self.find(target)?.fault.clone()
    }

    /// What stays under a new specification.
    pub(crate) fn kept(&self, spec: &UpstreamSpec) -> Self {
        let kept = spec
            .targets
            .iter()
            .filter_map(|target| self.find(target).cloned());
        Self(kept.collect())
    }

    /// Takes an answer in that somebody was given at `learned`. Whether addresses changed, or the name is new.
    fn learn(
        &mut self,
        target: &TargetSpec,
        answer: Result<Vec<ResolvedAddress>, DnsFault>,
        learned: Instant,
    ) -> bool {
        let (addresses, fault) = match answer {
            Ok(mut addresses) => {
                addresses.sort_by_key(|address| {
                    let (to, weight) = address.place(target);
                    (to.to_string(), weight)
                });
                addresses.dedup_by_key(|address| address.place(target).0);
                (Some(addresses), None)
            }
            Err(DnsFault::NotFound) => (Some(Vec::new()), Some(DnsFault::NotFound)),
            // Servers that fail say nothing about the addresses that were good a moment ago.
            Err(fault) => (None, Some(fault)),
        };
        let learned = addresses.is_some().then_some(learned);
        let Some(known) = self.0.iter_mut().find(|known| known.is_of(target)) else {
            self.0.push(Known {
                host: Arc::clone(&target.host),
                port: target.port,
                addresses: addresses.unwrap_or_default(),
                fault,
                learned,
            });
            return true;
        };
        if learned.is_some() && learned < known.learned {
            return false;
        }
        known.fault = fault;
        known.learned = learned.or(known.learned);
        match addresses {
            Some(addresses) if addresses != known.addresses => {
                known.addresses = addresses;
                true
            }
            _ => false,
        }
    }
}

impl Upstream {
    /// The targets whose host is a name.
    pub fn names(&self) -> impl Iterator<Item = NamedTarget> + '_ {
        let targets = self.spec().targets.iter();
        targets
            .filter(|target| target.address.is_none())
            .map(|target| NamedTarget {
                target: target.id,
                host: Arc::clone(&target.host),
            })
    }

    /// Whether a name was never resolved.
    #[must_use]
    pub fn has_unresolved(&self) -> bool {
        self.board.load().has_unresolved
    }

    /// Whether any target is a name.
    #[must_use]
    pub fn has_names(&self) -> bool {
        self.names().next().is_some()
    }

    /// Takes the answer for a target in. Addresses that stay keep their state. When the servers failed, what they said
    /// before still holds; when they said that there is no such name, the target has no addresses. Several resolvers
    /// hand their answers on, so one that was `learned` before the one that is known says nothing. Returns whether
    /// anything is different now.
    pub fn resolved(
        &self,
        target: TargetId,
        answer: Result<Vec<ResolvedAddress>, DnsFault>,
        learned: Instant,
    ) -> bool {
        let Some(target) = self.spec().targets.iter().find(|known| known.id == target) else {
            return false;
        };
        let mut names = self.names.lock();
        let has_changed = names.learn(target, answer, learned);
        if has_changed {
            self.rebuild(&names);
        }
        has_changed
    }
}
