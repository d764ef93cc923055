//! Active health checks over sockets (kong-core F.4): what is sent, what is made of the answer, and how soon.

#[path = "probing/kinds.rs"]
mod kinds;

use parking_lot::Mutex;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};
use tidegate_tests::dns_server::{DnsServer, Record, Reply, Type};
use tidegate_tests::gateway::{Builder, Reload};
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Answer, BlackHole, Fault, Faulty, Gateway, Upstream, eventually};

/// Seconds between two probes.
const INTERVAL: f64 = 0.2;

/// A document with one Upstream `pool`, probed as `active` says, and a service in front of it.
fn pool(targets: &[SocketAddr], active: &str) -> String {
    let targets: String = targets
        .iter()
        .map(|target| format!("  - target: {target}\n"))
        .collect();
    format!(
        "upstreams:
- name: pool
  healthchecks:
    active:
      healthy: {{interval: {INTERVAL}, successes: 1}}
      unhealthy: {{interval: {INTERVAL}, http_failures: 1, tcp_failures: 1, timeouts: 1}}
      {active}
  targets:
{targets}services:
- {{name: s, host: pool, retries: 0, routes: [{{paths: [/]}}]}}
"
    )
}

fn gateway(yaml: String) -> Builder {
    Gateway::with(yaml)
}

/// What the status page says of the upstream.
async fn page(gateway: &Gateway) -> Value {
    gateway.status_page("/status/upstreams/pool").await.json()
}

/// Health of the target in Kong's words.
async fn health(gateway: &Gateway, target: SocketAddr) -> String {
    let page = page(gateway).await;
    let targets = page["targets"].as_array().cloned().unwrap_or_default();
    let found = targets.iter().find(|shown| shown["target"] == target.to_string());
    found.map_or_else(String::new, |shown| shown["health"].as_str().unwrap().to_owned())
}

/// Waits until the target has that health; gives how long it took.
async fn becomes(gateway: &Gateway, target: SocketAddr, wanted: &str) -> Duration {
    let started = Instant::now();
    eventually(&format!("{target} is {wanted}"), PATIENCE, async || {
        (health(gateway, target).await == wanted).then_some(())
    })
    .await;
    started.elapsed()
}

#[tokio::test]
async fn a_target_that_goes_down_gets_no_traffic_after_one_interval_and_comes_back_after_one() {
    let (one, other) = (Faulty::sound().await, Faulty::sound().await);
    let gateway = gateway(pool(&[one.address(), other.address()], "http_path: /up"))
        .start()
        .await;
    one.breaks(Fault::Refuses).await;
    let took = becomes(&gateway, one.address(), "UNHEALTHY").await;
    assert!(
        took < Duration::from_secs(3),
        "{took:?} for an interval of 200 ms"
    );
    for _ in 0..10 {
        assert_eq!(
            gateway.get("/").await.status,
            200,
            "nothing goes to the one that is out"
        );
    }
    assert_eq!(health(&gateway, other.address()).await, "HEALTHY");
    one.is_mended().await;
    let took = becomes(&gateway, one.address(), "HEALTHY").await;
    assert!(
        took < Duration::from_secs(3),
        "{took:?} for an interval of 200 ms"
    );
    let before = one.count("GET");
    for _ in 0..10 {
        assert_eq!(gateway.get("/").await.status, 200);
    }
    let traffic = one.requests().split_off(before);
    let traffic = traffic.iter().filter(|request| request.target != "/up").count();
    assert_eq!(traffic, 5, "it has its share again");
    let log = gateway.log();
    assert!(log.contains("target is out of use"), "{log}");
    assert!(log.contains("target is back in use"), "{log}");
}

/// How often the target went out of use and came back, as the metrics have it; panics when they do not have it.
async fn events(gateway: &Gateway, target: SocketAddr) -> [u64; 2] {
    let page = gateway.status_page("/metrics").await.text();
    ["unhealthy", "healthy"].map(|event| {
        let labels =
            format!("{{upstream=\"pool\",target=\"{target}\",address=\"{target}\",event=\"{event}\"}}");
        let sample = format!("tidegate_upstream_target_health_events_total{labels} ");
        let value = page.lines().find_map(|line| line.strip_prefix(&sample));
        value.unwrap_or_else(|| panic!("no {sample}")).parse().unwrap()
    })
}

