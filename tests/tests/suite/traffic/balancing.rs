//! Services whose host is an Upstream: shares, hashing, cookies, health, changes (kong-core F.2 to F.4, F.7).

use crate::pool::{
    PASSIVE, are_drawn_by, backends, config, counts, equal, gets, hold, plain, shares, target,
};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;
use tidegate_tests::dns_server::{DnsServer, Record, Reply, Type};
use tidegate_tests::gateway::Reload;
use tidegate_tests::ports::refusing_address;
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Answer, Gateway, RawClient, Request, Upstream, eventually};

#[tokio::test]
async fn requests_are_shared_out_by_weight_exactly() {
    let backends = backends(3).await;
    let targets = [
        target(&backends[0], 100),
        target(&backends[1], 300),
        target(&backends[2], 0),
    ];
    let gateway = Gateway::start(plain("tags: []", &targets)).await;
    let counts = counts(&gateway, gets(40)).await;
    assert_eq!(shares(&counts), [("0", 10), ("1", 30)]);
}

#[tokio::test]
async fn without_targets_there_is_no_peer() {
    let gateway = Gateway::start(plain("tags: []", &[])).await;
    let response = gateway
        .call(&Request::get("/").header("Accept", "application/json"))
        .await;
    assert_eq!(response.status, 503);
    assert_eq!(response.message(), "failure to get a peer from the ring-balancer");
}

#[tokio::test]
async fn targets_come_and_go_without_a_failed_request() {
    let backends = backends(2).await;
    let gateway = Gateway::start(plain("tags: []", &equal(&backends))).await;
    assert_eq!(shares(&counts(&gateway, gets(10)).await), [("0", 5), ("1", 5)]);
    let without = [target(&backends[0], 0), target(&backends[1], 100)];
    assert_eq!(
        gateway.reload(plain("tags: []", &without)).await,
        Reload::Accepted
    );
    assert_eq!(shares(&counts(&gateway, gets(10)).await), [("1", 10)]);
    assert_eq!(
        gateway.reload(plain("tags: []", &equal(&backends))).await,
        Reload::Accepted
    );
    assert_eq!(shares(&counts(&gateway, gets(10)).await), [("0", 5), ("1", 5)]);
}

#[tokio::test]
async fn health_survives_a_reload_that_changes_something_else() {
    let live = backends(1).await;
    let failing = Upstream::serving(|_| Answer::status(500)).await;
    let targets = [target(&live[0], 100), target(&failing, 100)];
    let gateway = Gateway::start(plain(PASSIVE, &targets)).await;
    assert_eq!(shares(&counts(&gateway, gets(20)).await), [("0", 18), ("500", 2)]);
    let changed = format!("{PASSIVE}\ntags: [changed]");
    assert_eq!(gateway.reload(plain(&changed, &targets)).await, Reload::Accepted);
    assert_eq!(shares(&counts(&gateway, gets(20)).await), [("0", 20)]);
}

#[tokio::test]
async fn a_refused_connection_costs_one_retry_and_then_nothing_more() {
    let live = backends(1).await;
    let targets = [target(&live[0], 100), (refusing_address().to_string(), 100)];
    let gateway = Gateway::start(plain(PASSIVE, &targets)).await;
    let requests = (0..20).map(|_| Request::post("/", "once"));
    assert_eq!(shares(&counts(&gateway, requests).await), [("0", 20)]);
    let retries = gateway.metric("tidegate_upstream_retries_total").await;
    assert!((0.9..1.1).contains(&retries), "{retries}");
}

#[tokio::test]
async fn the_last_try_counts_by_its_status_as_in_kong() {
    let live = backends(1).await;
    let targets = [target(&live[0], 100), (refusing_address().to_string(), 100)];
    let gateway = Gateway::start(config(PASSIVE, "retries: 0,", "paths: [/]", &targets)).await;
    let counts = counts(&gateway, gets(20)).await;
    assert_eq!(
        shares(&counts),
        [("0", 10), ("502", 10)],
        "502 is in neither list"
    );
}

