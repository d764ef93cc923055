//! What stays when targets, names or settings change.

use super::*;
use crate::upstreams::Upstreams;
use crate::view::{DnsState, Health};

fn ip(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

fn addresses(up: &Upstream) -> Vec<(String, u32)> {
    let views = up.endpoints(Instant::now());
    views
        .iter()
        .map(|view| (view.address.to_string(), view.weight))
        .collect()
}

fn resolve(up: &Upstream, answer: Result<Vec<ResolvedAddress>, DnsFault>) {
    resolve_at(up, answer, Instant::now());
}

fn resolve_at(up: &Upstream, answer: Result<Vec<ResolvedAddress>, DnsFault>, learned: Instant) {
    let name = up.names().next().unwrap();
    up.resolved(name.target, answer, learned);
}

#[test]
fn an_answer_that_is_older_than_what_is_known_says_nothing() {
    let up = upstream(&json!({}), &[("a.test:80", 100)]);
    let (then, now) = (Instant::now(), Instant::now() + Duration::from_secs(1));
    let failed = || Err(DnsFault::Servers(Arc::from("refused")));
    let found = |last| Ok(vec![ResolvedAddress::plain(ip(last))]);
    let is_at = |last: u8| assert_eq!(addresses(&up), [(format!("10.0.0.{last}:80"), 100)]);
    resolve_at(&up, failed(), now);
    resolve_at(&up, found(1), then);
    is_at(1);
    resolve_at(&up, found(2), now);
    for older in [found(1), Err(DnsFault::NotFound)] {
        resolve_at(&up, older, then);
        is_at(2);
    }
    resolve_at(&up, failed(), now + Duration::from_secs(1));
    resolve_at(&up, found(3), now);
    is_at(3);
    resolve_at(&up, Err(DnsFault::NotFound), now + Duration::from_secs(1));
    assert!(addresses(&up).is_empty());
}

#[test]
fn a_target_that_stays_keeps_its_health_and_exchanges() {
    let fields = json!({ "healthchecks": passive() });
    let old = upstream(&fields, &[("10.0.0.1:80", 100), ("10.0.0.2:80", 100)]);
    let mut client = Client::of(&old);
    client.report("10.0.0.1:80", Outcome::TcpFailure);
    let pick = client.pick();
    let new = old.renewed(spec(
        &fields,
        &[("10.0.0.1:80", 7), ("10.0.0.2:80", 1), ("10.0.0.3:80", 1)],
    ));
    let views = new.endpoints(Instant::now());
    let states: Vec<(State, u32)> = views.iter().map(|view| (view.state, view.in_flight)).collect();
    assert_eq!(
        states,
        [(State::Unhealthy, 0), (State::Healthy, 1), (State::Healthy, 0)]
    );
    drop(pick);
    assert_eq!(new.endpoints(Instant::now())[1].in_flight, 0);
}

#[test]
fn a_target_whose_weight_was_0_comes_back_as_it_was() {
    let fields = json!({ "healthchecks": passive() });
    let old = upstream(&fields, &[("10.0.0.1:80", 100), ("10.0.0.2:80", 100)]);
    Client::of(&old).report("10.0.0.1:80", Outcome::TcpFailure);
    let off = old.renewed(spec(&fields, &[("10.0.0.1:80", 0), ("10.0.0.2:80", 100)]));
    assert_eq!(off.endpoints(Instant::now())[0].health, Health::HealthchecksOff);
    let on = off.renewed(spec(&fields, &[("10.0.0.1:80", 100), ("10.0.0.2:80", 100)]));
    assert_eq!(on.endpoints(Instant::now())[0].state, State::Unhealthy);
}

#[test]
fn what_nobody_judges_any_more_is_in_use() {
    let targets = [("10.0.0.1:80", 100)];
    let old = upstream(&json!({ "healthchecks": passive() }), &targets);
    Client::of(&old).report("10.0.0.1:80", Outcome::TcpFailure);
    assert!(!old.is_available());
    let new = old.renewed(spec(&json!({}), &targets));
    assert!(new.is_available());
}

#[test]
fn a_name_has_all_its_addresses_each_with_the_full_weight() {
    let up = upstream(&json!({}), &[("name.test:8080", 30)]);
    assert!(up.has_unresolved());
    resolve(
        &up,
        Ok(vec![ResolvedAddress::plain(ip(2)), ResolvedAddress::plain(ip(1))]),
    );
    assert!(!up.has_unresolved());
    assert_eq!(
        addresses(&up),
        [("10.0.0.1:8080".to_owned(), 30), ("10.0.0.2:8080".to_owned(), 30)]
    );
}

#[test]
fn an_srv_record_brings_its_port_and_weight() {
    let record = |last, port, weight| ResolvedAddress {
        port: Some(port),
        weight: Some(weight),
        name: Some(Arc::from("node.test")),
        ..ResolvedAddress::plain(ip(last))
    };
    let up = upstream(&json!({ "use_srv_name": true }), &[("name.test:80", 30)]);
    resolve(&up, Ok(vec![record(1, 9_000, 5), record(2, 0, 0)]));
    assert_eq!(
        addresses(&up),
        [("10.0.0.1:9000".to_owned(), 5), ("10.0.0.2:80".to_owned(), 1)]
    );
    assert_eq!(Client::of(&up).pick().host().as_ref(), b"node.test");
}

#[test]
fn survivors_of_a_record_change_keep_their_state() {
    let up = upstream(&json!({ "healthchecks": passive() }), &[("name.test:80", 10)]);
    resolve(
        &up,
        Ok(vec![ResolvedAddress::plain(ip(1)), ResolvedAddress::plain(ip(2))]),
    );
    Client::of(&up).report("10.0.0.2:80", Outcome::TcpFailure);
    resolve(
        &up,
        Ok(vec![ResolvedAddress::plain(ip(2)), ResolvedAddress::plain(ip(3))]),
    );
    let states: Vec<State> = up
        .endpoints(Instant::now())
        .iter()
        .map(|view| view.state)
        .collect();
    assert_eq!(states, [State::Unhealthy, State::Healthy]);
}

#[test]
fn servers_that_fail_take_nothing_away_and_a_name_that_is_gone_does() {
    let up = upstream(&json!({}), &[("name.test:80", 10)]);
    let failed = || Err(DnsFault::Servers(Arc::from("SERVFAIL")));
    resolve(&up, failed());
    assert!(!up.has_unresolved(), "it was asked for");
    assert_eq!(up.targets(Instant::now())[0].health, Health::DnsError);
    resolve(&up, Ok(vec![ResolvedAddress::plain(ip(1))]));
    resolve(&up, failed());
    assert_eq!(addresses(&up).len(), 1);
    let dns = up.targets(Instant::now())[0].dns.clone();
    assert_eq!(dns, DnsState::Failed(DnsFault::Servers(Arc::from("SERVFAIL"))));
    resolve(&up, Err(DnsFault::NotFound));
    assert_eq!(addresses(&up), []);
}

#[test]
fn a_new_configuration_knows_what_names_came_to() {
    let up = upstream(&json!({}), &[("name.test:80", 10)]);
    resolve(&up, Ok(vec![ResolvedAddress::plain(ip(1))]));
    let new = up.renewed(spec(&json!({}), &[("name.test:80", 20), ("other.test:80", 1)]));
    assert_eq!(addresses(&new), [("10.0.0.1:80".to_owned(), 20)]);
    assert!(new.has_unresolved());
}

#[test]
fn an_upstream_that_did_not_change_is_the_same_one() {
    let make = |weight| spec(&json!({}), &[("10.0.0.1:80", weight)]);
    let now = Instant::now();
    let first = Upstreams::default().apply([make(1)], now);
    let id = make(1).id();
    let second = first.apply([make(1)], now);
    assert!(Arc::ptr_eq(first.get(id).unwrap(), second.get(id).unwrap()));
    let third = second.apply([make(2)], now);
    assert!(!Arc::ptr_eq(first.get(id).unwrap(), third.get(id).unwrap()));
    assert_eq!(third.apply([], now).iter().count(), 0);
}

#[test]
fn host_headers_have_the_configured_name_or_the_targets() {
    let up = upstream(&json!({}), &[("[::1]:81", 1)]);
    let pick = Client::of(&up).pick();
    let expanded = "[0000:0000:0000:0000:0000:0000:0000:0001]";
    assert_eq!(pick.authority().as_ref(), format!("{expanded}:81").as_bytes());
    let up = upstream(&json!({ "host_header": "own.test" }), &[("10.0.0.1:81", 1)]);
    let pick = Client::of(&up).pick();
    assert_eq!(
        (pick.host().as_ref(), pick.authority().as_ref()),
        (&b"own.test"[..], &b"own.test:81"[..])
    );
}

#[test]
fn names_are_asked_for_again_by_one_caller_per_interval() {
    let up = upstream(&json!({}), &[("name.test:80", 10)]);
    let now = Instant::now();
    let second = Duration::from_secs(1);
    assert!(up.claims_refresh(second, now));
    assert!(!up.claims_refresh(second, now));
    assert!(up.claims_refresh(second, now + second));
}
