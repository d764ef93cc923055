//! Routes: which requests go to which service.

use super::Protocol;
use crate::ids::{ForeignKey, RouteId, ServiceId};
use crate::record;
use crate::schema::{
    self, EntityCheck, RouterFlavor, array, boolean, foreign, integer, map, name, record, router_path, set,
    string, tags, timestamp,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

mod checks;

/// How service path and request path are joined (kong-core C.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathHandling {
    /// Paths are segments, joined by one slash.
    V0,
    /// Paths are strings; only for `router_flavor = traditional`.
    V1,
}

record! {
    /// An address or range, a port, or both.
    pub struct CidrPort {
        /// Address or CIDR range.
        pub ip: Option<String> = schema::ip_or_cidr(),
        /// Port.
        pub port: Option<u16> = schema::port(),
    }
    checks [ EntityCheck::AtLeastOneOf(&["ip", "port"]) ]
}

record! {
    /// A rule that matches requests (kong-core A.3).
    pub struct Route {
        /// Unique id.
        pub id: RouteId = schema::uuid().required(),
        /// Unix seconds of creation.
        pub created_at: Option<i64> = timestamp(),
        /// Unix seconds of the last change.
        pub updated_at: Option<i64> = timestamp(),
        /// Unique name.
        pub name: Option<String> = name(),
        /// Protocols; may not mix families.
        pub protocols: Vec<Protocol> = set(string().one_of(Protocol::ALL)).len_min(1).within_one_of(checks::FAMILIES).required().default(vec!["http", "https"]),
        /// HTTP methods.
        pub methods: Option<Vec<String>> = set(schema::http_method()),
        /// Hosts, with an optional wildcard label and port.
        pub hosts: Option<Vec<String>> = array(schema::route_host()),
        /// Path prefixes, or regexes after `~`.
        pub paths: Option<Vec<String>> = array(router_path()),
        /// Header names to accepted values.
        pub headers: Option<BTreeMap<String, Vec<String>>> = map(schema::header_name().check("not_host", checks::is_not_host), array(string())),
        /// Status that answers a cleartext request on an https-only route.
        pub https_redirect_status_code: u16 = integer().one_of([426, 301, 302, 307, 308]).required().default(426),
        /// Order among regex paths, higher first.
        pub regex_priority: i64 = integer().default(0),
        /// Whether the matched prefix is removed before forwarding.
        pub strip_path: bool = boolean().required().default(true),
        /// How paths are joined.
        pub path_handling: PathHandling = string().one_of(["v0", "v1"]).default("v0"),
        /// Whether the client's Host goes to the backend.
        pub preserve_host: bool = boolean().required().default(false),
        /// Whether the request body is read before it is sent on.
        pub request_buffering: bool = boolean().required().default(true),
        /// Whether the response body is buffered.
        pub response_buffering: bool = boolean().required().default(true),
        /// Server names of TLS connections.
        pub snis: Option<Vec<String>> = set(schema::wildcard_host()),
        /// Client addresses.
        pub sources: Option<Vec<CidrPort>> = set(record::<CidrPort>()),
        /// Listener addresses.
        pub destinations: Option<Vec<CidrPort>> = set(record::<CidrPort>()),
        /// Labels.
        pub tags: Option<Vec<String>> = tags(),
        /// Where requests go; null: a plugin must answer.
        pub service: Option<ForeignKey<ServiceId>> = foreign("services"),
        /// Expression, only with `router_flavor = expressions`.
        pub expression: Option<String> = string().only_with(RouterFlavor::Expressions),
        /// Priority of an expression route.
        pub priority: Option<u64> = integer().between(0, (1 << 46) - 1).required().default(0).only_with(RouterFlavor::Expressions),
    }
    checks [
        checks::known_protocols(),
        checks::fields_of_family(),
        checks::snis_need_tls(),
        checks::something_to_match(),
        checks::compiles(),
    ]
    transforms [ checks::grpc_keeps_its_path() ]
}
