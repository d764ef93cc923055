//! Names to addresses, from a cache per worker.
//!
//! A known name never waits: an expired answer is served while one background query renews it. Queries for an unknown
//! name are joined, so that a burst of requests asks once (kong-core F.3).

mod lookup;

pub use lookup::{Answer, Lookup, SystemLookup};

use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, Shared};
use hashbrown::HashMap;
use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How long answers live (kong-core H.2, `dns_*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsSettings {
    /// Replaces the TTL of the answers.
    pub valid_ttl: Option<Duration>,
    /// How long an expired answer is still served while it is renewed.
    pub stale_ttl: Duration,
    /// How long "no such name" is remembered.
    pub not_found_ttl: Duration,
    /// How long another failure is remembered.
    pub error_ttl: Duration,
    /// Names in the cache of one worker, at most.
    pub cache_size: usize,
}

impl Default for DnsSettings {
    fn default() -> Self {
        Self {
            valid_ttl: None,
            stale_ttl: Duration::from_secs(3_600),
            not_found_ttl: Duration::from_secs(30),
            error_ttl: Duration::from_secs(1),
            cache_size: 10_000,
        }
    }
}

/// Why a name has no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    /// The name does not exist or has no address: 503 with this text.
    #[error("name resolution failed")]
    NotFound,
    /// The servers failed: 500 with this text.
    #[error("dns error: {0}")]
    Other(Rc<str>),
}

/// One address of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// The port of an SRV record; it overrides the configured one.
    pub port: Option<u16>,
    /// The share of an SRV record, at least 1.
    pub weight: u16,
}

/// The addresses of a name, never none.
#[derive(Debug, PartialEq, Eq)]
pub struct Addresses {
    list: Box<[Address]>,
    total_weight: u64,
    turn: Cell<u64>,
}

/// The resolver of one worker, over a way to ask.
pub struct Dns<L = SystemLookup> {
    inner: Rc<Inner<L>>,
}

type Outcome = Result<Rc<Addresses>, DnsError>;

struct Inner<L> {
    lookup: L,
    settings: DnsSettings,
    known: RefCell<HashMap<Box<str>, Known>>,
    asked: RefCell<HashMap<Box<str>, Shared<LocalBoxFuture<'static, Outcome>>>>,
}

struct Known {
    outcome: Outcome,
    expires: Instant,
}

/// The address that `host` spells, if it is one; IPv6 may stand in brackets.
#[must_use]
pub fn literal(host: &str) -> Option<IpAddr> {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    bare.parse().ok()
}

impl Addresses {
    /// The given addresses; `None` when there are none.
    #[must_use]
    pub fn new(list: Vec<Address>) -> Option<Self> {
        let total_weight = list.iter().map(|address| u64::from(address.weight.max(1))).sum();
        (total_weight > 0).then(|| Self {
            list: list.into(),
            total_weight,
            turn: Cell::new(0),
        })
    }

    /// All of them, in the order of the servers.
    #[must_use]
    pub fn list(&self) -> &[Address] {
        &self.list
    }

    /// The next one in turn, by weight; `port` is used where the record gives none.
    #[must_use]
    pub fn next(&self, port: u16) -> Option<SocketAddr> {
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        let mut position = turn % self.total_weight;
        for address in &self.list {
            let weight = u64::from(address.weight.max(1));
            if position < weight {
                return Some(SocketAddr::new(address.ip, address.port.unwrap_or(port)));
            }
            position -= weight;
        }
        None
    }
}

impl<L> Clone for Dns<L> {
    fn clone(&self) -> Self {
        Self {
            inner: Rc::clone(&self.inner),
        }
    }
}

impl<L: Lookup + 'static> Dns<L> {
    /// An empty cache over `lookup`. Renewals run as local tasks, so names are resolved within a `LocalSet`.
    #[must_use]
    pub fn new(lookup: L, settings: DnsSettings) -> Self {
        let (known, asked) = (RefCell::default(), RefCell::default());
        Self {
            inner: Rc::new(Inner {
                lookup,
                settings,
                known,
                asked,
            }),
        }
    }

    /// The addresses of `host`, from the cache when it knows them.
    ///
    /// # Errors
    /// See [`DnsError`]; failures are remembered for a short while.
    pub async fn resolve(&self, host: &str) -> Outcome {
        if let Some(ip) = literal(host) {
            let address = Address {
                ip,
                port: None,
                weight: 1,
            };
            return Addresses::new(vec![address])
                .map(Rc::new)
                .ok_or(DnsError::NotFound);
        }
        match self.cached(host) {
            Some(outcome) => outcome,
            None => self.ask(host).await,
        }
    }

    /// What the cache says without waiting; an expired answer is given out and renewed in the background.
    #[must_use]
    pub fn cached(&self, host: &str) -> Option<Outcome> {
        let (outcome, expires) = {
            let known = self.inner.known.borrow();
            let known = known.get(host)?;
            (known.outcome.clone(), known.expires)
        };
        let now = Instant::now();
        if now < expires {
            return Some(outcome);
        }
        if outcome.is_err() || now >= expires + self.inner.settings.stale_ttl {
            return None;
        }
        if !self.inner.asked.borrow().contains_key(host) {
            let renewal = self.ask(host);
            tokio::task::spawn_local(async move { drop(renewal.await) });
        }
        Some(outcome)
    }

    /// Forgets everything, for a change of settings or of the hosts file.
    pub fn clear(&self) {
        self.inner.known.borrow_mut().clear();
    }

    fn ask(&self, host: &str) -> Shared<LocalBoxFuture<'static, Outcome>> {
        let mut asked = self.inner.asked.borrow_mut();
        if let Some(query) = asked.get(host) {
            return query.clone();
        }
        let (inner, name) = (Rc::clone(&self.inner), Box::<str>::from(host));
        let query = async move {
            let answer = inner.lookup.lookup(&name).await;
            inner.learn(&name, answer)
        };
        let query = query.boxed_local().shared();
        asked.insert(host.into(), query.clone());
        query
    }
}

impl<L> Inner<L> {
    /// Remembers an answer. A failed renewal leaves a stale answer in place and is tried again after `error_ttl`.
    fn learn(&self, name: &str, answer: Result<Answer, DnsError>) -> Outcome {
        self.asked.borrow_mut().remove(name);
        let now = Instant::now();
        let (outcome, ttl) = match answer {
            Ok(Answer { addresses, ttl }) => match Addresses::new(addresses) {
                Some(addresses) => (Ok(Rc::new(addresses)), self.settings.valid_ttl.unwrap_or(ttl)),
                None => (Err(DnsError::NotFound), self.settings.not_found_ttl),
            },
            Err(DnsError::NotFound) => (Err(DnsError::NotFound), self.settings.not_found_ttl),
            Err(error) => (Err(error), self.settings.error_ttl),
        };
        let mut known = self.known.borrow_mut();
        if let (Err(DnsError::Other(_)), Some(old)) = (&outcome, known.get_mut(name))
            && old.outcome.is_ok()
            && now < old.expires + self.settings.stale_ttl
        {
            return old.outcome.clone();
        }
        if known.len() >= self.settings.cache_size && !known.contains_key(name) {
            known.retain(|_, entry| now < entry.expires);
            if known.len() >= self.settings.cache_size
                && let Some(victim) = known.keys().next().cloned()
            {
                known.remove(&victim);
            }
        }
        known.insert(
            name.into(),
            Known {
                outcome: outcome.clone(),
                expires: now + ttl,
            },
        );
        outcome
    }
}

impl<L> std::fmt::Debug for Dns<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dns")
            .field("known", &self.inner.known.borrow().len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
