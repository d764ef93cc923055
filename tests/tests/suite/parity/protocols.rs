//! What happens after the match: redirects, gRPC, buffering (kong-core C.7).

use crate::ask::{ask, service, service_at};
use std::time::Duration;
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{
    Answer, Gateway, H2Client, H2Upstream, RawClient, Request, Upstream, eventually, h2_client,
};

#[tokio::test]
async fn a_route_for_https_alone_tells_plain_clients_to_upgrade() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/], protocols: [https]}")).await;
    for request in [ask("GET /"), ask("GET / X-Forwarded-Proto:https")] {
        let response = gateway.call(&request).await;
        assert_eq!(
            (response.status, response.message().as_str()),
            (426, "Please use HTTPS protocol")
        );
        assert!(
            response.header("Connection").eq_ignore_ascii_case("upgrade"),
            "{response:?}"
        );
        assert_eq!(response.header("Upgrade"), "TLS/1.2, HTTP/1.1");
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn redirects_to_https_keep_the_raw_target() {
    let upstream = Upstream::ok().await;
    let routes: String = [301, 302, 307, 308]
        .map(|status| {
            format!("- {{paths: [/p{status}], protocols: [https], https_redirect_status_code: {status}}}\n")
        })
        .concat();
    let gateway = Gateway::start(service(&upstream, &routes)).await;
    for status in [301, 302, 307, 308] {
        let response = gateway
            .call(&ask(&format!("GET /p{status}/%61?x=1 @a.test:9999")))
            .await;
        assert_eq!(response.status, status);
        assert_eq!(
            response.header("Location"),
            format!("https://a.test/p{status}/%61?x=1")
        );
    }
}

#[tokio::test]
async fn a_trusted_peer_speaks_for_the_protocol_of_its_client() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::with(service(&upstream, "- {paths: [/], protocols: [https]}"))
        .setting("trusted_ips", "127.0.0.1")
        .start()
        .await;
    assert_eq!(
        gateway.call(&ask("GET / X-Forwarded-Proto:https")).await.status,
        200
    );
    assert_eq!(
        gateway.call(&ask("GET / X-Forwarded-Proto:httpsa")).await.status,
        426
    );
}

async fn grpc_gateway(protocols: &str) -> (H2Upstream, Gateway) {
    let upstream = H2Upstream::serving(|request| {
        let trailers = http::HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
        let mut response = http::Response::new(h2_client::with_trailers(request.body.clone(), trailers));
        response
            .headers_mut()
            .insert("content-type", "application/grpc".parse().unwrap());
        response
    })
    .await;
    let url = format!("grpc://{}", upstream.address());
    let gateway = Gateway::start(service_at(
        &url,
        "",
        &format!("- {{paths: [/hello], strip_path: false, protocols: [{protocols}]}}"),
    ))
    .await;
    (upstream, gateway)
}

#[tokio::test]
async fn a_grpc_call_goes_through_with_its_trailers() {
    let (upstream, gateway) = grpc_gateway("grpc").await;
    let mut client = H2Client::cleartext(gateway.proxy()).await;
    let answer = client
        .call(h2_client::grpc("http://localhost/hello.Service/Say", b"hi"))
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.trailer("grpc-status")),
        (200, "0"),
        "{answer:?}"
    );
    assert_eq!(&answer.body[5..], b"hi");
    let seen = upstream.last();
    assert_eq!(
        (seen.uri.path(), seen.version),
        ("/hello.Service/Say", http::Version::HTTP_2)
    );
    assert_eq!(seen.headers["te"], "trailers");
    assert!(answer.header("via").starts_with("2 "), "{answer:?}");
}

#[tokio::test]
async fn a_grpc_route_refuses_what_is_not_grpc() {
    let (upstream, gateway) = grpc_gateway("grpc").await;
    let response = gateway.get("/hello").await;
    assert_eq!(
        (response.status, response.message().as_str()),
        (415, "Non-gRPC request matched gRPC route")
    );
    let response = gateway
        .call(&Request::post("/hello", "x").header("Content-Type", "application/grpc"))
        .await;
    assert_eq!(response.status, 426);
    assert!(
        response.header("upgrade").eq_ignore_ascii_case("HTTP/2"),
        "{response:?}"
    );
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn errors_of_grpc_clients_are_told_in_grpc() {
    let (_upstream, gateway) = grpc_gateway("grpcs").await;
    let mut client = H2Client::cleartext(gateway.proxy()).await;
    let answer = client
        .call(h2_client::grpc("http://localhost/hello.Service/Say", b"hi"))
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.trailer("grpc-status")),
        (200, "1"),
        "{answer:?}"
    );
    assert_eq!(answer.trailer("grpc-message"), "gRPC request matched gRPCs route");
    let answer = client
        .call(h2_client::grpc("http://localhost/nowhere/X", b"hi"))
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.trailer("grpc-status")),
        (404, "5"),
        "{answer:?}"
    );
    assert_eq!(
        (answer.header("content-type"), answer.body.len()),
        ("application/grpc", 0)
    );
}

