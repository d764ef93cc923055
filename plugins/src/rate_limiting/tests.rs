mod identity;
mod limits;
mod policies;
mod schema;
mod smooth;

use super::RateLimiting;
use serde_json::{Value, json};
use std::sync::Arc;
use tidegate_plugin::testing::{Access, Finished, Harness, ManualClock, TestRequest};

/// 2026-11-22T10:00:00Z: the start of a second, a minute and an hour.
const TEN_O_CLOCK: u64 = 1_795_341_600_000;

fn clock() -> Arc<ManualClock> {
    ManualClock::at_millis(TEN_O_CLOCK)
}

fn harness(config: Value, clock: &Arc<ManualClock>) -> Harness {
    Harness::new(RateLimiting).config(config).clock(clock)
}

/// Carries a request to its end, whoever answers it.
fn finish(access: Access) -> Finished {
    if access.passed() {
        access.upstream_response(200, &[], &[])
    } else {
        access.finish()
    }
}

fn get(harness: &Harness) -> Finished {
    finish(harness.request("GET", "/").run())
}

fn status(request: TestRequest) -> u16 {
    finish(request.run()).status()
}

/// The statuses of so many requests.
fn statuses(harness: &Harness, count: usize) -> Vec<u16> {
    (0..count).map(|_| get(harness).status()).collect()
}

/// The one value of a header; empty when there is none.
fn value(finished: &Finished, name: &str) -> String {
    let values = finished.header(name);
    assert!(values.len() <= 1, "{name} is repeated: {values:?}");
    values.first().copied().unwrap_or_default().to_owned()
}

fn values<const N: usize>(finished: &Finished, names: [&str; N]) -> [String; N] {
    names.map(|name| value(finished, name))
}
