//! Which address is chosen.

use super::*;

const THREE: [(&str, u16); 3] = [("10.0.0.1:80", 100), ("10.0.0.2:80", 100), ("10.0.0.3:80", 100)];

fn algorithm(name: &str) -> Value {
    json!({ "algorithm": name, "healthchecks": passive() })
}

fn ten() -> Vec<(String, u16)> {
    (1..=10).map(|last| (format!("10.0.0.{last}:80"), 100)).collect()
}

fn borrowed(targets: &[(String, u16)]) -> Vec<(&str, u16)> {
    targets
        .iter()
        .map(|(address, weight)| (address.as_str(), *weight))
        .collect()
}

#[test]
fn round_robin_is_exact_over_full_turns() {
    let up = upstream(
        &json!({}),
        &[("10.0.0.1:80", 100), ("10.0.0.2:80", 300), ("10.0.0.3:80", 0)],
    );
    let counts = Client::of(&up).counts(40);
    assert_eq!(
        counts.into_iter().collect::<Vec<_>>(),
        [("10.0.0.1:80".to_owned(), 10), ("10.0.0.2:80".to_owned(), 30)]
    );
}

#[test]
fn random_choices_among_equals_are_even() {
    let targets = ten();
    for name in ["least-connections", "latency"] {
        let up = upstream(&algorithm(name), &borrowed(&targets));
        let counts = Client::of(&up).counts(20_000);
        assert!(is_even(&counts, 10), "{name}: {counts:?}");
    }
}

#[test]
fn every_algorithm_leaves_out_what_is_unhealthy_and_takes_it_back() {
    for name in [
        "round-robin",
        "least-connections",
        "latency",
        "consistent-hashing",
    ] {
        let up = upstream(&algorithm(name), &THREE);
        let mut client = Client::of(&up);
        let event = client.report("10.0.0.2:80", Outcome::TcpFailure).unwrap();
        assert_eq!(
            (event.from, event.to),
            (State::Healthy, State::Unhealthy),
            "{name}"
        );
        for number in 0..300 {
            let value = format!("value {number}");
            let pick = client.choose(Some(value.as_bytes()), &Tried::default()).unwrap();
            assert_ne!(pick.address().to_string(), "10.0.0.2:80", "{name}");
        }
        assert_eq!(up.set_health("10.0.0.2", |_| true, true, Instant::now()).len(), 1);
        assert_eq!(client.report("10.0.0.2:80", Outcome::Status(200)), None, "{name}");
    }
}

#[test]
fn least_connections_goes_where_the_fewest_are_for_the_weight() {
    let up = upstream(
        &algorithm("least-connections"),
        &[("10.0.0.1:80", 100), ("10.0.0.2:80", 200)],
    );
    let mut client = Client::of(&up);
    let first = client.pick();
    assert_eq!(first.address().to_string(), "10.0.0.2:80");
    let mut held = vec![first];
    held.extend((0..8).map(|_| client.pick()));
    let heavy = held
        .iter()
        .filter(|pick| pick.address().to_string() == "10.0.0.2:80");
    assert_eq!(heavy.count(), 6);
    drop(held);
    assert!(
        up.endpoints(Instant::now())
            .iter()
            .all(|endpoint| endpoint.in_flight == 0)
    );
}

#[test]
fn least_connections_among_many_prefers_the_idle() {
    let targets: Vec<(String, u16)> = (0..100).map(|last| (format!("10.0.0.{last}:80"), 100)).collect();
    let up = upstream(&algorithm("least-connections"), &borrowed(&targets));
    let mut client = Client::of(&up);
    let held: Vec<Pick> = (0..500).map(|_| client.pick()).collect();
    let most = up
        .endpoints(Instant::now())
        .iter()
        .map(|endpoint| endpoint.in_flight)
        .max();
    assert!(most <= Some(8), "{most:?} on one, five on average");
    drop(held);
}

#[test]
fn latency_avoids_what_is_slow() {
    let up = upstream(&algorithm("latency"), &THREE);
    let mut client = Client::of(&up);
    let now = Instant::now();
    for _ in 0..100 {
        let pick = client.pick();
        let is_slow = pick.address().to_string() == "10.0.0.1:80";
        pick.took(Duration::from_millis(if is_slow { 80 } else { 2 }), now);
    }
    let counts = Client::of(&up).counts(1_000);
    assert_eq!(counts.get("10.0.0.1:80"), None, "{counts:?}");
}

#[test]
fn retries_go_to_others_until_all_were_tried() {
    for name in [
        "round-robin",
        "least-connections",
        "latency",
        "consistent-hashing",
    ] {
        let up = upstream(&algorithm(name), &THREE);
        let mut client = Client::of(&up);
        let mut tried = Tried::default();
        let mut seen = Vec::new();
        for _ in 0..3 {
            let pick = client.choose(Some(b"value"), &tried).unwrap();
            tried.add(&pick);
            seen.push(pick.address());
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 3, "{name}");
        assert!(
            client.choose(Some(b"value"), &tried).is_ok(),
            "{name} starts over"
        );
    }
}

