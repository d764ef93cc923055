//! A changed declarative file takes over, a faulty one does not.

use crate::ask::{ask, service};
use std::time::Duration;
use tidegate_tests::gateway::Reload;
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Answer, Gateway, RawClient, Request, Upstream, eventually};

#[tokio::test]
async fn a_reload_takes_over_on_open_connections_as_well() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/old]}")).await;
    let mut client = RawClient::connect(gateway.proxy()).await;
    assert_eq!(client.call(&Request::get("/new")).await.status, 404);
    assert_eq!(
        gateway.reload(service(&upstream, "- {paths: [/new]}")).await,
        Reload::Accepted
    );
    assert_eq!(client.call(&Request::get("/new")).await.status, 200);
    assert_eq!(client.call(&Request::get("/old")).await.status, 404);
}

#[tokio::test]
async fn a_changed_file_is_noticed_without_a_signal() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::with(service(&upstream, "- {paths: [/old]}"))
        .setting("reload_interval", "100ms")
        .start()
        .await;
    let before = gateway.reloads().await;
    gateway.write_declarative(service(&upstream, "- {paths: [/new]}"));
    assert_eq!(gateway.outcome_since(before).await, Reload::Accepted);
    assert_eq!(gateway.get("/new").await.status, 200);
}

#[tokio::test]
async fn a_faulty_file_is_refused_with_its_place_and_the_old_one_serves_on() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(&upstream, "- {name: r, paths: [/p]}")).await;
    let version = gateway.metric("tidegate_snapshot_version").await;
    for (faulty, hint) in [
        ("services: [", ""),
        ("services:\n- {name: s, url: \"http://a\", ports: 1}\n", "ports"),
        ("services:\n- {name: s, host: a, port: 70000}\n", "port"),
        ("routes:\n- {name: r, paths: [/p], service: nobody}\n", "nobody"),
        ("plugins:\n- {name: no-such-plugin}\n", "no-such-plugin"),
        (
            "services:\n- {name: s, url: \"http://a\"}\n- {name: s, url: \"http://b\"}\n",
            "uniqueness violation",
        ),
        ("routes:\n- {name: r, paths: [\"~/((\"]}\n", "regex"),
    ] {
        let before = gateway.log().len();
        assert_eq!(gateway.reload(faulty).await, Reload::Refused, "{faulty}");
        eventually(
            &format!("the log names {hint} of {faulty}"),
            PATIENCE,
            async || gateway.log()[before..].contains(hint).then_some(()),
        )
        .await;
        assert_eq!(gateway.get("/p").await.status, 200);
    }
    assert_eq!(gateway.metric("tidegate_snapshot_version").await, version);
    assert_eq!(
        gateway
            .reload(service(&upstream, "- {name: r, paths: [/q]}"))
            .await,
        Reload::Accepted
    );
    assert_eq!(
        gateway.get("/q").await.status,
        200,
        "a good file after bad ones is taken"
    );
}

#[tokio::test]
async fn an_instance_whose_configuration_did_not_change_keeps_its_counts() {
    let upstream = Upstream::ok().await;
    let with = |more: &str| {
        service(
            &upstream,
            &format!(
                "- name: r\n  paths: [/]\n  plugins: [{{name: rate-limiting, config: {{hour: 5, policy: local}}}}]\n{more}"
            ),
        )
    };
    let gateway = Gateway::start(with("")).await;
    gateway.get("/").await;
    let remaining = gateway
        .get("/")
        .await
        .header("X-RateLimit-Remaining-Hour")
        .to_owned();
    assert_eq!(remaining, "3");
    gateway.reload(with("- {name: other, paths: [/other]}\n")).await;
    assert_eq!(
        gateway.get("/").await.header("X-RateLimit-Remaining-Hour"),
        "2",
        "the window goes on over a reload"
    );
}

#[tokio::test]
async fn counters_of_a_route_survive_a_reload() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(&upstream, "- {name: r, paths: [/p]}")).await;
    let count = async || {
        let labels =
            "service=\"s\",route=\"r\",code=\"200\",source=\"service\",workspace=\"default\",consumer=\"\"";
        gateway
            .metric(&format!("kong_http_requests_total{{{labels}}}"))
            .await
    };
    gateway.get("/p").await;
    gateway.get("/p").await;
    gateway
        .reload(service(
            &upstream,
            "- {name: first, paths: [/a]}\n- {name: r, paths: [/p]}",
        ))
        .await;
    gateway.get("/p").await;
    eventually("three requests are counted", PATIENCE, async || {
        (count().await == 3.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_request_keeps_the_configuration_that_it_started_with() {
    let upstream = Upstream::serving(|_| Answer::after(Duration::from_millis(600), Answer::ok("done"))).await;
    let with = |header: &str| {
        service(
            &upstream,
            &format!(
                "- {{paths: [/], plugins: [{{name: response-transformer, config: {{add: {{headers: [\"x-edition:{header}\"]}}}}}}]}}"
            ),
        )
    };
    let gateway = Gateway::start(with("old")).await;
    let mut client = gateway.send(Request::get("/").bytes()).await;
    eventually("the request is on its way", PATIENCE, async || {
        (!upstream.requests().is_empty()).then_some(())
    })
    .await;
    gateway.reload(with("new")).await;
    let response = client.response().await;
    assert_eq!(
        (response.text().as_str(), response.header("x-edition")),
        ("done", "old")
    );
    assert_eq!(gateway.get("/").await.header("x-edition"), "new");
}

#[tokio::test]
async fn unrelated_edits_do_not_touch_a_websocket() {
    let upstream = Upstream::serving(|_| {
        Answer::raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
            .tunnel()
    })
    .await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/ws]}")).await;
    let mut client = gateway
        .send(ask("GET /ws Connection:Upgrade Upgrade:websocket").bytes())
        .await;
    client.head().await;
    for edition in 0..5 {
        gateway
            .reload(service(
                &upstream,
                &format!("- {{paths: [/ws]}}\n- {{paths: [/e{edition}]}}"),
            ))
            .await;
        client.send("ping").await;
        assert_eq!(client.exactly(4).await, b"ping");
    }
}

#[tokio::test]
async fn hostile_files_are_refused_quickly_and_cost_little() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/p]}")).await;
    let before = gateway.resident_bytes();
    let bomb = (1..30).fold(
        "_ignore:\n- &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(),
        |text, level| {
            let before = format!("*a{}", level - 1);
            format!("{text}- &a{level} [{}]\n", [before.as_str(); 9].join(", "))
        },
    );
    let deep = format!("_ignore: {}{}\n", "[".repeat(50_000), "]".repeat(50_000));
    for (name, text) in [
        ("an alias bomb", bomb),
        ("deep nesting", deep),
        ("no mapping", "- 1\n".to_owned()),
    ] {
        let started = std::time::Instant::now();
        assert_eq!(gateway.reload(text).await, Reload::Refused, "{name}");
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "{name}: {:?}",
            started.elapsed()
        );
        assert_eq!(gateway.get("/p").await.status, 200, "after {name}");
    }
    assert!(gateway.resident_bytes().saturating_sub(before) < 128 << 20);
}
