//! What filters do to requests and responses.

use super::guest::{Folder, Guest};
use tidegate_tests::{Answer, Gateway, RawClient, Request, Upstream};

/// A gateway with one filter on its only service.
async fn gateway_to(folder: &Folder, upstream: &Upstream, more: &str) -> Gateway {
    let yaml = format!(
        "services:\n- name: s\n  url: {}\n  routes:\n  - {{name: a, paths: [/]}}\n{more}\
         filter_chains:\n- {{name: c, service: s, filters: [{{name: test}}]}}\n",
        upstream.url()
    );
    folder.attached(Gateway::with(yaml)).start().await
}

async fn start(guest: &Guest, upstream: &Upstream) -> Gateway {
    gateway_to(&Folder::new().with("test", guest), upstream, "").await
}

/// Replaces a whole body by a text, once all of it is there.
fn rewriting(direction: u8, text: &str) -> Guest {
    let mut guest = Guest::default();
    let (map, phase) = if direction == 0 {
        (0, "request")
    } else {
        (2, "response")
    };
    let (remove, text) = (guest.remove(map, "content-length"), guest.text(text));
    let replace = format!(
        "(if (i32.eqz (local.get $2)) (then (return (i32.const 1))))
         (call $ok (call $set_buffer_bytes (i32.const {direction}) (i32.const 0) (i32.const 1000000) {text}))"
    );
    guest
        .on(&format!("{phase}_headers"), 3, &remove, "(i32.const 0)")
        .on(&format!("{phase}_body"), 3, &replace, "(i32.const 0)")
}

#[tokio::test]
async fn a_request_body_is_rewritten_whether_it_is_short_or_long() {
    let upstream = Upstream::ok().await;
    let gateway = start(&rewriting(0, "rewritten by the filter"), &upstream).await;
    for body in ["short".to_owned(), "long ".repeat(40_000)] {
        let answer = gateway.call(&Request::post("/", body)).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
        let request = upstream.last();
        assert_eq!(request.body, b"rewritten by the filter");
        assert!(request.is_complete);
    }
    let mut client = RawClient::connect(gateway.proxy()).await;
    let chunked = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    client.send(chunked).await;
    assert_eq!(client.response().await.status, 200);
    assert_eq!(upstream.last().body, b"rewritten by the filter");
    client.assert_open(&Request::get("/"), "kept alive").await;
}

#[tokio::test]
async fn a_response_body_is_rewritten_whether_it_is_short_or_long() {
    let upstream = Upstream::serving(|request| {
        Answer::ok(if request.target == "/long" {
            "long ".repeat(40_000)
        } else {
            "short".to_owned()
        })
    })
    .await;
    let gateway = start(&rewriting(1, "rewritten by the filter"), &upstream).await;
    let mut client = RawClient::connect(gateway.proxy()).await;
    for target in ["/short", "/long", "/short"] {
        let answer = client.call(&Request::get(target)).await;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "rewritten by the filter")
        );
    }
    let head = client.call(&Request::new("HEAD", "/short")).await;
    assert_eq!((head.status, head.text().as_str()), (200, ""));
}

#[tokio::test]
async fn bodies_that_a_filter_leaves_alone_stream_through_it() {
    let upstream = Upstream::serving(|request| Answer::ok(request.body.clone())).await;
    let guest = Guest::default().on("request_body", 3, "", "(i32.const 0)").on(
        "response_body",
        3,
        "",
        "(i32.const 0)",
    );
    let gateway = start(&guest, &upstream).await;
    let body: String = (0..60_000).map(|number| format!("{number} ")).collect();
    let answer = gateway.call(&Request::post("/", body.clone())).await;
    assert_eq!(answer.header("content-length"), body.len().to_string());
    assert!(answer.text() == body, "every byte in order");
    assert_eq!(upstream.last().header("content-length"), body.len().to_string());
}

