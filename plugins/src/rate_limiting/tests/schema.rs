//! What configurations are accepted.

use super::*;
use tidegate_plugin::Kind;

fn violations(config: Value) -> Vec<String> {
    harness(config, &clock()).violations()
}

/// Exactly one violation, with this in its text.
#[allow(clippy::needless_pass_by_value, reason = "reads better with `json!`")]
fn assert_refused(config: Value, wanted: &str) {
    let found = violations(config.clone());
    assert!(
        found.iter().any(|text| text.contains(wanted)),
        "{config}: {found:?}"
    );
}

#[test]
fn at_least_one_period_is_needed() {
    assert_refused(
        json!({}),
        "at least one of these fields must be non-empty: 'config.second', 'config.minute', 'config.hour', 'config.day', \
         'config.month', 'config.year'",
    );
}

#[test]
fn limits_are_greater_than_zero() {
    assert_refused(
        json!({ "minute": 0 }),
        "config.minute: value must be greater than 0",
    );
    assert_refused(json!({ "minute": "6" }), "config.minute: expected a number");
}

#[test]
fn longer_period_cannot_allow_less_than_a_shorter_one() {
    assert_refused(
        json!({ "second": 20, "minute": 10 }),
        "The limit for minute(10.0) cannot be lower than the limit for second(20.0)",
    );
    assert_refused(
        json!({ "second": 1, "hour": 10.25, "year": 5 }),
        "The limit for year(5.0) cannot be lower than the limit for hour(10.2)",
    );
    assert_eq!(
        violations(json!({ "second": 10, "minute": 10, "year": 11 })),
        Vec::<String>::new()
    );
}

#[test]
fn header_and_path_need_their_names() {
    for (limit_by, field) in [("header", "header_name"), ("path", "path")] {
        let found = violations(json!({ "minute": 1, "limit_by": limit_by }));
        assert!(
            found.contains(&format!("config.{field}: required field missing")),
            "{found:?}"
        );
        let condition = "failed conditional validation given value of field 'config.limit_by'";
        assert!(found.iter().any(|text| text.contains(condition)), "{found:?}");
    }
    assert_refused(
        json!({ "minute": 1, "limit_by": "host" }),
        "expected one of: consumer, credential, ip, service, header, path",
    );
}

#[test]
fn redis_needs_a_host() {
    let found = violations(json!({ "minute": 1, "policy": "redis" }));
    assert!(
        found.contains(&"config.redis.host: required field missing".to_owned()),
        "{found:?}"
    );
}

#[test]
fn sync_rate_belongs_to_redis_and_has_a_smallest_value() {
    assert_refused(
        json!({ "minute": 1, "sync_rate": 0.5 }),
        "sync_rate can only be used with the redis policy",
    );
    let redis = |sync_rate: f64| json!({ "minute": 1, "policy": "redis", "redis": { "host": "h" }, "sync_rate": sync_rate });
    assert_refused(
        redis(0.01),
        "sync_rate must be greater than 0.02, or -1 to disable",
    );
    for accepted in [0.02, 0.5, -1.0] {
        assert_refused(redis(accepted), "policy 'redis' is not available in this version");
    }
}

#[test]
fn error_code_is_a_status_that_stands_for_an_error() {
    assert_refused(
        json!({ "minute": 1, "error_code": 0 }),
        "config.error_code: value must be greater than 0",
    );
    for bad in [json!(200), json!(600), json!(429.5)] {
        assert_refused(
            json!({ "minute": 1, "error_code": bad }),
            "config.error_code: value should be a status between 400 and 599",
        );
    }
    assert_eq!(
        violations(json!({ "minute": 1, "error_code": 599.0 })),
        Vec::<String>::new()
    );
}

#[test]
fn flat_redis_fields_of_old_files_fill_the_record() {
    let old = json!({
        "minute": 1, "redis_host": "old.test", "redis_port": 1234, "redis_timeout": 5, "redis_username": "u",
        "redis_password": "p", "redis_database": 2, "redis_ssl": true, "redis_ssl_verify": true, "redis_server_name": "s.test",
    });
    let processed = RateLimiting.schema().process(old.as_object().unwrap());
    assert!(processed.violations.is_empty(), "{:?}", processed.violations);
    let wanted = json!({
        "host": "old.test", "port": 1234, "timeout": 5, "username": "u", "password": "p", "database": 2, "ssl": true,
        "ssl_verify": true, "server_name": "s.test",
    });
    assert_eq!(processed.value["redis"], wanted);
}

#[test]
fn defaults_are_kongs() {
    let processed = RateLimiting
        .schema()
        .process(json!({ "minute": 1 }).as_object().unwrap());
    let wanted = json!({
        "second": null, "minute": 1, "hour": null, "day": null, "month": null, "year": null, "limit_by": "consumer",
        "header_name": null, "path": null, "policy": "local", "fault_tolerant": true, "hide_client_headers": false,
        "redis": {
            "host": null, "port": 6379, "timeout": 2000, "username": null, "password": null, "database": 0, "ssl": false,
            "ssl_verify": false, "server_name": null,
        },
        "error_code": 429, "error_message": "API rate limit exceeded", "sync_rate": -1,
    });
    assert_eq!(Value::Object(processed.value), wanted);
}

#[test]
fn algorithm_gcra_is_for_the_local_policy() {
    assert_refused(
        json!({ "minute": 1, "algorithm": "leaky" }),
        "expected one of: fixed-window, gcra",
    );
    assert_refused(
        json!({ "minute": 1, "algorithm": "gcra", "policy": "redis", "redis": { "host": "h" } }),
        "algorithm 'gcra' can only be used with the local policy",
    );
    for limit in [json!(5_000_000_000_u64), json!(1e-9)] {
        assert_refused(
            json!({ "year": limit, "algorithm": "gcra" }),
            "algorithm 'gcra' takes limits",
        );
    }
}