#[tokio::test]
async fn a_header_ties_requests_to_a_target_and_its_absence_falls_back() {
    let backends = backends(3).await;
    let fields =
        "hash_on: header\nhash_on_header: X-Id\nhash_fallback: header\nhash_fallback_header: X-Other";
    let gateway = Gateway::start(plain(fields, &equal(&backends))).await;
    let with = |name: &'static str, value: usize| Request::get("/").header(name, &format!("v{value}"));
    assert_eq!(counts(&gateway, (0..10).map(|_| with("X-Id", 1))).await.len(), 1);
    assert_eq!(
        counts(&gateway, (0..10).map(|_| with("X-Other", 2))).await.len(),
        1
    );
    assert_eq!(counts(&gateway, gets(10)).await.len(), 1);
    assert_eq!(
        counts(&gateway, (0..60).map(|value| with("X-Id", value)))
            .await
            .len(),
        3
    );
    assert_eq!(
        counts(&gateway, (0..60).map(|value| with("X-Other", value)))
            .await
            .len(),
        3
    );
}

#[tokio::test]
async fn path_query_and_capture_are_hashed_in_their_normal_form() {
    let backends = backends(3).await;
    let cases = [
        ("hash_on: path", "paths: [/]", vec!["/a?x=1", "/a?x=2", "/b/../a"]),
        (
            "hash_on: query_arg\nhash_on_query_arg: q",
            "paths: [/]",
            vec!["/?q=1&q=2", "/?q=2&q=1", "/x?q=2&q=1&z"],
        ),
        (
            "hash_on: query_arg\nhash_on_query_arg: q",
            "paths: [/]",
            vec!["/?q", "/?q=true"],
        ),
        (
            "hash_on: uri_capture\nhash_on_uri_capture: who",
            "paths: [\"~/(?<who>[a-z]+)/\"]",
            vec!["/ann/1", "/ann/2", "/ann/3"],
        ),
    ];
    for (fields, route, same) in cases {
        let gateway = Gateway::start(config(fields, "", route, &equal(&backends))).await;
        let requests = same.iter().map(|target| Request::get(target));
        assert_eq!(counts(&gateway, requests).await.len(), 1, "{fields}: {same:?}");
        let others = (b'a'..=b'z').map(|letter| {
            let letter = char::from(letter);
            Request::get(&format!("/{letter}{letter}/?q={letter}"))
        });
        assert!(counts(&gateway, others).await.len() > 1, "{fields}");
    }
}

#[tokio::test]
async fn a_missing_hash_cookie_is_set_once_and_leaves_other_cookies_alone() {
    let backend = Upstream::serving(|_| {
        Answer::ok("0")
            .header("Set-Cookie", "own=1")
            .header("Set-Cookie", "c=old")
    })
    .await;
    let fields = "hash_on: cookie\nhash_on_cookie: c\nhash_on_cookie_path: /app";
    let gateway = Gateway::start(plain(fields, &[target(&backend, 100)])).await;
    let first = gateway.get("/").await;
    let [own, given] = first.headers.all("set-cookie")[..] else {
        panic!("{first:?}");
    };
    assert_eq!(own, "own=1");
    let value = given.strip_prefix("c=").unwrap();
    let value = value
        .strip_suffix("; Path=/app; Same-Site=Lax; HttpOnly")
        .unwrap();
    assert_eq!(value.len(), 36);
    let cookie = format!("x=1; c={value}");
    let again = gateway.call(&Request::get("/").header("Cookie", &cookie)).await;
    assert_eq!(again.headers.all("set-cookie"), ["own=1", "c=old"]);
}

