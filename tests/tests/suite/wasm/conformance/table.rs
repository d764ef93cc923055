//! Every host call in every moment, and the status that answers it. One table, hence one long file.

use super::super::guest::{GOT, Guest, OUT};

/// Where the letter of the moment stands in the guest's memory: address and length.
pub(super) const LETTER: (u32, u32) = (60, 1);

/// A host call, and what answers it in each of the columns: `a` and `c` for 10 and 12, a digit for any other status, `i`
/// where the call has no effect (2 for those who want it strictly, 0 otherwise), `.` where it is not made, `?` where it
/// depends: while a filter is tried there are no targets that it could name.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) call: String,
    pub(super) statuses: &'static str,
}

/// Everywhere but in the start function.
const ALL: &str = "a00000 00000 00000000000";
const STREAM: &str = "a11111 11111 00000000000";
const NEVER: &str = "a22222 22222 22222222222";
const MISSING: &str = "a11111 11111 11111111111";
const IN_VAIN: &str = "aiiiii iiiii iiiiiiiiiii";
/// Everywhere but in the start function and when the stream's context is deleted.
const CALLS: &str = "a00000 00000 0000000000a";

const UNFIT: &str = "a22222 22222 2222222222a";
const JUNK: &str = "a44444 44444 4444444444a";

/// The rows of a guest whose texts they lay out.
pub(super) fn rows(guest: &mut Guest) -> Vec<Row> {
    let groups = [
        system, buffers, maps, writes, properties, streams, calls, grpc, shared, queues, metrics, foreign,
    ];
    let mut rows = Vec::new();
    for group in groups {
        for (name, call, statuses) in group(guest) {
            rows.push(Row { name, call, statuses });
        }
    }
    rows
}

