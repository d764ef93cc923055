//! A guest that makes every host call of a table in every callback, and logs each status.

use super::super::guest::Guest;
use super::columns::{cells, letters, place};
use super::table::{LETTER, Row};

/// Everything that one call can be refused for is found by one guest in one exchange: its request waits for the answers
/// of an HTTP call and a gRPC stream.
pub(super) fn guest(abi: &'static str, rows: impl Fn(&mut Guest) -> Vec<Row>) -> Guest {
    let mut guest = Guest::default().speaking(abi);
    let rows = rows(&mut guest);
    let probe = probe(&mut guest, &rows);
    let begin = begin(&mut guest);
    let queue = guest.text("q");
    let register = format!(
        "(call $ok (call $register_shared_queue {queue} (i32.const 32)))
         (call $ok (call $set_tick_period_milliseconds (i32.const 20)))"
    );
    let at = |letter: char| probing(letter, "(local.get $0)");
    let in_root = |letter, then: &str| {
        format!(
            "(if (i32.eq (local.get $0) (i32.const 1)) (then {} {then}))",
            probing(letter, "(i32.const 1)")
        )
    };
    let of_stream = |letter| format!("(if (i32.ne (local.get $0) (i32.const 1)) (then {}))", at(letter));
    let answered = format!(
        "(if (i32.ne (local.get $1) (global.get $call)) (then (return)))
         {} (call $ok (call $set_effective_context (global.get $stream))) {} (call $arrive)",
        at('A'),
        probing('a', "(global.get $stream)"),
    );
    let of_talk = |letter: char, then: &str| {
        format!(
            "(if (i32.eq (local.get $1) (global.get $talk)) (then {} {then}))",
            at(letter)
        )
    };
    let arrive = "(call $ok (call $set_effective_context (global.get $stream))) (call $arrive)";
    let heads = if abi == "0_1_0" { 2 } else { 3 };
    guest
        .with(STATE)
        .with(&probe)
        .with(&format!(
            "(func (export \"_initialize\") {})",
            probing('S', "(i32.const 0)")
        ))
        .on("vm_start", 2, &at('V'), "(i32.const 1)")
        .on(
            "configure",
            2,
            &format!("{} {register}", at('C')),
            "(i32.const 1)",
        )
        .on(
            "context_create",
            2,
            &format!("(if (local.get $1) (then {}))", at('N')),
            "",
        )
        .on(
            "request_headers",
            heads,
            &format!("{} {begin}", at('H')),
            "(i32.const 1)",
        )
        .on("request_body", 3, &at('B'), "(i32.const 0)")
        .on("request_trailers", 2, &at('T'), "(i32.const 0)")
        .on("response_headers", heads, &at('h'), "(i32.const 0)")
        .on("response_body", 3, &at('b'), "(i32.const 0)")
        .on("response_trailers", 2, &at('t'), "(i32.const 0)")
        .on(
            "done",
            1,
            &format!("{} {}", in_root('R', ""), of_stream('D')),
            "(i32.const 1)",
        )
        .on("log", 1, &at('L'), "")
        .on("delete", 1, &of_stream('X'), "")
        .on(
            "tick",
            1,
            &format!(
                "{} (call $ok (call $set_tick_period_milliseconds (i32.const 0)))",
                at('K')
            ),
            "",
        )
        .on("queue_ready", 2, &at('Q'), "")
        .on("http_call_response", 5, &answered, "")
        .on("grpc_receive_initial_metadata", 3, &of_talk('I', ""), "")
        .on("grpc_receive", 3, &of_talk('G', ""), "")
        .on("grpc_receive_trailing_metadata", 3, &of_talk('J', ""), "")
        .on("grpc_close", 3, &of_talk('E', arrive), "")
}

fn probing(letter: char, context: &str) -> String {
    format!(
        "(call $probe {context} (i32.const {}) (i32.const {}))",
        u32::from(letter),
        place(letter)
    )
}

/// `$call` and `$talk` are the calls that the request waits for; `$arrive` lets it go on when both have ended.
const STATE: &str = "
(global $stream (mut i32) (i32.const 0))
(global $call (mut i32) (i32.const 0))
(global $talk (mut i32) (i32.const 0))
(global $arrived (mut i32) (i32.const 0))
(global $seen (mut i32) (i32.const 0))
(func $arrive
  (global.set $arrived (i32.add (global.get $arrived) (i32.const 1)))
  (if (i32.eq (global.get $arrived) (i32.const 2)) (then (call $ok (call $continue_stream (i32.const 0))))))
(func $report (param $text i32) (param $length i32) (param $status i32)
  (local $end i32)
  (local.set $end (i32.add (local.get $text) (local.get $length)))
  (i32.store8 offset=6 (local.get $text) (i32.load8_u (i32.const 60)))
  (i32.store8 (i32.sub (local.get $end) (i32.const 2))
    (i32.add (i32.const 48) (i32.div_u (local.get $status) (i32.const 10))))
  (i32.store8 (i32.sub (local.get $end) (i32.const 1))
    (i32.add (i32.const 48) (i32.rem_u (local.get $status) (i32.const 10))))
  (drop (call $log (i32.const 2) (local.get $text) (local.get $length))))
";

/// A function that makes the calls of all rows, once per instance and moment.
fn probe(guest: &mut Guest, rows: &[Row]) -> String {
    let (letter, _) = LETTER;
    let mut calls = String::new();
    for row in rows {
        let wanted = cells(row.statuses).filter(|(_, cell)| *cell != '.');
        let mask = wanted.fold(0_u32, |mask, (letter, _)| mask | 1 << place(letter));
        let text = guest.text(&format!("probe ?:{}=??", row.name));
        calls.push_str(&format!(
            "(if (i32.and (i32.const {mask}) (local.get $bit)) (then (call $report {text} {})))\n",
            row.call
        ));
    }
    assert!(letters().count() <= 32, "moments fit one word");
    format!(
        "(func $probe (param $ctx i32) (param $letter i32) (param $place i32)
           (local $bit i32)
           (local.set $bit (i32.shl (i32.const 1) (local.get $place)))
           (if (i32.and (global.get $seen) (local.get $bit)) (then (return)))
           (global.set $seen (i32.or (global.get $seen) (local.get $bit)))
           (i32.store8 (i32.const {letter}) (local.get $letter))
           {calls})"
    )
}

/// Issues the two calls, and puts something into the queue.
fn begin(guest: &mut Guest) -> String {
    let [target, peer, service, method, message, queue] =
        ["auth", "peer", "p.Auth", "Check", "hello", "q"].map(|text| guest.text(text));
    let none = guest.pairs(&[]);
    let head = guest.pairs(&[(":method", "GET"), (":path", "/"), (":authority", "auth.test")]);
    format!(
        "(global.set $stream (local.get $0))
         (call $ok (call $http_call {target} {head} {none} {none} (i32.const 5000) (i32.const 36)))
         (global.set $call (i32.load (i32.const 36)))
         (call $ok (call $grpc_stream {peer} {service} {method} {none} (i32.const 36)))
         (global.set $talk (i32.load (i32.const 36)))
         (call $ok (call $grpc_send (global.get $talk) {message} (i32.const 1)))
         (call $ok (call $resolve_shared_queue (i32.const 0) (i32.const 0) {queue} (i32.const 36)))
         (call $ok (call $enqueue_shared_queue (i32.load (i32.const 36)) {message}))"
    )
}
