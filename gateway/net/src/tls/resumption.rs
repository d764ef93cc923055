//! How long clients may resume their sessions.

use super::TlsError;
use rustls::ServerConfig;
use rustls::server::{
    NoServerSessionStorage, ProducesTickets, ServerSessionMemoryCache, StoresServerSessions,
};
use rustls::ticketer::TicketRotator;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a session is resumed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resumption {
    /// Encrypted tickets that clients keep.
    pub(super) tickets: bool,
    /// Sessions kept in memory when there are no tickets; 0: none.
    pub(super) cache_size: usize,
    /// Time in which a session can be resumed.
    pub(super) timeout: Duration,
}

impl Resumption {
    pub(super) fn apply(self, config: &mut ServerConfig) -> Result<(), TlsError> {
        config.session_storage = Arc::new(NoServerSessionStorage {});
        if self.tickets {
            // Tickets make a shared table of sessions, and its lock, needless.
            config.ticketer = ticketer(self.timeout)?;
        } else if self.cache_size > 0 {
            config.session_storage = Arc::new(TimedSessions {
                sessions: ServerSessionMemoryCache::new(self.cache_size),
                timeout: self.timeout,
            });
        } else {
            config.send_tls13_tickets = 0;
        }
        // One ticket serves the next connection; each costs an encryption and a write per handshake.
        config.send_tls13_tickets = config.send_tls13_tickets.min(1);
        Ok(())
    }
}

/// Tickets are accepted until their key is thrown away, which is after two turns of the rotation. Keys of the library
/// last 12 hours at most, so a longer time is cut there.
fn ticketer(timeout: Duration) -> Result<Arc<dyn ProducesTickets>, TlsError> {
    let turn = u32::try_from(timeout.as_secs() / 2).unwrap_or(u32::MAX).max(1);
    Ok(Arc::new(TicketRotator::new(turn, || {
        let keys = rustls::crypto::aws_lc_rs::Ticketer::new().map_err(|_| rustls::crypto::GetRandomFailed)?;
        Ok(Box::new(Keys(keys)))
    })?))
}

/// The keys of one turn.
#[derive(Debug)]
struct Keys(Arc<dyn ProducesTickets>);

impl ProducesTickets for Keys {
    fn enabled(&self) -> bool {
        self.0.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.0.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.0.encrypt(plain)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.0.decrypt(cipher)
    }
}

/// A table of sessions that forgets them after a while; each value carries the second of its end in front.
#[derive(Debug)]
struct TimedSessions {
    sessions: Arc<ServerSessionMemoryCache>,
    timeout: Duration,
}

impl TimedSessions {
    fn alive(stamped: &[u8]) -> Option<Vec<u8>> {
        let (end, value) = stamped.split_first_chunk::<8>()?;
        (now() < u64::from_be_bytes(*end)).then(|| value.to_vec())
    }
}

impl StoresServerSessions for TimedSessions {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        let end = now().saturating_add(self.timeout.as_secs());
        self.sessions
            .put(key, [&end.to_be_bytes(), value.as_slice()].concat())
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        Self::alive(&self.sessions.get(key)?)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        Self::alive(&self.sessions.take(key)?)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_session_ends_with_its_time() {
        let sessions = |timeout| TimedSessions {
            sessions: ServerSessionMemoryCache::new(8),
            timeout,
        };
        let lasting = sessions(Duration::from_secs(60));
        assert!(lasting.put(vec![1], vec![7, 8]));
        assert_eq!(lasting.get(&[1]), Some(vec![7, 8]));
        assert_eq!((lasting.take(&[1]), lasting.take(&[1])), (Some(vec![7, 8]), None));
        let over = sessions(Duration::ZERO);
        assert!(over.put(vec![1], vec![7]));
        assert_eq!(over.get(&[1]), None);
    }

    #[test]
    fn tickets_tell_clients_their_time() {
        let tickets = ticketer(Duration::from_secs(3_600)).unwrap();
        assert_eq!(tickets.lifetime(), 3_600);
        let sealed = tickets.encrypt(b"state").unwrap();
        assert_eq!(tickets.decrypt(&sealed).as_deref(), Some(b"state".as_slice()));
    }
}
