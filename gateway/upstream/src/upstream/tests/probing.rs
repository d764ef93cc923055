//! What is due to be probed, and what the outcome does.

use super::*;
use crate::health::Event;
use crate::probes::Probe;

fn probed(concurrency: u32) -> Value {
    json!({ "healthchecks": { "active": {
        "concurrency": concurrency,
        "healthy": { "interval": 10, "successes": 1 },
        "unhealthy": { "interval": 1, "tcp_failures": 2 },
    }}})
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn addresses(probes: &[Probe]) -> Vec<String> {
    let mut addresses: Vec<String> = probes.iter().map(|probe| probe.address().to_string()).collect();
    addresses.sort();
    addresses
}

#[test]
fn every_address_with_a_weight_is_due_once_per_interval() {
    let now = Instant::now();
    let up = upstream(
        &probed(10),
        &[("10.0.0.1:80", 1), ("10.0.0.2:80", 1), ("10.0.0.3:80", 0)],
    );
    assert_eq!(up.probes(now).len() + up.probes(now + seconds(10)).len(), 2);
    assert_eq!(up.probes(now + seconds(10)).len(), 0);
    let next = up.next_probe(now + seconds(10)).unwrap();
    assert!(next > now + seconds(10) && next <= now + seconds(21));
    assert_eq!(
        addresses(&up.probes(now + seconds(21))),
        ["10.0.0.1:80", "10.0.0.2:80"]
    );
}

#[test]
fn no_more_are_on_their_way_than_may_be_and_none_twice() {
    let now = Instant::now();
    let up = upstream(
        &probed(2),
        &[("10.0.0.1:80", 1), ("10.0.0.2:80", 1), ("10.0.0.3:80", 1)],
    );
    let _ = up.next_probe(now);
    let mut first = up.probes(now);
    first.extend(up.probes(now + seconds(11)));
    assert_eq!(first.len(), 2);
    assert_eq!(up.probes(now + seconds(30)).len(), 0);
    let done = addresses(&first);
    drop(first);
    let others = up.probes(now + seconds(12));
    assert_eq!(others.len(), 1);
    assert!(!done.contains(&addresses(&others)[0]));
}

#[test]
fn an_address_that_fell_is_probed_at_the_other_interval_and_comes_back() {
    let now = Instant::now();
    let up = upstream(&probed(10), &[("10.0.0.1:80", 1)]);
    let mut at = now + seconds(11);
    let _ = up.probes(now);
    let mut events = Vec::new();
    for outcome in [Outcome::TcpFailure, Outcome::TcpFailure, Outcome::Status(200)] {
        let probe = loop {
            match up.probes(at).pop() {
                Some(probe) => break probe,
                None => at += seconds(1),
            }
        };
        events.extend(up.probed(&probe, outcome, at));
    }
    let causes: Vec<(State, Cause)> = events.iter().map(|event| (event.to, event.cause)).collect();
    assert_eq!(
        causes,
        [
            (State::Unhealthy, Cause::Active(Event::TcpFailure)),
            (State::Healthy, Cause::Active(Event::Success)),
        ]
    );
    assert!(at < now + seconds(35), "the third came a second after the second");
}

#[test]
fn without_intervals_nothing_is_due() {
    let up = upstream(&json!({ "healthchecks": passive() }), &[("10.0.0.1:80", 1)]);
    let now = Instant::now();
    assert_eq!(up.probes(now + seconds(100)).len(), 0);
    assert_eq!(up.next_probe(now), None);
}

#[test]
fn first_probes_are_spread_over_the_interval() {
    let targets: Vec<String> = (0..100).map(|last| format!("10.0.0.{last}:80")).collect();
    let targets: Vec<(&str, u16)> = targets.iter().map(|target| (target.as_str(), 1)).collect();
    let up = upstream(&probed(1_000), &targets);
    let now = Instant::now();
    let mut counts = Vec::new();
    for second in 0..=10 {
        counts.push(up.probes(now + seconds(second)).len());
    }
    assert!(counts.iter().sum::<usize>() >= 100, "{counts:?}");
    assert!(counts.iter().all(|count| *count < 30), "{counts:?}");
}

#[test]
fn probes_that_take_longer_than_the_interval_starve_nobody() {
    let up = upstream(
        &json!({ "healthchecks": { "active": {
            "concurrency": 1,
            "healthy": { "interval": 1, "successes": 1 },
            "unhealthy": { "interval": 1, "tcp_failures": 2 },
        }}}),
        &[("10.0.0.1:80", 1), ("10.0.0.2:80", 1), ("10.0.0.3:80", 1)],
    );
    let now = Instant::now();
    let mut seen = Vec::new();
    for turn in 0..6 {
        // Each takes five seconds.
        let probes = up.probes(now + seconds(5 * turn));
        seen.extend(addresses(&probes));
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 3, "{seen:?}");
}

#[test]
fn an_address_that_fell_otherwise_is_probed_an_unhealthy_interval_later() {
    let now = Instant::now();
    let up = upstream(&probed(10), &[("10.0.0.1:80", 1)]);
    drop(up.probes(now));
    drop(up.probes(now + seconds(11)));
    let fallen = up.set_health("10.0.0.1", |_| true, false, now + seconds(12));
    assert_eq!(fallen.len(), 1);
    assert_eq!(up.probes(now + seconds(13)).len(), 1);
}
