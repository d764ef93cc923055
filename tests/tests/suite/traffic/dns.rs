//! Name resolution for services (kong-core F.3): order of types, ports and weights, expiry, failures.

use crate::ask::service_at;
use futures_util::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tidegate_net::dns::{Dns, DnsSettings, NameService, NameServiceSettings, RecordKind, SystemLookup};
use tidegate_tests::dns_server::{DnsServer, Record, Reply, Type};
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Gateway, Upstream, eventually};
use tokio::task::LocalSet;

const LOCAL: &str = "127.0.0.1";

/// Answers A questions with one address.
fn only_a(ttl: u32) -> impl Fn(&str, Type) -> Reply {
    move |_, kind| match kind {
        Type::A => Reply::Records(vec![Record::address(LOCAL, ttl)]),
        _ => Reply::Records(Vec::new()),
    }
}

/// A gateway with one service on `backend.test` and the port of that upstream.
fn behind(dns: &DnsServer, upstream: &Upstream) -> tidegate_tests::gateway::Builder {
    named("backend.test", dns, upstream)
}

fn named(name: &str, dns: &DnsServer, upstream: &Upstream) -> tidegate_tests::gateway::Builder {
    let url = format!("http://{name}:{}", upstream.address().port());
    Gateway::with(service_at(&url, "", "- {paths: [/]}"))
        .setting("dns_resolver", dns.address().to_string())
        .setting("dns_hostsfile", "/dev/null")
}

#[tokio::test]
async fn names_are_asked_of_the_configured_server_and_kept() {
    let (dns, upstream) = (DnsServer::start(only_a(60)).await, Upstream::ok().await);
    let gateway = behind(&dns, &upstream).start().await;
    for _ in 0..3 {
        assert_eq!(gateway.get("/").await.status, 200);
    }
    let port = upstream.address().port();
    assert_eq!(upstream.last().header("Host"), format!("backend.test:{port}"));
    let asked: Vec<Type> = dns.asked().into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(
        asked.first(),
        Some(&Type::Srv),
        "SRV stands before A in the order"
    );
    assert_eq!(asked.iter().filter(|kind| **kind == Type::A).count(), 1);
}

#[tokio::test]
async fn the_type_that_answered_before_is_asked_first() {
    let (dns, upstream) = (DnsServer::start(only_a(0)).await, Upstream::ok().await);
    let gateway = behind(&dns, &upstream).start().await;
    gateway.get("/").await;
    let before = dns.asked().len();
    gateway.get("/").await;
    assert_eq!(dns.asked()[before..], [("backend.test".to_owned(), Type::A)]);
}

#[tokio::test]
async fn the_order_of_types_decides_between_families() {
    let script = |_: &str, kind| match kind {
        Type::A => Reply::Records(vec![Record::address("127.0.0.9", 60)]),
        Type::Aaaa => Reply::Records(vec![Record::address("::ffff:127.0.0.1", 60)]),
        _ => Reply::NoSuchName,
    };
    let (dns, upstream) = (DnsServer::start(script).await, Upstream::ok().await);
    let gateway = behind(&dns, &upstream)
        .setting("dns_order", "AAAA,A")
        .start()
        .await;
    assert_eq!(gateway.get("/").await.status, 200, "127.0.0.9 has no listener");
    assert!(
        dns.asked().iter().all(|(_, kind)| *kind == Type::Aaaa),
        "{:?}",
        dns.asked()
    );
}

