//! Configuration of `rate-limiting`.

use super::period::{Limit, Period};
use http::StatusCode;
use serde_json::{Map, Value, json};
use tidegate_model::record;
use tidegate_model::schema::{
    self, Condition, Context, EntityCheck, FieldBuilder, Shorthand, Violation, boolean, header_name, host,
    integer, number, port, record, string,
};

/// Default of `error_message`.
pub(super) const DEFAULT_MESSAGE: &str = "API rate limit exceeded";

/// Seconds.
const SMALLEST_SYNC_RATE: f64 = 0.02;

const PERIODS: [&str; 6] = [
    "config.second",
    "config.minute",
    "config.hour",
    "config.day",
    "config.month",
    "config.year",
];

record! {
    /// How Redis is reached.
    pub struct RedisConfig {
        /// Host name or address.
        pub host: Option<String> = host(),
        /// Port.
        pub port: u16 = port().default(6_379),
        /// Milliseconds to connect, to send and to receive.
        pub timeout: u32 = integer().between(0, 2_147_483_646).default(2_000),
        /// User for `AUTH`.
        pub username: Option<String> = string().referenceable(),
        /// Password for `AUTH`; empty: no authentication.
        pub password: Option<String> = string().referenceable().secret().allow_empty(),
        /// Database number.
        pub database: u32 = integer().default(0),
        /// Whether TLS is used.
        pub ssl: bool = boolean().required().default(false),
        /// Whether the server's certificate is verified.
        pub ssl_verify: bool = boolean().required().default(false),
        /// Server name sent in the TLS handshake.
        pub server_name: Option<String> = host(),
    }
}

record! {
    /// Configuration of `rate-limiting`. At least one period is needed.
    pub struct RateLimitingConfig {
        /// Requests per second.
        pub second: Option<f64> = number().gt(0.0),
        /// Requests per minute.
        pub minute: Option<f64> = number().gt(0.0),
        /// Requests per hour.
        pub hour: Option<f64> = number().gt(0.0),
        /// Requests per day.
        pub day: Option<f64> = number().gt(0.0),
        /// Requests per month.
        pub month: Option<f64> = number().gt(0.0),
        /// Requests per year.
        pub year: Option<f64> = number().gt(0.0),
        /// What tells callers apart. Callers without it are told apart by address.
        pub limit_by: String = string().default("consumer").one_of(["consumer", "credential", "ip", "service", "header", "path"]),
        /// Header that tells callers apart, for `limit_by: header`.
        pub header_name: Option<String> = header_name(),
        /// Path that has one counter for all callers, for `limit_by: path`.
        pub path: Option<String> = schema::path(),
        /// Where counters are kept: `local` in each node, `redis` in a Redis server, `cluster` in the database.
        pub policy: String = string().default("local").one_of(["local", "cluster", "redis"]),
        /// Whether requests pass when the counters cannot be reached.
        pub fault_tolerant: bool = boolean().required().default(true),
        /// The Redis server of policy `redis`.
        pub redis: RedisConfig = record::<RedisConfig>(),
        /// Whether clients are kept from seeing the limits.
        pub hide_client_headers: bool = boolean().required().default(false),
        /// Status of a rejection, 400 to 599.
        pub error_code: Option<f64> = number().default(429).gt(0.0).check("error_status", crate::checks::error_status),
        /// Message of a rejection.
        pub error_message: Option<String> = string().default(DEFAULT_MESSAGE),
        /// Seconds between two synchronisations with Redis; -1: at every request.
        pub sync_rate: f64 = number().required().default(-1),
        /// `fixed-window` counts per calendar window, as Kong does; a client may send two full quotas around a window's
        /// end. `gcra` refills quotas continuously: at any moment at most one quota can be sent at once. Policy `local`
        /// only. An addition of Tidegate.
        pub algorithm: Option<String> = string().one_of(["fixed-window", "gcra"]).hidden_when_unset(),
    }
    checks [
        EntityCheck::AtLeastOneOf(&PERIODS),
        required_with("config.policy", "redis", "config.redis.host"),
        required_with("config.policy", "redis", "config.redis.port"),
        required_with("config.policy", "redis", "config.redis.timeout"),
        required_with("config.limit_by", "header", "config.header_name"),
        required_with("config.limit_by", "path", "config.path"),
        EntityCheck::Custom("order_of_periods", larger_periods_allow_no_less),
        EntityCheck::Among {
            name: "sync_rate",
            fields: &["config.policy", "config.sync_rate"],
            even_if_at_fault: false,
            check: sync_rate_fits_policy,
        },
        EntityCheck::Among {
            name: "algorithm",
            fields: &["config.policy", "config.algorithm"],
            even_if_at_fault: false,
            check: algorithm_fits_policy,
        },
    ]
    shorthands [
        flat("redis_host", "redis.host", host(), |value| Ok(vec![("redis.host", value.clone())])),
        flat("redis_port", "redis.port", port(), |value| Ok(vec![("redis.port", value.clone())])),
        flat("redis_timeout", "redis.timeout", integer(), |value| Ok(vec![("redis.timeout", value.clone())])),
        flat("redis_username", "redis.username", string().referenceable(), |value| Ok(vec![("redis.username", value.clone())])),
        flat("redis_password", "redis.password", string().referenceable().allow_empty(), |value| Ok(vec![("redis.password", value.clone())])),
        flat("redis_database", "redis.database", integer(), |value| Ok(vec![("redis.database", value.clone())])),
        flat("redis_ssl", "redis.ssl", boolean(), |value| Ok(vec![("redis.ssl", value.clone())])),
        flat("redis_ssl_verify", "redis.ssl_verify", boolean(), |value| Ok(vec![("redis.ssl_verify", value.clone())])),
        flat("redis_server_name", "redis.server_name", host(), |value| Ok(vec![("redis.server_name", value.clone())])),
    ]
}

