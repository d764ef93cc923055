//! What upstreams may answer, and what is kept of their connections.

use crate::ask::{service, service_at};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Answer, Gateway, Request, Upstream, eventually};

/// Answers with as many header lines as the path says, `Content-Length` among them.
async fn header_lines() -> Upstream {
    Upstream::serving(|request| {
        let count: usize = request.target.trim_start_matches('/').parse().unwrap();
        (1..count).fold(Answer::ok("ok"), |answer, index| {
            answer.header(&format!("X-{index}"), "1")
        })
    })
    .await
}

#[tokio::test]
async fn header_lines_of_an_answer_pass_up_to_the_limit_and_one_more_is_502() {
    let upstream = header_lines().await;
    let gateway = Gateway::with(service(&upstream, "- {paths: [/], strip_path: false}"))
        .setting("upstream_max_header_count", "20")
        .start()
        .await;
    assert_eq!(gateway.get("/20").await.status, 200);
    assert_eq!(gateway.get("/21").await.status, 502);
    assert_eq!(gateway.get("/20").await.status, 200, "it serves on");
}

#[tokio::test]
async fn the_head_of_an_answer_passes_up_to_the_limit_and_a_larger_one_is_502() {
    let upstream = Upstream::serving(|request| {
        let bytes: usize = request.target.trim_start_matches('/').parse().unwrap();
        let around = "HTTP/1.1 200 Scripted\r\nX: \r\nContent-Length: 2\r\n\r\n".len();
        Answer::ok("ok").header("X", &"x".repeat(bytes - around))
    })
    .await;
    let gateway = Gateway::with(service_at(
        &upstream.url(),
        "retries: 0",
        "- {paths: [/], strip_path: false}",
    ))
    .setting("upstream_max_header_bytes", "16k")
    .start()
    .await;
    assert_eq!(gateway.get("/16384").await.status, 200);
    assert_eq!(gateway.get("/16385").await.status, 502);
}

#[tokio::test]
async fn as_many_idle_connections_as_allowed_are_kept() {
    for (size, kept) in [("2", 2), ("1", 1)] {
        let upstream =
            Upstream::serving(|_| Answer::after(Duration::from_millis(500), Answer::ok("ok"))).await;
        let gateway = Gateway::with(service(&upstream, "- {paths: [/]}"))
            .setting("upstream_keepalive_pool_size", size)
            .start()
            .await;
        let (first, second) = tokio::join!(gateway.get("/"), gateway.get("/"));
        assert_eq!((first.status, second.status), (200, 200));
        assert_eq!(upstream.connections(), 2, "both at the same time");
        eventually("what is too much is closed", PATIENCE, async || {
            (upstream.connections() - upstream.closed_connections() == kept).then_some(())
        })
        .await;
        let (first, second) = tokio::join!(gateway.get("/"), gateway.get("/"));
        assert_eq!((first.status, second.status), (200, 200));
        assert_eq!(upstream.connections(), 4 - kept, "a kept one is used again");
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_time() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::with(service(&upstream, "- {paths: [/]}"))
        .setting("upstream_keepalive_idle_timeout", "1s")
        .start()
        .await;
    let started = Instant::now();
    gateway.call(&Request::get("/")).await;
    eventually("the connection is closed", PATIENCE, async || {
        (upstream.closed_connections() == 1).then_some(())
    })
    .await;
    assert!(
        started.elapsed() >= Duration::from_millis(900),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(gateway.get("/").await.status, 200);
    assert_eq!(upstream.connections(), 2);
}

#[tokio::test]
async fn a_body_of_eight_kib_is_kept_for_another_try_and_a_larger_one_is_not() {
    for (length, status, tries) in [(8_192, 200, 2), (8_193, 502, 1)] {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let upstream = Upstream::serving(move |_| match counted.fetch_add(1, SeqCst) {
            0 => Answer::raw("").reset(),
            _ => Answer::ok("ok"),
        })
        .await;
        let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
        let request = Request::new("PUT", "/").body(vec![b'x'; length]);
        assert_eq!(gateway.call(&request).await.status, status, "{length} bytes");
        assert_eq!(count.load(SeqCst), tries, "{length} bytes");
    }
}
