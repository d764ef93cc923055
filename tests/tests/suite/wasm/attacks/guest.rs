//! One guest that can do everything bad: a request header names the attack and the callback that carries it out.

use super::super::guest::{Guest, OUT};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::io::Write;
use tidegate_wasm::testing::HOST_FUNCTIONS;

/// How an exchange ends, and what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It is served as if nothing was.
    Served,
    /// The filter fails with this kind.
    Failed(&'static str),
    /// Either: the call is refused, or its pointer ends the guest.
    Either,
}

pub(super) struct Attack {
    pub(super) name: String,
    statements: String,
    pub(super) end: End,
    /// The callback that it is carried out in, unless it is in all.
    pub(super) callback: char,
}

/// Callbacks of a stream by letter, with the number of parameters.
pub(super) const CALLBACKS: [(char, &str, usize); 10] = [
    ('n', "context_create", 2),
    ('h', "request_headers", 3),
    ('b', "request_body", 3),
    ('t', "request_trailers", 2),
    ('i', "response_headers", 3),
    ('c', "response_body", 3),
    ('u', "response_trailers", 2),
    ('d', "done", 1),
    ('l', "log", 1),
    ('x', "delete", 1),
];

/// Attacks that end a guest in whatever callback they happen: the first ones of all.
pub(super) const FATAL: usize = 5;

/// Repeats statements; `$i` counts from 0.
fn times(count: u32, statements: &str) -> String {
    format!(
        "(loop $more {statements}
           (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {count}))))"
    )
}

pub(super) fn attacks(guest: &mut Guest) -> Vec<Attack> {
    let mut attacks = fatal();
    attacks.extend(excesses(guest));
    attacks.extend(calls(guest));
    attacks.extend(rubbish());
    attacks.extend(pointers());
    attacks
}

fn attack(name: &str, statements: impl Into<String>, end: End) -> Attack {
    Attack {
        name: name.to_owned(),
        statements: statements.into(),
        end,
        callback: 'h',
    }
}

fn fatal() -> Vec<Attack> {
    let grow = "(loop $more (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then (unreachable))) (br $more))";
    vec![
        attack("trap", "(unreachable)", End::Failed("trap")),
        attack("endless loop", "(loop $more (br $more))", End::Failed("deadline")),
        attack(
            "endless recursion",
            "(drop (call $down (i32.const 0)))",
            End::Failed("stack"),
        ),
        attack("memory", grow, End::Failed("memory")),
        attack("exit", "(call $exit (i32.const 3))", End::Failed("exit")),
    ]
}

fn excesses(guest: &mut Guest) -> Vec<Attack> {
    let [line, key, queue] = ["a line", "key 0000", "flooded"].map(|text| guest.text(text));
    // Eight digits of `$i` at the end of the key make another key of it.
    let number = key.split([' ', ')']).nth(1).unwrap_or_default().to_owned();
    let renamed =
        format!("(i32.store offset=4 (i32.const {number}) (i32.add (local.get $i) (i32.const 0x61616161)))");
    let large = "(i32.const 0) (i32.const 200000)";
    let queued = "(i32.const 0) (i32.const 10000)";
    let map_of_many = "(i32.store (i32.const 40) (i32.const -1))
        (if (i32.ne (call $set_header_map_pairs (i32.const 0) (i32.const 40) (i32.const 64)) (i32.const 2)) (then (unreachable)))";
    let many_calls = times(
        10_000,
        "(drop (call $get_current_time_nanoseconds (i32.const 24)))",
    );
    let logs = times(10_000, &format!("(drop (call $log (i32.const 4) {line}))"));
    let data = times(
        300,
        &format!("{renamed} (drop (call $set_shared_data {key} {large} (i32.const 0)))"),
    );
    let queue = format!(
        "(drop (call $register_shared_queue {queue} (i32.const 24))) {}",
        times(
            20_000,
            &format!("(drop (call $enqueue_shared_queue (i32.load (i32.const 24)) {queued}))")
        )
    );
    let headers = times(
        5_000,
        &format!("(drop (call $add_header_map_value (i32.const 0) {line} {line}))"),
    )
    .replace(&line, &guest.text("x-bomb"));
    let properties = times(
        5_000,
        &format!("{renamed} (drop (call $set_property {key} {line}))"),
    );
    let metrics = times(
        5_000,
        &format!("{renamed} (drop (call $define_metric (i32.const 0) {key} (i32.const 24)))"),
    );
    let body = times(
        100,
        &format!("(drop (call $set_buffer_bytes (i32.const 0) (i32.const -1) (i32.const 0) {large}))"),
    );
    let contexts = times(
        5_000,
        "(drop (call $set_effective_context (i32.mul (local.get $i) (i32.const 65537))))",
    );
    vec![
        attack("ten thousand host calls", many_calls, End::Served),
        attack("flood of log lines", logs, End::Served),
        attack(
            "huge log line",
            format!("(drop (call $log (i32.const 4) {large}))"),
            End::Served,
        ),
        attack("huge shared data", data, End::Served),
        attack("huge queue", queue, End::Served),
        attack("header bomb", headers, End::Served),
        attack("property bomb", properties, End::Served),
        attack("metric bomb", metrics, End::Served),
        Attack {
            callback: 'b',
            ..attack("body bomb", body, End::Served)
        },
        attack("random contexts", contexts, End::Served),
        attack("map of four thousand million pairs", map_of_many, End::Served),
        attack("decompression bomb", decompression(guest), End::Served),
    ]
}