#[tokio::test]
async fn a_websocket_passes_frames_both_ways() {
    let upstream = Upstream::serving(|_| {
        Answer::raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n").tunnel()
    })
    .await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    let request = Request::get("/ws")
        .header("Connection", "keep-alive, Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("Sec-WebSocket-Version", "13");
    // The first frame travels with the handshake: not a byte of it may be lost.
    let mut client = gateway
        .send([request.bytes(), b"\x81\x02hi".to_vec()].concat())
        .await;
    let head = client.head().await;
    assert!(
        head.starts_with("HTTP/1.1 101 ") && head.to_lowercase().contains("upgrade: websocket"),
        "{head}"
    );
    assert_eq!(client.exactly(4).await, b"\x81\x02hi");
    for size in [1, 1_000, 200_000] {
        let frame = vec![7; size];
        client.send(&frame).await;
        assert_eq!(client.exactly(size).await, frame);
    }
    let seen = upstream.last();
    assert_eq!(seen.header("Upgrade"), "websocket");
    let connection = seen.header("Connection").to_lowercase();
    assert!(connection.contains("upgrade"), "{connection}");
    client.finish().await;
    client.assert_closed("both sides are done").await;
    eventually("the upstream connection ends too", PATIENCE, async || {
        (upstream.closed_connections() == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_upgrade_that_the_upstream_declines_is_an_ordinary_answer() {
    let upstream = Upstream::serving(|_| Answer::ok("no")).await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    let request = Request::get("/")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket");
    let mut client = gateway
        .send([request.bytes(), Request::get("/second").bytes()].concat())
        .await;
    assert_eq!(client.response().await.text(), "no");
    let second = client.try_response("GET").await;
    // RUSTSEC-2026-0033: bytes behind a declined upgrade are a request or nothing, never a tunnel.
    match second {
        Ok(response) => assert_eq!((response.status, upstream.requests().len()), (200, 2)),
        Err(_) => assert_eq!(upstream.requests().len(), 1),
    }
}

#[tokio::test]
async fn without_request_buffering_the_upstream_sees_the_first_piece_before_the_last_is_sent() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/], request_buffering: false}")).await;
    let mut client = gateway
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nfirst")
        .await;
    eventually("the first piece arrives", PATIENCE, async || {
        (!upstream.requests().is_empty() && upstream.bytes_received() > 0).then_some(())
    })
    .await;
    client.send("-last").await;
    assert_eq!(client.response().await.status, 200);
    assert_eq!(upstream.last().body, b"first-last");
}

#[tokio::test]
async fn with_request_buffering_the_upstream_sees_nothing_of_a_request_that_breaks_off() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/], request_buffering: true}")).await;
    let mut client = gateway
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nfirst")
        .await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    client.finish().await;
    drop(client);
    assert_eq!(gateway.get("/after").await.status, 200);
    assert_eq!(
        upstream.requests().len(),
        1,
        "only the request that came whole: {:?}",
        upstream.requests()
    );
}

#[tokio::test]
async fn without_response_buffering_the_client_sees_the_first_piece_before_the_last_is_made() {
    let upstream = Upstream::serving(|_| {
        Answer::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            .wait(Duration::from_millis(400))
            .then("4\r\nlast\r\n0\r\n\r\n")
    })
    .await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/], response_buffering: false}")).await;
    let started = std::time::Instant::now();
    let mut client = gateway.send(Request::get("/").bytes()).await;
    client.until(b"first").await;
    assert!(
        started.elapsed() < Duration::from_millis(350),
        "held back for {:?}",
        started.elapsed()
    );
    client.until(b"0\r\n\r\n").await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let upstream = Upstream::serving(|request| Answer::ok(request.target.clone())).await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    let bytes: Vec<u8> = (0..5)
        .flat_map(|index| Request::get(&format!("/{index}")).bytes())
        .collect();
    let mut client: RawClient = gateway.send(bytes).await;
    for index in 0..5 {
        assert_eq!(client.response().await.text(), format!("/{index}"));
    }
}

#[tokio::test]
async fn without_response_buffering_body_filters_still_see_the_whole_body() {
    let upstream = Upstream::serving(|_| {
        Answer::raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n")
            .wait(Duration::from_millis(100))
            .then("2\r\n1}\r\n0\r\n\r\n")
    })
    .await;
    let routes = "- {paths: [/], response_buffering: false, plugins: [{name: response-transformer, config: {add: {json: [\"b:2\"]}}}]}";
    let gateway = Gateway::start(service(&upstream, routes)).await;
    let response = gateway.get("/").await;
    assert_eq!(
        response.json(),
        serde_json::json!({"a": 1, "b": "2"}),
        "{response:?}"
    );
}
