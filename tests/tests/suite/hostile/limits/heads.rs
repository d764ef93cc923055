//! The head of a request.

use super::limited;
use tidegate_tests::{Gateway, Request, Upstream};

/// Sends both; the first must be served, the second refused with `status`, its connection closed, and not forwarded.
async fn at_the_bound(
    upstream: &Upstream,
    gateway: &Gateway,
    (fits, too_much): (Vec<u8>, Vec<u8>),
    status: u16,
) {
    let before = upstream.requests().len();
    let served = gateway.send(fits).await.response().await;
    assert_eq!(served.status, 200, "at the bound: {served:?}");
    let mut client = gateway.send(too_much).await;
    let refused = client.response().await;
    assert_eq!(refused.status, status, "one past it: {refused:?}");
    client.assert_closed("after the refusal").await;
    assert_eq!(upstream.requests().len(), before + 1);
}

#[tokio::test]
async fn header_lines_up_to_the_limit_are_served_and_one_more_is_refused() {
    let (upstream, gateway) = limited(&[("client_max_header_count", "20")]).await;
    // `Host` is one of them.
    let with = |count: usize| {
        let request = (1..count).fold(Request::get("/"), |request, index| {
            request.header(&format!("x-{index}"), "1")
        });
        request.bytes()
    };
    at_the_bound(&upstream, &gateway, (with(20), with(21)), 400).await;
}

#[tokio::test]
async fn a_header_line_up_to_the_limit_is_served_and_a_longer_one_refused() {
    let (upstream, gateway) = limited(&[("client_max_header_line", "1k")]).await;
    let with = |line: usize| {
        Request::get("/")
            .header("X", &"x".repeat(line - "X: ".len()))
            .bytes()
    };
    at_the_bound(&upstream, &gateway, (with(1_024), with(1_025)), 400).await;
}

#[tokio::test]
async fn all_header_lines_together_have_a_limit() {
    let (upstream, gateway) = limited(&[
        ("client_max_request_line", "1k"),
        ("client_max_header_line", "4k"),
        ("client_max_header_bytes", "4k"),
    ])
    .await;
    let with = |bytes: usize| {
        let left = bytes - "Host: localhost\r\n".len() - "X-A: \r\n".len() - "X-B: \r\n".len() - 2_000;
        let request = Request::get("/").header("X-A", &"x".repeat(2_000));
        request.header("X-B", &"x".repeat(left)).bytes()
    };
    at_the_bound(&upstream, &gateway, (with(4_096), with(4_097)), 400).await;
}

#[tokio::test]
async fn a_request_line_up_to_the_limit_is_served_and_a_longer_one_is_414() {
    let (upstream, gateway) = limited(&[("client_max_request_line", "1k")]).await;
    let with = |line: usize| {
        let path = "x".repeat(line - "GET / HTTP/1.1".len());
        Request::get(&format!("/{path}")).bytes()
    };
    at_the_bound(&upstream, &gateway, (with(1_024), with(1_025)), 414).await;
}

#[tokio::test]
async fn empty_lines_before_a_request_are_skipped_up_to_the_limit() {
    let (upstream, gateway) = limited(&[("client_max_blank_lines", "3")]).await;
    let with = |lines: usize| [b"\r\n".repeat(lines), Request::get("/").bytes()].concat();
    at_the_bound(&upstream, &gateway, (with(3), with(4)), 400).await;
}
