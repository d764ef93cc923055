//! HTTP/1.1 messages: bodies, framing, interim responses, trailers.

use crate::ask::{ask, service};
use std::time::Duration;
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Answer, Gateway, RawClient, Request, Upstream, eventually};

async fn in_front_of(upstream: &Upstream) -> Gateway {
    Gateway::start(service(upstream, "- {paths: [/]}")).await
}

#[tokio::test]
async fn bodies_of_every_size_and_framing_arrive_whole() {
    let upstream = Upstream::serving(|request| Answer::ok(request.body.clone())).await;
    let gateway = in_front_of(&upstream).await;
    let mut client = RawClient::connect(gateway.proxy()).await;
    for size in [0, 1, 1_023, 8_192, 65_537, 3 << 20] {
        let body: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
        let response = client.call(&Request::post("/", body.clone())).await;
        assert_eq!(
            (response.status, response.body == body),
            (200, true),
            "{size} bytes with a length"
        );
        assert_eq!(upstream.last().body.len(), size);
    }
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n").await;
    assert_eq!(client.response().await.text(), "abcd");
    let seen = upstream.last();
    assert!(
        !(seen.headers.has("Content-Length") && seen.headers.has("Transfer-Encoding")),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_chunked_answer_stays_whole_and_keeps_its_trailers_for_those_who_asked() {
    let upstream = Upstream::serving(|_| {
        Answer::raw("HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 5\r\n\r\n")
    })
    .await;
    let gateway = in_front_of(&upstream).await;
    let response = gateway.call(&ask("GET / TE:trailers")).await;
    assert_eq!(
        (response.text().as_str(), response.trailers.get("X-Sum")),
        ("abcde", Some("5"))
    );
    assert_eq!(gateway.get("/").await.text(), "abcde");
}

#[tokio::test]
async fn an_answer_that_ends_with_its_connection_arrives_whole() {
    let upstream = Upstream::serving(|_| {
        Answer::raw("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end").close()
    })
    .await;
    let gateway = in_front_of(&upstream).await;
    let mut client = RawClient::connect(gateway.proxy()).await;
    assert_eq!(client.call(&Request::get("/")).await.text(), "until the end");
    assert_eq!(
        client
            .assert_open(&Request::get("/"), "the client's connection is another")
            .await
            .text(),
        "until the end"
    );
    let upstream = Upstream::serving(|_| Answer::raw("HTTP/1.0 200 OK\r\n\r\nold").close()).await;
    let response = in_front_of(&upstream).await.get("/").await;
    assert_eq!(
        (response.text().as_str(), response.version.as_str()),
        ("old", "HTTP/1.1")
    );
}

#[tokio::test]
async fn head_gets_the_head_of_the_answer_and_nothing_else() {
    let upstream =
        Upstream::serving(|_| Answer::ok("").header("Content-Length", "1000").header("X-A", "1")).await;
    let gateway = in_front_of(&upstream).await;
    let mut client = RawClient::connect(gateway.proxy()).await;
    for _ in 0..2 {
        let response = client.call(&Request::new("HEAD", "/")).await;
        assert_eq!(
            (response.header("Content-Length"), response.header("X-A")),
            ("1000", "1")
        );
    }
    assert_eq!(
        (upstream.last().method.as_str(), upstream.connections()),
        ("HEAD", 1),
        "the connection is reused"
    );
}

#[tokio::test]
async fn answers_that_have_no_body_leave_the_connection_usable() {
    let upstream = Upstream::serving(|request| Answer::status(request.target[1..].parse().unwrap())).await;
    let gateway = in_front_of(&upstream).await;
    let mut client = RawClient::connect(gateway.proxy()).await;
    for status in [204, 304, 200, 205] {
        let response = client.call(&Request::get(&format!("/{status}"))).await;
        assert_eq!((response.status, response.body.len()), (status, 0));
        assert!(
            status != 204 || !response.headers.has("Content-Length"),
            "RFC 9110 §8.6: {response:?}"
        );
    }
}

#[tokio::test]
async fn a_client_that_expects_100_gets_it_before_it_sends() {
    let upstream = Upstream::ok().await;
    let gateway = in_front_of(&upstream).await;
    let mut client = gateway
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        .await;
    assert_eq!(client.response().await.status, 100);
    client.send("body").await;
    assert_eq!(client.response().await.status, 200);
    assert_eq!(upstream.last().body, b"body");
}

#[tokio::test]
async fn a_refusal_comes_instead_of_100_and_the_body_is_never_taken_for_a_request() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/], plugins: [{name: key-auth}]}")).await;
    let mut client = gateway
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 38\r\nExpect: 100-continue\r\n\r\n")
        .await;
    assert_eq!(client.response().await.status, 401);
    client.send("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n....").await;
    let _ = client.try_response("GET").await;
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn interim_answers_do_not_stand_for_the_final_one() {
    let upstream = Upstream::serving(|_| {
        Answer::raw("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    })
    .await;
    let gateway = in_front_of(&upstream).await;
    let mut client = gateway.send(Request::get("/").bytes()).await;
    let mut response = client.response().await;
    while response.status < 200 {
        response = client.response().await;
    }
    assert_eq!((response.status, response.text().as_str()), (200, "ok"));
}

#[tokio::test]
async fn an_early_answer_reaches_a_client_that_is_still_sending() {
    let upstream =
        Upstream::serving_at_head(|_| Answer::status(403).header("Connection", "close").close()).await;
    let gateway = in_front_of(&upstream).await;
    let mut client = gateway
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\nxxxx")
        .await;
    assert_eq!(client.response().await.status, 403);
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_upstream_request_with_it() {
    let upstream = Upstream::serving(|_| Answer::never()).await;
    let gateway = in_front_of(&upstream).await;
    let client = gateway.send(Request::get("/").bytes()).await;
    eventually("the upstream is asked", PATIENCE, async || {
        (upstream.requests().len() == 1).then_some(())
    })
    .await;
    drop(client);
    eventually("nobody waits for the upstream any more", PATIENCE, async || {
        (gateway
            .metric("tidegate_upstream_connections{state=\"active\"}")
            .await
            == 0.0)
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_slow_reader_holds_the_upstream_back_instead_of_filling_memory() {
    const SIZE: usize = 256 << 20;
    let upstream = Upstream::serving(|_| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n");
        (0..256).fold(Answer::raw(head), |answer, _| answer.then(vec![b'x'; 1 << 20]))
    })
    .await;
    let gateway = in_front_of(&upstream).await;
    gateway.get("/absent-first-touch").await.body.clear();
    let before = gateway.resident_bytes();
    let mut client = gateway.send(Request::get("/").bytes()).await;
    client.head().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let grown = gateway.resident_bytes().saturating_sub(before);
    assert!(
        grown < 32 << 20,
        "{grown} bytes more while the client does not read"
    );
}

#[tokio::test]
async fn connections_say_when_they_end() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::with(service(&upstream, "- {paths: [/]}"))
        .setting("keepalive_requests", "3")
        .start()
        .await;
    let mut client = RawClient::connect(gateway.proxy()).await;
    for last in [false, false, true] {
        let response = client.call(&Request::get("/")).await;
        assert_eq!(
            response.header("Connection").eq_ignore_ascii_case("close"),
            last,
            "{response:?}"
        );
    }
    client.assert_closed("after the last request").await;
    let mut client = RawClient::connect(gateway.proxy()).await;
    let response = client.call(&ask("GET / Connection:close")).await;
    assert!(response.header("Connection").eq_ignore_ascii_case("close"));
    client.assert_closed("as the client wished").await;
}