#[tokio::test]
async fn services_give_ports_and_weights_and_only_the_lowest_priority_counts() {
    let (one, two, never) = (Upstream::ok().await, Upstream::ok().await, Upstream::ok().await);
    let ports = [&one, &two, &never].map(|upstream| upstream.address().port());
    let dns = DnsServer::start(move |name, kind| match (name, kind) {
        ("backend.test", Type::Srv) => Reply::Records(vec![
            Record::service(2, 100, ports[2], "c.test"),
            Record::service(1, 3, ports[0], "a.test"),
            Record::service(1, 1, ports[1], "b.test"),
        ]),
        ("a.test" | "b.test" | "c.test", Type::A) => Reply::Records(vec![Record::address(LOCAL, 60)]),
        _ => Reply::NoSuchName,
    })
    .await;
    let gateway = Gateway::with(service_at("http://backend.test:9", "", "- {paths: [/]}"))
        .setting("dns_resolver", dns.address().to_string())
        .start()
        .await;
    for _ in 0..8 {
        assert_eq!(gateway.get("/").await.status, 200);
    }
    let counts = [&one, &two, &never].map(|upstream| upstream.requests().len());
    assert_eq!(counts, [6, 2, 0]);
    assert_eq!(
        one.last().header("Host"),
        "backend.test:9",
        "the name of the service stays"
    );
}

