//! Attacks from outside of exchanges, and by calls.

use super::super::conformance::grpc;
use super::super::guest::{Folder, Guest};
use tidegate_tests::h2_upstream::H2Upstream;
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Answer, Gateway, Upstream, eventually};

fn yaml(upstream: &str, more: &str, filter: &str) -> String {
    format!(
        "services:\n- name: s\n  url: {upstream}\n  routes:\n  - {{name: a, paths: [/a]}}\n  - {{name: plain, paths: [/plain]}}\n\
         {more}filter_chains:\n- {{name: c, route: a, filters: [{filter}]}}\n"
    )
}

/// Fails in a callback of the plugin context, which the guest brings about by itself when it starts or ticks.
fn failing(callback: &str, parameters: usize, statements: &str) -> Guest {
    let mut guest = Guest::default();
    let none = guest.pairs(&[]);
    let [queue, target, peer, service, method] =
        ["q", "auth", "peer", "p.Auth", "Check"].map(|text| guest.text(text));
    let head = guest.pairs(&[(":method", "GET"), (":path", "/"), (":authority", "a.test")]);
    let ticks = "(call $ok (call $set_tick_period_milliseconds (i32.const 10)))";
    let queues = format!(
        "(call $ok (call $register_shared_queue {queue} (i32.const 24)))
         (call $ok (call $enqueue_shared_queue (i32.load (i32.const 24)) {queue}))"
    );
    let calls = format!(
        "(call $ok (call $http_call {target} {head} {none} {none} (i32.const 1000) (i32.const 24)))
         (call $ok (call $grpc_stream {peer} {service} {method} {none} (i32.const 24)))
         (call $ok (call $grpc_send (i32.load (i32.const 24)) {queue} (i32.const 1)))"
    );
    let begin = if callback == "queue_ready" { &queues } else { ticks };
    let guest = guest
        .on("configure", 2, begin, "(i32.const 1)")
        .on(callback, parameters, statements, "");
    if callback == "tick" {
        return guest;
    }
    guest.on("tick", 1, &calls, "")
}

#[tokio::test]
async fn a_failure_outside_of_exchanges_is_counted_and_exchanges_go_on() {
    let upstream = Upstream::ok().await;
    let peer = H2Upstream::serving(grpc).await;
    let more = format!(
        "- {{name: auth, url: '{}'}}\n- {{name: peer, url: 'grpc://{}'}}\n",
        upstream.url(),
        peer.address()
    );
    for (statements, kind) in [("(unreachable)", "trap"), ("(loop $more (br $more))", "deadline")] {
        for (callback, parameters) in [
            ("tick", 1),
            ("queue_ready", 2),
            ("http_call_response", 5),
            ("grpc_receive_initial_metadata", 3),
            ("grpc_receive", 3),
            ("grpc_receive_trailing_metadata", 3),
            ("grpc_close", 3),
        ] {
            let folder = Folder::new().with("test", &failing(callback, parameters, statements));
            let text = yaml(&upstream.url(), &more, "{name: test}");
            let gateway = folder.attached(Gateway::with(text)).start().await;
            let sample = format!("tidegate_filter_traps_total{{filter=\"test\",kind=\"{kind}\"}}");
            eventually("the failure is counted", PATIENCE, async || {
                (gateway.metric(&sample).await >= 1.0).then_some(())
            })
            .await;
            let told = format!("callback=\"proxy_on_{callback}\"");
            gateway.logs(&told).await;
            for path in ["/a", "/plain"] {
                assert_eq!(
                    gateway.get(path).await.status,
                    200,
                    "{kind} in {callback}: {path}"
                );
            }
        }
    }
}

/// Pauses each request for a call to a service, and goes on with any answer.
fn calling(service: &str) -> Guest {
    let mut guest = Guest::default();
    let (target, none) = (guest.text(service), guest.pairs(&[]));
    let head = guest.pairs(&[(":method", "GET"), (":path", "/a"), (":authority", "a.test")]);
    let call = format!(
        "(global.set $stream (local.get $0))
         (call $ok (call $http_call {target} {head} {none} {none} (i32.const 10000) (i32.const 24)))"
    );
    let go_on = "(call $ok (call $set_effective_context (global.get $stream))) (call $ok (call $continue_stream (i32.const 0)))";
    guest
        .with("(global $stream (mut i32) (i32.const 0))")
        .on("request_headers", 3, &call, "(i32.const 1)")
        .on("http_call_response", 5, go_on, "")
}

#[tokio::test]
async fn a_filter_that_calls_its_own_route_comes_to_an_end() {
    let upstream = Upstream::ok().await;
    let folder = Folder::new()
        .with("test", &calling("self"))
        .meta("test", r#"{"tidegate": {"max_instances_per_worker": 20}}"#);
    // The port is known when the gateway runs.
    let text = |own: &str| {
        let more = format!("- {{name: self, url: '{own}'}}\n");
        yaml(&upstream.url(), &more, "{name: test}")
    };
    let gateway = folder
        .attached(Gateway::with(text("http://127.0.0.1:1")))
        .start()
        .await;
    gateway.reload(text(&format!("http://{}", gateway.proxy()))).await;
    assert_eq!(gateway.get("/a").await.status, 200);
    // The innermost request finds no instance; all others go on with its answer.
    assert_eq!(upstream.requests().len(), 20);
    assert_eq!(gateway.get("/plain").await.status, 200);
    assert_eq!(gateway.metric("tidegate_filter_traps_total").await, 0.0);
}

#[tokio::test]
async fn a_filter_that_answers_each_answer_with_another_call_ends_by_the_timeout_of_its_pause() {
    let upstream = Upstream::ok().await;
    let auth = Upstream::serving(|_| Answer::ok("again")).await;
    let mut guest = Guest::default();
    let (target, none) = (guest.text("auth"), guest.pairs(&[]));
    let head = guest.pairs(&[(":method", "GET"), (":path", "/"), (":authority", "a.test")]);
    let call = format!(
        "(call $ok (call $set_effective_context (global.get $stream)))
         (call $ok (call $http_call {target} {head} {none} {none} (i32.const 1000) (i32.const 24)))"
    );
    let guest = guest
        .with("(global $stream (mut i32) (i32.const 0))")
        .on(
            "request_headers",
            3,
            &format!("(global.set $stream (local.get $0)) {call}"),
            "(i32.const 1)",
        )
        .on("http_call_response", 5, &call, "");
    let folder = Folder::new()
        .with("test", &guest)
        .meta("test", r#"{"tidegate": {"pause_timeout_ms": 300}}"#);
    let more = format!("- {{name: auth, url: {}}}\n", auth.url());
    let text = yaml(&upstream.url(), &more, "{name: test}");
    let gateway = folder.attached(Gateway::with(text)).start().await;
    let status = gateway.get("/a").await.status;
    assert!(status >= 500, "{status}");
    let asked = auth.requests().len();
    assert!(asked > 1, "{asked} calls");
    assert!(upstream.requests().is_empty());
    let sample = "tidegate_filter_traps_total{filter=\"test\",kind=\"timeout\"}";
    assert_eq!(gateway.metric(sample).await, 1.0);
    assert_eq!(gateway.get("/plain").await.status, 200);
    // Nothing goes on calling for an exchange that is over.
    let after = auth.requests().len();
    for _ in 0..5 {
        assert_eq!(gateway.get("/plain").await.status, 200);
    }
    assert!(auth.requests().len() <= after + 1);
}
