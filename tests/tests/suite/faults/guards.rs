//! What keeps a few broken targets from becoming a broken upstream: slow start, a bound on ejections, a retry budget.

use crate::pool::{are_drawn_by, backends, config, counts, equal, gets, hold, plain, target};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use tidegate_tests::ports::refusing_address;
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Answer, Gateway, RawClient, Request, Upstream, eventually};

/// A backend that says its name, and 500 to everything while it is broken.
struct Switched {
    backend: Upstream,
    is_broken: Arc<AtomicBool>,
}

impl Switched {
    async fn named(name: &'static str) -> Self {
        let is_broken = Arc::new(AtomicBool::new(false));
        let switch = Arc::clone(&is_broken);
        let backend = Upstream::serving(move |_| match switch.load(SeqCst) {
            true => Answer::status(500).body(name),
            false => Answer::ok(name),
        });
        Self {
            backend: backend.await,
            is_broken,
        }
    }

    fn breaks(&self, is_broken: bool) {
        self.is_broken.store(is_broken, SeqCst);
    }
}

/// Probes every 100 ms; one of them decides.
const ACTIVE: &str = "healthchecks: {active: {http_path: /up, healthy: {interval: 0.1, successes: 1}, \
                      unhealthy: {interval: 0.1, http_failures: 1, tcp_failures: 1, timeouts: 1}}}";

async fn targets(gateway: &Gateway) -> Vec<Value> {
    let page = gateway.status_page("/status/upstreams/up").await.json();
    page["targets"].as_array().unwrap().clone()
}

async fn becomes(gateway: &Gateway, backend: &Upstream, health: &str) {
    let name = backend.address().to_string();
    eventually(&format!("{name} is {health}"), PATIENCE, async || {
        let targets = targets(gateway).await;
        let found = targets.iter().find(|target| target["target"] == name)?;
        (found["health"] == health).then_some(())
    })
    .await;
}

/// Breaks a backend until it is out, and mends it until it is back.
async fn recovers(gateway: &Gateway, backend: &Switched) {
    backend.breaks(true);
    becomes(gateway, &backend.backend, "UNHEALTHY").await;
    backend.breaks(false);
    becomes(gateway, &backend.backend, "HEALTHY").await;
}

#[tokio::test]
async fn a_target_that_recovered_has_a_tenth_of_its_turns_at_first() {
    let (cold, warm) = (Switched::named("cold").await, backends(1).await);
    // Within the first tenth of an hour its share does not grow.
    let fields = format!("{ACTIVE}\ntidegate: {{slow_start_seconds: 3600}}");
    let both = [target(&warm[0], 100), target(&cold.backend, 100)];
    let gateway = Gateway::start(plain(&fields, &both)).await;
    let before = counts(&gateway, gets(40)).await;
    assert_eq!(
        (before["0"], before["cold"]),
        (20, 20),
        "a new target is not a cold one"
    );
    recovers(&gateway, &cold).await;
    let after = counts(&gateway, gets(600)).await;
    let counts = [after["0"], after["cold"]];
    assert!(are_drawn_by(&[1.0, 0.1], &counts), "{counts:?}");
}

