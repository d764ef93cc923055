//! Whatever a guest does, its exchange ends by the policy and the next one is served.

use crate::support::{CALLBACKS, Guest, IMPORTS, World, drive, fine, sent};
use http::{HeaderMap, StatusCode};
use tidegate_wasm::testing::Drive;
use tidegate_wasm::{BadPointer, FailureKind, FailurePolicy, FilterOptions, Isolation};

fn open() -> FilterOptions {
    FilterOptions {
        failure_policy: FailurePolicy::Open,
        ..FilterOptions::default()
    }
}

fn everything(mut drive: Drive) -> Drive {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "7".parse().expect("a value"));
    drive.request.trailers = Some(trailers.clone());
    drive.response.trailers = Some(trailers);
    drive.chunk("question").response_chunk("answer")
}

const PHASES: [&str; 9] = [
    "request_headers",
    "request_body",
    "request_trailers",
    "response_headers",
    "response_body",
    "response_trailers",
    "done",
    "log",
    "delete",
];

#[test]
fn a_trap_in_any_phase_ends_that_exchange_alone_and_bodies_pass_when_open() {
    for phase in PHASES {
        let world = World::new();
        let guest = Guest::new().on(phase, "(unreachable)", 0);
        let filter = world.filter(&guest, open());
        for _ in 0..2 {
            let outcome = fine(drive(&filter, everything));
            let (body, trailers) = outcome.upstream.expect("went upstream");
            assert_eq!(body, "question", "{phase}");
            assert_eq!(trailers.expect("trailers")["x-sum"], "7", "{phase}");
            assert_eq!(outcome.body, "answer", "{phase}");
            assert_eq!(outcome.trailers.expect("trailers")["x-sum"], "7", "{phase}");
        }
        let failures = world.host.failures();
        assert_eq!(failures.len(), 2, "{phase}: one per exchange");
        assert_eq!(failures[0].callback, format!("proxy_on_{phase}"));
        assert_eq!(failures[0].kind, FailureKind::Trap);
        assert!(
            failures[0].report.contains(&format!("on_{phase}")),
            "names functions: {}",
            failures[0].report
        );
        let totals = world.host.totals();
        assert_eq!(
            totals.streams_created.value(),
            totals.streams_ended.value(),
            "{phase}"
        );
    }
}

