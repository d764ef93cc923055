//! Names to addresses, from a cache per worker.
//!
//! A known name never waits: an expired answer is served while one background query renews it. Queries for an unknown
//! name are joined, so that a burst of requests asks once. An answer with a TTL of 0 is never kept: the name is asked
//! for again by each request (kong-core F.3).

mod addresses;
mod hosts;
mod lookup;
mod name_service;
mod resolv_conf;

pub use addresses::{Address, Addresses};
pub use lookup::{Answer, Lookup, SystemLookup};
pub use name_service::{NameService, NameServiceSettings, RecordKind};

use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, Shared};
use hashbrown::HashMap;
use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
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
    Other(Arc<str>),
}

/// The resolver of one worker, over a way to ask.
pub struct Dns<L = SystemLookup> {
    inner: Rc<Inner<L>>,
}

type Outcome = Result<Rc<Addresses>, DnsError>;

/// An outcome, and when a server said so.
#[derive(Clone)]
struct Dated {
    outcome: Outcome,
    learned: Instant,
}

struct Inner<L> {
    lookup: L,
    settings: DnsSettings,
    known: RefCell<HashMap<Box<str>, Known>>,
    asked: RefCell<HashMap<Box<str>, Shared<LocalBoxFuture<'static, Dated>>>>,
}

struct Known {
    dated: Dated,
    expires: Instant,
    /// When a failed renewal may be tried again.
    renew_after: Instant,
}

#[cfg(not(test))]
fn now() -> Instant {
    Instant::now()
}
#[cfg(test)]
use tests::now;

/// The address that `host` spells, if it is one; IPv6 may stand in brackets.
#[must_use]
pub fn literal(host: &str) -> Option<IpAddr> {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    bare.parse().ok()
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
        self.resolve_dated(host).await.0
    }

    /// The same with the time at which a server said so: of the answers that several resolvers keep, the one with the
    /// latest time holds.
    pub async fn resolve_dated(&self, host: &str) -> (Outcome, Instant) {
        if let Some(ip) = literal(host) {
            return (Ok(Rc::new(Addresses::literal(ip))), now());
        }
        let Dated { outcome, learned } = match self.known(host) {
            Some(dated) => dated,
            None => self.ask(host).await,
        };
        (outcome, learned)
    }

    /// What the cache says without waiting; an expired answer is given out and renewed in the background.
    #[must_use]
    pub fn cached(&self, host: &str) -> Option<Outcome> {
        Some(self.known(host)?.outcome)
    }

    fn known(&self, host: &str) -> Option<Dated> {
        let now = now();
        let (dated, may_renew) = {
            let known = self.inner.known.borrow();
            let known = known.get(host)?;
            if now < known.expires {
                return Some(known.dated.clone());
            }
            if known.dated.outcome.is_err() || now >= known.expires + self.inner.settings.stale_ttl {
                return None;
            }
            (known.dated.clone(), now >= known.renew_after)
        };
        if may_renew && !self.inner.asked.borrow().contains_key(host) {
            let renewal = self.ask(host);
            tokio::task::spawn_local(async move { drop(renewal.await) });
        }
        Some(dated)
    }

    /// Forgets everything, for a change of settings or of the hosts file.
    pub fn clear(&self) {
        self.inner.known.borrow_mut().clear();
    }

    fn ask(&self, host: &str) -> Shared<LocalBoxFuture<'static, Dated>> {
        if let Some(query) = self.inner.asked.borrow().get(host) {
            return query.clone();
        }
        let (inner, name) = (Rc::clone(&self.inner), Box::<str>::from(host));
        let query = async move {
            let answer = inner.lookup.lookup(&name).await;
            inner.learn(&name, answer)
        };
        let query = query.boxed_local().shared();
        self.inner.asked.borrow_mut().insert(host.into(), query.clone());
        query
    }
}

impl<L> Inner<L> {
    /// Remembers an answer. A renewal that fails leaves a stale answer in place and is tried again after `error_ttl`.
    fn learn(&self, name: &str, answer: Result<Answer, DnsError>) -> Dated {
        self.asked.borrow_mut().remove(name);
        let now = now();
        let (outcome, ttl) = match answer {
            Ok(Answer { addresses, ttl }) => {
                let ttl = self.settings.valid_ttl.unwrap_or(ttl);
                match Addresses::new(addresses, now + ttl) {
                    Some(addresses) => (Ok(Rc::new(addresses)), ttl),
                    None => (Err(DnsError::NotFound), self.settings.not_found_ttl),
                }
            }
            Err(DnsError::NotFound) => (Err(DnsError::NotFound), self.settings.not_found_ttl),
            Err(error) => (Err(error), self.settings.error_ttl),
        };
        let mut known = self.known.borrow_mut();
        if let (Err(DnsError::Other(_)), Some(old)) = (&outcome, known.get_mut(name))
            && old.dated.outcome.is_ok()
            && now < old.expires + self.settings.stale_ttl
        {
            old.renew_after = now + self.settings.error_ttl;
            return old.dated.clone();
        }
        if let (Ok(new), Some(Ok(old))) = (&outcome, known.get(name).map(|known| &known.dated.outcome)) {
            new.follow(old);
        }
        let dated = Dated {
            outcome,
            learned: now,
        };
        if ttl.is_zero() {
            known.remove(name);
            return dated;
        }
        self.make_room(&mut known, name, now);
        let entry = Known {
            dated: dated.clone(),
            expires: now + ttl,
            renew_after: now,
        };
        known.insert(name.into(), entry);
        dated
    }

    /// When the cache is full, what expired goes first, then any one name.
    fn make_room(&self, known: &mut HashMap<Box<str>, Known>, name: &str, now: Instant) {
        if known.len() < self.settings.cache_size || known.contains_key(name) {
            return;
        }
        known.retain(|_, entry| now < entry.expires);
        if known.len() >= self.settings.cache_size
            && let Some(victim) = known.keys().next().cloned()
        {
            known.remove(&victim);
        }
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
