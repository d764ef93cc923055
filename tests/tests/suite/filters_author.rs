//! What authors of filters rely on: the examples, inside the real host.

#[path = "filters_author/cli.rs"]
mod cli;
#[path = "filters_author/guide.rs"]
mod guide;
#[path = "filters_author/languages.rs"]
mod languages;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;
use tidegate_filter_test::{CalloutError, Harness, Passed, Request, Response};

/// Where cargo keeps what it compiles for guests: beside the gateway's own, so that it is there the next time.
fn guest_target() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(3).unwrap().join("filters")
}

/// The modules of `examples/filters`, built once per test process.
pub(crate) fn example(name: &str) -> PathBuf {
    static MODULES: OnceLock<Vec<PathBuf>> = OnceLock::new();
    let modules = MODULES.get_or_init(|| {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/filters");
        tidegate_filter_build::build(&examples, Some(&guest_target()))
            .unwrap_or_else(|error| panic!("{error}"))
    });
    let is_it = |module: &&PathBuf| module.file_stem().is_some_and(|stem| stem == name);
    modules
        .iter()
        .find(is_it)
        .unwrap_or_else(|| panic!("no module {name}"))
        .clone()
}

fn harness(name: &str, config: Value) -> Harness {
    Harness::load(example(name)).unwrap().config(config)
}

fn hmac(secret: &str, message: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Seconds at which the harness's clock begins.
const START: u64 = 1_735_689_600;

#[test]
fn a_component_signs_as_the_module_does() {
    let secret = "0123456789abcdef";
    for example in ["sign_request", "sign_request_component"] {
        let mut harness = harness(example, json!({ "secret": secret }));
        for seconds in [START, START + 60] {
            let forged = Request::new("POST", "/a?b=1").header("x-gateway-signature", "t=1,v1=forged");
            let signature = hex::encode(hmac(secret, &format!("POST\n/a?b=1\n{seconds}")));
            harness
                .request(forged)
                .expect_header("x-gateway-signature", &format!("t={seconds},v1={signature}"))
                .expect_status(200);
            harness.advance(Duration::from_secs(60));
        }
    }
}

#[test]
fn a_configuration_is_refused_with_the_place_of_its_fault() {
    let refusals = [
        ("sign_request", json!({ "secret": "short" })),
        ("sign_request_component", json!({ "secret": "short" })),
        (
            "sign_request",
            json!({ "secret": "0123456789abcdef", "other": 1 }),
        ),
        ("token_bucket", json!({ "burst": 0, "per_second": 1 })),
        ("ab_split", json!({ "percent": 101, "upstream": "b" })),
        ("external_auth", json!({ "target": "", "path": "/" })),
        ("redact_json", json!({ "members": [] })),
        ("jwt_claims", json!({ "secret": "short", "claims": {} })),
    ];
    for (name, config) in refusals {
        let refusal = harness(name, config.clone()).refusal();
        assert!(refusal.is_some(), "{name} takes {config}");
    }
}

const JWT_SECRET: &str = "0123456789abcdef0123456789abcdef";

fn token(header: &Value, claims: &Value, secret: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(hmac(secret, &signed)))
}

fn with_token(token: &str) -> Passed {
    let config = json!({ "secret": JWT_SECRET, "claims": { "sub": "x-user", "level": "x-level" } });
    let request = Request::get("/")
        .header("authorization", &format!("Bearer {token}"))
        .header("x-user", "root");
    harness("jwt_claims", config).request(request)
}

#[test]
fn claims_of_a_valid_token_go_upstream_and_nothing_that_the_client_claims() {
    let header = json!({ "alg": "HS256" });
    let valid = json!({ "sub": "alice", "level": 3, "exp": START + 60, "nbf": START });
    with_token(&token(&header, &valid, JWT_SECRET))
        .expect_header("x-user", "alice")
        .expect_header("x-level", "3");
    with_token(&token(&header, &json!({}), JWT_SECRET)).expect_no_header("x-user");
}

#[test]
fn a_token_that_is_not_valid_now_is_refused() {
    let (hs256, none) = (json!({ "alg": "HS256" }), json!({ "alg": "none" }));
    let sub = json!({ "sub": "alice" });
    let refused = [
        token(&hs256, &sub, "another secret of 32 bytes, or so"),
        token(&none, &sub, JWT_SECRET),
        token(&hs256, &json!({ "exp": START }), JWT_SECRET),
        token(&hs256, &json!({ "nbf": START + 1 }), JWT_SECRET),
        token(&hs256, &json!({ "exp": "soon" }), JWT_SECRET),
        token(&hs256, &json!([]), JWT_SECRET),
        "a.b".to_owned(),
        String::new(),
    ];
    for token in refused {
        let passed = with_token(&token).expect_status(401);
        assert!(!passed.is_forwarded(), "{token}");
    }
}

