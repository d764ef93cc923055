//! A whole configuration.

use super::{
    Acl, BasicAuthCredential, CaCertificate, Certificate, Consumer, ConsumerGroup, FilterChain,
    HmacAuthCredential, JwtSecret, Key, KeyAuthCredential, KeySet, OAuth2Credential, Plugin, Route, Service,
    Sni, Target, Upstream, Vault,
};
use crate::ids::{ConsumerGroupId, ConsumerId};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

/// Every entity of a configuration: checked, defaults filled, references resolved to existing ids.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs, reason = "each field is the collection of its name")]
pub struct EntitySet {
    pub services: Vec<Service>,
    pub routes: Vec<Route>,
    pub consumers: Vec<Consumer>,
    pub consumer_groups: Vec<ConsumerGroup>,
    /// Who belongs to which group.
    pub consumer_group_members: Vec<(ConsumerGroupId, ConsumerId)>,
    pub plugins: Vec<Plugin>,
    pub upstreams: Vec<Upstream>,
    pub targets: Vec<Target>,
    pub certificates: Vec<Certificate>,
    pub snis: Vec<Sni>,
    pub ca_certificates: Vec<CaCertificate>,
    pub vaults: Vec<Vault>,
    pub keys: Vec<Key>,
    pub key_sets: Vec<KeySet>,
    pub filter_chains: Vec<FilterChain>,
    pub keyauth_credentials: Vec<KeyAuthCredential>,
    pub basicauth_credentials: Vec<BasicAuthCredential>,
    pub jwt_secrets: Vec<JwtSecret>,
    pub hmacauth_credentials: Vec<HmacAuthCredential>,
    pub acls: Vec<Acl>,
    pub oauth2_credentials: Vec<OAuth2Credential>,
}

/// Does something with the list of a collection; nothing for a name that is none.
macro_rules! in_collection {
    ($set:expr, $collection:expr, $list:ident => $body:expr) => {
        in_collection!(@ $set, $collection, $list => $body;
            services, routes, consumers, consumer_groups, plugins, upstreams, targets, certificates, snis,
            ca_certificates, vaults, keys, key_sets, filter_chains, keyauth_credentials, basicauth_credentials,
            jwt_secrets, hmacauth_credentials, acls, oauth2_credentials)
    };
    (@ $set:expr, $collection:expr, $list:ident => $body:expr; $($name:ident),+) => {
        match $collection {
            $(stringify!($name) => { let $list = &mut $set.$name; Some($body) })+
            _ => None,
        }
    };
}

impl EntitySet {
    /// Adds a checked entity at the end of its collection. An unknown collection is passed over.
    ///
    /// # Errors
    /// When it is not of the collection's form; nothing is added then.
    pub fn push(&mut self, collection: &str, entity: Value) -> Result<(), serde_json::Error> {
        let pushed = in_collection!(self, collection, list => serde_json::from_value(entity).map(|entity| list.push(entity)));
        pushed.unwrap_or(Ok(()))
    }

    /// Puts a checked entity, given as JSON, in place of the one with its id, or among the others, which must be in order of their ids.
    ///
    /// # Errors
    /// When the text is not of the collection's form; nothing changes then.
    pub fn put(&mut self, collection: &str, text: &str) -> Result<(), serde_json::Error> {
        in_collection!(self, collection, list => put(list, text)).unwrap_or(Ok(()))
    }

    /// Takes an entity out of a collection that is in order of ids.
    pub fn remove(&mut self, collection: &str, id: Uuid) {
        in_collection!(self, collection, list => {
            if let Ok(place) = place(list, id) {
                list.remove(place);
            }
        });
    }

    /// Every collection in order of ids, as [`EntitySet::put`] wants it.
    pub fn sort(&mut self) {
        for row in crate::entity_table::entity_table() {
            in_collection!(self, row.collection, list => list.sort_by_key(Identified::uuid));
        }
        self.consumer_group_members.sort_unstable();
    }
}

fn put<T: DeserializeOwned + Identified>(list: &mut Vec<T>, text: &str) -> Result<(), serde_json::Error> {
    let entity: T = serde_json::from_str(text)?;
    match place(list, entity.uuid()) {
        Ok(place) => {
            if let Some(slot) = list.get_mut(place) {
                *slot = entity;
            }
        }
        Err(place) => list.insert(place, entity),
    }
    Ok(())
}

fn place<T: Identified>(list: &[T], id: Uuid) -> Result<usize, usize> {
    list.binary_search_by_key(&id, Identified::uuid)
}

/// Something with an id.
trait Identified {
    fn uuid(&self) -> Uuid;
}

macro_rules! identified {
    ($($entity:ident),+ $(,)?) => {
        $(impl Identified for $entity {
            fn uuid(&self) -> Uuid {
                self.id.0
            }
        })+
    };
}

identified!(
    Acl,
    BasicAuthCredential,
    CaCertificate,
    Certificate,
    Consumer,
    ConsumerGroup,
    FilterChain,
    HmacAuthCredential,
    JwtSecret,
    Key,
    KeyAuthCredential,
    KeySet,
    OAuth2Credential,
    Plugin,
    Route,
    Service,
    Sni,
    Target,
    Upstream,
    Vault,
);

#[cfg(test)]
mod tests {
    use super::EntitySet;
    use crate::entity_table::entity_table;
    use serde_json::json;
    use uuid::Uuid;

    fn consumer(id: u128, name: &str) -> String {
        json!({ "id": Uuid::from_u128(id), "username": name }).to_string()
    }

    fn names(set: &EntitySet) -> Vec<&str> {
        set.consumers
            .iter()
            .filter_map(|consumer| consumer.username.as_deref())
            .collect()
    }

    #[test]
    fn entities_are_put_in_order_of_their_ids_replaced_and_removed() {
        let mut set = EntitySet::default();
        for (id, name) in [(2, "b"), (3, "c"), (1, "a"), (2, "B")] {
            set.put("consumers", &consumer(id, name)).unwrap();
        }
        assert_eq!(names(&set), ["a", "B", "c"]);
        set.remove("consumers", Uuid::from_u128(2));
        set.remove("consumers", Uuid::from_u128(9));
        assert_eq!(names(&set), ["a", "c"]);
    }

    #[test]
    fn what_is_not_of_the_form_changes_nothing() {
        let mut set = EntitySet::default();
        assert!(set.put("consumers", "{}").is_err());
        assert!(set.put("routes", &consumer(1, "a")).is_err());
        assert_eq!(set, EntitySet::default());
    }

    #[test]
    fn every_collection_of_the_table_is_known() {
        for row in entity_table() {
            let mut set = EntitySet::default();
            assert!(set.put(row.collection, "no JSON").is_err(), "{}", row.collection);
        }
    }
}
