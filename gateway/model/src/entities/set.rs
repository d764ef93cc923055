//! A whole configuration.

use super::{
    Acl, BasicAuthCredential, CaCertificate, Certificate, Consumer, ConsumerGroup, FilterChain,
    HmacAuthCredential, JwtSecret, Key, KeyAuthCredential, KeySet, OAuth2Credential, Plugin, Route, Service,
    Sni, Target, Upstream, Vault,
};
use crate::ids::{ConsumerGroupId, ConsumerId};
use serde::Serialize;
use serde_json::{Map, Value};

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

#[cfg(test)]
mod tests {
    use super::EntitySet;
    use crate::entity_table::entity_table;
    use serde_json::json;

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
}
