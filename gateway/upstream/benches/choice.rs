//! Cost of a choice, by algorithm and number of targets. Bounds: 100 ns for round-robin and consistent-hashing, 300 ns
//! for least-connections and latency, the same from 2 to 1,000 targets.

#![allow(
    clippy::expect_used,
    reason = "a benchmark that cannot choose is no benchmark"
)]

use divan::{Bencher, black_box};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate_model::entities::Target;
use tidegate_upstream::{Asked, Outcome, Tried, Upstream, UpstreamSpec};

#[path = "../src/testing.rs"]
mod testing;

const COUNTS: [usize; 4] = [2, 10, 100, 1_000];

fn main() {
    divan::main();
}

fn upstream(algorithm: &str, count: usize) -> Arc<Upstream> {
    let entity = testing::upstream(&json!({ "algorithm": algorithm }));
    let targets: Vec<Target> = (0..count)
        .map(|number| testing::target(&format!("10.0.{}.{}:80", number / 250, number % 250), 100))
        .collect();
    let targets: Vec<&Target> = targets.iter().collect();
    Upstream::new(UpstreamSpec::new(&entity, &targets), Instant::now())
}

fn choose(bencher: Bencher<'_, '_>, algorithm: &str, count: usize) {
    let upstream = upstream(algorithm, count);
    let (tried, now) = (Tried::default(), Instant::now());
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..count * 4 {
        let asked = Asked {
            value: None,
            tried: &tried,
            random: random.u64(..),
            now,
        };
        let pick = upstream.choose(&asked).expect("all are healthy");
        pick.took(Duration::from_micros(random.u64(500..2_000)), now);
    }
    bencher.bench_local(|| {
        let random = random.u64(..);
        let value = random.to_le_bytes();
        let asked = Asked {
            value: Some(&value),
            tried: &tried,
            random,
            now,
        };
        black_box(upstream.choose(&asked))
    });
}

#[divan::bench(args = COUNTS)]
fn round_robin(bencher: Bencher<'_, '_>, count: usize) {
    choose(bencher, "round-robin", count);
}

#[divan::bench(args = COUNTS)]
fn consistent_hashing(bencher: Bencher<'_, '_>, count: usize) {
    choose(bencher, "consistent-hashing", count);
}

#[divan::bench(args = COUNTS)]
fn least_connections(bencher: Bencher<'_, '_>, count: usize) {
    choose(bencher, "least-connections", count);
}

#[divan::bench(args = COUNTS)]
fn latency(bencher: Bencher<'_, '_>, count: usize) {
    choose(bencher, "latency", count);
}

/// What an exchange does besides: in flight, time, report.
#[divan::bench(args = COUNTS)]
fn choice_and_report(bencher: Bencher<'_, '_>, count: usize) {
    let upstream = upstream("round-robin", count);
    let (tried, now) = (Tried::default(), Instant::now());
    bencher.bench_local(|| {
        let asked = Asked {
            value: None,
            tried: &tried,
            random: 0,
            now,
        };
        let pick = upstream.choose(&asked).expect("all are healthy");
        pick.took(Duration::from_micros(700), now);
        black_box(pick.report(Outcome::Status(200), now))
    });
}
