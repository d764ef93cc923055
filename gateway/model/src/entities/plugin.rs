//! Configured plugins.

use super::Protocol;
use crate::ids::{ConsumerGroupId, ConsumerId, ForeignKey, PluginId, RouteId, ServiceId};
use crate::record;
use crate::schema::{self, any, array, boolean, foreign, name, record, set, string, tags, timestamp};
use serde_json::Value;

record! {
    /// Plugin names by phase.
    pub struct OrderingPhases {
        /// In the access phase.
        pub access: Option<Vec<String>> = array(string()),
    }
}

record! {
    /// Dynamic order: run before or after the named plugins.
    pub struct Ordering {
        /// Plugins that run after this one.
        pub before: Option<OrderingPhases> = record::<OrderingPhases>().optional(),
        /// Plugins that run before this one.
        pub after: Option<OrderingPhases> = record::<OrderingPhases>().optional(),
    }
}

record! {
    /// A plugin attached to a scope (kong-core A.7). `config` is checked against the plugin's own table.
    pub struct Plugin {
        /// Unique id.
        pub id: PluginId = schema::uuid().required(),
        /// Unix seconds of creation.
        pub created_at: Option<i64> = timestamp(),
        /// Unix seconds of the last change.
        pub updated_at: Option<i64> = timestamp(),
        /// Kind, e.g. `rate-limiting`.
        pub name: String = string().required(),
        /// Unique label without effect at run time.
        pub instance_name: Option<String> = name(),
        /// Scope: only this service.
        pub service: Option<ForeignKey<ServiceId>> = foreign("services").cascade(),
        /// Scope: only this route.
        pub route: Option<ForeignKey<RouteId>> = foreign("routes").cascade(),
        /// Scope: only this consumer.
        pub consumer: Option<ForeignKey<ConsumerId>> = foreign("consumers").cascade(),
        /// Scope: only members of this group.
        pub consumer_group: Option<ForeignKey<ConsumerGroupId>> = foreign("consumer_groups").cascade().hidden_when_unset(),
        /// The plugin's own configuration.
        pub config: Value = any(),
        /// Protocols.
        pub protocols: Vec<Protocol> = set(string().one_of(Protocol::ALL)).required().default(vec!["grpc", "grpcs", "http", "https"]),
        /// Disabled instances are ignored.
        pub enabled: bool = boolean().required().default(true),
        /// Order among other plugins.
        pub ordering: Option<Ordering> = record::<Ordering>().optional().hidden_when_unset(),
        /// How the gateway runs a filter, beside what its metadata says: failure policy, isolation, limits (our
        /// extension; filters only).
        pub tidegate: Option<Value> = any().hidden_when_unset(),
        /// Labels.
        pub tags: Option<Vec<String>> = tags(),
    }
}
