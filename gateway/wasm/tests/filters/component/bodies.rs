//! Bodies: passed by, streamed, held, rewritten.

use super::{filter, filter_with, granted, run, status, upstream_body};
use crate::support::{World, drive, fine, received, sent};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use tidegate_plugin::filter::OutboundResponse;
use tidegate_wasm::FilterOptions;
use tidegate_wasm::testing::{Drive, Outcome};

fn with_body(drive: Drive) -> Drive {
    drive
        .header("content-length", "11")
        .chunk("hello ")
        .chunk("world")
}

fn request(plan: &Value) -> Outcome {
    fine(run(plan, with_body))
}

#[test]
fn a_body_passes_by_unless_the_head_callback_asks_for_it() {
    let outcome = request(&json!({ "request_body": "upper" }));
    assert_eq!(upstream_body(&outcome), Some("hello world"));
    assert_eq!(sent(&outcome, "content-length"), Some("11"));
}

#[test]
fn a_streamed_body_is_rewritten_as_it_passes_and_loses_its_length() {
    let outcome = request(&json!({ "request": "stream", "request_body": "upper" }));
    assert_eq!(upstream_body(&outcome), Some("HELLO WORLD"));
    assert_eq!(sent(&outcome, "content-length"), None);
    assert_eq!(sent(&outcome, "x-body"), None, "the head is gone");
}

#[test]
fn a_held_body_is_rewritten_with_its_head() {
    let outcome = request(&json!({ "request": "hold", "request_body": "replace" }));
    assert_eq!(upstream_body(&outcome), Some("11 bytes"));
    assert_eq!(sent(&outcome, "content-length"), Some("8"));
    assert_eq!(sent(&outcome, "x-body"), Some("seen"));
}

#[test]
fn a_held_body_that_nobody_touches_goes_on_as_it_is() {
    let outcome = request(&json!({ "request": "hold" }));
    assert_eq!(upstream_body(&outcome), Some("hello world"));
    assert_eq!(sent(&outcome, "content-length"), Some("11"));
    let outcome = fine(run(
        &json!({ "request": "hold", "request_body": "prefix" }),
        |drive| drive,
    ));
    assert_eq!(
        upstream_body(&outcome),
        Some(">>"),
        "a message without a body gets one"
    );
    assert_eq!(sent(&outcome, "content-length"), Some("2"));
}

#[test]
fn what_is_not_read_goes_on_behind_what_was_written() {
    for mode in ["stream", "hold"] {
        let outcome = request(&json!({ "request": mode, "request_body": "prefix" }));
        assert_eq!(upstream_body(&outcome), Some(">>hello world"), "{mode}");
        let outcome = request(&json!({ "request": mode, "request_body": "first" }));
        assert_eq!(upstream_body(&outcome), Some("Hello world"), "{mode}");
    }
}

#[test]
fn a_body_tells_its_length_and_refuses_to_be_read_beyond_a_limit() {
    let outcome = request(&json!({ "request": "stream", "request_body": "hint" }));
    assert_eq!(upstream_body(&outcome), Some("Some(11)"));
    let outcome = request(&json!({ "request": "stream", "request_body": "too-much" }));
    assert_eq!(
        upstream_body(&outcome),
        Some("Some(Failure::TooLarge) hello world")
    );
}

#[test]
fn trailers_are_seen_and_replaced() {
    let plan = json!({ "request": "stream", "request_body": "replace-and-trail" });
    let outcome = fine(run(&plan, |mut drive| {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-one", HeaderValue::from_static("1"));
        drive.request.trailers = Some(trailers);
        drive.chunk("text")
    }));
    let (body, trailers) = outcome.upstream.expect("it went upstream");
    assert_eq!(body, "text");
    let trailers = trailers.expect("trailers");
    assert_eq!(
        (trailers.len(), &trailers["x-trailer"]),
        (1, &"1".parse().expect("a value"))
    );

    let outcome = fine(run(&plan, |drive| drive.chunk("text")));
    let (_, trailers) = outcome.upstream.expect("it went upstream");
    assert_eq!(trailers.expect("trailers")["x-trailer"], "0");

    let untouched = json!({ "request": "hold" });
    let outcome = fine(run(&untouched, |mut drive| {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-one", HeaderValue::from_static("1"));
        drive.request.trailers = Some(trailers);
        drive.chunk("text")
    }));
    let (_, trailers) = outcome.upstream.expect("it went upstream");
    assert_eq!(trailers.expect("trailers")["x-one"], "1");
}

