//! Clients that take their time: each has a deadline, and nobody waits for them.

use crate::ask::service;
use std::time::{Duration, Instant};
use tidegate_tests::{Answer, Gateway, RawClient, Request, Upstream};

async fn with(settings: &[(&str, &str)]) -> (Upstream, Gateway) {
    let upstream = Upstream::ok().await;
    let mut builder = Gateway::with(service(&upstream, "- {paths: [/]}"));
    for (name, value) in settings {
        builder = builder.setting(name, *value);
    }
    (upstream, builder.start().await)
}

#[tokio::test]
async fn a_head_that_dribbles_in_is_ended_by_its_deadline() {
    let (upstream, gateway) = with(&[("client_header_timeout", "1s")]).await;
    let mut client = gateway.send("GET / HTTP/1.1\r\nHost: a\r\n").await;
    let started = Instant::now();
    let mut is_open = true;
    while is_open && started.elapsed() < Duration::from_secs(10) {
        client.send("X-A: 1\r\n").await;
        is_open = !client.closes_within(Duration::from_millis(200)).await;
    }
    assert!(!is_open, "a line every 200 ms kept the connection open");
    assert!(
        started.elapsed() >= Duration::from_millis(700),
        "not before the deadline: {:?}",
        started.elapsed()
    );
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_ended() {
    let (_upstream, gateway) = with(&[("client_header_timeout", "1s"), ("client_idle_timeout", "1s")]).await;
    let mut client = RawClient::connect(gateway.proxy()).await;
    assert!(client.closes_within(Duration::from_secs(6)).await);
    let mut client = RawClient::connect(gateway.proxy()).await;
    client.call(&Request::get("/")).await;
    assert!(
        client.closes_within(Duration::from_secs(6)).await,
        "idle after a request"
    );
}

#[tokio::test]
async fn a_body_that_stops_is_ended_and_the_upstream_never_sees_it_whole() {
    let (upstream, gateway) = with(&[("client_body_timeout", "1s")]).await;
    let mut client = gateway
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        .await;
    let started = Instant::now();
    if let Ok(response) = client.try_response("GET").await {
        assert!(matches!(response.status, 400 | 408), "{response:?}");
    }
    assert!(
        started.elapsed() >= Duration::from_millis(700),
        "{:?}",
        started.elapsed()
    );
    client.assert_closed("the body stopped").await;
    assert!(!upstream.requests().iter().any(|request| request.is_complete));
}

#[tokio::test]
async fn a_reader_that_stops_is_ended() {
    let upstream = Upstream::serving(|_| Answer::ok(vec![b'x'; 64 << 20])).await;
    let gateway = Gateway::with(service(&upstream, "- {paths: [/]}"))
        .setting("client_send_timeout", "1s")
        .start()
        .await;
    let mut client = gateway.send(Request::get("/").bytes()).await;
    client.head().await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert!(client.try_response("GET").await.is_err() || client.closes_within(Duration::from_secs(5)).await);
    let active = gateway
        .metric("tidegate_upstream_connections{state=\"active\"}")
        .await;
    assert!(active == 0.0, "its upstream connection is let go: {active}");
}

#[tokio::test]
async fn a_head_to_the_status_listener_has_ten_seconds() {
    let (_upstream, gateway) = with(&[]).await;
    let started = Instant::now();
    let mut client = RawClient::connect(gateway.status()).await;
    client.send("GET /status HTTP/1.1\r\nHost: a\r\n").await;
    assert!(client.closes_within(Duration::from_secs(18)).await);
    assert!(
        started.elapsed() >= Duration::from_secs(9),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_thousand_silent_connections_do_not_keep_others_waiting() {
    let (_upstream, gateway) = with(&[]).await;
    gateway.get("/").await;
    let before = gateway.resident_bytes();
    let mut silent = Vec::new();
    for _ in 0..1_000 {
        silent.push(gateway.send("GET / HTTP/1.1\r\nHost: a\r\nX-").await);
    }
    let started = Instant::now();
    assert_eq!(gateway.get("/").await.status, 200);
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    let each = gateway.resident_bytes().saturating_sub(before) / 1_000;
    assert!(each < 64 << 10, "{each} bytes for a silent connection");
}