async fn count_becomes(gateway: &Gateway, target: SocketAddr, wanted: [u64; 2]) {
    eventually(
        &format!("{target} turned {wanted:?} times"),
        PATIENCE,
        async || (events(gateway, target).await == wanted).then_some(()),
    )
    .await;
}

#[tokio::test]
async fn every_turn_of_a_target_is_counted_and_the_count_outlives_a_reload() {
    let (one, other) = (Faulty::sound().await, Faulty::sound().await);
    let targets = [one.address(), other.address()];
    let gateway = gateway(pool(&targets, "http_path: /up")).start().await;
    assert_eq!(events(&gateway, one.address()).await, [0, 0]);
    for turns in 1..=2 {
        one.breaks(Fault::Status(500)).await;
        becomes(&gateway, one.address(), "UNHEALTHY").await;
        count_becomes(&gateway, one.address(), [turns, turns - 1]).await;
        one.is_mended().await;
        becomes(&gateway, one.address(), "HEALTHY").await;
        count_becomes(&gateway, one.address(), [turns, turns]).await;
    }
    assert_eq!(
        gateway.reload(pool(&targets, "http_path: /")).await,
        Reload::Accepted
    );
    assert_eq!(events(&gateway, one.address()).await, [2, 2]);
    assert_eq!(events(&gateway, other.address()).await, [0, 0]);
    let unchecked = pool(&targets, "").replace(&format!("interval: {INTERVAL}"), "interval: 0");
    assert_eq!(gateway.reload(unchecked).await, Reload::Accepted);
    let page = gateway.status_page("/metrics").await.text();
    assert!(!page.contains("health_events_total{"), "nothing judges them");
}

#[tokio::test]
async fn every_fault_that_a_client_would_suffer_from_is_found_by_a_probe() {
    let gateway_of =
        async |backend: &Faulty| gateway(pool(&[backend.address()], "timeout: 0.3")).start().await;
    let backend = Faulty::sound().await;
    let gateway = gateway_of(&backend).await;
    for fault in [
        Fault::Refuses,
        Fault::ClosesAtOnce,
        Fault::ResetsAtOnce,
        Fault::ClosesAfterRequest,
        Fault::Garbage,
        Fault::Silent,
        Fault::Dribbles(Duration::from_millis(50)),
        Fault::Status(500),
        Fault::Status(404),
    ] {
        becomes(&gateway, backend.address(), "HEALTHY").await;
        backend.breaks(fault).await;
        becomes(&gateway, backend.address(), "UNHEALTHY").await;
        backend.is_mended().await;
    }
    // A status of neither list says nothing.
    becomes(&gateway, backend.address(), "HEALTHY").await;
    let before = backend.count("GET");
    backend.breaks(Fault::Status(418)).await;
    eventually("it was probed", PATIENCE, async || {
        (backend.count("GET") >= before + 3).then_some(())
    })
    .await;
    assert_eq!(health(&gateway, backend.address()).await, "HEALTHY");
}

#[tokio::test]
async fn an_address_that_answers_no_syn_is_out_after_the_timeout_and_holds_up_no_other() {
    let (hole, sound) = (BlackHole::open(), Faulty::sound().await);
    let active = "timeout: 0.2";
    let gateway = gateway(pool(&[hole.address(), sound.address()], active))
        .start()
        .await;
    becomes(&gateway, hole.address(), "UNHEALTHY").await;
    let before = sound.count("GET");
    eventually("the other one is probed on", PATIENCE, async || {
        (sound.count("GET") >= before + 3).then_some(())
    })
    .await;
    assert_eq!(health(&gateway, sound.address()).await, "HEALTHY");
    assert_eq!(gateway.get("/").await.status, 200);
}