#[test]
fn a_body_that_is_larger_than_it_may_be_held_ends_the_exchange() {
    let limited = json!({ "request": "hold", "limit": 8, "request_body": "upper" });
    let fault = run(&limited, with_body).fault.expect("a failure");
    assert_eq!(fault.status.as_u16(), 413);
    let unannounced = run(&limited, |drive| drive.chunk("hello ").chunk("world"));
    assert_eq!(unannounced.fault.expect("a failure").status.as_u16(), 413);

    let world = World::new();
    let options = FilterOptions {
        max_body_bytes: 8,
        ..granted()
    };
    let plan = json!({ "response": "hold", "response_body": "upper" });
    let filter = filter_with(&world, &plan, options);
    let outcome = drive(&filter, |drive| {
        drive.response_chunk("hello ").response_chunk("world")
    });
    assert_eq!(outcome.fault.expect("a failure").status.as_u16(), 502);
}

#[test]
fn a_body_written_beyond_the_limit_of_a_held_head_ends_the_exchange() {
    let plan = json!({ "request": "hold", "request_body": "flood" });
    let fault = run(&plan, |drive| drive.chunk("x")).fault.expect("a failure");
    assert_eq!(fault.status.as_u16(), 413);
}

#[test]
fn a_writer_that_is_faster_than_its_reader_waits_for_room() {
    for chunks in [1, 3] {
        let plan = json!({ "request": "stream", "request_body": "flood" });
        let outcome = fine(run(&plan, |mut drive| {
            for _ in 0..chunks {
                drive = drive.chunk("x");
            }
            drive
        }));
        let body = upstream_body(&outcome).expect("a body");
        assert_eq!(body.len(), (1 << 20) + chunks, "{chunks} chunks");
    }
}

#[test]
fn a_response_body_is_streamed_and_held() {
    let plan = json!({ "response": "stream", "response_body": "upper" });
    let outcome = fine(run(&plan, |drive| {
        drive
            .response_header("content-length", "4")
            .response_chunk("te")
            .response_chunk("xt")
    }));
    assert_eq!(outcome.body, "TEXT");
    assert_eq!(received(&outcome, "content-length"), None);

    let plan = json!({ "response": "hold", "response_body": "replace" });
    let outcome = fine(run(&plan, |drive| {
        drive
            .response_header("content-length", "4")
            .response_chunk("te")
            .response_chunk("xt")
    }));
    assert_eq!(outcome.body, "4 bytes");
    assert_eq!(received(&outcome, "content-length"), Some("7"));
    assert_eq!(received(&outcome, "x-body"), Some("seen"));
}

#[test]
fn a_body_phase_responds_until_the_response_head_is_gone() {
    for (mode, body) in [("stream", "respond"), ("hold", "read-respond")] {
        let outcome = run(&json!({ "request": mode, "request_body": body }), with_body);
        assert_eq!(status(&outcome), Some(422), "{mode}");
    }
    let held = run(
        &json!({ "response": "hold", "response_body": "read-respond" }),
        |drive| drive.response_chunk("te").response_chunk("xt"),
    );
    assert_eq!((status(&held), &held.body[..]), (Some(422), &b"bad body"[..]));
    let late = run(
        &json!({ "response": "stream", "response_body": "respond" }),
        |drive| drive.response_chunk("text"),
    );
    assert!(late.is_reset && late.reply.is_none());
    let aborted = run(
        &json!({ "request": "stream", "request_body": "abort" }),
        with_body,
    );
    assert!(aborted.is_reset);
}

#[test]
fn a_head_phase_that_waits_can_still_have_the_body_held() {
    let world = World::new();
    let plan = json!({ "request": "ask-then-hold", "request_body": "replace" });
    let filter = filter(&world, &plan);
    world.outbound.answer(Some(Ok(OutboundResponse {
        body: Bytes::from_static(b"yes"),
        ..OutboundResponse::default()
    })));
    let outcome = fine(drive(&filter, with_body));
    assert_eq!(sent(&outcome, "x-answer"), Some("yes"));
    assert_eq!(upstream_body(&outcome), Some("11 bytes"));
    assert_eq!(sent(&outcome, "x-body"), Some("seen"));
}
