//! Chains of Wasm filters (kong-core A.11).

use crate::ids::{FilterChainId, ForeignKey, RouteId, ServiceId};
use crate::record;
use crate::schema::{self, EntityCheck, any, array, boolean, foreign, name, record, string, tags, timestamp};
use serde_json::Value;

record! {
    /// One filter of a chain.
    pub struct Filter {
        /// Name of an installed filter.
        pub name: String = string().required(),
        /// Disabled filters are skipped.
        pub enabled: bool = boolean().required().default(true),
        /// What the filter gets when it is configured.
        pub config: Option<Value> = any(),
        /// How the gateway runs it, beside what its metadata says: failure policy, isolation, limits (our extension).
        pub tidegate: Option<Value> = any().hidden_when_unset(),
    }
}

record! {
    /// Filters that run on one service or route.
    pub struct FilterChain {
        /// Unique id.
        pub id: FilterChainId = schema::uuid().required(),
        /// Unix seconds of creation.
        pub created_at: Option<i64> = timestamp(),
        /// Unix seconds of the last change.
        pub updated_at: Option<i64> = timestamp(),
        /// Unique name.
        pub name: Option<String> = name(),
        /// Disabled chains are skipped.
        pub enabled: bool = boolean().required().default(true),
        /// Scope: this route.
        pub route: Option<ForeignKey<RouteId>> = foreign("routes").cascade(),
        /// Scope: this service.
        pub service: Option<ForeignKey<ServiceId>> = foreign("services").cascade(),
        /// The filters in order.
        pub filters: Vec<Filter> = array(record::<Filter>()).required().len_min(1),
        /// Labels.
        pub tags: Option<Vec<String>> = tags(),
    }
    checks [
        EntityCheck::OnlyOneOf(&["service", "route"]),
        EntityCheck::AtLeastOneOf(&["service", "route"]),
    ]
}
