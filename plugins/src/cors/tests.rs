use super::Cors;
use http::StatusCode;
use serde_json::{Value, json};
use tidegate_plugin::Reply;
use tidegate_plugin::testing::{Finished, Harness};

const ALL_METHODS: &str = "GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS,TRACE,CONNECT";

fn cors(config: Value) -> Harness {
    Harness::new(Cors).config(config)
}

fn get(harness: &Harness, origin: Option<&str>) -> Finished {
    let mut request = harness.request("GET", "/");
    if let Some(origin) = origin {
        request = request.header("Origin", origin);
    }
    request
        .run()
        .upstream_response(200, &[("Access-Control-Allow-Origin", "http://up.test")], &[])
}

fn preflight(harness: &Harness, headers: &[(&str, &str)]) -> Finished {
    let request = harness
        .request("OPTIONS", "/")
        .header("Access-Control-Request-Method", "PUT");
    headers
        .iter()
        .fold(request, |request, (name, value)| request.header(name, value))
        .run()
        .finish()
}

fn allowed(finished: &Finished) -> String {
    finished.header("access-control-allow-origin").concat()
}

#[test]
fn a_preflight_is_answered_with_everything_allowed_by_default() {
    let finished = preflight(&cors(json!({})), &[("Origin", "http://a.test")]);
    assert_eq!(finished.status(), 200);
    assert_eq!(allowed(&finished), "*");
    assert_eq!(finished.header("access-control-allow-methods"), [ALL_METHODS]);
    assert_eq!(finished.header("content-length"), ["0"]);
    assert!(finished.header("vary").is_empty());
    assert!(finished.body().is_empty());
}

#[test]
fn a_preflight_allows_the_headers_that_it_asks_for_unless_some_are_listed() {
    let asked = [
        ("Origin", "http://a.test"),
        ("Access-Control-Request-Headers", "x,y"),
    ];
    let finished = preflight(&cors(json!({})), &asked);
    assert_eq!(finished.header("access-control-allow-headers"), ["x,y"]);
    let finished = preflight(&cors(json!({ "headers": ["origin", "type", "accepts"] })), &asked);
    assert_eq!(
        finished.header("access-control-allow-headers"),
        ["origin,type,accepts"]
    );
}

#[test]
fn a_preflight_names_methods_and_age_as_configured_and_no_exposed_headers() {
    let harness = cors(json!({ "methods": ["GET"], "max_age": 23, "exposed_headers": ["x-a"] }));
    let finished = preflight(&harness, &[("Origin", "http://a.test")]);
    assert_eq!(finished.header("access-control-allow-methods"), ["GET"]);
    assert_eq!(finished.header("access-control-max-age"), ["23"]);
    assert!(finished.header("access-control-expose-headers").is_empty());
    assert_eq!(
        get(&harness, None).header("access-control-expose-headers"),
        ["x-a"]
    );
}

#[test]
fn options_without_origin_or_without_requested_method_goes_upstream() {
    let harness = cors(json!({}));
    assert!(
        harness
            .request("OPTIONS", "/")
            .header("Origin", "http://a.test")
            .run()
            .passed()
    );
    let access = harness
        .request("OPTIONS", "/")
        .header("Access-Control-Request-Method", "PUT")
        .run();
    assert!(access.passed());
    let access = harness
        .request("OPTIONS", "/")
        .header("Access-Control-Request-Method", "PUT")
        .header("Origin", "")
        .run();
    assert!(access.passed());
    assert_eq!(allowed(&access.upstream_response(200, &[], &[])), "*");
}

#[test]
fn a_single_plain_origin_is_named_whoever_asks() {
    let harness = cors(json!({ "origins": ["example.com"] }));
    for origin in [None, Some("http://other.test")] {
        let finished = get(&harness, origin);
        assert_eq!(allowed(&finished), "example.com");
        assert_eq!(finished.header("vary"), ["Origin"]);
    }
}

#[test]
fn of_several_origins_the_one_that_asks_is_named() {
    let harness = cors(json!({ "origins": ["http://my-site.com", "http://my-other-site.com"] }));
    assert_eq!(
        allowed(&get(&harness, Some("http://my-site.com"))),
        "http://my-site.com"
    );
    let refused = get(&harness, Some("http://bad"));
    assert_eq!(allowed(&refused), "", "the upstream's own header is removed");
    assert_eq!(refused.header("vary"), ["Origin"]);
    assert_eq!(allowed(&get(&harness, None)), "");
}

#[test]
fn origins_match_by_the_matrix() {
    let asked = [
        "http://foo.test",
        "http://foo.test:80",
        "http://foo.test:8000",
        "https://foo.test:8000",
        "http://something.foo.test",
        "http://evilfoo.test",
    ];
    let (yes, no) = ("yes", "");
    for (origins, expected) in [
        (vec!["foo.test"], ["foo.test"; 6]),
        (vec![r"foo\.test"], [yes, "http://foo.test", yes, yes, no, no]),
        (
            vec![r"(.*[./])?foo\.test"],
            [yes, "http://foo.test", yes, yes, yes, no],
        ),
        (vec![r"(.*[./])?foo\.test:8000"], [no, no, yes, yes, no, no]),
        (vec![r"https://(.*[.])?foo\.test:8000"], [no, no, no, yes, no, no]),
        (
            vec![r"^http://(.*[.])?foo\.test(:(80|90))?$"],
            [yes, "http://foo.test", no, no, yes, no],
        ),
        (vec!["foo.test", "bar.test"], [no; 6]),
        (
            vec!["http://foo.test", "https://bar.test:1234"],
            [yes, "http://foo.test", no, no, no, no],
        ),
    ] {
        let harness = cors(json!({ "origins": origins }));
        for (origin, expected) in asked.iter().zip(expected) {
            let expected = if expected == yes { origin } else { expected };
            assert_eq!(
                allowed(&get(&harness, Some(origin))),
                expected,
                "{origins:?} asked by {origin}"
            );
        }
    }
}

