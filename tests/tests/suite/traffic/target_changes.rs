//! Targets come, go and change their weight while requests go on: nobody notices, and those that stay are left alone.

use crate::load::{CLIENTS, Load};
use crate::pool::{config, counts, gets, target};
use serde_json::Value;
use std::time::Duration;
use tidegate_tests::gateway::Reload;
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Answer, Gateway, RawClient, Request, Upstream, eventually};

/// Two statuses 500, and a target is out for good.
const CHECKS: &str = "healthchecks: {passive: {unhealthy: {http_statuses: [500], http_failures: 2}}}";
/// Requests that may not be repeated, and no retries: what goes wrong is seen.
const SERVICE: &str = "retries: 0,";

fn yaml(targets: &[(String, u16)]) -> String {
    config(CHECKS, SERVICE, "paths: [/]", targets)
}

/// What is told of the address of a backend, but for its response time, which sinks by itself.
async fn shown(gateway: &Gateway, backend: &Upstream) -> Value {
    let page = gateway.status_page("/status/upstreams/up").await.json();
    let targets = page["targets"].as_array().unwrap();
    let name = backend.address().to_string();
    let found = targets.iter().find(|target| target["target"] == name);
    let mut shown = found.unwrap()["addresses"][0].clone();
    shown.as_object_mut().unwrap().remove("latency_us");
    shown
}

/// A backend whose answers take a while, so that some of them are on their way when it is taken away.
async fn slow() -> Upstream {
    Upstream::serving(|_| Answer::after(Duration::from_millis(20), Answer::ok("slow"))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn targets_come_and_go_under_load_without_a_failed_request_and_the_others_keep_all_they_have() {
    let (one, two) = (Upstream::ok().await, Upstream::ok().await);
    let failing = Upstream::serving(|_| Answer::status(500)).await;
    let stays = [target(&one, 100), target(&two, 100), target(&failing, 100)];
    let gateway = Gateway::with(yaml(&stays)).setting("workers", "2").start().await;
    assert_eq!(counts(&gateway, gets(9)).await["500"], 2);
    let out = shown(&gateway, &failing).await;
    assert_eq!(
        (&out["state"], &out["counters"]["http_failures"]),
        (&"unhealthy".into(), &2.into())
    );

    let load = Load::start(gateway.proxy(), &Request::post("/", "once"));
    load.goes_on(200).await;
    let mut visitors = Vec::new();
    for weight in [100, 50, 300] {
        let visitor = slow().await;
        let mut more = stays.to_vec();
        more[0].1 = weight;
        more.push(target(&visitor, 100));
        assert_eq!(gateway.reload(yaml(&more)).await, Reload::Accepted);
        eventually("the new target has its share", PATIENCE, async || {
            (visitor.requests().len() >= 20).then_some(())
        })
        .await;
        load.goes_on(100).await;
        assert_eq!(gateway.reload(yaml(&stays)).await, Reload::Accepted);
        load.goes_on(100).await;
        visitors.push(visitor);
    }
    let rate = load.rate();
    assert!(rate > 200.0, "{rate} requests a second show little");
    assert_eq!(load.end().await, [0_u16; 0], "no request failed");

    for stayed in [&one, &two] {
        let shown = shown(&gateway, stayed).await;
        assert_eq!(
            shown["chosen"],
            stayed.requests().len(),
            "counted from the start: {shown}"
        );
        assert_eq!((&shown["in_flight"], &shown["failed"]), (&0.into(), &0.into()));
        assert_eq!(stayed.closed_connections(), 0, "kept connections are kept");
        assert!(stayed.connections() <= CLIENTS, "{}", stayed.connections());
    }
    assert_eq!(
        shown(&gateway, &failing).await,
        out,
        "out as it was, and not asked again"
    );
    assert_eq!(failing.requests().len(), 2);
    let all = [&one, &two].into_iter().chain(&visitors);
    assert!(
        all.flat_map(Upstream::requests)
            .all(|request| request.method == "GET" || request.body == b"once"),
        "every body came whole"
    );
}

#[tokio::test]
async fn an_exchange_ends_on_the_target_that_it_began_on_though_that_is_taken_away() {
    let (stays, goes) = (Upstream::ok().await, slow_to_answer().await);
    let gateway = Gateway::start(yaml(&[target(&goes, 100)])).await;
    let mut client = RawClient::connect(gateway.proxy()).await;
    client.send(Request::post("/", "once").bytes()).await;
    eventually("it is on its way", PATIENCE, async || {
        (goes.requests().len() == 1).then_some(())
    })
    .await;
    assert_eq!(
        gateway.reload(yaml(&[target(&stays, 100)])).await,
        Reload::Accepted
    );
    assert_eq!(gateway.get("/").await.text(), "ok", "others go elsewhere");
    let answer = client.response_to("POST").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "late"));
    assert_eq!(goes.requests().len(), 1);
}

async fn slow_to_answer() -> Upstream {
    Upstream::serving(|_| Answer::after(Duration::from_secs(1), Answer::ok("late"))).await
}

#[tokio::test]
async fn a_target_that_returns_is_new() {
    let (sound, failing) = (
        Upstream::ok().await,
        Upstream::serving(|_| Answer::status(500)).await,
    );
    let both = [target(&sound, 100), target(&failing, 100)];
    let gateway = Gateway::start(yaml(&both)).await;
    assert_eq!(counts(&gateway, gets(10)).await["500"], 2);
    assert_eq!(gateway.reload(yaml(&both[..1])).await, Reload::Accepted);
    assert_eq!(gateway.reload(yaml(&both)).await, Reload::Accepted);
    let fresh = shown(&gateway, &failing).await;
    assert_eq!(
        (&fresh["state"], &fresh["chosen"]),
        (&"healthy".into(), &0.into()),
        "{fresh}"
    );
    assert_eq!(counts(&gateway, gets(10)).await["500"], 2);
}
