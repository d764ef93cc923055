//! Upstreams, targets and health checks (kong-core A.4, A.5, F.4).

use crate::ids::{CertificateId, ForeignKey, TargetId, UpstreamId};
use crate::record;
use crate::schema::{
    self, EntityCheck, array, boolean, foreign, header_name, host_with_optional_port, integer, map, number,
    record, string, tags,
};
use std::collections::BTreeMap;

mod checks;

const SELECTORS: [&str; 8] = [
    "none",
    "consumer",
    "ip",
    "header",
    "cookie",
    "path",
    "query_arg",
    "uri_capture",
];
const CHECK_TYPES: [&str; 5] = ["tcp", "http", "https", "grpc", "grpcs"];

fn statuses(default: &[u16]) -> schema::FieldBuilder {
    array(integer().between(100, 999)).default(default.to_vec())
}

record! {
    /// When an active probe counts as healthy.
    pub struct ActiveHealthy {
        /// Seconds between probes of healthy targets; 0: off.
        pub interval: f64 = number().between(0, 65_535).default(0),
        /// Statuses that count as success.
        pub http_statuses: Vec<u16> = statuses(&[200, 302]),
        /// Successes that make a target healthy.
        pub successes: u8 = integer().between(0, 255).default(0),
    }
}

record! {
    /// When an active probe counts as unhealthy.
    pub struct ActiveUnhealthy {
        /// Seconds between probes of unhealthy targets; 0: off.
        pub interval: f64 = number().between(0, 65_535).default(0),
        /// Statuses that count as failure.
        pub http_statuses: Vec<u16> = statuses(&[429, 404, 500, 501, 502, 503, 504, 505]),
        /// Connection failures that make a target unhealthy.
        pub tcp_failures: u8 = integer().between(0, 255).default(0),
        /// Timeouts that make a target unhealthy.
        pub timeouts: u8 = integer().between(0, 255).default(0),
        /// Failure statuses that make a target unhealthy.
        pub http_failures: u8 = integer().between(0, 255).default(0),
    }
}

record! {
    /// Probes sent by the gateway.
    pub struct ActiveHealthcheck {
        /// Kind of probe.
        pub r#type: String = string().one_of(CHECK_TYPES).default("http"),
        /// Seconds until a probe times out.
        pub timeout: f64 = number().between(0, 65_535).default(1),
        /// Probes in flight at a time.
        pub concurrency: u32 = integer().between(1, 2_147_483_648).default(10),
        /// Path probed.
        pub http_path: String = schema::path().default("/"),
        /// SNI of https probes.
        pub https_sni: Option<String> = schema::sni(),
        /// Whether https probes verify the certificate.
        pub https_verify_certificate: bool = boolean().required().default(true),
        /// Headers of probes.
        pub headers: Option<BTreeMap<String, Vec<String>>> = map(header_name(), array(string())),
        /// Success.
        pub healthy: ActiveHealthy = record::<ActiveHealthy>(),
        /// Failure.
        pub unhealthy: ActiveUnhealthy = record::<ActiveUnhealthy>(),
    }
}

record! {
    /// When proxied traffic counts as healthy.
    pub struct PassiveHealthy {
        /// Statuses that count as success.
        pub http_statuses: Vec<u16> = statuses(&[200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 306, 307, 308]),
        /// Successes that make a target healthy.
        pub successes: u8 = integer().between(0, 255).default(0),
    }
}

record! {
    /// When proxied traffic counts as unhealthy.
    pub struct PassiveUnhealthy {
        /// Statuses that count as failure.
        pub http_statuses: Vec<u16> = statuses(&[429, 500, 503]),
        /// Connection failures that make a target unhealthy.
        pub tcp_failures: u8 = integer().between(0, 255).default(0),
        /// Timeouts that make a target unhealthy.
        pub timeouts: u8 = integer().between(0, 255).default(0),
        /// Failure statuses that make a target unhealthy.
        pub http_failures: u8 = integer().between(0, 255).default(0),
    }
}

record! {
    /// Health seen from proxied traffic.
    pub struct PassiveHealthcheck {
        /// Kind of traffic.
        pub r#type: String = string().one_of(CHECK_TYPES).default("http"),
        /// Success.
        pub healthy: PassiveHealthy = record::<PassiveHealthy>(),
        /// Failure.
        pub unhealthy: PassiveUnhealthy = record::<PassiveUnhealthy>(),
    }
}

record! {
    /// Health checks of an upstream.
    pub struct Healthchecks {
        /// Probes.
        pub active: ActiveHealthcheck = record::<ActiveHealthcheck>(),
        /// Traffic.
        pub passive: PassiveHealthcheck = record::<PassiveHealthcheck>(),
        /// Percentage of healthy weight under which the whole upstream counts as down.
        pub threshold: f64 = number().between(0, 100).default(0),
    }
}

record! {
    /// What Tidegate does for an upstream beyond Kong; everything is off unless set.
    pub struct UpstreamExtension {
        /// Seconds over which a target that recovered comes back to its full share.
        pub slow_start_seconds: Option<f64> = number().between(0, 3_600),
        /// Largest percentage of addresses that is out of use for its health at a time.
        pub max_ejection_percent: Option<u8> = integer().between(0, 100),
        /// Retries per hundred requests, at most.
        pub retry_budget_percent: Option<u8> = integer().between(0, 100),
        /// Cookie that keeps a client on its target, whatever `algorithm` says.
        pub sticky_cookie: Option<String> = schema::cookie_name(),
        /// Path of that cookie.
        pub sticky_cookie_path: Option<String> = schema::path().default("/"),
    }
}