#[test]
fn a_pattern_with_alternatives_matches_whole_origins_only() {
    let harness = cors(json!({ "origins": [r"a\.test|b\.test"] }));
    assert_eq!(allowed(&get(&harness, Some("http://a.test"))), "http://a.test");
    assert_eq!(allowed(&get(&harness, Some("http://a.test.evil.test"))), "");
    assert_eq!(allowed(&get(&harness, Some("null"))), "");
}

#[test]
fn a_pattern_with_a_colon_is_matched_against_the_whole_origin() {
    let harness = cors(json!({ "origins": [r"^.*\.foo\.test(?::8080)?$", "http://b.test"] }));
    assert_eq!(
        allowed(&get(&harness, Some("https://x.foo.test:8080"))),
        "https://x.foo.test:8080"
    );
    assert_eq!(allowed(&get(&harness, Some("https://x.foo.test:9090"))), "");
}

#[test]
fn a_star_among_several_allows_all() {
    let harness = cors(json!({ "origins": ["a.test", "*"] }));
    assert_eq!(allowed(&get(&harness, Some("x"))), "*");
}

#[test]
fn default_ports_are_dropped_on_both_sides() {
    let harness = cors(json!({ "origins": ["https://my-site.com", "http://b.test:80"] }));
    assert_eq!(
        allowed(&get(&harness, Some("https://my-site.com:443"))),
        "https://my-site.com"
    );
    assert_eq!(allowed(&get(&harness, Some("http://b.test"))), "http://b.test");
    assert_eq!(
        allowed(&get(&harness, Some("http://my-site.com"))),
        "",
        "another scheme"
    );
    assert_eq!(
        allowed(&get(&harness, Some("https://my-site.com:8443"))),
        "",
        "another port"
    );
}

#[test]
fn with_credentials_and_all_origins_the_asking_one_is_named() {
    let harness = cors(json!({ "credentials": true }));
    let finished = get(&harness, Some("http://x:3000"));
    assert_eq!(allowed(&finished), "http://x:3000");
    assert_eq!(finished.header("access-control-allow-credentials"), ["true"]);
    assert_eq!(finished.header("vary"), ["Origin"]);
    let finished = get(&harness, None);
    assert_eq!(allowed(&finished), "*");
    assert!(finished.header("access-control-allow-credentials").is_empty());
}

#[test]
fn with_credentials_and_a_plain_origin_both_are_named() {
    let finished = get(
        &cors(json!({ "credentials": true, "origins": ["http://a.test"] })),
        Some("http://b.test"),
    );
    assert_eq!(allowed(&finished), "http://a.test");
    assert_eq!(finished.header("access-control-allow-credentials"), ["true"]);
}

#[test]
fn vary_of_the_upstream_is_kept_beside_ours() {
    let harness = cors(json!({ "origins": ["http://a.test"] }));
    let finished =
        harness
            .request("GET", "/")
            .run()
            .upstream_response(200, &[("Vary", "Accept-Encoding")], &[]);
    assert_eq!(finished.header("vary"), ["Accept-Encoding", "Origin"]);
}

#[test]
fn answers_of_the_gateway_are_marked_too() {
    let harness = cors(json!({}));
    for status in [
        StatusCode::UNAUTHORIZED,
        StatusCode::NOT_FOUND,
        StatusCode::GATEWAY_TIMEOUT,
    ] {
        let finished = harness
            .request("GET", "/")
            .answered_by_gateway(Reply::error(status, "no"));
        assert_eq!(allowed(&finished), "*");
    }
}

#[test]
fn preflight_continue_leaves_everything_to_the_upstream() {
    let harness = cors(json!({ "preflight_continue": true }));
    let request = harness
        .request("OPTIONS", "/")
        .header("Access-Control-Request-Method", "PUT");
    let access = request.header("Origin", "http://a.test").run();
    assert!(access.passed());
    let finished = access.upstream_response(204, &[("Access-Control-Allow-Origin", "http://up.test")], &[]);
    assert_eq!(allowed(&finished), "http://up.test");
}

#[test]
fn private_networks_are_allowed_when_configured_and_asked_for() {
    let asked = [
        ("Origin", "http://a.test"),
        ("Access-Control-Request-Private-Network", "true"),
    ];
    let name = "access-control-allow-private-network";
    assert_eq!(
        preflight(&cors(json!({ "private_network": true })), &asked).header(name),
        ["true"]
    );
    assert!(preflight(&cors(json!({})), &asked).header(name).is_empty());
    assert!(
        preflight(&cors(json!({ "private_network": true })), &asked[..1])
            .header(name)
            .is_empty()
    );
}

#[test]
fn requests_without_origin_can_be_left_alone() {
    let harness = cors(json!({ "allow_origin_absent": false }));
    assert_eq!(allowed(&get(&harness, None)), "http://up.test");
    assert_eq!(allowed(&get(&harness, Some("http://a.test"))), "*");
}

#[test]
fn bad_patterns_and_methods_are_refused() {
    let violations = cors(json!({ "origins": ["*["] })).violations();
    assert_eq!(violations, ["config.origins[0]: '*[' is not a valid regex"]);
    let violations = cors(json!({ "methods": ["FOO"] })).violations();
    assert_eq!(violations.len(), 1);
    assert!(
        violations[0].starts_with("config.methods[0]: expected one of: GET, HEAD"),
        "{violations:?}"
    );
}