#[tokio::test]
async fn aliases_are_followed() {
    let script = |_: &str, kind| match kind {
        Type::A => Reply::Records(vec![
            Record::alias("real.test"),
            Record::address(LOCAL, 60).of("real.test"),
        ]),
        _ => Reply::NoSuchName,
    };
    let (dns, upstream) = (DnsServer::start(script).await, Upstream::ok().await);
    let gateway = behind(&dns, &upstream).start().await;
    assert_eq!(gateway.get("/").await.status, 200);
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_a_503_and_remembered() {
    let (dns, upstream) = (
        DnsServer::start(|_, _| Reply::NoSuchName).await,
        Upstream::ok().await,
    );
    let gateway = behind(&dns, &upstream).start().await;
    for _ in 0..3 {
        let answer = gateway.get("/").await;
        assert_eq!(answer.status, 503);
        assert!(
            answer.text().contains("name resolution failed"),
            "{}",
            answer.text()
        );
    }
    let of_a = dns
        .asked()
        .iter()
        .filter(|(name, kind)| name == "backend.test" && *kind == Type::A)
        .count();
    assert_eq!(of_a, 1);
}

#[tokio::test]
async fn a_server_that_fails_is_a_500_and_asked_again_soon() {
    let fails = Arc::new(AtomicUsize::new(1));
    let state = Arc::clone(&fails);
    let dns = DnsServer::start(move |name, kind| match state.load(SeqCst) {
        0 => only_a(60)(name, kind),
        _ => Reply::Failure,
    })
    .await;
    let upstream = Upstream::ok().await;
    let gateway = behind(&dns, &upstream)
        .setting("dns_error_ttl", "0")
        .start()
        .await;
    assert_eq!(gateway.get("/").await.status, 500);
    fails.store(0, SeqCst);
    assert_eq!(gateway.get("/").await.status, 200);
}

#[tokio::test]
async fn an_expired_answer_serves_on_while_the_servers_fail() {
    let fails = Arc::new(AtomicUsize::new(0));
    let state = Arc::clone(&fails);
    let dns = DnsServer::start(move |name, kind| match state.load(SeqCst) {
        0 => only_a(1)(name, kind),
        _ => Reply::Failure,
    })
    .await;
    let upstream = Upstream::ok().await;
    let gateway = behind(&dns, &upstream).setting("dns_order", "A").start().await;
    assert_eq!(gateway.get("/").await.status, 200);
    fails.store(1, SeqCst);
    let before = dns.count("backend.test");
    eventually(
        "the answer expires and is asked for again",
        PATIENCE,
        async || {
            assert_eq!(gateway.get("/").await.status, 200, "stale, but served");
            (dns.count("backend.test") > before).then_some(())
        },
    )
    .await;
    assert_eq!(gateway.get("/").await.status, 200);
}

#[tokio::test]
async fn without_a_stale_time_an_expired_answer_is_not_served() {
    let fails = Arc::new(AtomicUsize::new(0));
    let state = Arc::clone(&fails);
    let dns = DnsServer::start(move |name, kind| match state.load(SeqCst) {
        0 => only_a(1)(name, kind),
        _ => Reply::NoSuchName,
    })
    .await;
    let upstream = Upstream::ok().await;
    let gateway = behind(&dns, &upstream)
        .setting("dns_stale_ttl", "0")
        .start()
        .await;
    assert_eq!(gateway.get("/").await.status, 200);
    fails.store(1, SeqCst);
    eventually("the answer expires", PATIENCE, async || {
        (gateway.get("/").await.status == 503).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_ttl_of_0_is_asked_for_each_request_unless_a_setting_replaces_it() {
    let (dns, upstream) = (DnsServer::start(only_a(0)).await, Upstream::ok().await);
    let gateway = behind(&dns, &upstream).setting("dns_order", "A").start().await;
    for _ in 0..3 {
        assert_eq!(gateway.get("/").await.status, 200);
    }
    assert_eq!(dns.count("backend.test"), 3);
    let gateway = behind(&dns, &upstream)
        .setting("dns_order", "A")
        .setting("dns_valid_ttl", "60")
        .start()
        .await;
    for _ in 0..3 {
        assert_eq!(gateway.get("/").await.status, 200);
    }
    assert_eq!(dns.count("backend.test"), 4);
}

#[tokio::test]
async fn a_burst_for_one_name_asks_once() {
    let dns = DnsServer::start(|name, kind| {
        Reply::After(Duration::from_millis(300), Box::new(only_a(60)(name, kind)))
    })
    .await;
    let upstream = Upstream::ok().await;
    let gateway = behind(&dns, &upstream).setting("dns_order", "A").start().await;
    let answers = join_all((0..5).map(|_| gateway.get("/"))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(dns.count("backend.test"), 1);
}

#[tokio::test]
async fn a_server_that_is_silent_leaves_the_word_to_the_next() {
    let silent = DnsServer::start(|_, _| Reply::Silence).await;
    let (dns, upstream) = (DnsServer::start(only_a(60)).await, Upstream::ok().await);
    let gateway = behind(&dns, &upstream)
        .setting("dns_resolver", format!("{}, {}", silent.address(), dns.address()))
        .setting("dns_order", "A")
        .start()
        .await;
    assert_eq!(gateway.get("/").await.status, 200);
}

#[tokio::test]
async fn names_of_the_hosts_file_are_asked_of_nobody() {
    let (dns, upstream) = (
        DnsServer::start(|_, _| Reply::NoSuchName).await,
        Upstream::ok().await,
    );
    let gateway = behind(&dns, &upstream)
        .file("hosts", "127.0.0.1 other Backend.Test # ours\n")
        .setting("dns_hostsfile", "{folder}/hosts")
        .start()
        .await;
    assert_eq!(gateway.get("/").await.status, 200);
    assert_eq!(dns.asked(), []);
}

#[tokio::test]
async fn the_newer_client_of_kong_asks_for_services_by_their_names_alone() {
    let upstream = Upstream::ok().await;
    let port = upstream.address().port();
    let dns = DnsServer::start(move |name, kind| match (name, kind) {
        ("_http._tcp.backend.test", Type::Srv) => Reply::Records(vec![Record::service(1, 0, port, "a.test")]),
        ("backend.test" | "a.test", Type::A) => Reply::Records(vec![Record::address(LOCAL, 60)]),
        _ => Reply::NoSuchName,
    })
    .await;
    for name in ["backend.test", "_http._tcp.backend.test"] {
        let gateway = named(name, &dns, &upstream)
            .setting("new_dns_client", "on")
            .setting("dns_resolver", "127.0.0.1:9")
            .setting("resolver_address", dns.address().to_string())
            .start()
            .await;
        assert_eq!(gateway.get("/").await.status, 200, "{name}");
    }
    let services: Vec<String> = dns
        .asked()
        .into_iter()
        .filter(|(_, kind)| *kind == Type::Srv)
        .map(|(name, _)| name)
        .collect();
    assert!(
        services.iter().all(|name| name.starts_with("_http._tcp.")),
        "{services:?}"
    );
}

#[tokio::test]
async fn settings_that_no_server_can_follow_stop_the_start() {
    for (name, value, text) in [
        ("dns_resolver", "dns.test", "`address` or `address:port`"),
        ("dns_order", "A,MX", "`LAST`, `SRV`, `A`, `AAAA` and `CNAME`"),
        ("dns_order", "LAST,CNAME", "needs at least one of"),
    ] {
        let (status, log) = Gateway::with("services: []\n")
            .setting(name, value)
            .try_start()
            .await
            .unwrap_err();
        assert!(
            !status.success() && log.contains(name) && log.contains(text),
            "{log}"
        );
    }
}

/// The resolver by itself, with a `resolv.conf` of its own.
async fn resolve(dns: &DnsServer, resolv_conf: &str, order: &[RecordKind], name: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("resolv.conf"), resolv_conf).unwrap();
    let service = NameService::load(&NameServiceSettings {
        servers: vec![dns.address()],
        resolv_conf: folder.path().join("resolv.conf"),
        hosts_file: "/dev/null".into(),
        order: order.to_vec(),
        srv_by_name_only: false,
    });
    let lookup = SystemLookup::new(Arc::new(service)).unwrap();
    let resolver = Dns::new(lookup, DnsSettings::default());
    match LocalSet::new().run_until(resolver.resolve(name)).await {
        Ok(found) => found
            .list()
            .iter()
            .map(|address| format!("{address:?}"))
            .collect(),
        Err(error) => vec![error.to_string()],
    }
}

#[tokio::test]
async fn short_names_are_completed_by_the_search_list() {
    let dns = DnsServer::start(|name, _| match name {
        "db.ns.cluster.test" => Reply::Records(vec![Record::address("10.0.0.1", 60)]),
        "www.far.test" => Reply::Records(vec![Record::address("10.0.0.2", 60)]),
        _ => Reply::NoSuchName,
    })
    .await;
    let conf = "search other.test ns.cluster.test\noptions ndots:2\n";
    let found = resolve(&dns, conf, &[RecordKind::A], "db").await;
    assert!(found[0].contains("10.0.0.1"), "{found:?}");
    let names: Vec<String> = dns.asked().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["db.other.test", "db.ns.cluster.test"]);
    let found = resolve(&dns, conf, &[RecordKind::A], "www.far.test").await;
    assert!(found[0].contains("10.0.0.2"), "{found:?}");
    assert_eq!(
        dns.count("www.far.test.other.test"),
        0,
        "enough dots: tried as it is first"
    );
}

#[tokio::test]
async fn a_service_keeps_its_target_and_shares_its_weight() {
    let dns = DnsServer::start(|name, kind| match (name, kind) {
        ("svc.test", Type::Srv) => Reply::Records(vec![
            Record::service(1, 5, 0, "two.test"),
            Record::service(1, 7, 8080, "gone.test"),
        ]),
        ("two.test", Type::A) => Reply::Records(vec![
            Record::address("10.0.0.1", 30),
            Record::address("10.0.0.2", 30),
        ]),
        _ => Reply::NoSuchName,
    })
    .await;
    let found = resolve(&dns, "", &[RecordKind::Srv, RecordKind::A], "svc.test").await;
    assert_eq!(
        found.len(),
        2,
        "a target without an address is left out: {found:?}"
    );
    for address in &found {
        assert!(
            address.contains("port: None")
                && address.contains("weight: 5")
                && address.contains("shared_by: 2"),
            "{address}"
        );
        assert!(address.contains("two.test"), "{address}");
    }
}

#[tokio::test]
async fn a_failed_question_for_addresses_outweighs_an_empty_answer() {
    let dns = DnsServer::start(|_, kind| match kind {
        Type::A => Reply::Failure,
        _ => Reply::Records(Vec::new()),
    })
    .await;
    let found = resolve(&dns, "", &[RecordKind::A, RecordKind::Aaaa], "a.test").await;
    assert!(found[0].starts_with("dns error: "), "{found:?}");
    let dns = DnsServer::start(|_, kind| match kind {
        Type::Srv => Reply::Failure,
        _ => Reply::NoSuchName,
    })
    .await;
    let found = resolve(&dns, "", &[RecordKind::Srv, RecordKind::A], "a.test").await;
    assert_eq!(
        found,
        ["name resolution failed"],
        "a failed SRV says nothing about the name"
    );
}
