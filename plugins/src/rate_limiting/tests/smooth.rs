//! Algorithm `gcra`.

use super::*;
use std::time::Duration;

fn smooth(limits: Value, clock: &Arc<ManualClock>) -> Harness {
    let mut config = limits;
    config["algorithm"] = json!("gcra");
    harness(config, clock)
}

#[test]
fn full_quota_may_be_sent_at_once_and_then_refills_evenly() {
    let clock = clock();
    let harness = smooth(json!({ "minute": 6 }), &clock);
    assert_eq!(statuses(&harness, 7), [200, 200, 200, 200, 200, 200, 429]);
    clock.advance(Duration::from_millis(9_999));
    assert_eq!(statuses(&harness, 1), [429]);
    clock.advance(Duration::from_millis(1));
    assert_eq!(statuses(&harness, 2), [200, 429], "one request every ten seconds");
    clock.advance(Duration::from_secs(600));
    assert_eq!(
        statuses(&harness, 7),
        [200, 200, 200, 200, 200, 200, 429],
        "never more than the quota at once"
    );
}

#[test]
fn end_of_a_calendar_window_does_not_let_two_bursts_through() {
    let clock = ManualClock::at_millis(TEN_O_CLOCK + 59_000);
    let harness = smooth(json!({ "minute": 6 }), &clock);
    assert_eq!(statuses(&harness, 6), [200; 6]);
    clock.advance(Duration::from_secs(2));
    assert_eq!(statuses(&harness, 1), [429]);
}

#[test]
fn headers_are_of_the_same_family_and_tell_when_to_come_back() {
    let clock = clock();
    let harness = smooth(json!({ "minute": 6 }), &clock);
    let names = [
        "x-ratelimit-limit-minute",
        "x-ratelimit-remaining-minute",
        "ratelimit-limit",
        "ratelimit-remaining",
    ];
    let first = get(&harness);
    assert_eq!(values(&first, names), ["6", "5", "6", "5"]);
    assert_eq!(
        value(&first, "ratelimit-reset"),
        "10",
        "full again after ten seconds"
    );
    statuses(&harness, 5);
    clock.advance(Duration::from_millis(2_500));
    let refused = get(&harness);
    assert_eq!(values(&refused, names), ["6", "0", "6", "0"]);
    assert_eq!(
        values(&refused, ["retry-after", "ratelimit-reset"]),
        ["8", "8"],
        "7.5 seconds, rounded up"
    );
}

#[test]
fn shorter_period_that_refuses_does_not_use_up_the_longer_one() {
    let clock = clock();
    let harness = smooth(json!({ "second": 1, "hour": 2 }), &clock);
    assert_eq!(statuses(&harness, 10)[..2], [200, 429]);
    clock.advance(Duration::from_secs(1));
    let finished = get(&harness);
    assert_eq!(
        (
            finished.status(),
            value(&finished, "x-ratelimit-remaining-hour").as_str()
        ),
        (200, "0")
    );
}

#[test]
fn callers_have_quotas_of_their_own() {
    let harness = smooth(json!({ "hour": 1 }), &clock());
    let call = |address| status(harness.request("GET", "/").client_address(address));
    assert_eq!(
        [call("10.0.0.1"), call("10.0.0.2"), call("10.0.0.1")],
        [200, 200, 429]
    );
}

#[test]
fn quota_of_a_year_is_kept_for_a_year() {
    let clock = clock();
    let harness = smooth(json!({ "year": 1 }), &clock);
    assert_eq!(statuses(&harness, 1), [200]);
    clock.advance(Duration::from_secs(31_535_999));
    assert_eq!(statuses(&harness, 1), [429]);
    clock.advance(Duration::from_secs(1));
    assert_eq!(statuses(&harness, 1), [200]);
}