impl RateLimitingConfig {
    /// The limits that are set, shortest period first.
    pub(super) fn limits(&self) -> Vec<Limit> {
        let values = [
            self.second,
            self.minute,
            self.hour,
            self.day,
            self.month,
            self.year,
        ];
        Period::ALL
            .into_iter()
            .zip(values)
            .filter_map(|(period, value)| value.map(|value| Limit::new(period, value)))
            .collect()
    }

    /// The status of a rejection.
    pub(super) fn error_status(&self) -> StatusCode {
        crate::checks::status(self.error_code).unwrap_or(StatusCode::TOO_MANY_REQUESTS)
    }
}

type Expand = fn(&Value) -> Result<Vec<(&'static str, Value)>, String>;

fn required_with(if_field: &'static str, value: &str, then_field: &'static str) -> EntityCheck {
    EntityCheck::Conditional {
        if_field,
        if_one_of: vec![json!(value)],
        then_field,
        then: Condition::Required,
    }
}

/// A deprecated name of a member of `redis`. What was written into the record wins.
/// The old name of a field, which still shows its value.
fn flat(name: &'static str, shows: &'static str, field: FieldBuilder, expand: Expand) -> Shorthand {
    Shorthand {
        name,
        kind: field.into_kind(),
        expand,
        overrides: false,
        shows: Some(shows),
    }
}

fn larger_periods_allow_no_less(config: &Map<String, Value>) -> Vec<Violation> {
    let set = PERIODS.iter().filter_map(|name| {
        let name = name.strip_prefix("config.")?;
        Some((name, config.get(name)?.as_f64()?))
    });
    let limits: Vec<(&str, f64)> = set.collect();
    for (position, (lower, low)) in limits.iter().enumerate() {
        for (upper, high) in limits.iter().skip(position + 1) {
            if high < low {
                let message = format!(
                    "The limit for {upper}({high:.1}) cannot be lower than the limit for {lower}({low:.1})"
                );
                return vec![Violation {
                    path: Vec::new(),
                    message,
                    is_entity_check: false,
                }];
            }
        }
    }
    Vec::new()
}

fn sync_rate_fits_policy(record: &Map<String, Value>, _: &Context) -> Vec<Violation> {
    let config = config_of(record);
    let is_redis = config.get("policy").and_then(Value::as_str) == Some("redis");
    let sync_rate = config.get("sync_rate").and_then(Value::as_f64).unwrap_or(-1.0);
    let every_request = (sync_rate + 1.0).abs() < f64::EPSILON;
    if !every_request && !is_redis {
        return vec![Violation::entity(
            "sync_rate can only be used with the redis policy",
        )];
    }
    if !every_request && sync_rate < SMALLEST_SYNC_RATE {
        return vec![Violation::entity(
            "sync_rate must be greater than 0.02, or -1 to disable",
        )];
    }
    Vec::new()
}

fn algorithm_fits_policy(record: &Map<String, Value>, _: &Context) -> Vec<Violation> {
    let config = config_of(record);
    let text = |name| config.get(name).and_then(Value::as_str).unwrap_or_default();
    if text("algorithm") == "gcra" && text("policy") != "local" {
        return vec![Violation::entity(
            "algorithm 'gcra' can only be used with the local policy",
        )];
    }
    Vec::new()
}

/// The configuration, seen from the plugin or from itself.
fn config_of(record: &Map<String, Value>) -> &Map<String, Value> {
    record.get("config").and_then(Value::as_object).unwrap_or(record)
}
