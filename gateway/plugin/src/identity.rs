//! Consumers, credentials and groups, compiled for look-up on the request path.

use hashbrown::HashMap;
use http::HeaderValue;
use tidegate_model::entities::{BasicAuthCredential, Consumer, KeyAuthCredential};
use tidegate_model::ids::{ConsumerGroupId, ConsumerId, CredentialId};
use uuid::Uuid;

/// Place of a consumer in [`Identities`]; valid for one snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConsumerIndex(pub u32);

/// The credential that authenticated a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Its id.
    pub id: CredentialId,
    /// Its owner, when known.
    pub consumer: Option<ConsumerId>,
}

/// A consumer with everything that requests need of it, made when the snapshot is compiled.
#[derive(Debug, Clone)]
pub struct ConsumerEntry {
    /// The entity.
    pub consumer: Consumer,
    /// `X-Consumer-ID`.
    pub id_header: HeaderValue,
    /// `X-Consumer-Username`.
    pub username_header: Option<HeaderValue>,
    /// `X-Consumer-Custom-ID`.
    pub custom_id_header: Option<HeaderValue>,
    /// ACL groups in the order of their creation.
    pub acl_groups: Vec<String>,
    /// `X-Consumer-Groups` for acl: the groups joined by `, `.
    pub acl_groups_header: HeaderValue,
    /// Consumer groups, sorted by name.
    pub groups: Vec<ConsumerGroupId>,
}

/// An API key's credential.
#[derive(Debug, Clone)]
pub struct KeyEntry {
    /// The entity.
    pub credential: KeyAuthCredential,
    /// Its owner.
    pub consumer: ConsumerIndex,
    /// `X-Credential-Identifier`.
    pub identifier_header: HeaderValue,
    /// Unix time in seconds after which it no longer counts.
    pub expires_at: Option<f64>,
}

/// A basic-auth user's credential.
#[derive(Debug, Clone)]
pub struct BasicEntry {
    /// The entity.
    pub credential: BasicAuthCredential,
    /// Its owner.
    pub consumer: ConsumerIndex,
}

/// All identities of a snapshot.
#[derive(Debug, Default)]
pub struct Identities {
    /// Consumers; [`ConsumerIndex`] counts them.
    pub consumers: Vec<ConsumerEntry>,
    /// By id.
    pub by_id: HashMap<Uuid, ConsumerIndex, foldhash::fast::RandomState>,
    /// By username.
    pub by_username: HashMap<String, ConsumerIndex, foldhash::fast::RandomState>,
    /// API keys by key.
    pub keys: HashMap<String, KeyEntry, foldhash::fast::RandomState>,
    /// Basic-auth users by username.
    pub basic: HashMap<String, BasicEntry, foldhash::fast::RandomState>,
}

impl Identities {
    /// The consumer at an index of this snapshot.
    #[must_use]
    pub fn consumer(&self, index: ConsumerIndex) -> Option<&ConsumerEntry> {
        self.consumers.get(index.0 as usize)
    }

    /// By id if it is a UUID that exists, else by username: the rule of `config.anonymous`.
    #[must_use]
    pub fn find(&self, id_or_username: &str) -> Option<ConsumerIndex> {
        Uuid::parse_str(id_or_username)
            .ok()
            .and_then(|id| self.by_id.get(&id))
            .or_else(|| self.by_username.get(id_or_username))
            .copied()
    }

    /// The API key, also when it has expired: callers check [`KeyEntry::expires_at`].
    #[must_use]
    pub fn key(&self, key: &str) -> Option<&KeyEntry> {
        self.keys.get(key)
    }
}
