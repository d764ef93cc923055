//! What becomes of an exchange when a callback answers it, resets it, or holds it for a while.

use super::super::guest::{Folder, Guest};
use super::{REQUEST, with_trailer};
use tidegate_tests::http1::Response;
use tidegate_tests::{Answer, Gateway, RawClient, Upstream};

/// Callbacks of a stream in their order: name, number of parameters, and what they answer to go on.
const PHASES: [(&str, usize, &str); 7] = [
    ("context_create", 2, ""),
    ("request_headers", 3, "(i32.const 0)"),
    ("request_body", 3, "(i32.const 0)"),
    ("request_trailers", 2, "(i32.const 0)"),
    ("response_headers", 3, "(i32.const 0)"),
    ("response_body", 3, "(i32.const 0)"),
    ("response_trailers", 2, "(i32.const 0)"),
];

/// A gateway whose filter pauses with calls to `auth`, and what it and its backend saw of one exchange.
struct Passed {
    answer: Option<Response>,
    /// Bodies that the backend got whole.
    asked: Vec<Vec<u8>>,
    traps: f64,
}

async fn pass(guest: &Guest, options: &str) -> Passed {
    let upstream = Upstream::serving(|_| with_trailer()).await;
    let auth = Upstream::serving(|_| Answer::ok("granted")).await;
    let yaml = format!(
        "services:\n- name: s\n  url: {}\n  routes:\n  - {{paths: [/]}}\n- {{name: auth, url: '{}'}}\n\
         filter_chains:\n- {{name: c, service: s, filters: [{{name: test}}]}}\n",
        upstream.url(),
        auth.url()
    );
    let folder = Folder::new()
        .with("test", guest)
        .meta("test", &format!(r#"{{"tidegate": {{{options}}}}}"#));
    let gateway = folder.attached(Gateway::with(yaml)).start().await;
    let mut client = RawClient::connect(gateway.proxy()).await;
    client.send(REQUEST).await;
    let answer = client.try_response("POST").await.ok();
    let requests = upstream.requests().into_iter();
    Passed {
        answer,
        asked: requests
            .filter(|request| request.is_complete)
            .map(|request| request.body)
            .collect(),
        traps: gateway.metric("tidegate_filter_traps_total").await,
    }
}

/// Does something in one callback; in the others nothing.
fn doing(mut guest: Guest, name: &str, statements: &str) -> Guest {
    for (phase, parameters, answer) in PHASES {
        // The plugin's context is created too: its parent is 0.
        let is_stream = match phase {
            "context_create" => "(local.get $1)",
            _ => "(i32.const 1)",
        };
        let guarded = format!("(if {is_stream} (then {statements}))");
        let statements = if phase == name { guarded.as_str() } else { "" };
        guest = guest.on(phase, parameters, statements, answer);
    }
    guest
}

#[tokio::test]
async fn an_answer_of_the_filter_takes_the_place_of_the_response_until_its_head_is_gone() {
    for (at, (phase, ..)) in PHASES.iter().enumerate() {
        let mut guest = Guest::default();
        let reply = guest.reply(403, "refused");
        let is_in_time = at < 5;
        let reply = if is_in_time {
            reply
        } else {
            reply.replace("(call $ok ", "(drop ")
        };
        let passed = pass(&doing(guest, phase, &reply), "").await;
        let answer = passed.answer.expect("an answer");
        let expected = if is_in_time { (403, "refused") } else { (200, "ok") };
        assert_eq!((answer.status, answer.text().as_str()), expected, "{phase}");
        assert_eq!(passed.asked.len(), usize::from(at > 3), "{phase}");
        assert_eq!(passed.traps, 0.0, "{phase}");
    }
}

#[tokio::test]
async fn a_stream_that_a_callback_resets_has_no_answer() {
    for (phase, ..) in PHASES {
        let close = "(call $ok (call $close_stream (i32.const 0)))";
        let passed = pass(&doing(Guest::default(), phase, close), "").await;
        assert!(passed.answer.is_none(), "{phase}");
        assert_eq!(passed.traps, 0.0, "{phase}");
    }
}

const STREAM: &str = "(global $stream (mut i32) (i32.const 0))";

/// Pauses in one callback, remembering the stream; `meanwhile` is what is to be done then.
fn pausing(guest: Guest, phase: &str, meanwhile: &str) -> Guest {
    let pause = format!("(global.set $stream (local.get $0)) {meanwhile} (return (i32.const 1))");
    doing(guest.with(STREAM), phase, &pause)
}

fn going_on(phase: &str) -> String {
    let direction = u8::from(phase.starts_with("response"));
    format!(
        "(call $ok (call $set_effective_context (global.get $stream)))
         (call $ok (call $continue_stream (i32.const {direction})))"
    )
}

#[tokio::test]
async fn a_message_that_is_held_in_any_callback_goes_on_whole_when_a_call_is_answered() {
    for (phase, ..) in PHASES.iter().skip(1) {
        for isolation in ["pooled", "shared", "request"] {
            let mut guest = Guest::default();
            let (target, none) = (guest.text("auth"), guest.pairs(&[]));
            let head = guest.pairs(&[(":method", "GET"), (":path", "/"), (":authority", "auth.test")]);
            let call = format!(
                "(call $ok (call $http_call {target} {head} {none} {none} (i32.const 5000) (i32.const 24)))"
            );
            let guest = pausing(guest, phase, &call).on("http_call_response", 5, &going_on(phase), "");
            let passed = pass(&guest, &format!(r#""isolation": "{isolation}""#)).await;
            let answer = passed
                .answer
                .unwrap_or_else(|| panic!("no answer: {phase}, {isolation}"));
            assert_eq!(
                (answer.status, answer.text().as_str()),
                (200, "ok"),
                "{phase}, {isolation}"
            );
            assert_eq!(answer.trailers.get("x-sum"), Some("7"), "{phase}, {isolation}");
            assert_eq!(passed.asked, [b"abc"], "{phase}, {isolation}");
            assert_eq!(passed.traps, 0.0, "{phase}, {isolation}");
        }
    }
}

#[tokio::test]
async fn a_message_that_is_held_goes_on_from_a_tick_of_the_same_instance() {
    for (phase, ..) in PHASES.iter().skip(1) {
        let tick = format!("(if (global.get $stream) (then {}))", going_on(phase));
        // The stream is forgotten when it is over: another tick must not name it.
        let guest = pausing(Guest::default(), phase, "")
            .on("tick", 1, &tick, "")
            .on("delete", 1, "(global.set $stream (i32.const 0))", "")
            .on(
                "configure",
                2,
                "(call $ok (call $set_tick_period_milliseconds (i32.const 10)))",
                "(i32.const 1)",
            );
        let passed = pass(&guest, r#""isolation": "shared""#).await;
        let answer = passed.answer.unwrap_or_else(|| panic!("no answer: {phase}"));
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"), "{phase}");
        assert_eq!(passed.asked, [b"abc"], "{phase}");
        assert_eq!(passed.traps, 0.0, "{phase}");
    }
}
