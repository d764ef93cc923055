//! Components in the running gateway.

use super::built::built;
use super::guest::Folder;
use std::sync::OnceLock;
use tidegate_tests::{Answer, Gateway, Request, Upstream};

/// The guest that does what its configuration names.
fn guest() -> &'static [u8] {
    static GUEST: OnceLock<Vec<u8>> = OnceLock::new();
    GUEST.get_or_init(|| std::fs::read(&built("../gateway/wasm/tests/guests/component")[0]).unwrap())
}

/// Everything is granted.
const GRANTED: &str =
    r#"{"config_schema": {"type": "object"}, "tidegate": {"permissions": ["kv", "outbound"]}}"#;

/// A gateway in front of `upstream` with one attachment of the guest; `auth` is a service that the guest calls.
async fn gateway(plan: &str, upstream: &Upstream, auth: &Upstream) -> Gateway {
    let yaml = format!(
        "services:\n- name: s\n  url: {}\n  routes:\n  - {{name: a, paths: [/]}}\n- {{name: auth, url: '{}'}}\n\
         filter_chains:\n- {{name: c, route: a, filters: [{{name: guest, config: {plan}}}]}}\n",
        upstream.url(),
        auth.url()
    );
    let folder = Folder::new().meta("guest", GRANTED);
    folder.put("guest.wasm", guest());
    folder.attached(Gateway::with(yaml)).start().await
}

#[tokio::test]
async fn a_component_asks_another_service_and_edits_both_heads() {
    let upstream = Upstream::ok().await;
    let auth = Upstream::serving(|_| Answer::ok("granted")).await;
    let gateway = gateway("{request: ask, response: edit}", &upstream, &auth).await;
    for _ in 0..3 {
        let answer = gateway.get("/").await;
        assert_eq!(answer.status, 201);
        assert_eq!(answer.headers.all("x-status"), ["200"]);
        assert_eq!(upstream.last().header("x-answer"), "granted");
        assert_eq!(auth.last().body, b"question");
    }
    assert_eq!(gateway.metric("tidegate_filter_traps_total").await, 0.0);
    let created = gateway.metric("tidegate_filter_streams_created_total").await;
    assert_eq!(
        (
            created,
            gateway.metric("tidegate_filter_streams_ended_total").await
        ),
        (3.0, 3.0)
    );
}

#[tokio::test]
async fn bodies_are_rewritten_as_they_pass_and_with_their_heads() {
    let upstream = Upstream::serving(|request| Answer::ok(request.body.clone())).await;
    let auth = Upstream::ok().await;
    let plan = "{request: hold, request_body: replace, response: stream, response_body: upper}";
    let gateway = gateway(plan, &upstream, &auth).await;
    let request = Request::post("/", "hello world");
    let answer = gateway.call(&request).await;
    assert_eq!(upstream.last().body, b"11 bytes");
    assert_eq!(upstream.last().header("content-length"), "8");
    assert_eq!(upstream.last().header("x-body"), "seen");
    assert_eq!((answer.status, answer.text().as_str()), (200, "11 BYTES"));
    // Its new length is told where it is known before the head is sent.
    let lengths = answer.headers.all("content-length");
    assert!(lengths.is_empty() || lengths == ["8"], "{lengths:?}");
}

#[tokio::test]
async fn a_component_that_writes_more_than_it_was_sent_has_it_all_delivered() {
    let upstream = Upstream::ok().await;
    let auth = Upstream::ok().await;
    let gateway = gateway(
        "{request: stream, request_body: flood, response: stream, response_body: flood}",
        &upstream,
        &auth,
    )
    .await;
    let answer = gateway.call(&Request::post("/", "x")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(upstream.last().body.len(), (1 << 20) + 1);
    assert!(answer.text().len() >= 1 << 20);
}

#[tokio::test]
async fn a_component_that_loops_ends_its_own_request_only() {
    let upstream = Upstream::ok().await;
    let auth = Upstream::ok().await;
    let gateway = gateway("{request_body: loop, request: stream}", &upstream, &auth).await;
    assert_eq!(gateway.call(&Request::post("/", "x")).await.status, 500);
    assert_eq!(gateway.get("/").await.status, 200, "without a body nothing loops");
    assert_eq!(gateway.metric("tidegate_filter_traps_total").await, 1.0);
}
