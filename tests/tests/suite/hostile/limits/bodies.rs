//! Request bodies and what frames them.

use super::limited;
use crate::ask::service;
use std::time::{Duration, Instant};
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Answer, Gateway, RawClient, Request, Upstream};

#[tokio::test]
async fn a_body_up_to_the_limit_passes_and_one_byte_more_is_413() {
    let (upstream, gateway) = limited(&[("client_max_body_size", "1k")]).await;
    let chunked = |length: usize| {
        let chunk = format!("{length:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(length));
        format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}").into_bytes()
    };
    let sized = |length: usize| Request::post("/", vec![b'x'; length]).bytes();
    for (form, (fits, too_much)) in [
        ("with its length", (sized(1_024), sized(1_025))),
        ("in chunks", (chunked(1_024), chunked(1_025))),
    ] {
        assert_eq!(gateway.send(fits).await.response().await.status, 200, "{form}");
        assert_eq!(upstream.last().body.len(), 1_024, "{form}");
        assert_eq!(
            gateway.send(too_much).await.response().await.status,
            413,
            "{form}"
        );
    }
    let whole = upstream
        .requests()
        .iter()
        .filter(|request| request.is_complete)
        .count();
    assert_eq!(whole, 2, "what is refused never arrives whole");
}

/// A chunked body with these last lines is served, and with those the connection ends before the body is whole.
async fn chunked_at_the_bound(setting: (&str, &str), fits: &str, too_much: &str) {
    let (upstream, gateway) = limited(&[setting]).await;
    let wire = |rest: &str| format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{rest}");
    let served = gateway.send(wire(fits)).await.response().await;
    assert_eq!(served.status, 200, "{} at the bound: {served:?}", setting.0);
    let mut client = gateway.send(wire(too_much)).await;
    if let Ok(refused) = client.try_response("POST").await {
        assert!(refused.status >= 400, "{} one past it: {refused:?}", setting.0);
    }
    client.rest_until_closed(setting.0).await;
    let whole = upstream
        .requests()
        .iter()
        .filter(|request| request.is_complete)
        .count();
    assert_eq!(whole, 1, "{}", setting.0);
}

#[tokio::test]
async fn chunk_extensions_are_bounded_over_the_whole_body() {
    let fits = "1;12345678\r\nx\r\n1;12345678\r\nx\r\n0\r\n\r\n";
    let too_much = "1;12345678\r\nx\r\n1;123456789\r\nx\r\n0\r\n\r\n";
    chunked_at_the_bound(("client_max_chunk_extensions", "16"), fits, too_much).await;
}

#[tokio::test]
async fn trailer_lines_are_bounded_in_number() {
    let fits = "1\r\nx\r\n0\r\nX-A: 1\r\nX-B: 1\r\n\r\n";
    let too_much = "1\r\nx\r\n0\r\nX-A: 1\r\nX-B: 1\r\nX-C: 1\r\n\r\n";
    chunked_at_the_bound(("client_max_trailer_count", "2"), fits, too_much).await;
}

#[tokio::test]
async fn trailer_lines_are_bounded_in_bytes() {
    // `X-A: `, the value and the line end.
    let with = |bytes: usize| format!("1\r\nx\r\n0\r\nX-A: {}\r\n\r\n", "x".repeat(bytes - 7));
    chunked_at_the_bound(("client_max_trailer_bytes", "64"), &with(64), &with(65)).await;
}

#[tokio::test]
async fn a_body_too_large_for_a_transformation_goes_on_unchanged() {
    let upstream = Upstream::ok().await;
    let routes = "- {paths: [/], plugins: [{name: request-transformer, config: {add: {body: [\"p:v\"]}}}]}";
    let gateway = Gateway::with(service(&upstream, routes))
        .setting("request_buffer_max", "4k")
        .start()
        .await;
    let body = |length: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(length - 8));
    for (length, is_changed) in [(4_096, true), (4_097, false)] {
        let body = body(length);
        assert_eq!(body.len(), length);
        let request = Request::post("/", body.clone()).header("Content-Type", "application/json");
        assert_eq!(gateway.call(&request).await.status, 200);
        let seen = String::from_utf8_lossy(&upstream.last().body).into_owned();
        assert_eq!(seen.contains("\"p\":\"v\""), is_changed, "{length} bytes");
        assert!(
            is_changed || seen == body,
            "a body is changed whole or not at all"
        );
    }
}

