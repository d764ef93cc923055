//! A whole configuration.

use super::{
    Acl, BasicAuthCredential, CaCertificate, Certificate, Consumer, ConsumerGroup, FilterChain,
    HmacAuthCredential, JwtSecret, Key, KeyAuthCredential, KeySet, OAuth2Credential, Plugin, Route, Service,
    Sni, Target, Upstream, Vault,
};
use crate::ids::{ConsumerGroupId, ConsumerId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
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

/// Calls a macro with the name of every collection, parents ahead of their children.
macro_rules! for_each_collection {
    ($call:ident) => {
        $call!(
            ca_certificates,
            certificates,
            snis,
            services,
            routes,
            consumers,
            consumer_groups,
            plugins,
            upstreams,
            targets,
            vaults,
            key_sets,
            keys,
            filter_chains,
            keyauth_credentials,
            basicauth_credentials,
            jwt_secrets,
            hmacauth_credentials,
            acls,
            oauth2_credentials,
        )
    };
}

impl EntitySet {
    /// Adds a checked record to its collection; one of an unknown collection is left out.
    ///
    /// # Errors
    /// When the record is not what the table of the collection makes of one.
    pub fn push(&mut self, collection: &str, record: Map<String, Value>) -> Result<(), serde_json::Error> {
        macro_rules! into {
            ($($name:ident),+ $(,)?) => {
                match collection {
                    $(stringify!($name) => self.$name.push(serde_json::from_value(Value::Object(record))?),)+
                    _ => {}
                }
            };
        }
        for_each_collection!(into);
        Ok(())
    }

    /// Puts a checked entity, given as JSON, in place of the one with its id, or among the others, which must be in
    /// order of their ids.
    ///
    /// # Errors
    /// When the text is not of the collection's form; nothing changes then.
    pub fn put(&mut self, collection: &str, text: &str) -> Result<(), serde_json::Error> {
        macro_rules! into {
            ($($name:ident),+ $(,)?) => {
                match collection {
                    $(stringify!($name) => put(&mut self.$name, text),)+
                    _ => Ok(()),
                }
            };
        }
        for_each_collection!(into)
    }

    /// Takes an entity out of a collection that is in order of ids.
    pub fn remove(&mut self, collection: &str, id: Uuid) {
        macro_rules! from {
            ($($name:ident),+ $(,)?) => {
                match collection {
                    $(stringify!($name) => remove(&mut self.$name, id),)+
                    _ => {}
                }
            };
        }
        for_each_collection!(from);
    }

    /// Where the entity with an id stands in its collection.
    #[must_use]
    pub fn position(&self, collection: &str, id: Uuid) -> Option<usize> {
        macro_rules! within {
            ($($name:ident),+ $(,)?) => {
                match collection {
                    $(stringify!($name) => self.$name.iter().position(|entity| entity.uuid() == id),)+
                    _ => None,
                }
            };
        }
        for_each_collection!(within)
    }

    /// Every entity as a record with all fields of its table, by collection, parents ahead of their children.
    #[must_use]
    pub fn records(&self) -> Vec<(&'static str, Vec<Map<String, Value>>)> {
        let mut all = Vec::new();
        macro_rules! from {
            ($($name:ident),+ $(,)?) => { $( all.push((stringify!($name), records(&self.$name))); )+ };
        }
        for_each_collection!(from);
        all
    }
}

fn records<T: Serialize>(entities: &[T]) -> Vec<Map<String, Value>> {
    let values = entities
        .iter()
        .filter_map(|entity| serde_json::to_value(entity).ok());
    values
        .filter_map(|value| match value {
            Value::Object(record) => Some(record),
            _ => None,
        })
        .collect()
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

fn remove<T: Identified>(list: &mut Vec<T>, id: Uuid) {
    if let Ok(place) = place(list, id) {
        list.remove(place);
    }
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

    #[test]
    fn records_go_in_and_come_out_again() {
        let mut set = EntitySet::default();
        let record = json!({"name": "g", "id": "00000000-0000-4000-8000-000000000001", "created_at": 1,
            "updated_at": 2, "tags": ["a"]});
        set.push("consumer_groups", record.as_object().cloned().unwrap())
            .unwrap();
        set.push("unheard_of", serde_json::Map::new()).unwrap();
        assert!(set.push("services", serde_json::Map::new()).is_err());
        let all = set.records();
        let filled: Vec<_> = all.iter().filter(|(_, records)| !records.is_empty()).collect();
        assert_eq!(filled.len(), 1);
        assert_eq!(json!(filled[0]), json!(["consumer_groups", [record]]));
        let names: Vec<_> = all.iter().map(|(name, _)| *name).collect();
        let table: Vec<_> = entity_table().iter().map(|entity| entity.collection).collect();
        assert_eq!(names, table);
    }

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