#[tokio::test]
async fn a_target_that_recovered_has_all_of_its_turns_after_its_slow_start() {
    let (cold, warm) = (Switched::named("cold").await, backends(1).await);
    let fields = format!("{ACTIVE}\ntidegate: {{slow_start_seconds: 1}}");
    let both = [target(&warm[0], 100), target(&cold.backend, 100)];
    let gateway = Gateway::start(plain(&fields, &both)).await;
    recovers(&gateway, &cold).await;
    eventually("it has its share", PATIENCE, async || {
        let counts = counts(&gateway, gets(20)).await;
        (counts.get("cold") == Some(&10)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_target_in_slow_start_gets_a_tenth_of_the_connections_too() {
    let silent = Upstream::serving(|request| match request.target.as_str() {
        "/up" => Answer::ok("up"),
        _ => Answer::never(),
    })
    .await;
    let is_broken = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&is_broken);
    let cold = Upstream::serving(move |request| match request.target.as_str() {
        "/up" if switch.load(SeqCst) => Answer::status(500),
        "/up" => Answer::ok("up"),
        _ => Answer::never(),
    })
    .await;
    let fields = format!("algorithm: least-connections\n{ACTIVE}\ntidegate: {{slow_start_seconds: 3600}}");
    let both = [target(&silent, 100), target(&cold, 100)];
    let gateway = Gateway::start(config(&fields, "", "paths: [/], strip_path: false", &both)).await;
    is_broken.store(true, SeqCst);
    becomes(&gateway, &cold, "UNHEALTHY").await;
    is_broken.store(false, SeqCst);
    becomes(&gateway, &cold, "HEALTHY").await;
    let _held = hold(&gateway, "/held", 20).await;
    let on = |backend: &Upstream| {
        let requests = backend.requests();
        requests
            .iter()
            .filter(|request| request.target == "/held")
            .count()
    };
    eventually("all have arrived", PATIENCE, async || {
        (on(&silent) + on(&cold) == 20).then_some(())
    })
    .await;
    // One costs as much on the cold target as ten on the other; at equal cost either may be taken.
    assert!((1..=2).contains(&on(&cold)), "{} on the cold one", on(&cold));
}

#[tokio::test]
async fn no_more_targets_are_out_than_allowed_and_the_last_to_fall_serves_on() {
    let sound = backends(1).await;
    let broken = [
        Switched::named("a").await,
        Switched::named("b").await,
        Switched::named("c").await,
    ];
    let mut all = equal(&sound);
    all.extend(broken.iter().map(|switched| target(&switched.backend, 100)));
    let fields = format!("{ACTIVE}\ntidegate: {{max_ejection_percent: 50}}");
    let gateway = Gateway::start(config(&fields, "retries: 0,", "paths: [/]", &all)).await;
    for switched in &broken {
        switched.breaks(true);
        becomes(&gateway, &switched.backend, "UNHEALTHY").await;
    }
    let after = counts(&gateway, gets(20)).await;
    assert_eq!(
        (after["0"], after["500"]),
        (10, 10),
        "two of four are in use: {after:?}"
    );
    let notes: Vec<Value> = targets(&gateway)
        .await
        .iter()
        .filter(|shown| shown["target"] == broken[2].backend.address().to_string())
        .map(|shown| shown["addresses"][0]["note"].clone())
        .collect();
    assert_eq!(notes, ["unhealthy, and in use all the same: too many are out"]);
    // With one of the others back there is no need for it any more.
    broken[0].breaks(false);
    becomes(&gateway, &broken[0].backend, "HEALTHY").await;
    let after = counts(&gateway, gets(20)).await;
    assert_eq!((after["0"], after["a"], after.get("500")), (10, 10, None));
}

#[tokio::test]
async fn where_nothing_may_be_out_health_is_told_and_changes_nothing() {
    let backend = Switched::named("only").await;
    let fields = format!("{ACTIVE}\ntidegate: {{max_ejection_percent: 0}}");
    let gateway = Gateway::start(plain(&fields, &[target(&backend.backend, 100)])).await;
    backend.breaks(true);
    becomes(&gateway, &backend.backend, "UNHEALTHY").await;
    assert_eq!(gateway.get("/").await.status, 500, "its own answer");
}

/// How many of `count` requests fail where each needs a retry, or does not, in turn.
async fn failures(gateway: &Gateway, count: usize) -> usize {
    let mut client = RawClient::connect(gateway.proxy()).await;
    let mut failed = 0;
    for _ in 0..count {
        failed += usize::from(client.call(&Request::get("/")).await.status == 502);
    }
    failed
}

async fn retries(gateway: &Gateway) -> f64 {
    gateway.metric("tidegate_upstream_retries_total").await
}

#[tokio::test]
async fn retries_are_a_share_of_the_requests_once_the_first_ten_are_spent() {
    let sound = backends(1).await;
    let half = [target(&sound[0], 100), (refusing_address().to_string(), 100)];
    let without = Gateway::start(plain("tags: []", &half)).await;
    assert_eq!(failures(&without, 50).await, 0);
    assert!(
        retries(&without).await >= 49.0,
        "each first try is at the broken one"
    );
    let fields = "tidegate: {retry_budget_percent: 20}";
    let gateway = Gateway::start(plain(fields, &half)).await;
    let failed = failures(&gateway, 200).await;
    let budget = 10.0 + 200.0 * 0.2;
    let spent = retries(&gateway).await;
    assert!(spent > budget - 2.0 && spent <= budget, "{spent} of {budget}");
    assert!(failed > 0);
    // Nothing but the budget was in the way.
    let tries = gateway.metric("tidegate_upstream_target_tries_total").await;
    assert_eq!(tries, 200.0 + spent);
}

#[tokio::test]
async fn a_budget_of_nothing_leaves_the_ten_that_are_always_there() {
    let nobody = [(refusing_address().to_string(), 100)];
    let fields = "tidegate: {retry_budget_percent: 0}";
    let gateway = Gateway::start(config(fields, "retries: 3,", "paths: [/]", &nobody)).await;
    assert_eq!(failures(&gateway, 20).await, 20);
    assert_eq!(retries(&gateway).await, 10.0);
}