/// A request that is refused at its head while much of its body is still to come.
async fn refused_early(gateway: &Gateway) -> RawClient {
    let mut client = gateway
        .send("POST /unrouted HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
        .await;
    assert_eq!(client.response().await.status, 404);
    client
}

fn routed_elsewhere(upstream: &Upstream) -> String {
    service(upstream, "- {paths: [/routed]}")
}

#[tokio::test]
async fn the_rest_of_a_refused_body_is_read_up_to_the_limit() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::with(routed_elsewhere(&upstream))
        .setting("client_linger_max_bytes", "1m")
        .setting("client_linger_timeout", "1m")
        .start()
        .await;
    let mut within = refused_early(&gateway).await;
    assert!(within.try_send(&vec![b'x'; 512 << 10], PATIENCE).await);
    within.finish().await;
    within
        .assert_closed("all that came was read, so no reset destroys the answer")
        .await;
    let mut beyond = refused_early(&gateway).await;
    let mut sent = 0;
    // What the sockets of both sides hold comes on top.
    while sent < 64
        && beyond
            .try_send(&vec![b'x'; 1 << 20], Duration::from_secs(2))
            .await
    {
        sent += 1;
    }
    assert!(sent < 64, "the client could go on sending for ever");
}

#[tokio::test]
async fn the_rest_of_a_refused_body_is_awaited_until_its_deadline() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::with(routed_elsewhere(&upstream))
        .setting("client_linger_timeout", "1s")
        .start()
        .await;
    let started = Instant::now();
    let mut client = refused_early(&gateway).await;
    let mut is_open = true;
    while is_open && started.elapsed() < PATIENCE {
        is_open = client.try_send(b"x", PATIENCE).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!is_open, "the client could go on sending for ever");
    assert!(
        started.elapsed() >= Duration::from_millis(900),
        "{:?}",
        started.elapsed()
    );
}

/// Sends 64 MiB of a body, or as much as is taken; the gateway must not grow with it.
async fn assert_memory_stays(gateway: &Gateway, client: &mut RawClient, before: u64) {
    let chunk = vec![b'x'; 1 << 20];
    let mut peak = 0;
    for _ in 0..64 {
        if !client.try_send(&chunk, PATIENCE).await {
            break;
        }
        peak = peak.max(gateway.resident_bytes().saturating_sub(before));
    }
    assert!(peak < 24 << 20, "{peak} bytes more");
}

#[tokio::test]
async fn a_gigabyte_streams_through_without_memory() {
    let upstream = Upstream::serving_at_head(|_| Answer::ok("taken")).await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/], request_buffering: false}")).await;
    gateway.get("/").await;
    let before = gateway.resident_bytes();
    let mut client = RawClient::connect(gateway.proxy()).await;
    client
        .send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
            1 << 30
        ))
        .await;
    assert_memory_stays(&gateway, &mut client, before).await;
}

#[tokio::test]
async fn a_gigabyte_through_a_plugin_that_reads_bodies_takes_bounded_memory() {
    let upstream = Upstream::serving_at_head(|_| Answer::ok("taken")).await;
    let routes = "- {paths: [/], plugins: [{name: request-transformer, config: {add: {body: [\"p:v\"]}}}]}";
    let gateway = Gateway::with(service(&upstream, routes))
        .setting("request_buffer_max", "1m")
        .start()
        .await;
    gateway.get("/").await;
    let before = gateway.resident_bytes();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        1 << 30
    );
    let mut client = gateway.send(head).await;
    assert_memory_stays(&gateway, &mut client, before).await;
}

#[tokio::test]
async fn a_key_is_looked_for_in_a_thousand_parts() {
    let upstream = Upstream::ok().await;
    let guarded = "- {paths: [/], plugins: [{name: key-auth, config: {key_in_body: true}}]}";
    let alice = "consumers:\n- {username: alice, keyauth_credentials: [{key: secret}]}\n";
    let gateway = Gateway::start(service(&upstream, guarded) + alice).await;
    for (parts, status) in [(1_000, 200), (1_001, 401)] {
        let part = |name: &str, value: &str| {
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let body = part("x", "1").repeat(parts - 1) + &part("apikey", "secret") + "--b--\r\n";
        let request = Request::post("/", body).header("Content-Type", "multipart/form-data; boundary=b");
        assert_eq!(gateway.call(&request).await.status, status, "{parts} parts");
    }
}