#[tokio::test]
async fn a_target_that_was_taken_away_is_not_probed_any_more_and_one_that_stays_keeps_its_health() {
    let (stays, goes) = (Faulty::with(Fault::Refuses).await, Faulty::sound().await);
    let gateway = gateway(pool(&[stays.address(), goes.address()], ""))
        .start()
        .await;
    becomes(&gateway, stays.address(), "UNHEALTHY").await;
    let added = Faulty::sound().await;
    let without = pool(&[stays.address(), added.address()], "");
    assert_eq!(gateway.reload(without).await, Reload::Accepted);
    assert_eq!(health(&gateway, stays.address()).await, "UNHEALTHY");
    // A probe that was on its way may still arrive.
    let settled = added.count("GET");
    eventually("the new one is probed", PATIENCE, async || {
        (added.count("GET") >= settled + 2).then_some(())
    })
    .await;
    let last = goes.count("GET");
    eventually("the new one is probed on", PATIENCE, async || {
        (added.count("GET") >= settled + 6).then_some(())
    })
    .await;
    assert_eq!(goes.count("GET"), last);
}

#[tokio::test]
async fn no_more_probes_are_on_their_way_than_the_upstream_allows() {
    let pause = Duration::from_millis(300);
    let began = Arc::new(Mutex::new(Vec::new()));
    let mut backends = Vec::new();
    for _ in 0..3 {
        let began = Arc::clone(&began);
        let slow = move |_: &_| {
            began.lock().push(Instant::now());
            Answer::after(pause, Answer::ok("ok"))
        };
        backends.push(Upstream::serving(slow).await);
    }
    let targets: Vec<SocketAddr> = backends.iter().map(Upstream::address).collect();
    let _gateway = gateway(pool(&targets, "timeout: 2\n      concurrency: 1"))
        .start()
        .await;
    eventually("there were some probes", PATIENCE, async || {
        (began.lock().len() >= 5).then_some(())
    })
    .await;
    for pair in began.lock().windows(2) {
        let apart = pair[1].duration_since(pair[0]);
        assert!(apart >= pause - Duration::from_millis(20), "{apart:?} apart");
    }
}

#[tokio::test]
async fn without_checks_and_without_weight_nobody_is_probed() {
    let (unchecked, idle) = (Faulty::sound().await, Faulty::sound().await);
    let yaml = format!(
        "{}- name: other\n  targets: [{{target: {}}}]\n",
        pool(&[idle.address()], "")
            .replace(
                &format!("target: {}", idle.address()),
                &format!("{{target: {}, weight: 0}}", idle.address())
            )
            .split("services:")
            .next()
            .unwrap(),
        unchecked.address()
    );
    let watched = Faulty::sound().await;
    let yaml = yaml.replace(
        "  targets:\n",
        &format!("  targets:\n  - target: {}\n", watched.address()),
    );
    let gateway = gateway(yaml).start().await;
    eventually("the one that is to be probed is", PATIENCE, async || {
        (watched.count("GET") >= 3).then_some(())
    })
    .await;
    assert_eq!(unchecked.connections() + idle.connections(), 0);
    assert_eq!(health(&gateway, idle.address()).await, "HEALTHCHECKS_OFF");
    let other = gateway.status_page("/status/upstreams/other").await.json();
    assert_eq!(other["health"], "HEALTHCHECKS_OFF");
    assert_eq!(other["targets"][0]["health"], "HEALTHCHECKS_OFF");
}

