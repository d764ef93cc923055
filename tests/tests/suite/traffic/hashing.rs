//! What of a request decides about the target, and what does when that is missing (kong-core F.2).

use crate::pool::{backends, config, counts, equal, plain};
use std::collections::{BTreeMap, BTreeSet};
use tidegate_tests::gateway::Reload;
use tidegate_tests::{Gateway, RawClient, Request, Upstream};

/// Different values, enough that each of three targets has some: that one has none comes once in 10^10 times.
const VALUES: usize = 60;

/// Who answers each request, over one connection.
async fn answered(gateway: &Gateway, requests: &[Request]) -> Vec<String> {
    let mut client = RawClient::connect(gateway.proxy()).await;
    let mut names = Vec::new();
    for request in requests {
        let response = client.call(request).await;
        assert_eq!(response.status, 200, "{request:?}");
        names.push(response.text());
    }
    names
}

/// Panics unless the value alone decides: different ones go to all targets, and each goes where it went before
/// whatever else the request says.
async fn assert_decides(gateway: &Gateway, what: &str, with: impl Fn(usize) -> Request) {
    let requests: Vec<Request> = (0..VALUES).map(&with).collect();
    let first = answered(gateway, &requests).await;
    let targets: BTreeSet<&String> = first.iter().collect();
    assert_eq!(targets.len(), 3, "{what}: {targets:?}");
    let others: Vec<Request> = requests
        .into_iter()
        .map(|request| request.header("X-Noise", "1"))
        .collect();
    assert_eq!(answered(gateway, &others).await, first, "{what}");
}

/// Panics unless all such requests go to one target.
async fn assert_same(gateway: &Gateway, what: &str, with: impl Fn(usize) -> Request) {
    let counts = counts(gateway, (0..12).map(with)).await;
    assert_eq!(counts.len(), 1, "{what}: {counts:?}");
}

/// Consumers `c0`, `c1` and so on with two keys each.
fn consumers() -> String {
    let consumers = (0..VALUES).map(|number| {
        format!("- {{username: c{number}, keyauth_credentials: [{{key: a{number}}}, {{key: b{number}}}]}}\n")
    });
    format!("consumers:\n{}", consumers.collect::<String>())
}

fn with_key(kind: char, number: usize) -> Request {
    Request::get("/").header("apikey", &format!("{kind}{number}"))
}

#[tokio::test]
async fn a_consumer_stays_on_a_target_whichever_credential_is_shown() {
    let backends = backends(3).await;
    let route = "paths: [/], plugins: [{name: key-auth}]";
    let yaml = config("hash_on: consumer", "", route, &equal(&backends)) + &consumers();
    let gateway = Gateway::start(yaml).await;
    assert_decides(&gateway, "consumer", |number| with_key('a', number)).await;
    let by = async |kind| {
        let requests: Vec<Request> = (0..VALUES).map(|number| with_key(kind, number)).collect();
        answered(&gateway, &requests).await
    };
    assert_eq!(by('a').await, by('b').await);
}

#[tokio::test]
async fn without_a_consumer_the_fallback_decides_and_without_that_all_go_to_one_target() {
    let backends = backends(3).await;
    let fields = "hash_on: consumer\nhash_fallback: header\nhash_fallback_header: X-Id";
    let gateway = Gateway::start(plain(fields, &equal(&backends))).await;
    assert_decides(&gateway, "fallback of consumer", |number| {
        Request::get("/").header("X-Id", &format!("v{number}"))
    })
    .await;
    assert_same(&gateway, "neither", |number| {
        with_key('a', number).header("X-Other", &format!("{number}"))
    })
    .await;
}

#[tokio::test]
async fn an_anonymous_consumer_is_a_consumer() {
    let backends = backends(3).await;
    let route = "paths: [/], plugins: [{name: key-auth, config: {anonymous: c0}}]";
    let fields = "hash_on: consumer\nhash_fallback: header\nhash_fallback_header: X-Id";
    let gateway = Gateway::start(config(fields, "", route, &equal(&backends)) + &consumers()).await;
    let known = gateway.call(&with_key('a', 0)).await.text();
    for number in 0..12 {
        let request = Request::get("/").header("X-Id", &format!("v{number}"));
        assert_eq!(gateway.call(&request).await.text(), known);
    }
}

/// A client as a trusted proxy in front tells it.
fn from_client(number: usize) -> Request {
    Request::get("/").header("X-Real-IP", &format!("192.0.2.{number}"))
}

#[tokio::test]
async fn the_address_of_the_client_is_the_one_that_a_trusted_proxy_tells() {
    let backends = backends(3).await;
    let yaml = plain("hash_on: ip", &equal(&backends));
    let gateway = Gateway::with(yaml.clone())
        .setting("trusted_ips", "127.0.0.0/8")
        .start()
        .await;
    assert_decides(&gateway, "ip", from_client).await;
    let gateway = Gateway::start(yaml).await;
    assert_same(&gateway, "nobody is trusted", from_client).await;
}

#[tokio::test]
async fn the_address_is_a_fallback_that_is_never_missing() {
    let backends = backends(3).await;
    let fields = "hash_on: header\nhash_on_header: X-Id\nhash_fallback: ip";
    let gateway = Gateway::with(plain(fields, &equal(&backends)))
        .setting("trusted_ips", "127.0.0.0/8")
        .start()
        .await;
    assert_decides(&gateway, "fallback to ip", from_client).await;
    assert_same(&gateway, "the header wins", |number| {
        from_client(number).header("X-Id", "1")
    })
    .await;
}