record! {
    /// A virtual host name with balanced targets.
    pub struct Upstream {
        /// Unique id.
        pub id: UpstreamId = schema::uuid().required(),
        /// Unix seconds of creation.
        pub created_at: Option<i64> = schema::timestamp(),
        /// Unix seconds of the last change.
        pub updated_at: Option<i64> = schema::timestamp(),
        /// Unique host name.
        pub name: String = schema::upstream_name().required().unique(),
        /// How targets are chosen.
        pub algorithm: String = string()
            .one_of_and(["consistent-hashing", "least-connections", "round-robin", "latency"], ["sticky-sessions"])
            .default("round-robin"),
        /// What is hashed.
        pub hash_on: String = string().one_of(SELECTORS).default("none"),
        /// What is hashed when the first is missing.
        pub hash_fallback: String = string().one_of(SELECTORS).default("none"),
        /// Header that is hashed.
        pub hash_on_header: Option<String> = header_name(),
        /// Header of the fallback.
        pub hash_fallback_header: Option<String> = header_name(),
        /// Cookie that is hashed.
        pub hash_on_cookie: Option<String> = schema::cookie_name(),
        /// Path of that cookie.
        pub hash_on_cookie_path: Option<String> = schema::path().default("/"),
        /// Query argument that is hashed.
        pub hash_on_query_arg: Option<String> = string(),
        /// Query argument of the fallback.
        pub hash_fallback_query_arg: Option<String> = string(),
        /// Capture that is hashed.
        pub hash_on_uri_capture: Option<String> = string(),
        /// Capture of the fallback.
        pub hash_fallback_uri_capture: Option<String> = string(),
        /// With `sticky-sessions`: cookie that keeps a client on its target.
        pub sticky_sessions_cookie: Option<String> = schema::cookie_name().hidden_when_unset(),
        /// Path of that cookie; `/` when unset.
        pub sticky_sessions_cookie_path: Option<String> = schema::path().hidden_when_unset(),
        /// Points of the hash ring.
        pub slots: u32 = integer().between(10, 65_536).default(10_000),
        /// Health checks.
        pub healthchecks: Healthchecks = record::<Healthchecks>(),
        /// Host header for targets.
        pub host_header: Option<String> = host_with_optional_port(),
        /// Certificate shown to targets.
        pub client_certificate: Option<ForeignKey<CertificateId>> = foreign("certificates"),
        /// Whether the name of an SRV record goes into Host.
        pub use_srv_name: Option<bool> = boolean().default(false),
        /// What Tidegate does beyond Kong (our extension).
        pub tidegate: Option<UpstreamExtension> = record::<UpstreamExtension>().optional().hidden_when_unset(),
        /// Labels.
        pub tags: Option<Vec<String>> = tags(),
    }
    checks [
        checks::needs("hash_on", "header", "hash_on_header"),
        checks::needs("hash_fallback", "header", "hash_fallback_header"),
        checks::needs("hash_on", "cookie", "hash_on_cookie"),
        checks::needs("hash_fallback", "cookie", "hash_on_cookie"),
        checks::fallback("none", &["none"]),
        checks::fallback("cookie", &["none"]),
        checks::fallback("consumer", &["none", "ip", "header", "cookie", "path", "query_arg", "uri_capture"]),
        checks::fallback("ip", &["none", "consumer", "header", "cookie", "path", "query_arg", "uri_capture"]),
        checks::fallback("path", &["none", "consumer", "header", "cookie", "query_arg", "ip", "uri_capture"]),
        EntityCheck::Distinct(&["hash_on_header", "hash_fallback_header"]),
        checks::needs("hash_on", "query_arg", "hash_on_query_arg"),
        checks::needs("hash_fallback", "query_arg", "hash_fallback_query_arg"),
        EntityCheck::Distinct(&["hash_on_query_arg", "hash_fallback_query_arg"]),
        checks::needs("hash_on", "uri_capture", "hash_on_uri_capture"),
        checks::needs("hash_fallback", "uri_capture", "hash_fallback_uri_capture"),
        EntityCheck::Distinct(&["hash_on_uri_capture", "hash_fallback_uri_capture"]),
        checks::needs("algorithm", "sticky-sessions", "sticky_sessions_cookie"),
    ]
    transforms [ checks::algorithm_follows_hash_on() ]
}

record! {
    /// A member of an upstream.
    pub struct Target {
        /// Unique id.
        pub id: TargetId = schema::uuid().required(),
        /// Unix seconds of creation, with milliseconds.
        pub created_at: Option<f64> = number(),
        /// Unix seconds of the last change, with milliseconds.
        pub updated_at: Option<f64> = number(),
        /// Its upstream.
        pub upstream: ForeignKey<UpstreamId> = foreign("upstreams").cascade().required(),
        /// Host and port, or `unix:/path` of a socket file (our extension).
        pub target: String = schema::target().required(),
        /// Share of traffic; 0: none.
        pub weight: u16 = integer().between(0, 65_535).default(100),
        /// Labels.
        pub tags: Option<Vec<String>> = tags(),
    }    transforms [ checks::target_in_stored_form() ]
}