#[tokio::test]
async fn the_status_page_and_the_metrics_tell_the_same() {
    let (sound, broken) = (Faulty::sound().await, Faulty::with(Fault::Refuses).await);
    let gateway = gateway(pool(&[sound.address(), broken.address()], ""))
        .start()
        .await;
    becomes(&gateway, broken.address(), "UNHEALTHY").await;
    let shown = page(&gateway).await;
    assert_eq!(
        shown["health"], "HEALTHY",
        "half of the weight is above a threshold of 0"
    );
    assert_eq!(shown["weight"]["available"], 100);
    assert_eq!(shown["weight"]["unavailable"], 100);
    let all = gateway.status_page("/status/upstreams").await.json();
    assert_eq!(all["data"][0]["name"], "pool");
    let by_id = format!("/status/upstreams/{}", shown["id"].as_str().unwrap());
    assert_eq!(gateway.status_page(&by_id).await.json()["name"], "pool");
    assert_eq!(gateway.status_page("/status/upstreams/none").await.status, 404);
    for (backend, state, value) in [
        (&sound, "healthy", 1.0),
        (&sound, "unhealthy", 0.0),
        (&broken, "unhealthy", 1.0),
        (&broken, "healthchecks_off", 0.0),
        (&broken, "dns_error", 0.0),
    ] {
        let address = backend.address();
        let sample = format!(
            "kong_upstream_target_health{{upstream=\"pool\",target=\"{address}\",address=\"{address}\",state=\"{state}\",subsystem=\"http\"}}"
        );
        assert_eq!(gateway.metric(&sample).await, value, "{sample}");
    }
    for _ in 0..3 {
        gateway.get("/").await;
    }
    let address = sound.address();
    let labels = format!("{{upstream=\"pool\",target=\"{address}\",address=\"{address}\"}}");
    assert_eq!(
        gateway
            .metric(&format!("tidegate_upstream_target_tries_total{labels}"))
            .await,
        3.0,
        "probes do not count"
    );
    assert_eq!(
        gateway
            .metric("tidegate_upstream_weight_available{upstream=\"pool\"}")
            .await,
        100.0
    );
}

#[tokio::test]
async fn a_target_that_is_a_name_is_probed_at_its_addresses_without_any_traffic() {
    let backend = Faulty::sound().await;
    let is_known = Arc::new(AtomicBool::new(true));
    let shared = Arc::clone(&is_known);
    let dns = DnsServer::start(move |_, kind| match (kind, shared.load(SeqCst)) {
        (Type::A, true) => Reply::Records(vec![Record::address("127.0.0.1", 1)]),
        (_, true) => Reply::Records(Vec::new()),
        (_, false) => Reply::NoSuchName,
    })
    .await;
    let name = format!("up.test:{}", backend.address().port());
    let yaml = pool(&[backend.address()], "").replace(&backend.address().to_string(), &name);
    let gateway = gateway(yaml)
        .setting("dns_resolver", dns.address().to_string())
        .setting("dns_hostsfile", "/dev/null")
        .setting("dns_stale_ttl", "0")
        .setting("dns_not_found_ttl", "1")
        .start()
        .await;
    eventually("it is probed", PATIENCE, async || {
        (backend.count("GET") >= 2).then_some(())
    })
    .await;
    assert_eq!(backend.requests()[0].header("Host"), "up.test");
    let target = async || page(&gateway).await["targets"][0].clone();
    assert_eq!(target().await["health"], "HEALTHY");
    assert_eq!(target().await["addresses"][0]["ip"], "127.0.0.1");
    is_known.store(false, SeqCst);
    let lost = eventually("the name has no address", PATIENCE, async || {
        Some(target().await).filter(|target| target["health"] == "DNS_ERROR")
    })
    .await;
    assert_eq!(lost["dns_error"], "name resolution failed");
    assert_eq!(gateway.get("/").await.status, 503);
    let sample = format!(
        "kong_upstream_target_health{{upstream=\"pool\",target=\"{name}\",address=\"\",state=\"dns_error\",subsystem=\"http\"}}"
    );
    assert_eq!(gateway.metric(&sample).await, 1.0);
    is_known.store(true, SeqCst);
    eventually("it is back", PATIENCE, async || {
        (target().await["health"] == "HEALTHY").then_some(())
    })
    .await;
    assert_eq!(gateway.get("/").await.status, 200);
    let told = gateway.log().matches("target cannot be resolved").count();
    assert_eq!(told, 1, "a name that stays broken is told of once");
}
