use crate::support::{GOT, Guest, OUT, World, drive, fine, sent};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tidegate_plugin::filter::{OutboundError, OutboundEvent, OutboundResponse};
use tidegate_wasm::FilterOptions;

fn framed(message: &str) -> Bytes {
    let mut bytes = vec![0];
    bytes.extend(u32::try_from(message.len()).expect("short").to_be_bytes());
    bytes.extend(message.bytes());
    bytes.into()
}

fn status(code: &'static str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", code.parse().expect("a value"));
    trailers.insert("grpc-message", "because".parse().expect("a value"));
    trailers
}

/// A unary call; a message or the status of a close goes into the request, which then goes on.
fn unary() -> Guest {
    let mut guest = Guest::new();
    let [upstream, service, method, message] =
        ["auth", "p.Auth", "Check", "ask"].map(|text| guest.text(text));
    let metadata = guest.pairs(&[("x-meta", "1")]);
    let [shown, why] = ["x-answer", "x-why"].map(|text| guest.text(text));
    let call = format!(
        "(call $ok (call $grpc_call {upstream} {service} {method} {metadata} {message} (i32.const 100) (i32.const 24)))
         (call $want (i32.and (i32.load (i32.const 24)) (i32.const 1)) (i32.const 1))
         (call $want (call $grpc_send (i32.load (i32.const 24)) {message} (i32.const 0)) (i32.const 2))"
    );
    let received = format!(
        "(call $ok (call $set_effective_context (i32.const 2)))
         (call $want (local.get $1) (i32.load (i32.const 24)))
         (call $ok (call $get_buffer_bytes (i32.const 5) (i32.const 0) (local.get $2) {OUT}))
         (call $show (i32.const 0) {shown} {GOT}) (call $ok (call $continue_stream (i32.const 0)))"
    );
    let closed = format!(
        "(call $ok (call $set_effective_context (i32.const 2)))
         (call $ok (call $get_status (i32.const 32) {OUT}))
         (call $want (i32.load (i32.const 32)) (local.get $2))
         (call $show (i32.const 0) {why} {GOT}) (call $ok (call $continue_stream (i32.const 0)))"
    );
    guest
        .on("request_headers", &call, 1)
        .on("grpc_receive", &received, 0)
        .on("grpc_close", &closed, 0)
}

#[test]
fn a_unary_call_gives_its_message_or_its_status() {
    let good = OutboundResponse {
        status: StatusCode::OK,
        body: framed("yes"),
        trailers: Some(status("0")),
        ..OutboundResponse::default()
    };
    let denied = OutboundResponse {
        headers: status("7"),
        ..OutboundResponse::default()
    };
    let cases = [
        (Ok(good), Some("yes"), None),
        (Ok(denied), None, Some("because")),
        (Err(OutboundError::Timeout), None, Some("timeout")),
    ];
    for (answer, message, why) in cases {
        let world = World::new();
        world.outbound.answer(Some(answer));
        let outcome = fine(drive(
            &world.filter(&unary(), FilterOptions::default()),
            |drive| drive,
        ));
        assert_eq!(
            (sent(&outcome, "x-answer"), sent(&outcome, "x-why")),
            (message, why)
        );
        let calls = world.outbound.calls();
        assert_eq!(
            (&*calls[0].path, calls[0].http2, &calls[0].body),
            ("/p.Auth/Check", true, &framed("ask"))
        );
        assert_eq!(calls[0].headers["content-type"], "application/grpc");
        assert_eq!(calls[0].headers["grpc-timeout"], "100m");
    }
}

#[test]
fn a_stream_gives_metadata_messages_trailers_and_its_end_in_order() {
    let world = World::new();
    let split = framed("two");
    world.outbound.stream(vec![
        Ok(OutboundEvent::Head(StatusCode::OK, HeaderMap::new())),
        Ok(OutboundEvent::Data(
            [framed("one"), split.slice(..4)].concat().into(),
        )),
        Ok(OutboundEvent::Data(split.slice(4..))),
        Ok(OutboundEvent::Trailers(status("0"))),
    ]);
    let mut guest = Guest::new();
    let [upstream, service, method, message] =
        ["auth", "p.Auth", "Watch", "ask"].map(|text| guest.text(text));
    let metadata = guest.pairs(&[]);
    let letters = guest.text("imtc");
    let letters = format!("{})", letters.split(')').next().expect("an address"));
    let shown = guest.text("x-order");
    let note = |letter: i32| {
        format!(
            "(call $ok (call $set_effective_context (i32.const 2)))
             (call $show (i32.const 0) {shown} (i32.add {letters} (i32.const {letter})) (i32.const 1))"
        )
    };
    let open = format!(
        "(call $ok (call $grpc_stream {upstream} {service} {method} {metadata} (i32.const 24)))
         (call $ok (i32.and (i32.load (i32.const 24)) (i32.const 1)))
         (call $ok (call $grpc_send (i32.load (i32.const 24)) {message} (i32.const 0)))
         (call $ok (call $grpc_send (i32.load (i32.const 24)) {message} (i32.const 1)))
         (call $want (call $grpc_send (i32.load (i32.const 24)) {message} (i32.const 1)) (i32.const 1))
         (call $want (call $grpc_close (i32.const 999)) (i32.const 1))
         (call $want (call $grpc_cancel (i32.const 999)) (i32.const 1))"
    );
    let (first, message, trailers) = (note(0), note(1), note(2));
    let end = format!(
        "{} (call $ok (local.get $2)) (call $ok (call $continue_stream (i32.const 0)))",
        note(3)
    );
    let guest = guest
        .on("request_headers", &open, 1)
        .on("grpc_receive_initial_metadata", &first, 0)
        .on("grpc_receive", &message, 0)
        .on("grpc_receive_trailing_metadata", &trailers, 0)
        .on("grpc_close", &end, 0);
    let outcome = fine(drive(&world.filter(&guest, FilterOptions::default()), |drive| {
        drive
    }));
    let order: Vec<_> = outcome.upstream_headers.get_all("x-order").iter().collect();
    assert_eq!(order, ["i", "m", "m", "t", "c"]);
    assert_eq!(
        world.outbound.sent(),
        [(framed("ask"), false), (framed("ask"), true)]
    );
}

#[test]
fn junk_for_an_upstream_is_a_parse_failure_and_a_cancelled_stream_is_silent() {
    let world = World::new();
    world
        .outbound
        .stream(vec![Ok(OutboundEvent::Data(framed("never seen")))]);
    let mut guest = Guest::new();
    let junk = guest.bytes(&[0xff, 0xff]);
    let [upstream, unknown, text] = ["auth", "nowhere", "x"].map(|text| guest.text(text));
    let metadata = guest.pairs(&[]);
    let open = |upstream: &str, wanted: i32| {
        format!(
            "(call $want (call $grpc_stream {upstream} {text} {text} {metadata} (i32.const 24)) (i32.const {wanted}))"
        )
    };
    let statements = format!(
        "{} {} {} (call $ok (call $grpc_cancel (i32.load (i32.const 24))))
         (call $want (call $grpc_cancel (i32.load (i32.const 24))) (i32.const 1))",
        open(&junk, 4),
        open(&unknown, 4),
        open(&upstream, 0)
    );
    let guest = guest
        .on("request_headers", &statements, 0)
        .on("grpc_receive", "(unreachable)", 0);
    fine(drive(&world.filter(&guest, FilterOptions::default()), |drive| {
        drive.chunk("body")
    }));
}
