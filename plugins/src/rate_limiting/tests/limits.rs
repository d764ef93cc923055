//! How much is admitted and what clients are told.

use super::*;
use std::time::Duration;

const MINUTE: [&str; 5] = [
    "x-ratelimit-limit-minute",
    "x-ratelimit-remaining-minute",
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
];

#[test]
fn limit_is_admitted_exactly_and_every_answer_tells_what_is_left() {
    let harness = harness(json!({ "minute": 6 }), &clock());
    for left in ["5", "4", "3", "2", "1", "0"] {
        let finished = get(&harness);
        assert_eq!(finished.status(), 200);
        assert_eq!(values(&finished, MINUTE), ["6", left, "6", left, "60"]);
        assert!(finished.header("retry-after").is_empty());
    }
    let refused = get(&harness);
    assert_eq!(
        (refused.status(), refused.json()),
        (429, json!({ "message": "API rate limit exceeded" }))
    );
    assert_eq!(values(&refused, MINUTE), ["6", "0", "6", "0", "60"]);
    assert_eq!(value(&refused, "retry-after"), "60");
}

#[test]
fn tightest_period_is_told_first_and_of_equals_the_longest() {
    let clock = clock();
    let harness = harness(json!({ "second": 1, "minute": 3 }), &clock);
    let told = |finished: &Finished| {
        values(
            finished,
            ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"],
        )
    };
    assert_eq!(told(&get(&harness)), ["1", "0", "1"]);
    for _ in 0..2 {
        clock.advance(Duration::from_secs(1));
        let finished = get(&harness);
        assert_eq!(finished.status(), 200);
        if value(&finished, "x-ratelimit-remaining-minute") == "0" {
            assert_eq!(
                told(&finished),
                ["3", "0", "58"],
                "both are used up: the minute is told"
            );
        }
    }
}

#[test]
fn first_request_of_two_periods_tells_both() {
    let finished = get(&harness(json!({ "second": 5, "minute": 10 }), &clock()));
    let names = [
        "x-ratelimit-limit-second",
        "x-ratelimit-remaining-second",
        "x-ratelimit-limit-minute",
        "x-ratelimit-remaining-minute",
        "ratelimit-limit",
        "ratelimit-remaining",
        "ratelimit-reset",
    ];
    assert_eq!(values(&finished, names), ["5", "4", "10", "9", "5", "4", "1"]);
}

#[test]
fn refusal_leaves_the_other_periods_as_they_are() {
    let clock = clock();
    let harness = harness(json!({ "second": 5, "minute": 10 }), &clock);
    assert_eq!(statuses(&harness, 5), [200; 5]);
    clock.advance(Duration::from_millis(1_000));
    assert_eq!(statuses(&harness, 5), [200; 5]);
    clock.advance(Duration::from_millis(1_500));
    for _ in 0..3 {
        let refused = get(&harness);
        assert_eq!(refused.status(), 429);
        let names = [
            "x-ratelimit-remaining-minute",
            "x-ratelimit-remaining-second",
            "ratelimit-limit",
            "ratelimit-remaining",
        ];
        assert_eq!(values(&refused, names), ["0", "5", "10", "0"]);
        assert_eq!(values(&refused, ["retry-after", "ratelimit-reset"]), ["58", "58"]);
    }
}

#[test]
fn all_six_periods_have_their_headers() {
    let config = json!({ "second": 100, "minute": 200, "hour": 300, "day": 400, "month": 500, "year": 600 });
    let harness = harness(config, &clock());
    get(&harness);
    let finished = get(&harness);
    for (period, limit) in [
        ("second", 100),
        ("minute", 200),
        ("hour", 300),
        ("day", 400),
        ("month", 500),
        ("year", 600),
    ] {
        assert_eq!(
            value(&finished, &format!("x-ratelimit-limit-{period}")),
            limit.to_string()
        );
        assert_eq!(
            value(&finished, &format!("x-ratelimit-remaining-{period}")),
            (limit - 2).to_string()
        );
    }
    assert_eq!(
        values(&finished, ["ratelimit-limit", "ratelimit-remaining"]),
        ["100", "98"]
    );
}

#[test]
fn hidden_limits_are_enforced_without_a_word() {
    let harness = harness(json!({ "minute": 1, "hide_client_headers": true }), &clock());
    for status in [200, 429] {
        let finished = get(&harness);
        assert_eq!(finished.status(), status);
        assert!(
            MINUTE
                .iter()
                .chain(&["retry-after"])
                .all(|name| finished.header(name).is_empty())
        );
    }
}

#[test]
fn refusal_has_the_configured_status_and_message() {
    let harness = harness(
        json!({ "minute": 1, "error_code": 418, "error_message": "x" }),
        &clock(),
    );
    get(&harness);
    let refused = get(&harness);
    assert_eq!(
        (refused.status(), refused.json()["message"].as_str()),
        (418, Some("x"))
    );
}

#[test]
fn next_window_starts_over_right_at_its_boundary() {
    let clock = ManualClock::at_millis(TEN_O_CLOCK + 59_999);
    let harness = harness(json!({ "minute": 1 }), &clock);
    assert_eq!(statuses(&harness, 2), [200, 429]);
    assert_eq!(value(&get(&harness), "retry-after"), "1");
    clock.advance(Duration::from_millis(1));
    assert_eq!(statuses(&harness, 2), [200, 429]);
    assert_eq!(value(&get(&harness), "retry-after"), "60");
}

#[test]
fn head_and_options_are_counted_like_any_request() {
    let harness = harness(json!({ "minute": 2 }), &clock());
    for (method, wanted) in [("HEAD", 200), ("OPTIONS", 200), ("HEAD", 429)] {
        assert_eq!(status(harness.request(method, "/")), wanted);
    }
}

#[test]
fn huge_and_fractional_limits_are_written_as_they_are() {
    let finished = get(&harness(json!({ "minute": 1_000_000_000_000_u64 }), &clock()));
    assert_eq!(
        values(&finished, ["ratelimit-limit", "ratelimit-remaining"]),
        ["1000000000000", "999999999999"]
    );
    let fractional = harness(json!({ "minute": 1.5 }), &clock());
    let finished = get(&fractional);
    assert_eq!(
        values(&finished, ["ratelimit-limit", "ratelimit-remaining"]),
        ["1.5", "0.5"]
    );
    assert_eq!(statuses(&fractional, 2), [200, 429]);
}

#[test]
fn later_rate_limiter_overwrites_the_headers_of_an_earlier_one() {
    let harness = harness(json!({ "minute": 6 }), &clock());
    let name = http::HeaderName::from_static("ratelimit-limit");
    let request = harness
        .request("GET", "/")
        .with(|x| x.set_response_header(name, http::HeaderValue::from_static("1")));
    assert_eq!(value(&finish(request.run()), "ratelimit-limit"), "6");
}

#[test]
fn workers_together_never_admit_more_than_the_limit() {
    const LIMIT: usize = 400;
    let services = Arc::new(tidegate_plugin::services::Services::detached());
    let admitted = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let counters = Arc::clone(&services.counters);
                let harness =
                    harness(json!({ "day": LIMIT }), &clock()).services(|own| own.counters = counters);
                let passed = statuses(&harness, LIMIT / 2)
                    .iter()
                    .filter(|status| **status == 200)
                    .count();
                admitted.fetch_add(passed, std::sync::atomic::Ordering::Relaxed);
            });
        }
    });
    assert_eq!(
        admitted.into_inner(),
        LIMIT,
        "800 requests of 4 workers met a limit of 400"
    );
}
