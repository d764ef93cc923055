//! A whole configuration.

use super::{
    Acl, BasicAuthCredential, CaCertificate, Certificate, Consumer, ConsumerGroup, FilterChain,
    HmacAuthCredential, JwtSecret, Key, KeyAuthCredential, KeySet, OAuth2Credential, Plugin, Route, Service,
    Sni, Target, Upstream, Vault,
};
use crate::ids::{ConsumerGroupId, ConsumerId};

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