fn redacted(chunks: &[&str]) -> String {
    let config = json!({ "members": ["password", "card"], "replacement": "***" });
    let mut response = Response::new(200)
        .header("content-type", "application/json; charset=utf-8")
        .header("content-length", "10");
    for chunk in chunks {
        response = response.body((*chunk).to_owned());
    }
    let passed = harness("redact_json", config).request(Request::get("/").upstream(response));
    let passed = passed
        .expect_status(200)
        .expect_no_response_header("content-length");
    String::from_utf8(passed.body().to_vec()).unwrap()
}

#[test]
fn named_members_are_blanked_wherever_the_body_is_cut() {
    let body = r#"{"a":[{"password": "x\"y}","b":1},"password"],"card":{"n":[1,"}"]},"p\u0061ssword":12 ,"password":null,"c":"card"}"#;
    let expected = r#"{"a":[{"password": "***","b":1},"password"],"card":"***","p\u0061ssword":"***" ,"password":"***","c":"card"}"#;
    assert_eq!(redacted(&[body]), expected);
    for cut in [1, 7, 18, 24, 40, 55, 60, 70, 80] {
        let (head, tail) = body.split_at(cut);
        assert_eq!(redacted(&[head, tail]), expected, "cut at {cut}");
    }
    let single: Vec<String> = body.chars().map(String::from).collect();
    assert_eq!(
        redacted(&single.iter().map(String::as_str).collect::<Vec<_>>()),
        expected
    );
}

#[test]
fn depth_does_not_exhaust_the_small_stack() {
    let deep = format!("{}{{\"password\":1}}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(redacted(&[&deep]).contains(r#"{"password":"***"}"#));
}

#[test]
fn a_body_that_is_no_json_passes_as_it_is() {
    let response = Response::new(200)
        .header("content-type", "text/plain")
        .body(r#"{"password":1}"#);
    harness("redact_json", json!({ "members": ["password"] }))
        .request(Request::get("/").upstream(response))
        .expect_body(r#"{"password":1}"#);
}

#[test]
fn clients_are_split_by_share_and_stay_where_they_are() {
    let mut harness = harness("ab_split", json!({ "percent": 30, "upstream": "canary" }));
    let drawn = (0..1_000).filter(|number| {
        let request = Request::get("/").header("x-request-id", &format!("{number:032x}"));
        let passed = harness.request(request);
        let cookie = passed.response_header("set-cookie").unwrap();
        let variant = passed.header("x-variant").unwrap();
        assert!(cookie.starts_with(&format!("variant={variant}; Path=/; Max-Age=604800")));
        variant == "b"
    });
    let share = drawn.count();
    assert!((250..350).contains(&share), "{share} of 1000");
    for variant in ["a", "b"] {
        let request = Request::get("/").header("cookie", &format!("x=1; variant={variant}"));
        harness
            .request(request)
            .expect_header("x-variant", variant)
            .expect_no_response_header("set-cookie");
    }
}

#[test]
fn a_service_decides_who_passes() {
    let config = json!({ "target": "auth", "path": "/check", "headers": ["x-user"] });
    let mut harness = harness("external_auth", config).callouts(|call| {
        assert_eq!((call.target.as_str(), call.path.as_str()), ("auth", "/check"));
        assert_eq!(call.header("x-original-path"), Some("/orders"));
        match call.header("authorization") {
            Some("alice") => Ok(Response::new(204).header("x-user", "alice")),
            Some("mallory") => Ok(Response::new(403).body("no")),
            Some("slow") => Err(CalloutError::Timeout),
            Some("broken") => Ok(Response::new(500)),
            _ => Ok(Response::new(401).header("www-authenticate", "Basic")),
        }
    });
    let request = |who: &str| {
        Request::get("/orders")
            .header("authorization", who)
            .header("x-user", "root")
    };
    harness
        .request(request("alice"))
        .expect_header("x-user", "alice")
        .expect_status(200);
    harness
        .request(request("mallory"))
        .expect_status(403)
        .expect_body("no");
    harness
        .request(Request::get("/orders"))
        .expect_status(401)
        .expect_response_header("www-authenticate", "Basic");
    for who in ["slow", "broken"] {
        let passed = harness.request(request(who)).expect_status(503);
        assert!(!passed.is_forwarded(), "{who}");
    }
    assert_eq!(harness.calls().len(), 5);
}

#[test]
fn without_a_service_nobody_passes() {
    harness("external_auth", json!({ "target": "auth" }))
        .request(Request::get("/"))
        .expect_status(503);
}

#[test]
fn a_bucket_empties_and_fills_again_for_each_client() {
    let config = json!({ "burst": 3, "per_second": 0.5, "header": "x-client" });
    let mut harness = harness("token_bucket", config);
    let request = |client: &str| Request::get("/").header("x-client", client);
    for _ in 0..3 {
        harness.request(request("a")).expect_status(200);
    }
    harness
        .request(request("a"))
        .expect_status(429)
        .expect_response_header("retry-after", "2");
    harness.request(request("b")).expect_status(200);
    harness.advance(Duration::from_secs(2));
    harness.request(request("a")).expect_status(200);
    harness.request(request("a")).expect_status(429);
    harness.advance(Duration::from_secs(3_600));
    for expected in [200, 200, 200, 429] {
        harness.request(request("a")).expect_status(expected);
    }
}