#[tokio::test]
async fn a_sticky_cookie_keeps_a_client_on_its_target_until_that_is_gone() {
    let backends = backends(3).await;
    let fields = "tidegate: {sticky_cookie: stick}";
    let gateway = Gateway::start(plain(fields, &equal(&backends))).await;
    let first = gateway.get("/").await;
    let given = first.header("set-cookie").to_owned();
    let cookie = given.split(';').next().unwrap().to_owned();
    let sticky = || (0..12).map(|_| Request::get("/").header("Cookie", &cookie));
    assert_eq!(
        shares(&counts(&gateway, sticky()).await),
        [(first.text().as_str(), 12)]
    );
    let number: usize = first.text().parse().unwrap();
    let mut targets = equal(&backends);
    targets.remove(number);
    assert_eq!(gateway.reload(plain(fields, &targets)).await, Reload::Accepted);
    let moved = gateway.call(&Request::get("/").header("Cookie", &cookie)).await;
    assert_ne!(moved.text(), first.text());
    assert!(
        moved.headers.has("set-cookie"),
        "the new target has another cookie"
    );
}

#[tokio::test]
async fn least_connections_avoids_a_target_that_is_held_up() {
    let slow = Upstream::serving(|_| Answer::never()).await;
    let fast = backends(1).await;
    let fields = "algorithm: least-connections";
    let gateway = Gateway::start(plain(fields, &[target(&slow, 100)])).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(gateway.send(Request::get("/").bytes()).await);
    }
    eventually("all are on the slow target", PATIENCE, async || {
        (slow.requests().len() == 4).then_some(())
    })
    .await;
    let both = [target(&slow, 100), target(&fast[0], 100)];
    assert_eq!(gateway.reload(plain(fields, &both)).await, Reload::Accepted);
    for _ in 0..20 {
        assert_eq!(gateway.get("/").await.text(), "0");
    }
}

#[tokio::test]
async fn idle_targets_are_equal_to_least_connections_whatever_their_order() {
    let backends = backends(3).await;
    let gateway = Gateway::start(plain("algorithm: least-connections", &equal(&backends))).await;
    let counts = counts(&gateway, gets(300)).await;
    let counts: Vec<usize> = counts.into_values().collect();
    assert!(are_drawn_by(&[1.0, 1.0, 1.0], &counts), "{counts:?}");
}

#[tokio::test]
async fn least_connections_fills_targets_by_their_weights() {
    let silent = [
        Upstream::serving(|_| Answer::never()).await,
        Upstream::serving(|_| Answer::never()).await,
    ];
    let targets = [target(&silent[0], 100), target(&silent[1], 300)];
    let gateway = Gateway::start(plain("algorithm: least-connections", &targets)).await;
    let held = hold(&gateway, "/", 16).await;
    eventually("all have arrived", PATIENCE, async || {
        let counts = silent.each_ref().map(|backend| backend.requests().len());
        (counts == [4, 12]).then_some(())
    })
    .await;
    drop(held);
}

#[tokio::test]
async fn latency_leaves_a_slow_target_alone_once_it_is_known() {
    let mut all = backends(2).await;
    let pause = Duration::from_millis(200);
    all.push(Upstream::serving(move |_| Answer::after(pause, Answer::ok("slow"))).await);
    let gateway = Gateway::start(plain("algorithm: latency", &equal(&all))).await;
    let counts = counts(&gateway, gets(120)).await;
    assert!(counts["slow"] <= 6, "{counts:?}");
    assert!(counts["0"] >= 20 && counts["1"] >= 20, "{counts:?}");
}

#[tokio::test]
async fn host_is_the_targets_or_the_upstreams_own() {
    let backends = backends(1).await;
    let port = backends[0].port();
    let cases = [
        ("tags: []", format!("127.0.0.1:{port}")),
        ("host_header: own.test", format!("own.test:{port}")),
    ];
    for (fields, host) in cases {
        let gateway = Gateway::start(plain(fields, &equal(&backends))).await;
        assert_eq!(gateway.get("/").await.status, 200);
        assert_eq!(backends[0].last().header("Host"), host);
    }
}

