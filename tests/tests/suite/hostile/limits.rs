//! Every limit at its bound and one past it.

use crate::ask::service;
use std::time::Duration;
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Gateway, RawClient, Request, Upstream, eventually};
use tokio::io::AsyncReadExt;

async fn limited(setting: &str, value: &str) -> (Upstream, Gateway) {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::with(service(&upstream, "- {paths: [/]}"))
        .setting(setting, value)
        .start()
        .await;
    (upstream, gateway)
}

#[tokio::test]
async fn header_lines_up_to_the_limit_are_served_and_one_more_is_refused() {
    let (upstream, gateway) = limited("client_max_header_count", "20").await;
    let with = |count: usize| {
        (1..count).fold(Request::get("/"), |request, index| {
            request.header(&format!("x-{index}"), "1")
        })
    };
    assert_eq!(gateway.call(&with(20)).await.status, 200, "Host and 19 more");
    let mut client = gateway.send(with(21).bytes()).await;
    let status = client.response().await.status;
    assert!(matches!(status, 400 | 431), "{status}");
    client.assert_closed("too many headers").await;
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn a_header_line_up_to_the_limit_is_served_and_a_longer_one_refused() {
    let (_upstream, gateway) = limited("client_max_header_line", "1k").await;
    let with = |length: usize| Request::get("/").header("X", &"x".repeat(length));
    assert_eq!(gateway.call(&with(1_000)).await.status, 200);
    assert_eq!(gateway.call(&with(1_030)).await.status, 400);
}

#[tokio::test]
async fn all_header_lines_together_have_a_limit() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::with(service(&upstream, "- {paths: [/]}"))
        .setting("client_max_request_line", "1k")
        .setting("client_max_header_line", "1k")
        .setting("client_max_header_bytes", "4k")
        .start()
        .await;
    let with = |count: usize| {
        (0..count).fold(Request::get("/"), |request, index| {
            request.header(&format!("x-{index}"), &"x".repeat(500))
        })
    };
    assert_eq!(gateway.call(&with(7)).await.status, 200);
    assert_eq!(gateway.call(&with(9)).await.status, 400);
}

#[tokio::test]
async fn a_request_line_up_to_the_limit_is_served_and_a_longer_one_is_414() {
    let (_upstream, gateway) = limited("client_max_request_line", "1k").await;
    // "GET " and " HTTP/1.1" are 13 bytes.
    let with = |line: usize| Request::get(&format!("/{}", "x".repeat(line - 14)));
    assert_eq!(gateway.call(&with(1_024)).await.status, 200);
    assert_eq!(gateway.call(&with(1_027)).await.status, 414);
}

#[tokio::test]
async fn connections_of_one_address_have_a_limit() {
    let (_upstream, gateway) = limited("max_connections_per_ip", "3").await;
    // What the start left behind must be gone first.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut client = RawClient::connect(gateway.proxy()).await;
        assert_eq!(client.call(&Request::get("/")).await.status, 200);
        open.push(client);
    }
    let mut further = tokio::net::TcpStream::connect(gateway.proxy()).await.unwrap();
    let read = tokio::time::timeout(PATIENCE, further.read(&mut [0; 10]))
        .await
        .unwrap();
    assert!(
        matches!(read, Ok(0) | Err(_)),
        "one more is closed at once: {read:?}"
    );
    open.clear();
    eventually("a place is free again", PATIENCE, async || {
        let mut client = RawClient::connect(gateway.proxy()).await;
        client.send(Request::get("/").bytes()).await;
        client
            .try_response("GET")
            .await
            .ok()
            .filter(|response| response.status == 200)
    })
    .await;
}

#[tokio::test]
async fn connections_of_all_have_a_limit() {
    let (_upstream, gateway) = limited("max_connections", "4").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut served = Vec::new();
    let mut refused = 0;
    for _ in 0..10 {
        let mut client = RawClient::connect(gateway.proxy()).await;
        client.send(Request::get("/").bytes()).await;
        match client.try_response("GET").await {
            Ok(_) => served.push(client),
            Err(_) => refused += 1,
        }
    }
    assert!(
        served.len() <= 4 && refused >= 6,
        "{} served, {refused} refused",
        served.len()
    );
}

#[tokio::test]
async fn a_body_too_large_for_a_transformation_goes_on_unchanged() {
    let upstream = Upstream::ok().await;
    let routes = "- {paths: [/], plugins: [{name: request-transformer, config: {add: {body: [\"p:v\"]}}}]}";
    let gateway = Gateway::with(service(&upstream, routes))
        .setting("request_buffer_max", "4k")
        .start()
        .await;
    let body = |length: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(length));
    for (length, is_changed) in [(1_000, true), (5_000, false)] {
        let request = Request::post("/", body(length)).header("Content-Type", "application/json");
        assert_eq!(gateway.call(&request).await.status, 200);
        let seen = String::from_utf8_lossy(&upstream.last().body).into_owned();
        assert_eq!(seen.contains("\"p\":\"v\""), is_changed, "{length} bytes");
        assert!(
            is_changed || seen == body(length),
            "a body is changed whole or not at all"
        );
    }
}

#[tokio::test]
async fn a_gigabyte_streams_through_without_memory() {
    let upstream = Upstream::serving_at_head(|_| tidegate_tests::Answer::ok("taken")).await;
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