#[test]
fn nodes_choose_alike_whatever_the_order_of_targets() {
    let fields = algorithm("consistent-hashing");
    let (mut one, mut other) = (ten(), ten());
    one.rotate_left(3);
    other.reverse();
    let (one, other) = (
        upstream(&fields, &borrowed(&one)),
        upstream(&fields, &borrowed(&other)),
    );
    for number in 0..500 {
        let value = format!("value {number}");
        let address = |up| {
            let pick = Client::of(up).choose(Some(value.as_bytes()), &Tried::default());
            pick.unwrap().address()
        };
        assert_eq!(address(&one), address(&other), "{value}");
    }
}

#[test]
fn a_threshold_takes_the_whole_upstream_down() {
    let mut health = passive();
    health["threshold"] = json!(50);
    let up = upstream(
        &json!({ "healthchecks": health }),
        &[("10.0.0.1:80", 100), ("10.0.0.2:80", 100)],
    );
    let mut client = Client::of(&up);
    assert!(up.is_available());
    client.report("10.0.0.1:80", Outcome::Timeout);
    assert!(!up.is_available(), "50 is not above 50");
    assert_eq!(
        client.choose(None, &Tried::default()).unwrap_err(),
        NoPeer::Unavailable
    );
}

#[test]
fn without_weight_there_is_no_peer() {
    for targets in [&[][..], &[("10.0.0.1:80", 0)], &[("name.test:80", 10)]] {
        let up = upstream(&json!({}), targets);
        let chosen = Client::of(&up).choose(None, &Tried::default());
        assert_eq!(chosen.unwrap_err(), NoPeer::NoTargets, "{targets:?}");
    }
}

#[test]
fn a_sticky_cookie_holds_while_its_target_is_in_use() {
    let up = upstream(
        &json!({ "healthchecks": passive(), "tidegate": { "sticky_cookie": "stick" } }),
        &THREE,
    );
    let mut client = Client::of(&up);
    let first = client.pick();
    let cookie = format!("{:016x}", first.endpoint().id());
    for _ in 0..10 {
        let pick = client.choose(Some(cookie.as_bytes()), &Tried::default()).unwrap();
        assert_eq!(pick.address(), first.address());
    }
    first.report(Outcome::TcpFailure, Instant::now()).unwrap();
    let other = client.choose(Some(cookie.as_bytes()), &Tried::default()).unwrap();
    assert_ne!(other.address(), first.address());
    assert!(client.choose(Some(b"nonsense"), &Tried::default()).is_ok());
}

#[test]
fn an_address_that_recovers_gets_its_share_over_the_slow_start() {
    for name in ["round-robin", "least-connections"] {
        let mut fields = algorithm(name);
        fields["tidegate"] = json!({ "slow_start_seconds": 100 });
        let up = upstream(&fields, &THREE);
        let now = Instant::now();
        up.set_health("10.0.0.1", |_| true, false, now);
        up.set_health("10.0.0.1", |_| true, true, now);
        let share = |seconds: u64| {
            let mut client = Client::of(&up).at(now + Duration::from_secs(seconds));
            let mut held = Vec::new();
            for _ in 0..600 {
                held.push(client.pick());
            }
            let own = held
                .iter()
                .filter(|pick| pick.address().to_string() == "10.0.0.1:80");
            own.count()
        };
        let (cold, warmer, warm) = (share(0), share(50), share(100));
        assert!((10..60).contains(&cold), "{name}: {cold} of 600");
        assert!((90..160).contains(&warmer), "{name}: {warmer} of 600");
        assert_eq!(warm, 200, "{name}");
    }
}

#[test]
fn no_more_are_out_than_may_be() {
    let targets = ten();
    let up = upstream(
        &json!({ "healthchecks": passive(), "tidegate": { "max_ejection_percent": 30 } }),
        &borrowed(&targets),
    );
    let now = Instant::now();
    for last in 1..=6 {
        up.set_health(
            &format!("10.0.0.{last}"),
            |_| true,
            false,
            now + Duration::from_secs(last),
        );
    }
    assert_eq!(up.weights(), (700, 1_000));
    let counts = Client::of(&up).counts(70);
    assert_eq!(counts.len(), 7);
    let views = up.endpoints(now);
    let spared: Vec<String> = views
        .iter()
        .filter(|view| view.is_spared)
        .map(|view| view.host.to_string())
        .collect();
    assert_eq!(
        spared,
        ["10.0.0.4", "10.0.0.5", "10.0.0.6"],
        "the last ones to fall"
    );
}

#[test]
fn retries_are_bounded_when_a_budget_is_set() {
    let up = upstream(&json!({ "tidegate": { "retry_budget_percent": 10 } }), &THREE);
    let retries = (0..100).take_while(|_| up.may_retry()).count();
    assert_eq!(retries, 10);
    Client::of(&up).counts(50);
    assert_eq!((0..100).take_while(|_| up.may_retry()).count(), 5);
    assert!(upstream(&json!({}), &THREE).may_retry());
}

#[test]
fn reports_from_an_old_snapshot_are_seen_by_the_new_one() {
    let old = upstream(&json!({ "healthchecks": passive() }), &THREE);
    let pick = Client::of(&old).pick();
    let new = old.renewed(spec(&json!({ "healthchecks": passive() }), &THREE));
    assert_eq!(new.weights(), (300, 300));
    pick.report(Outcome::TcpFailure, Instant::now()).unwrap();
    assert_eq!(new.weights(), (200, 300));
}