#[test]
fn a_trap_in_a_closed_filter_is_an_error_and_the_next_exchange_gets_a_fresh_instance() {
    let mut guest = Guest::new();
    let [key, value] = ["x-a", "1"].map(|text| guest.text(text));
    // Traps when the request has a body; otherwise adds a header.
    let guest = guest.on(
        "request_headers",
        &format!(
            "(if (i32.eqz (local.get $2)) (then (unreachable))) (call $show (i32.const 0) {key} {value})"
        ),
        0,
    );
    let world = World::new();
    let filter = world.filter(&guest, FilterOptions::default());
    let fault = drive(&filter, |drive| drive.chunk("x")).fault.expect("a fault");
    assert_eq!(fault.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(sent(&fine(drive(&filter, |drive| drive)), "x-a"), Some("1"));
}

#[test]
fn an_endless_loop_in_any_callback_meets_its_deadline() {
    for phase in PHASES {
        let world = World::new();
        let filter = world.filter(&Guest::new().on(phase, "(loop $l (br $l))", 0), open());
        fine(drive(&filter, everything));
        let failures = world.host.failures();
        assert_eq!(
            (failures.len(), failures[0].kind),
            (1, FailureKind::Deadline),
            "{phase}"
        );
    }
}

#[test]
fn a_guest_that_does_not_start_is_refused_when_it_is_attached() {
    let options = FilterOptions {
        boot_deadline_ms: 20,
        ..FilterOptions::default()
    };
    for (callback, reason) in [
        ("(loop $l (br $l))", "interrupt"),
        ("(unreachable)", "unreachable"),
        ("(return (i32.const 0))", "answered false"),
    ] {
        for name in ["vm_start", "configure"] {
            let world = World::new();
            let guest = Guest::new().on(name, callback, 1);
            let refusal = world
                .kind(&guest)
                .attach_unchecked(&serde_json::Value::Null, options.clone());
            let refusal = refusal.err().expect("a refusal").to_string();
            assert!(refusal.contains(reason) && refusal.contains(name), "{refusal}");
        }
    }
}

#[test]
fn memory_stops_at_its_cap_and_returns_to_its_level() {
    let grow = "(loop $more (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then (unreachable))) (br $more))";
    let world = World::new();
    let options = FilterOptions {
        max_memory_bytes: 4 << 20,
        ..open()
    };
    let filter = world.filter(&Guest::new().on("request_headers", grow, 0), options);
    fine(drive(&filter, everything));
    assert_eq!(world.host.failures()[0].kind, FailureKind::Memory);
    assert_eq!(world.host.memory_in_use(), 0, "the instance is gone");
}

#[test]
fn endless_recursion_ends_the_guest() {
    let world = World::new();
    let guest = Guest::new()
        .with("(func $down (param i32) (result i32) (i32.add (i32.const 1) (call $down (local.get 0))))")
        .on("request_headers", "(drop (call $down (i32.const 0)))", 0);
    fine(drive(&world.filter(&guest, open()), everything));
    assert_eq!(world.host.failures()[0].kind, FailureKind::Stack);
}

/// Arguments of a call, all the same.
fn arguments(parameters: &str, value: i64) -> String {
    let argument = |kind| {
        if kind == 'I' {
            format!("(i64.const {value})")
        } else {
            format!("(i32.const {value})")
        }
    };
    parameters.chars().map(argument).collect::<Vec<_>>().join(" ")
}

#[test]
fn no_argument_of_any_host_call_harms_the_host() {
    let world = World::new();
    for (name, parameters) in IMPORTS {
        for value in [0, 1, -1, 65_535, 131_071, 131_072, 2_147_483_647, -2_147_483_648] {
            let call = format!("(drop (call ${name} {}))", arguments(parameters, value));
            for phase in ["request_headers", "response_body", "log"] {
                for bad_pointer in [BadPointer::Trap, BadPointer::Status] {
                    let options = FilterOptions {
                        bad_pointer,
                        ..open()
                    };
                    let filter = world.filter(&Guest::new().on(phase, &call, 0), options);
                    let outcome = drive(&filter, everything);
                    assert!(outcome.fault.is_none(), "{name}({value}) in {phase}");
                }
            }
        }
    }
    assert_eq!(world.host.memory_in_use() % 65_536, 0);
}

#[test]
fn a_pointer_outside_of_memory_traps_or_is_a_status() {
    let log = "(call $want (call $log (i32.const 2) (i32.const 131072) (i32.const 1)) (i32.const 6))";
    let guest = Guest::new().on("request_headers", log, 0);
    let world = World::new();
    let options = FilterOptions {
        bad_pointer: BadPointer::Status,
        ..FilterOptions::default()
    };
    fine(drive(&world.filter(&guest, options), everything));
    assert!(
        drive(&world.filter(&guest, FilterOptions::default()), everything)
            .fault
            .is_some()
    );
    assert!(
        world.host.failures()[0]
            .report
            .contains("proxy_log: a pointer leads out")
    );
}

#[test]
fn an_allocator_that_returns_rubbish_ends_its_guest() {
    let allocators = [
        ("zero", "(i32.const 0)"),
        ("beyond the end", "(i32.const 131072)"),
        ("negative", "(i32.const -4)"),
        ("trap", "(unreachable)"),
        ("loop", "(loop $l (br $l)) (i32.const 0)"),
        (
            "asks for data",
            "(drop (call $get_header_map_pairs (i32.const 0) (i32.const 16) (i32.const 20))) (i32.const 512)",
        ),
        (
            "changes the map",
            "(drop (call $add_header_map_value (i32.const 0) (i32.const 40) (i32.const 3) (i32.const 40) (i32.const 3))) (i32.const 512)",
        ),
    ];
    for (name, body) in allocators {
        let world = World::new();
        let guest = Guest::new()
            .with("(data (i32.const 40) \"abc\")")
            .allocator(&format!(
                "(func (export \"malloc\") (param i32) (result i32) {body})"
            ))
            .on(
                "request_headers",
                "(drop (call $get_header_map_pairs (i32.const 0) (i32.const 16) (i32.const 20)))",
                0,
            );
        fine(drive(&world.filter(&guest, open()), everything));
        assert_eq!(world.host.failures().len(), 1, "{name}");
    }
}

#[test]
fn floods_of_log_lines_are_cut_off() {
    let mut guest = Guest::new();
    let line = guest.text("a line");
    let flood = format!(
        "(local $i i32) (loop $more
           (drop (call $log (i32.const 4) {line}))
           (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 150))))"
    );
    let world = World::new();
    let filter = world.filter(&guest.on("request_headers", &flood, 0), FilterOptions::default());
    let subscriber = tracing_subscriber::fmt().with_writer(std::io::sink).finish();
    tracing::subscriber::with_default(subscriber, || fine(drive(&filter, everything)));
    let dropped = world.host.totals().log_lines_dropped.value();
    assert_eq!(dropped, 50);
}

#[test]
fn a_filter_that_fails_over_and_over_is_taken_out_of_service() {
    let world = World::new();
    let guest = Guest::new().on("request_headers", "(unreachable)", 0);
    let closed = world.filter(&guest, FilterOptions::default());
    for _ in 0..6 {
        assert_eq!(drive(&closed, everything).fault.expect("a fault").status, 500);
    }
    let fault = drive(&closed, everything).fault.expect("a fault");
    assert_eq!((fault.status.as_u16(), fault.retry_after.is_some()), (503, true));
    assert!(closed.is_tripped());
    let open = world.filter(&guest, open());
    for _ in 0..20 {
        fine(drive(&open, everything));
    }
    assert!(world.host.failures().len() < 20, "it is passed by");
}

#[test]
fn nothing_runs_in_an_instance_that_failed() {
    for isolation in [Isolation::Pooled, Isolation::Shared, Isolation::Request] {
        let world = World::new();
        let guest = Guest::new()
            .on("request_headers", "(unreachable)", 0)
            .on("log", "(loop $l (br $l))", 0);
        let filter = world.filter(&guest, FilterOptions { isolation, ..open() });
        fine(drive(&filter, everything));
        assert_eq!(world.host.failures().len(), 1, "{isolation:?}");
    }
}

#[test]
fn every_callback_is_known_to_the_tests() {
    for phase in PHASES {
        assert!(CALLBACKS.iter().any(|(name, ..)| *name == phase));
    }
}
