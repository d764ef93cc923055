//! Where counters are kept, and what happens when they cannot be reached.

use super::*;
use crate::rate_limiting::{Instance, Meter, RateLimitingConfig};
use futures_util::future::{LocalBoxFuture, ready};
use tidegate_model::schema::{Declared, RecordSchema};
use tidegate_plugin::counters::{CounterStore, Counters, StoreError, Subject, Window};
use tidegate_plugin::{BuildCx, BuildError, Kind, PhaseSet, Plugin};

/// The kind with a store of the test's choice.
struct Stored(Arc<dyn CounterStore>);

impl Kind for Stored {
    fn name(&self) -> &'static str {
        "rate-limiting"
    }
    fn priority(&self) -> i32 {
        910
    }
    fn phases(&self) -> PhaseSet {
        RateLimiting.phases()
    }
    fn schema(&self) -> &'static RecordSchema {
        RateLimitingConfig::schema()
    }
    fn build(&self, config: &Value, cx: &BuildCx<'_>) -> Result<Arc<dyn Plugin>, BuildError> {
        let config: RateLimitingConfig = cx.config(config)?;
        Ok(Arc::new(Instance::new(
            &config,
            Meter::Store(Arc::clone(&self.0)),
            cx,
        )?))
    }
}

struct Unreachable;

impl CounterStore for Unreachable {
    fn increment<'a>(
        &'a self,
        _: Subject<'a>,
        _: &'a mut [Window],
        _: u64,
    ) -> LocalBoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(ready(Err(StoreError("connection refused".to_owned()))))
    }
}

#[test]
fn unreachable_store_lets_requests_pass_without_headers_when_faults_are_tolerated() {
    let harness = Harness::new(Stored(Arc::new(Unreachable))).config(json!({ "minute": 1 }));
    for _ in 0..3 {
        let finished = get(&harness);
        assert_eq!(finished.status(), 200);
        assert!(finished.header("ratelimit-limit").is_empty());
    }
}

#[test]
fn unreachable_store_fails_requests_when_faults_are_not_tolerated() {
    let config = json!({ "minute": 1, "fault_tolerant": false });
    let access = Harness::new(Stored(Arc::new(Unreachable)))
        .config(config)
        .request("GET", "/")
        .run();
    assert!(access.fault().unwrap().message.contains("connection refused"));
    assert_eq!(
        access.finish().json(),
        json!({ "message": "An unexpected error occurred" })
    );
}

#[test]
fn store_that_answers_decides_as_the_local_counters_do() {
    let clock = clock();
    let harness = Harness::new(Stored(Arc::new(Counters::default())))
        .config(json!({ "minute": 2 }))
        .clock(&clock);
    assert_eq!(value(&get(&harness), "ratelimit-remaining"), "1");
    assert_eq!(statuses(&harness, 2), [200, 429]);
}

#[test]
fn cluster_is_refused_without_a_database() {
    let violations = harness(json!({ "minute": 1, "policy": "cluster" }), &clock()).violations();
    assert_eq!(violations, ["config.policy: expected one of: local, redis"]);
}

#[test]
fn redis_is_refused_clearly_after_its_configuration_was_checked() {
    let valid = json!({ "minute": 1, "policy": "redis", "redis": { "host": "redis.test" } });
    let violations = harness(valid, &clock()).violations();
    assert_eq!(
        violations,
        ["config.policy: policy 'redis' is not available in this version: use 'local'"]
    );
}

#[test]
fn counters_outlive_a_rebuilt_instance_of_the_same_scope() {
    let counters = Arc::new(Counters::default());
    for (limit, wanted) in [(2, [200, 200]), (3, [200, 429])] {
        let own = Arc::clone(&counters);
        let harness =
            harness(json!({ "minute": limit }), &clock()).services(|services| services.counters = own);
        assert_eq!(statuses(&harness, 2), wanted);
    }
}