/// Eight kilobytes that become eight megabytes, which is more than is given.
fn decompression(guest: &mut Guest) -> String {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![0; 8 << 20]).unwrap();
    let bomb = guest.bytes(&encoder.finish().unwrap());
    let uncompress = guest.text("uncompress");
    let refused = format!("(call $call_foreign_function {uncompress} {bomb} {OUT})");
    times(
        20,
        &format!("(if (i32.ne {refused} (i32.const 2)) (then (unreachable)))"),
    )
}

fn calls(guest: &mut Guest) -> Vec<Attack> {
    let [target, forbidden] = ["auth", "169.254.169.254:80"].map(|text| guest.text(text));
    let none = guest.pairs(&[]);
    let head = guest.pairs(&[(":method", "GET"), (":path", "/"), (":authority", "a.test")]);
    let call = |target: &str| {
        format!("(call $http_call {target} {head} {none} {none} (i32.const 1000) (i32.const 24))")
    };
    let flood = times(10_000, &format!("(drop {})", call(&target)));
    let refused = format!(
        "(if (i32.ne {} (i32.const 2)) (then (unreachable)))",
        call(&forbidden)
    );
    vec![
        attack("flood of calls", flood, End::Served),
        attack("call to a forbidden host", refused, End::Served),
    ]
}

/// The allocator gives rubbish while the host wants to write.
fn rubbish() -> Vec<Attack> {
    let asked = format!("(drop (call $get_header_map_pairs (i32.const 0) {OUT}))");
    let kinds = [
        ("null", "host"),
        ("beyond the end", "host"),
        ("negative", "host"),
        ("trap", "trap"),
        ("loop", "deadline"),
        ("asks for more", "host"),
    ];
    let attacks = kinds.iter().enumerate().map(|(number, (name, kind))| {
        attack(
            &format!("allocator: {name}"),
            format!("(global.set $rubbish (i32.const {})) {asked}", number + 1),
            End::Failed(kind),
        )
    });
    attacks.collect()
}

const RUBBISH: &str = "
(if (i32.eq (global.get $rubbish) (i32.const 1)) (then (return (i32.const 0))))
(if (i32.eq (global.get $rubbish) (i32.const 2)) (then (return (i32.const 0x7fffff00))))
(if (i32.eq (global.get $rubbish) (i32.const 3)) (then (return (i32.const -4))))
(if (i32.eq (global.get $rubbish) (i32.const 4)) (then (unreachable)))
(if (i32.eq (global.get $rubbish) (i32.const 5)) (then (loop $more (br $more))))
(if (i32.eq (global.get $rubbish) (i32.const 6))
  (then (drop (call $get_header_map_pairs (i32.const 0) (i32.const 16) (i32.const 20))) (return (i32.const 512))))
";

/// Every parameter of every host call leads out of memory once.
fn pointers() -> Vec<Attack> {
    let mut attacks = Vec::new();
    for (function, parameters) in HOST_FUNCTIONS {
        for wrong in 0..parameters.len() {
            let arguments = parameters
                .chars()
                .enumerate()
                .map(|(at, kind)| match (kind, at == wrong) {
                    ('I', false) => "(i64.const 8)",
                    ('I', true) => "(i64.const -1)",
                    (_, false) => "(i32.const 8)",
                    (_, true) => "(i32.const 0x7fffff00)",
                });
            let arguments: Vec<_> = arguments.collect();
            let call = format!("(drop (call ${function} {}))", arguments.join(" "));
            attacks.push(attack(
                &format!("{function}, parameter {wrong}"),
                call,
                End::Either,
            ));
        }
    }
    attacks
}

/// The guest. A header `x-LETTER` with three digits names the attack in that callback.
pub(super) fn guest() -> (Guest, Vec<Attack>) {
    let mut guest = Guest::default().allocating(RUBBISH);
    let attacks = attacks(&mut guest);
    let mut module = String::from(
        "(global $rubbish (mut i32) (i32.const 0))
         (func $down (param i32) (result i32) (i32.add (i32.const 1) (call $down (local.get 0))))
         (type $attack (func))",
    );
    for (number, attack) in attacks.iter().enumerate() {
        module.push_str(&format!(
            "(func $attack_{number} (local $i i32) {})\n",
            attack.statements
        ));
    }
    let names: Vec<_> = (0..attacks.len())
        .map(|number| format!("$attack_{number}"))
        .collect();
    module.push_str(&format!("(table funcref (elem {}))", names.join(" ")));
    module.push_str(&format!(
        "(func $digit (param i32) (result i32)
           (i32.sub (i32.load8_u (i32.add (i32.load (i32.const 16)) (local.get 0))) (i32.const 48)))
         (func $strike (param $key i32) (param $length i32)
           (if (call $get_header_map_value (i32.const 0) (local.get $key) (local.get $length) {OUT}) (then (return)))
           (call_indirect (type $attack)
             (i32.add (i32.mul (call $digit (i32.const 0)) (i32.const 100))
               (i32.add (i32.mul (call $digit (i32.const 1)) (i32.const 10)) (call $digit (i32.const 2))))))"
    ));
    guest = guest.with(&module);
    for (letter, name, parameters) in CALLBACKS {
        let header = guest.text(&format!("x-{letter}"));
        let answer = match name {
            "context_create" | "log" | "delete" => "",
            "done" => "(i32.const 1)",
            _ => "(i32.const 0)",
        };
        guest = guest.on(name, parameters, &format!("(call $strike {header})"), answer);
    }
    (guest, attacks)
}
