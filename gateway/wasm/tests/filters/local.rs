use crate::support::{Guest, World, drive, drive_exchange, fine, received};
use http::StatusCode;
use tidegate_plugin::reply::ReplyBody;
use tidegate_wasm::testing::{Outcome, exchange};
use tidegate_wasm::{FilterOptions, upstream_choice};

/// `proxy_send_local_response` with a header and a body.
fn respond(guest: &mut Guest, status: i32, grpc_status: i32, wanted: i32) -> String {
    let [details, body] = ["why", "no"].map(|text| guest.text(text));
    let headers = guest.pairs(&[("x-local", "1"), ("content-length", "99")]);
    format!(
        "(call $want (call $send_local_response (i32.const {status}) {details} {body} {headers} (i32.const {grpc_status}))
           (i32.const {wanted}))"
    )
}

fn reply_of(outcome: &Outcome) -> (StatusCode, String) {
    let reply = outcome.reply.as_ref().expect("a reply");
    let body = match &reply.body {
        ReplyBody::Raw(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => format!("{other:?}"),
    };
    (reply.status, body)
}

#[test]
fn a_filter_answers_from_each_request_phase_and_sees_its_own_response() {
    for phase in ["request_headers", "request_body", "response_headers"] {
        let mut guest = Guest::new();
        let first = respond(&mut guest, 403, -1, 0);
        let second = respond(&mut guest, 403, -1, 2);
        let [key, value] = ["x-seen", "1"].map(|text| guest.text(text));
        let mut guest = guest.on(phase, &format!("{first}{second}"), 0);
        if phase != "response_headers" {
            guest = guest.on(
                "response_headers",
                &format!("(call $show (i32.const 2) {key} {value})"),
                0,
            );
        }
        let filter = World::new().filter(&guest, FilterOptions::default());
        let outcome = fine(drive(&filter, |drive| {
            drive.chunk("body").response_chunk("upstream")
        }));
        assert_eq!(
            reply_of(&outcome),
            (StatusCode::FORBIDDEN, "no".to_owned()),
            "{phase}"
        );
        assert_eq!(outcome.body, "no", "{phase}");
        assert_eq!(received(&outcome, "x-local"), Some("1"));
        assert_eq!(received(&outcome, "content-type"), Some("text/plain"));
        assert_eq!(
            received(&outcome, "content-length"),
            None,
            "computed by the gateway"
        );
        assert_eq!(upstream_choice(&outcome.x).details, Some("why"));
        assert_eq!(outcome.upstream.is_some(), phase == "response_headers");
        if phase != "response_headers" {
            assert_eq!(received(&outcome, "x-seen"), Some("1"));
        }
    }
}

#[test]
fn an_answer_that_comes_too_late_or_is_none_is_refused() {
    let mut guest = Guest::new();
    let late = respond(&mut guest, 403, -1, 2);
    let bad = [199, 600, -1]
        .map(|status| respond(&mut guest, status, -1, 2))
        .concat();
    let guest = guest
        .on("request_headers", &bad, 0)
        .on("response_body", &late, 0)
        .on("done", &late, 1)
        .on("log", &late, 0);
    let filter = World::new().filter(&guest, FilterOptions::default());
    let outcome = fine(drive(&filter, |drive| drive.response_chunk("upstream")));
    assert!(outcome.reply.is_none());
    assert_eq!(outcome.body, "upstream");
}

#[test]
fn a_grpc_client_gets_trailers_only() {
    let mut guest = Guest::new();
    let answer = respond(&mut guest, 403, 7, 0);
    let filter = World::new().filter(&guest.on("request_headers", &answer, 1), FilterOptions::default());
    let mut x = exchange("POST", "/p.S/M");
    x.request
        .headers
        .insert("content-type", "application/grpc+proto".parse().expect("a value"));
    let outcome = fine(drive_exchange(&filter, x, |drive| drive));
    assert_eq!(outcome.reply.as_ref().expect("a reply").status, 200);
    assert_eq!(received(&outcome, "grpc-status"), Some("7"));
    assert_eq!(received(&outcome, "grpc-message"), Some("no"));
    assert_eq!(outcome.body, "");
}

#[test]
fn a_stream_is_reset_from_any_phase() {
    for phase in [
        "request_headers",
        "request_body",
        "response_headers",
        "response_body",
    ] {
        let guest = Guest::new().on(phase, "(call $ok (call $close_stream (i32.const 1)))", 0);
        let filter = World::new().filter(&guest, FilterOptions::default());
        let outcome = fine(drive(&filter, |drive| drive.chunk("a").response_chunk("b")));
        assert!(outcome.is_reset, "{phase}");
    }
}

#[test]
fn a_stream_that_pauses_for_too_long_ends_by_the_policy() {
    for phase in [
        "request_headers",
        "request_body",
        "response_headers",
        "response_body",
    ] {
        let filter = World::new().filter(&Guest::new().on(phase, "", 1), FilterOptions::default());
        let outcome = drive(&filter, |drive| drive.chunk("a").response_chunk("b"));
        let fault = outcome.fault.expect("a fault");
        assert!(
            fault.to_string().contains("paused for too long"),
            "{phase}: {fault}"
        );
    }
}

#[test]
fn going_on_within_the_callback_beats_its_pause() {
    let guest = Guest::new()
        .on(
            "request_headers",
            "(call $ok (call $continue_stream (i32.const 0)))",
            1,
        )
        .on("response_headers", "(call $ok (call $continue_response))", 1)
        .on(
            "log",
            "(call $want (call $continue_stream (i32.const 9)) (i32.const 2))",
            0,
        );
    let filter = World::new().filter(&guest, FilterOptions::default());
    assert!(fine(drive(&filter, |drive| drive)).upstream.is_some());
}

#[test]
fn going_on_before_a_part_has_begun_does_not_undo_its_pause() {
    let early = "(call $ok (call $continue_stream (i32.const {})))";
    let [request, response] = [0, 1].map(|direction| early.replace("{}", &direction.to_string()));
    let guests = [
        Guest::new()
            .on(
                "context_create",
                &format!("(if (local.get $1) (then {request}))"),
                0,
            )
            .on("request_headers", "", 1),
        Guest::new()
            .on("request_headers", &response, 0)
            .on("response_headers", "", 1),
    ];
    for guest in guests {
        let filter = World::new().filter(&guest, FilterOptions::default());
        let fault = drive(&filter, |drive| drive).fault.expect("a fault");
        assert!(fault.to_string().contains("paused for too long"), "{fault}");
    }
}