#[tokio::test]
async fn repeated_headers_count_as_one_joined_value() {
    let backends = backends(3).await;
    let gateway = Gateway::start(plain("hash_on: header\nhash_on_header: X-Id", &equal(&backends))).await;
    let joined: Vec<Request> = (0..VALUES)
        .map(|number| Request::get("/").header("X-Id", &format!("a, {number}")))
        .collect();
    let repeated: Vec<Request> = (0..VALUES)
        .map(|number| {
            Request::get("/")
                .header("X-Id", "a")
                .header("x-id", &number.to_string())
        })
        .collect();
    let (joined, repeated) = (
        answered(&gateway, &joined).await,
        answered(&gateway, &repeated).await,
    );
    assert_eq!(joined, repeated);
    assert_eq!(joined.iter().collect::<BTreeSet<_>>().len(), 3);
}

#[tokio::test]
async fn path_query_and_capture_may_be_what_is_fallen_back_to() {
    let backends = backends(3).await;
    let header = "hash_on: header\nhash_on_header: X-Id\nhash_fallback: ";
    let cases = [
        ("path", "paths: [/]", "/p"),
        ("query_arg\nhash_fallback_query_arg: q", "paths: [/]", "/?q=v"),
        (
            "uri_capture\nhash_fallback_uri_capture: \"1\"",
            "paths: [\"~/user/([0-9]+)\"]",
            "/user/",
        ),
    ];
    for (fields, route, prefix) in cases {
        let with = |number: usize| Request::get(&format!("{prefix}{number}"));
        let fields = format!("{header}{fields}");
        let gateway = Gateway::start(config(&fields, "", route, &equal(&backends))).await;
        assert_decides(&gateway, &fields, &with).await;
        assert_same(&gateway, &fields, |number| with(number).header("X-Id", "1")).await;
    }
}

#[tokio::test]
async fn a_cookie_as_fallback_is_set_only_when_it_is_needed_and_brings_its_client_back() {
    let backends = backends(3).await;
    let fields = "hash_on: header\nhash_on_header: X-Id\nhash_fallback: cookie\nhash_on_cookie: sess";
    let gateway = Gateway::start(plain(fields, &equal(&backends))).await;
    let named = gateway.call(&Request::get("/").header("X-Id", "1")).await;
    assert!(!named.headers.has("set-cookie"), "{named:?}");
    let mut targets = BTreeSet::new();
    for _ in 0..VALUES {
        let first = gateway.get("/").await;
        let given = first.header("set-cookie").to_owned();
        let cookie = given.split(';').next().unwrap();
        let again = gateway.call(&Request::get("/").header("Cookie", cookie)).await;
        assert_eq!(again.text(), first.text(), "{given}");
        assert!(!again.headers.has("set-cookie"), "{again:?}");
        targets.insert(again.text());
    }
    assert_eq!(targets.len(), 3, "each client is given a value of its own");
}

#[tokio::test]
async fn a_retry_of_a_hashed_request_goes_to_another_target() {
    let sound = backends(2).await;
    let mut targets = equal(&sound);
    targets.push((tidegate_tests::ports::refusing_address().to_string(), 100));
    let gateway = Gateway::start(plain("hash_on: header\nhash_on_header: X-Id", &targets)).await;
    let with = |number: usize| Request::get("/").header("X-Id", &format!("v{number}"));
    let requests: Vec<Request> = (0..VALUES).map(with).collect();
    let first = answered(&gateway, &requests).await;
    assert!(gateway.metric("tidegate_upstream_retries_total").await > 0.0);
    assert_eq!(
        answered(&gateway, &requests).await,
        first,
        "as stable as the rest"
    );
}

/// Where each of many values goes.
async fn places(gateway: &Gateway) -> Vec<String> {
    let requests: Vec<Request> = (0..4 * VALUES)
        .map(|number| Request::get(&format!("/v{number}")))
        .collect();
    answered(gateway, &requests).await
}

#[tokio::test]
async fn what_a_target_leaves_behind_moves_alone_and_returns_with_it() {
    let backends = backends(4).await;
    let of = |backends: &[Upstream]| plain("hash_on: path", &equal(backends));
    let gateway = Gateway::start(of(&backends)).await;
    let before = places(&gateway).await;
    assert_eq!(gateway.reload(of(&backends[..3])).await, Reload::Accepted);
    let without = places(&gateway).await;
    let mut moved = BTreeMap::<&str, usize>::new();
    for (before, after) in before.iter().zip(&without) {
        if before != after {
            *moved.entry(before).or_default() += 1;
        }
    }
    let gone = before.iter().filter(|place| *place == "3").count();
    assert!(gone > 0);
    let of_others: usize = moved
        .iter()
        .filter(|(from, _)| **from != "3")
        .map(|(_, count)| count)
        .sum();
    assert_eq!(moved.get("3"), Some(&gone));
    // Kong's ring gives each target points by its share of all weight, so that a change may move a few of the others.
    assert!(of_others <= before.len() / 20, "{moved:?}");
    assert_eq!(gateway.reload(of(&backends)).await, Reload::Accepted);
    assert_eq!(places(&gateway).await, before);
}
