//! Connections to upstreams: reuse, retries, timeouts (kong-core F.5 and F.6).

use crate::ask::{service, service_at};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tidegate_tests::ports::refusing_address;
use tidegate_tests::{Answer, Gateway, RawClient, Request, Upstream};

#[tokio::test]
async fn connections_to_upstreams_are_reused() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    for _ in 0..10 {
        gateway.get("/").await;
    }
    assert_eq!((upstream.requests().len(), upstream.connections()), (10, 1));
    assert!(
        gateway
            .metric("tidegate_upstream_connection_uses_total{result=\"reused\"}")
            .await
            >= 9.0
    );
}

#[tokio::test]
async fn a_pool_of_size_zero_keeps_nothing() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::with(service(&upstream, "- {paths: [/]}"))
        .setting("upstream_keepalive_pool_size", "0")
        .start()
        .await;
    for _ in 0..3 {
        gateway.get("/").await;
    }
    assert_eq!(upstream.connections(), 3);
}

#[tokio::test]
async fn a_connection_serves_no_more_requests_than_allowed() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::with(service(&upstream, "- {paths: [/]}"))
        .setting("upstream_keepalive_max_requests", "2")
        .start()
        .await;
    for _ in 0..6 {
        gateway.get("/").await;
    }
    assert_eq!(upstream.connections(), 3);
}

#[tokio::test]
async fn an_upstream_that_says_close_is_not_asked_again_on_that_connection() {
    let upstream = Upstream::serving(|_| Answer::ok("ok").header("Connection", "close").close()).await;
    let gateway = Gateway::start(service_at(&upstream.url(), "retries: 0", "- {paths: [/]}")).await;
    for _ in 0..3 {
        assert_eq!(gateway.get("/").await.status, 200);
    }
    assert_eq!(upstream.connections(), 3);
}

#[tokio::test]
async fn a_pooled_connection_that_died_meanwhile_costs_no_request() {
    // Says keep-alive, closes all the same.
    let upstream = Upstream::serving(|_| Answer::ok("ok").close()).await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    for index in 0..20 {
        let response = gateway.get("/").await;
        assert_eq!(response.status, 200, "request {index}: {response:?}");
    }
}

/// An upstream that resets its first `failures` requests.
async fn flaky(failures: usize) -> (Upstream, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let upstream = Upstream::serving(move |_| {
        if counted.fetch_add(1, Ordering::SeqCst) < failures {
            Answer::raw("").reset()
        } else {
            Answer::ok("ok")
        }
    })
    .await;
    (upstream, count)
}

#[tokio::test]
async fn a_safe_request_is_tried_again_as_often_as_retries_say() {
    let (upstream, count) = flaky(2).await;
    let gateway = Gateway::start(service_at(&upstream.url(), "retries: 2", "- {paths: [/]}")).await;
    assert_eq!(gateway.get("/").await.status, 200);
    assert_eq!(count.load(Ordering::SeqCst), 3);
    let (upstream, count) = flaky(usize::MAX).await;
    let gateway = Gateway::start(service_at(&upstream.url(), "retries: 2", "- {paths: [/]}")).await;
    assert_eq!(gateway.get("/").await.status, 502);
    assert_eq!(count.load(Ordering::SeqCst), 3, "one try and two more");
}

#[tokio::test]
async fn an_answer_is_never_asked_for_again_whatever_its_status() {
    let upstream = Upstream::serving(|_| Answer::status(503).body("busy")).await;
    let gateway = Gateway::start(service_at(&upstream.url(), "retries: 5", "- {paths: [/]}")).await;
    let response = gateway.get("/").await;
    assert_eq!((response.status, response.text().as_str()), (503, "busy"));
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn a_post_that_was_sent_is_never_sent_twice() {
    let (upstream, count) = flaky(usize::MAX).await;
    let gateway = Gateway::start(service_at(&upstream.url(), "retries: 5", "- {paths: [/]}")).await;
    for method in ["POST", "PATCH"] {
        let before = count.load(Ordering::SeqCst);
        assert_eq!(
            gateway.call(&Request::new(method, "/").body("once")).await.status,
            502
        );
        assert_eq!(count.load(Ordering::SeqCst), before + 1, "{method}");
    }
}

#[tokio::test]
async fn a_put_is_tried_again_with_its_whole_body() {
    let (upstream, _) = flaky(1).await;
    let gateway = Gateway::start(service_at(
        &upstream.url(),
        "retries: 1",
        "- {paths: [/], request_buffering: true}",
    ))
    .await;
    assert_eq!(
        gateway.call(&Request::new("PUT", "/").body("whole")).await.status,
        200
    );
    assert!(upstream.requests().iter().all(|request| request.body == b"whole"));
}

#[tokio::test]
async fn a_post_to_a_port_where_nobody_listens_may_be_tried_again_and_ends_502() {
    let url = format!("http://{}", refusing_address());
    let gateway = Gateway::start(service_at(&url, "retries: 2", "- {paths: [/]}")).await;
    assert_eq!(gateway.call(&Request::post("/", "x")).await.status, 502);
    assert!(
        gateway
            .metric("tidegate_upstream_connection_uses_total{result=\"failed\"}")
            .await
            >= 1.0
    );
}

#[tokio::test]
async fn a_timeout_counts_between_bytes_not_for_the_whole() {
    let upstream = Upstream::serving(|_| {
        (0..5).fold(
            Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
            |answer, _| answer.wait(Duration::from_millis(150)).then("x"),
        )
    })
    .await;
    let gateway = Gateway::start(service_at(&upstream.url(), "read_timeout: 500", "- {paths: [/]}")).await;
    assert_eq!(
        gateway.get("/").await.text(),
        "xxxxx",
        "750 ms in all, 150 between"
    );
}

#[tokio::test]
async fn an_answer_that_stalls_in_its_body_is_cut_off_visibly() {
    let upstream =
        Upstream::serving(|_| Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").hang()).await;
    let gateway = Gateway::start(service_at(&upstream.url(), "read_timeout: 200", "- {paths: [/]}")).await;
    let mut client = gateway.send(Request::get("/").bytes()).await;
    assert!(
        client.try_response("GET").await.is_err(),
        "the client must not take half an answer for a whole one"
    );
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_an_error_page() {
    let gateway = Gateway::start(service_at(
        "http://no-such-host.invalid",
        "retries: 0",
        "- {paths: [/]}",
    ))
    .await;
    let response = gateway.get("/").await;
    assert!(matches!(response.status, 500 | 502 | 503), "{response:?}");
    assert!(response.text().contains("request_id"), "{response:?}");
}

#[tokio::test]
async fn names_are_resolved_for_upstreams() {
    let upstream = Upstream::ok().await;
    let url = format!("http://localhost:{}", upstream.port());
    let gateway = Gateway::start(service_at(&url, "", "- {paths: [/]}")).await;
    assert_eq!(gateway.get("/").await.status, 200);
    assert_eq!(
        upstream.last().header("Host"),
        format!("localhost:{}", upstream.port())
    );
}

#[tokio::test]
async fn many_clients_at_once_are_all_served() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    let address = gateway.proxy();
    let clients = (0..50).map(|_| {
        tokio::spawn(async move {
            let mut client = RawClient::connect(address).await;
            for _ in 0..10 {
                assert_eq!(client.call(&Request::get("/")).await.status, 200);
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    assert_eq!(upstream.requests().len(), 500);
    assert!(
        upstream.connections() <= 50,
        "{} connections",
        upstream.connections()
    );
}
