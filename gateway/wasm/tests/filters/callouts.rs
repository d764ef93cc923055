use crate::support::{GOT, Guest, OUT, World, drive, fine, received, sent};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use std::time::Duration;
use tidegate_plugin::filter::{OutboundError, OutboundResponse};
use tidegate_wasm::{FilterOptions, Isolation, Resume};

/// `proxy_http_call` to a target; the token goes to address 24.
fn call(guest: &mut Guest, target: &str, wanted: i32) -> String {
    let target = guest.text(target);
    let headers = guest.pairs(&[
        (":method", "POST"),
        (":path", "/check?x=1"),
        (":authority", "auth.test"),
        (":scheme", "https"),
        ("x-call", "1"),
        ("connection", "close"),
    ]);
    let body = guest.text("question");
    let trailers = guest.pairs(&[]);
    format!(
        "(call $want (call $http_call {target} {headers} {body} {trailers} (i32.const 250) (i32.const 24)) (i32.const {wanted}))"
    )
}

fn answer() -> OutboundResponse {
    let mut headers = HeaderMap::new();
    headers.insert("x-user", "alice".parse().expect("a value"));
    OutboundResponse {
        status: StatusCode::OK,
        headers,
        body: Bytes::from_static(b"yes"),
        trailers: None,
    }
}

/// A filter that asks in one phase, copies the answer into a header of that direction, and goes on.
fn asking(phase: &str, direction: i32, resume: &str) -> Guest {
    let mut guest = Guest::new();
    let call = call(&mut guest, "auth", 0);
    let [user, status, body] = ["x-user", ":status", "x-body"].map(|text| guest.text(text));
    let [answer_status] = ["x-status"].map(|text| guest.text(text));
    let map = 2 * direction;
    let copy = format!(
        "(call $want (local.get $1) (i32.load (i32.const 24)))
         (call $want (local.get $2) (i32.const 2)) (call $want (local.get $3) (i32.const 3)) (call $ok (local.get $4))
         (call $ok (call $set_effective_context (global.get $stream)))
         (call $ok (call $get_header_map_value (i32.const 6) {user} {OUT})) (call $show (i32.const {map}) {user} {GOT})
         (call $ok (call $get_header_map_value (i32.const 6) {status} {OUT}))
         (call $show (i32.const {map}) {answer_status} {GOT})
         (call $ok (call $get_buffer_bytes (i32.const 4) (i32.const 0) (i32.const 100) {OUT}))
         (call $show (i32.const {map}) {body} {GOT})
         (call $ok (call $get_status (i32.const 32) {OUT})) (call $ok (i32.load (i32.const 32)))
         {resume}"
    );
    guest
        .with("(global $stream (mut i32) (i32.const 0))")
        .on(phase, &format!("(global.set $stream (local.get $0)) {call}"), 1)
        .on("http_call_response", &copy, 0)
}

#[test]
fn a_paused_head_waits_for_the_answer_in_each_direction_and_isolation() {
    for isolation in [Isolation::Pooled, Isolation::Shared, Isolation::Request] {
        for (phase, direction) in [("request_headers", 0), ("response_headers", 1)] {
            let world = World::new();
            world.outbound.answer(Some(Ok(answer())));
            let resume = format!("(call $ok (call $continue_stream (i32.const {direction})))");
            let options = FilterOptions {
                isolation,
                ..FilterOptions::default()
            };
            let filter = world.filter(&asking(phase, direction, &resume), options);
            let outcome = fine(drive(&filter, |drive| drive.chunk("body")));
            for (name, value) in [("x-user", "alice"), ("x-status", "200"), ("x-body", "yes")] {
                let found = if direction == 0 {
                    sent(&outcome, name)
                } else {
                    received(&outcome, name)
                };
                assert_eq!(found, Some(value), "{name} in {phase}, {isolation:?}");
            }
            let calls = world.outbound.calls();
            let [call] = &calls[..] else { panic!("one call") };
            assert_eq!(
                (&*call.target, call.method.as_str(), &*call.path),
                ("auth", "POST", "/check?x=1")
            );
            assert_eq!(call.authority.as_ref().expect("an authority"), "auth.test");
            assert_eq!(call.tls, Some(true));
            assert_eq!(call.body, "question");
            assert_eq!(call.timeout, Some(Duration::from_millis(250)));
            assert_eq!(
                (call.headers.len(), &call.headers["x-call"]),
                (1, &"1".parse().expect("a value"))
            );
        }
    }
}