type Rows = Vec<(String, String, &'static str)>;

fn row(name: &str, call: impl Into<String>, statuses: &'static str) -> (String, String, &'static str) {
    (name.to_owned(), call.into(), statuses)
}

fn system(guest: &mut Guest) -> Rows {
    let line = guest.text("a line");
    vec![
        row(
            "log",
            format!("(call $log (i32.const 2) {line})"),
            "000000 00000 00000000000",
        ),
        row(
            "log unknown level",
            format!("(call $log (i32.const 6) {line})"),
            "222222 22222 22222222222",
        ),
        row(
            "log level",
            "(call $get_log_level (i32.const 24))",
            "000000 00000 00000000000",
        ),
        row(
            "time",
            "(call $get_current_time_nanoseconds (i32.const 24))",
            "000000 00000 00000000000",
        ),
        row(
            "tick period",
            "(call $set_tick_period_milliseconds (i32.const 20))",
            ALL,
        ),
        row(
            "effective context root",
            "(block (result i32) (call $set_effective_context (i32.const 1)) (drop (call $set_effective_context (local.get $ctx))))",
            ALL,
        ),
        row(
            "effective context unknown",
            "(call $set_effective_context (i32.const 9999))",
            NEVER,
        ),
        row("done", "(call $done)", "a11011 11111 11111111011"),
        row("configuration", format!("(call $get_configuration {OUT})"), ALL),
    ]
}

fn buffers(guest: &mut Guest) -> Rows {
    let nothing = guest.text("");
    let get = |buffer: i32| {
        format!("(call $get_buffer_bytes (i32.const {buffer}) (i32.const 0) (i32.const 100) {OUT})")
    };
    let set = |buffer: i32| {
        format!("(call $set_buffer_bytes (i32.const {buffer}) (i32.const 0) (i32.const 0) {nothing})")
    };
    let status =
        |buffer: i32| format!("(call $get_buffer_status (i32.const {buffer}) (i32.const 24) (i32.const 28))");
    vec![
        row("get request body", get(0), "a11111 11111 11101111111"),
        row("get response body", get(1), "a11111 11111 11111101111"),
        row("get downstream data", get(2), MISSING),
        row("get upstream data", get(3), MISSING),
        row("get call body", get(4), "a11111 01111 11011111111"),
        row("get grpc message", get(5), "a11111 10000 11111111111"),
        row("get vm configuration", get(6), ALL),
        row("get plugin configuration", get(7), ALL),
        row("get foreign arguments", get(8), ALL),
        row("get unknown buffer", get(9), NEVER),
        row(
            "get beyond 32 bits",
            format!("(call $get_buffer_bytes (i32.const 7) (i32.const -1) (i32.const 2) {OUT})"),
            NEVER,
        ),
        row("status of request body", status(0), "a11111 11111 11101111111"),
        row("status of response body", status(1), "a11111 11111 11111101111"),
        row("status of call body", status(4), "a11111 01111 11011111111"),
        row("status of plugin configuration", status(7), ALL),
        row("status of unknown buffer", status(-1), NEVER),
        row("set request body", set(0), "aiiiii iiiii iii0iiiiiii"),
        row("set response body", set(1), "aiiiii iiiii iiiiii0iiii"),
        row("set call body", set(4), IN_VAIN),
        row("set plugin configuration", set(7), IN_VAIN),
        row("set unknown buffer", set(9), NEVER),
    ]
}

fn maps(guest: &mut Guest) -> Rows {
    let [path, status, sum, content_type, grpc_status] =
        [":path", ":status", "x-sum", "content-type", "grpc-status"].map(|text| guest.text(text));
    let size = |map: i32| format!("(call $get_header_map_size (i32.const {map}) (i32.const 24))");
    let pairs = |map: i32| format!("(call $get_header_map_pairs (i32.const {map}) {OUT})");
    let value = |map: i32, key: &str| format!("(call $get_header_map_value (i32.const {map}) {key} {OUT})");
    let mut rows = Vec::new();
    for map in 0..8 {
        rows.push(row(&format!("size of map {map}"), size(map), ALL));
        rows.push(row(&format!("pairs of map {map}"), pairs(map), ALL));
    }
    rows.extend([
        row("size of unknown map", size(8), NEVER),
        row("pairs of unknown map", pairs(-1), NEVER),
        row("request header", value(0, &path), STREAM),
        row("missing request header", value(0, &sum), MISSING),
        row("request trailer", value(1, &sum), "a11111 11111 11110111111"),
        row("response header", value(2, &status), "a11111 11111 11111000000"),
        row("response trailer", value(3, &sum), "a11111 11111 11111110111"),
        row(
            "grpc initial metadata",
            value(4, &content_type),
            "a11111 10111 11111111111",
        ),
        row(
            "grpc trailing metadata",
            value(5, &grpc_status),
            "a11111 11101 11111111111",
        ),
        row("call header", value(6, &status), "a11111 01111 11011111111"),
        row("call trailer", value(7, &sum), "a11111 01111 11011111111"),
        row("value of unknown map", value(8, &path), NEVER),
    ]);
    rows
}

/// Names of the headers that [`writes`] adds, with the map, and where a write has an effect.
pub(super) const ADDED: [(i32, &str, &str); 4] = [
    (0, "probe-request", "aiiiii iiiii i00iiiiiiii"),
    (1, "probe-request-trailer", "aiiiii iiiii iiii0iiiiii"),
    (2, "probe-response", "aiiiii iiiii iiiii0iiiii"),
    (3, "probe-response-trailer", "aiiiii iiiii iiiiiii0iii"),
];

fn writes(guest: &mut Guest) -> Rows {
    let letter = format!("(i32.const {}) (i32.const {})", LETTER.0, LETTER.1);
    let (absent, broken, replaced) = (
        guest.text("x-absent"),
        guest.text("rubbish"),
        guest.text("probe-replaced"),
    );
    let mut rows = Vec::new();
    for (map, name, statuses) in ADDED {
        let name = guest.text(name);
        let map = format!("(i32.const {map})");
        let kinds = [
            (
                "add",
                format!("(call $add_header_map_value {map} {name} {letter})"),
            ),
            (
                "replace",
                format!("(call $replace_header_map_value {map} {replaced} {letter})"),
            ),
            (
                "remove",
                format!("(call $remove_header_map_value {map} {absent})"),
            ),
            (
                "set pairs",
                format!(
                    "(block (result i32) (drop (call $get_header_map_pairs {map} {OUT})) (call $set_header_map_pairs {map} {GOT}))"
                ),
            ),
        ];
        for (kind, call) in kinds {
            rows.push(row(&format!("{kind} {map}"), call, statuses));
        }
    }
    for (map, statuses) in [(4, IN_VAIN), (5, IN_VAIN), (6, IN_VAIN), (7, IN_VAIN), (8, NEVER)] {
        let map = format!("(i32.const {map})");
        let add = format!("(call $add_header_map_value {map} {replaced} {letter})");
        let remove = format!("(call $remove_header_map_value {map} {absent})");
        rows.push(row(&format!("add {map}"), add, statuses));
        rows.push(row(&format!("remove {map}"), remove, statuses));
    }
    rows.push(row(
        "set rubbish",
        format!("(call $set_header_map_pairs (i32.const 0) {broken})"),
        NEVER,
    ));
    rows
}

fn properties(guest: &mut Guest) -> Rows {
    let [path, name, none, own, empty] =
        ["request\0path", "plugin_name", "no\0such", "own.property", ""].map(|text| guest.text(text));
    let get = |path: &str| format!("(call $get_property {path} {OUT})");
    vec![
        row("property of request", get(&path), STREAM),
        row("property of plugin", get(&name), ALL),
        row("missing property", get(&none), MISSING),
        row(
            "set property",
            format!("(call $set_property {own} {own})"),
            "aiiiii iiiii 00000000000",
        ),
        row("property that was set", get(&own), STREAM),
        row(
            "set property without a path",
            format!("(call $set_property {empty} {own})"),
            NEVER,
        ),
    ]
}

/// Where these calls would end or resume the exchange they are not made: that is told elsewhere.
fn streams(guest: &mut Guest) -> Rows {
    let (none, body) = (guest.text(""), guest.text("late"));
    let reply = |status: i32| {
        format!("(call $send_local_response (i32.const {status}) {none} {body} {none} (i32.const -1))")
    };
    vec![
        row(
            "continue request",
            "(call $continue_stream (i32.const 0))",
            "aiiiii iiiii ...00000000",
        ),
        row(
            "continue response",
            "(call $continue_stream (i32.const 1))",
            "aiiiii iiiii 00000000000",
        ),
        row(
            "continue downstream",
            "(call $continue_stream (i32.const 2))",
            "accccc ccccc ccccccccccc",
        ),
        row(
            "continue upstream",
            "(call $continue_stream (i32.const 3))",
            "accccc ccccc ccccccccccc",
        ),
        row("continue unknown", "(call $continue_stream (i32.const 4))", NEVER),
        row(
            "close request",
            "(call $close_stream (i32.const 0))",
            "aiiiii iiiii ........000",
        ),
        row(
            "close downstream",
            "(call $close_stream (i32.const 2))",
            "accccc ccccc ccccccccccc",
        ),
        row("close unknown", "(call $close_stream (i32.const -1))", NEVER),
        row(
            "continue_request",
            "(call $continue_request)",
            "aiiiii iiiii ...00000000",
        ),
        row(
            "continue_response",
            "(call $continue_response)",
            "aiiiii iiiii 00000000000",
        ),
        row("clear route cache", "(call $clear_route_cache)", ALL),
        row("local response", reply(403), "a22222 22222 ......22222"),
        row("local response of no status", reply(99), NEVER),
        row("local response of status 600", reply(600), NEVER),
    ]
}

fn calls(guest: &mut Guest) -> Rows {
    let none = guest.pairs(&[]);
    let [target, nowhere] = ["auth", "nowhere.test"].map(|text| guest.text(text));
    let head = guest.pairs(&[
        (":method", "GET"),
        (":path", "/probed"),
        (":authority", "auth.test"),
    ]);
    let headless = guest.pairs(&[(":path", "/probed"), (":authority", "auth.test")]);
    let rubbish = guest.text("rubbish");
    let call = |target: &str, head: &str| {
        format!("(call $http_call {target} {head} {none} {none} (i32.const 5000) (i32.const 24))")
    };
    let refused = "a???22 22222 2222222222a";
    vec![
        row("http call", call(&target, &head), CALLS),
        row("http call to nowhere", call(&nowhere, &head), refused),
        row("http call without a method", call(&target, &headless), UNFIT),
        row("http call with rubbish", call(&target, &rubbish), UNFIT),
        row(
            "status of call",
            format!("(call $get_status (i32.const 24) {OUT})"),
            ALL,
        ),
    ]
}

fn grpc(guest: &mut Guest) -> Rows {
    let none = guest.pairs(&[]);
    let [peer, nowhere, service, method, message] =
        ["peer", "nowhere.test", "p.Auth", "Probe", "hello"].map(|text| guest.text(text));
    let junk = guest.bytes(&[0xff, 0xff]);
    let call = |peer: &str| {
        format!(
            "(call $grpc_call {peer} {service} {method} {none} {message} (i32.const 5000) (i32.const 24))"
        )
    };
    let open = |peer: &str| format!("(call $grpc_stream {peer} {service} {method} {none} (i32.const 24))");
    let id = "(i32.load (i32.const 24))";
    let opened = format!("(drop {})", open(&peer));
    let cancelled = format!("(drop (call $grpc_cancel {id}))");
    let on_open = "a???00 00000 00000000001";
    vec![
        row("grpc call", call(&peer), CALLS),
        row("grpc call to nowhere", call(&nowhere), "a???44 44444 4444444444a"),
        row("grpc call to junk", call(&junk), JUNK),
        row(
            "grpc stream",
            format!("(block (result i32) {} {cancelled})", open(&peer)),
            CALLS,
        ),
        row("grpc stream to junk", open(&junk), JUNK),
        row(
            "grpc send",
            format!(
                "(block (result i32) {opened} (call $grpc_send {id} {message} (i32.const 0)) {cancelled})"
            ),
            on_open,
        ),
        row(
            "grpc send on a call",
            format!(
                "(block (result i32) (drop {}) (call $grpc_send {id} {message} (i32.const 0)) {cancelled})",
                call(&peer)
            ),
            "a22222 22222 22222222221",
        ),
        row(
            "grpc send on nothing",
            format!("(call $grpc_send (i32.const 9999) {message} (i32.const 0))"),
            MISSING,
        ),
        row(
            "grpc cancel",
            format!("(block (result i32) {opened} (call $grpc_cancel {id}))"),
            on_open,
        ),
        row(
            "grpc cancel nothing",
            "(call $grpc_cancel (i32.const 9999))",
            MISSING,
        ),
        row(
            "grpc close",
            format!("(block (result i32) {opened} (call $grpc_close {id}) {cancelled})"),
            on_open,
        ),
        row(
            "grpc close nothing",
            "(call $grpc_close (i32.const 9999))",
            MISSING,
        ),
    ]
}

fn shared(guest: &mut Guest) -> Rows {
    let [key, missing, value] = ["key", "missing", "value"].map(|text| guest.text(text));
    let get = |key: &str| format!("(call $get_shared_data {key} {OUT} (i32.const 24))");
    let set = |cas: &str| format!("(call $set_shared_data {key} {value} {cas})");
    vec![
        row("set data", set("(i32.const 0)"), ALL),
        row("get data", get(&key), ALL),
        row("get missing data", get(&missing), MISSING),
        row(
            "set data as it was read",
            set("(i32.load (i32.const 24))"),
            "a00000 00000 00000000000",
        ),
        row(
            "set data as it was not",
            set("(i32.const 2147483647)"),
            "a88888 88888 88888888888",
        ),
    ]
}

fn queues(guest: &mut Guest) -> Rows {
    let [name, empty, missing, item] = ["probed", "empty", "missing", "item"].map(|text| guest.text(text));
    let register = |name: &str| format!("(call $register_shared_queue {name} (i32.const 24))");
    let resolve = |name: &str| {
        format!("(call $resolve_shared_queue (i32.const 0) (i32.const 0) {name} (i32.const 24))")
    };
    let id = "(i32.load (i32.const 24))";
    let unknown = "(i32.const 9999)";
    let enqueue = |id: &str| format!("(call $enqueue_shared_queue {id} {item})");
    let dequeue = |id: &str| format!("(call $dequeue_shared_queue {id} {OUT})");
    let on = |name: &str, call: &str| format!("(block (result i32) (drop {}) {call})", register(name));
    vec![
        row("register queue", register(&name), ALL),
        row("resolve queue", resolve(&name), ALL),
        row("resolve missing queue", resolve(&missing), MISSING),
        row("enqueue", on(&name, &enqueue(id)), ALL),
        row("enqueue to nothing", enqueue(unknown), MISSING),
        row("dequeue", on(&name, &dequeue(id)), ALL),
        row(
            "dequeue from empty",
            on(&empty, &dequeue(id)),
            "a77777 77777 77777777777",
        ),
        row("dequeue from nothing", dequeue(unknown), MISSING),
    ]
}

fn metrics(guest: &mut Guest) -> Rows {
    let names = ["probe_counter", "probe_gauge", "probe_histogram"].map(|text| guest.text(text));
    let define = |kind: usize, name: usize| {
        let name = names.get(name).cloned().unwrap_or_default();
        format!("(call $define_metric (i32.const {kind}) {name} (i32.const 24))")
    };
    let on = |kind: usize, call: &str| format!("(block (result i32) (drop {}) {call})", define(kind, kind));
    let id = "(i32.load (i32.const 24))";
    let unknown = "(i32.const 9996)";
    let increment = |id: &str, by: i64| format!("(call $increment_metric {id} (i64.const {by}))");
    let record = |id: &str| format!("(call $record_metric {id} (i64.const 7))");
    let get = |id: &str| format!("(call $get_metric {id} (i32.const 40))");
    vec![
        row("define counter", define(0, 0), ALL),
        row("define gauge", define(1, 1), ALL),
        row("define histogram", define(2, 2), ALL),
        row("define unknown kind", define(3, 0), NEVER),
        row("define as another kind", define(1, 0), NEVER),
        row("increment counter", on(0, &increment(id, 1)), ALL),
        row("decrement counter", on(0, &increment(id, -1)), NEVER),
        row("decrement gauge", on(1, &increment(id, -1)), ALL),
        row("increment histogram", on(2, &increment(id, 1)), NEVER),
        row("increment nothing", increment(unknown, 1), MISSING),
        row("record counter", on(0, &record(id)), ALL),
        row("record gauge", on(1, &record(id)), ALL),
        row("record histogram", on(2, &record(id)), ALL),
        row("record nothing", record(unknown), MISSING),
        row("get counter", on(0, &get(id)), ALL),
        row("get gauge", on(1, &get(id)), ALL),
        row("get histogram", on(2, &get(id)), NEVER),
        row("get nothing", get(unknown), MISSING),
    ]
}

fn foreign(guest: &mut Guest) -> Rows {
    let [compress, uncompress, clear, unknown, text] = [
        "compress",
        "uncompress",
        "clear_route_cache",
        "no_such",
        "some text",
    ]
    .map(|text| guest.text(text));
    let call = |name: &str| format!("(call $call_foreign_function {name} {text} {OUT})");
    vec![
        row("foreign compress", call(&compress), ALL),
        row(
            "foreign uncompress rubbish",
            call(&uncompress),
            "a33333 33333 33333333333",
        ),
        row("foreign clear_route_cache", call(&clear), ALL),
        row("foreign unknown", call(&unknown), MISSING),
    ]
}