#[tokio::test]
async fn a_target_that_is_a_name_is_resolved_and_named_in_host() {
    let backends = backends(1).await;
    let address = format!("localhost:{}", backends[0].port());
    let gateway = Gateway::start(plain("tags: []", &[(address.clone(), 100)])).await;
    for _ in 0..5 {
        assert_eq!(gateway.get("/").await.text(), "0");
    }
    assert_eq!(backends[0].last().header("Host"), address);
}

#[tokio::test]
async fn a_websocket_counts_as_an_exchange_while_it_is_open() {
    let tunnels = Upstream::serving(|_| {
        Answer::raw("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            .tunnel()
    })
    .await;
    let plain_backend = backends(1).await;
    let fields = "algorithm: least-connections";
    let gateway = Gateway::start(plain(fields, &[target(&tunnels, 100)])).await;
    let upgrade = Request::get("/")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket");
    let mut open = Vec::new();
    for _ in 0..4 {
        let mut client = RawClient::connect(gateway.proxy()).await;
        client.send(upgrade.bytes()).await;
        assert!(client.head().await.contains("101"));
        client.send("ping").await;
        assert_eq!(client.exactly(4).await, b"ping");
        open.push(client);
    }
    let both = [target(&tunnels, 100), target(&plain_backend[0], 100)];
    assert_eq!(gateway.reload(plain(fields, &both)).await, Reload::Accepted);
    for _ in 0..10 {
        assert_eq!(gateway.get("/").await.text(), "0");
    }
}

#[tokio::test]
async fn entries_of_an_srv_record_are_targets_with_their_own_weights_and_ports() {
    let backends = backends(2).await;
    let ports: Vec<u16> = backends.iter().map(Upstream::port).collect();
    let dns = DnsServer::start(move |name, kind| match (name, kind) {
        ("shop.test", Type::Srv) => Reply::Records(vec![
            Record::service(1, 10, ports[0], "node.test"),
            Record::service(1, 30, ports[1], "node.test"),
        ]),
        ("node.test", Type::A) => Reply::Records(vec![Record::address("127.0.0.1", 60)]),
        _ => Reply::Records(Vec::new()),
    })
    .await;
    let gateway = Gateway::with(plain("tags: []", &[("shop.test:1".to_owned(), 100)]))
        .setting("dns_resolver", dns.address().to_string())
        .setting("dns_hostsfile", "/dev/null")
        .start()
        .await;
    assert_eq!(shares(&counts(&gateway, gets(40)).await), [("0", 10), ("1", 30)]);
}

#[tokio::test]
async fn a_record_that_changes_moves_the_traffic_without_a_failed_request() {
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let backend = Upstream::at(everywhere, |request| Answer::ok(request.local.ip().to_string())).await;
    let moved = Arc::new(AtomicBool::new(false));
    let has_moved = Arc::clone(&moved);
    let dns = DnsServer::start(move |_, kind| match kind {
        Type::A if has_moved.load(SeqCst) => Reply::Records(vec![Record::address("127.0.0.2", 1)]),
        Type::A => Reply::Records(vec![Record::address("127.0.0.1", 1)]),
        _ => Reply::Records(Vec::new()),
    })
    .await;
    let targets = [(format!("shop.test:{}", backend.port()), 100)];
    let gateway = Gateway::with(plain("tags: []", &targets))
        .setting("dns_resolver", dns.address().to_string())
        .setting("dns_hostsfile", "/dev/null")
        .start()
        .await;
    assert_eq!(gateway.get("/").await.text(), "127.0.0.1");
    moved.store(true, SeqCst);
    eventually("traffic follows the record", PATIENCE, async || {
        let response = gateway.get("/").await;
        assert_eq!(response.status, 200);
        (response.text() == "127.0.0.2").then_some(())
    })
    .await;
}