#[test]
fn the_end_of_the_last_call_resumes_where_the_attachment_says_so() {
    let world = World::new();
    world.outbound.answer(Some(Ok(answer())));
    world.outbound.answer(Some(Ok(answer())));
    let guest = asking("request_headers", 0, "");
    let auto = FilterOptions {
        resume: Resume::Auto,
        ..FilterOptions::default()
    };
    let outcome = fine(drive(&world.filter(&guest, auto), |drive| drive));
    assert_eq!(sent(&outcome, "x-user"), Some("alice"));
    let explicit = world.filter(&guest, FilterOptions::default());
    assert!(
        drive(&explicit, |drive| drive).fault.is_some(),
        "nobody resumes it"
    );
}

#[test]
fn a_failed_call_is_told_with_no_headers_and_its_reason() {
    let mut guest = Guest::new();
    let call = call(&mut guest, "auth", 0);
    let [reason, shown] = [":dispatch_status", "x-reason"].map(|text| guest.text(text));
    let told = format!(
        "(call $ok (i32.or (i32.or (local.get $2) (local.get $3)) (local.get $4)))
         (call $ok (call $set_effective_context (i32.const 2)))
         (call $ok (call $get_status (i32.const 32) {OUT})) (call $want (i32.load (i32.const 32)) (i32.const 11))
         (call $ok (call $get_header_map_value (i32.const 6) {reason} {OUT})) (call $show (i32.const 0) {shown} {GOT})
         (call $ok (call $continue_stream (i32.const 0)))"
    );
    let guest = guest
        .on("request_headers", &call, 1)
        .on("http_call_response", &told, 0);
    for (error, text) in [
        (OutboundError::Timeout, "timeout"),
        (OutboundError::Reset, "broken connection"),
        (OutboundError::Tls, "tls handshake failure"),
        (OutboundError::Resolve, "resolver failure"),
    ] {
        let world = World::new();
        world.outbound.answer(Some(Err(error)));
        let outcome = fine(drive(&world.filter(&guest, FilterOptions::default()), |drive| {
            drive
        }));
        assert_eq!(sent(&outcome, "x-reason"), Some(text));
    }
}

#[test]
fn calls_are_refused_when_their_target_or_head_is_wrong_or_there_are_too_many() {
    let mut guest = Guest::new();
    let unknown = call(&mut guest, "nowhere", 2);
    let forbidden = call(&mut guest, "forbidden", 2);
    let unlisted = call(&mut guest, "other", 2);
    let good = call(&mut guest, "auth", 0).repeat(2);
    let many = call(&mut guest, "auth", 10);
    let no_path = guest.pairs(&[(":method", "GET")]);
    let [target, nothing] = ["auth", ""].map(|text| guest.text(text));
    let headless = format!(
        "(call $want (call $http_call {target} {no_path} {nothing} {nothing} (i32.const 0) (i32.const 24)) (i32.const 2))"
    );
    let guest = guest.on(
        "request_headers",
        &[headless, unknown, forbidden, unlisted, good, many].concat(),
        0,
    );
    let options = FilterOptions {
        max_callouts: 2,
        allowed_hosts: Some(["auth", "nowhere", "forbidden"].map(str::to_owned).into()),
        ..FilterOptions::default()
    };
    let world = World::new();
    fine(drive(&world.filter(&guest, options), |drive| drive));
    assert_eq!(world.outbound.calls().len(), 2);
}

#[test]
fn an_answer_after_the_end_of_its_stream_is_not_delivered() {
    let world = World::new();
    world.outbound.answer(None);
    let mut guest = Guest::new();
    let call = call(&mut guest, "auth", 0);
    let guest = guest
        .on("request_headers", &call, 1)
        .on("http_call_response", "(unreachable)", 0);
    let filter = world.filter(&guest, FilterOptions::default());
    assert!(
        drive(&filter, |drive| drive).fault.is_some(),
        "the pause timed out"
    );
    assert_eq!(filter.live_instances(), 1);
}

#[test]
fn istio_names_are_understood() {
    let world = World::new();
    world.outbound.answer(Some(Ok(answer())));
    let mut guest = Guest::new();
    let call = call(&mut guest, "outbound|8080||auth.default.svc", 0);
    fine(drive(
        &world.filter(&guest.on("request_headers", &call, 0), FilterOptions::default()),
        |drive| drive,
    ));
    assert_eq!(&*world.outbound.calls()[0].target, "auth.default.svc:8080");
}