#[tokio::test]
async fn a_filter_answers_itself_from_each_phase() {
    for (phase, direction) in [
        ("request_headers", 0),
        ("request_body", 0),
        ("response_headers", 1),
    ] {
        let upstream = Upstream::ok().await;
        let mut guest = Guest::default();
        let reply = guest.reply(403, "not today");
        let guest = guest.on(phase, 3, &reply, "(i32.const 1)");
        let gateway = start(&guest, &upstream).await;
        let mut client = RawClient::connect(gateway.proxy()).await;
        for _ in 0..2 {
            let answer = client.call(&Request::post("/", "body")).await;
            assert_eq!(
                (answer.status, answer.text().as_str()),
                (403, "not today"),
                "{phase}"
            );
            assert_eq!(answer.header("x-by"), "filter", "{phase}");
        }
        assert_eq!(upstream.requests().len(), 2 * direction, "{phase}");
    }
}

#[tokio::test]
async fn a_filter_pauses_for_a_call_and_goes_on_with_its_answer() {
    let auth = Upstream::serving(|request| {
        Answer::ok("yes").header(
            "x-user",
            if request.target == "/check?x=1" {
                "alice"
            } else {
                "?"
            },
        )
    })
    .await;
    for phase in ["request_headers", "response_headers"] {
        let upstream = Upstream::ok().await;
        let mut guest = Guest::default();
        let (target, body, none) = (guest.text("auth"), guest.text("question"), guest.pairs(&[]));
        let headers = guest.pairs(&[
            (":method", "POST"),
            (":path", "/check?x=1"),
            (":authority", "auth.test"),
        ]);
        let user = guest.text("x-user");
        let (direction, map) = if phase == "request_headers" {
            (0, 0)
        } else {
            (1, 2)
        };
        let (out, got) = (super::guest::OUT, super::guest::GOT);
        let call = format!(
            "(global.set $stream (local.get $0))
             (call $ok (call $http_call {target} {headers} {body} {none} (i32.const 5000) (i32.const 24)))"
        );
        let copy = format!(
            "(call $ok (call $set_effective_context (global.get $stream)))
             (call $ok (call $get_header_map_value (i32.const 6) {user} {out}))
             (call $ok (call $add_header_map_value (i32.const {map}) {user} {got}))
             (call $ok (call $continue_stream (i32.const {direction})))"
        );
        let guest = guest
            .with("(global $stream (mut i32) (i32.const 0))")
            .on(phase, 3, &call, "(i32.const 1)")
            .on("http_call_response", 5, &copy, "");
        let more = format!("- {{name: auth, url: {}}}\n", auth.url());
        let gateway = gateway_to(&Folder::new().with("test", &guest), &upstream, &more).await;
        let answer = gateway.get("/").await;
        assert_eq!(answer.status, 200, "{phase}");
        let user = match direction {
            0 => upstream.last().header("x-user").to_owned(),
            _ => answer.header("x-user").to_owned(),
        };
        assert_eq!(user, "alice", "{phase}");
        let asked = auth.last();
        assert_eq!(
            (asked.header("host"), &asked.body[..]),
            ("auth.test", &b"question"[..])
        );
    }
}

#[tokio::test]
async fn a_filter_that_traps_ends_its_own_request_by_its_policy() {
    let upstream = Upstream::ok().await;
    let mut guest = Guest::default();
    let name = guest.text("x-trap");
    let trap = format!(
        "(if (i32.eqz (call $get_header_map_value (i32.const 0) {name} {})) (then (unreachable)))",
        super::guest::OUT
    );
    let guest = guest.on("request_headers", 3, &trap, "(i32.const 0)");
    for (policy, status) in [("closed", 500), ("open", 200)] {
        let meta = format!(r#"{{"tidegate": {{"failure_policy": "{policy}"}}}}"#);
        let folder = Folder::new().with("test", &guest).meta("test", &meta);
        let gateway = gateway_to(&folder, &upstream, "").await;
        let mut client = RawClient::connect(gateway.proxy()).await;
        let answer = client.call(&Request::get("/").header("X-Trap", "1")).await;
        assert_eq!(answer.status, status, "{policy}");
        let next = client.call(&Request::get("/")).await;
        assert_eq!((next.status, next.text().as_str()), (200, "ok"), "{policy}");
        assert_eq!(
            gateway.metric("tidegate_filter_traps_total").await,
            1.0,
            "{policy}"
        );
    }
}
