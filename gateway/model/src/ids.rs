//! Typed ids: a `ServiceId` cannot be handed where a `RouteId` is wanted.

use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    )+};
}

ids! {
    /// Id of a Service.
    ServiceId,
    /// Id of a Route.
    RouteId,
    /// Id of a Consumer.
    ConsumerId,
    /// Id of a consumer group.
    ConsumerGroupId,
    /// Id of a configured plugin.
    PluginId,
    /// Id of an Upstream.
    UpstreamId,
    /// Id of a Target.
    TargetId,
    /// Id of a certificate.
    CertificateId,
    /// Id of an SNI.
    SniId,
    /// Id of a CA certificate.
    CaCertificateId,
    /// Id of a key.
    KeyId,
    /// Id of a key set.
    KeySetId,
    /// Id of a vault.
    VaultId,
    /// Id of a filter chain.
    FilterChainId,
    /// Id of a credential of any authentication plugin.
    CredentialId,
}

/// Reference to another entity, in JSON `{"id": "<uuid>"}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ForeignKey<Id> {
    /// The id of the entity that is pointed to.
    pub id: Id,
}
