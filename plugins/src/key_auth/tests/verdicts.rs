//! Who is admitted, and as whom.

use super::*;
use uuid::Uuid;

#[test]
fn known_key_tells_the_upstream_who_is_calling() {
    let harness = harness(json!({}));
    let access = harness.request("GET", "/?apikey=k1").run();
    assert!(access.passed());
    let alice = Uuid::new_v5(&Uuid::NAMESPACE_OID, b"alice").to_string();
    let credential = Uuid::new_v5(&Uuid::NAMESPACE_URL, b"k1");
    assert_eq!(access.header("x-consumer-id"), [alice]);
    assert_eq!(access.header("x-consumer-username"), ["alice"]);
    assert_eq!(access.header("x-credential-identifier"), [credential.to_string()]);
    assert!(
        access.header("x-anonymous-consumer").is_empty() && access.header("x-consumer-custom-id").is_empty()
    );
    assert_eq!(access.exchange().credential.unwrap().id.0, credential);
    assert_eq!(
        access.exchange().consumer().unwrap().consumer.username.as_deref(),
        Some("alice")
    );
    assert_eq!(
        harness
            .request("GET", "/?apikey=k3")
            .run()
            .header("x-consumer-custom-id"),
        ["c-3"]
    );
}

#[test]
fn missing_key_is_refused_with_a_challenge() {
    assert_eq!(
        refusal(harness(json!({})).request("GET", "/").run()),
        refused(NO_KEY)
    );
}

#[test]
fn realm_is_part_of_every_challenge() {
    let harness = harness(json!({ "realm": "test" }));
    for target in ["/", "/?apikey=nope", "/?apikey=k1&apikey=k1"] {
        assert_eq!(
            refusal(harness.request("GET", target).run()).2,
            ["Key realm=\"test\""],
            "{target}"
        );
    }
}

#[test]
fn unknown_key_is_unauthorized() {
    let harness = harness(json!({}));
    for key in ["nope", "k", "k11", "K1", "%6b1%00"] {
        assert_eq!(
            refusal(harness.request("GET", &format!("/?apikey={key}")).run()),
            refused(UNKNOWN),
            "{key}"
        );
    }
    assert!(
        harness.request("GET", "/?apikey=%6b1").run().passed(),
        "the argument is decoded first"
    );
}

#[test]
fn key_that_is_not_text_is_unknown() {
    let access = harness(json!({})).request("GET", "/?apikey=%ff%fe").run();
    assert_eq!(refusal(access), refused(UNKNOWN));
}

#[test]
fn expired_key_is_unknown_from_its_last_moment_on() {
    let clock = ManualClock::at_millis(9_999);
    let harness = harness(json!({}))
        .expiring_key_credential("alice", "brief", 10.0)
        .clock(&clock);
    assert!(harness.request("GET", "/?apikey=brief").run().passed());
    clock.set_millis(10_000);
    assert_eq!(
        refusal(harness.request("GET", "/?apikey=brief").run()),
        refused(UNKNOWN)
    );
}

#[test]
fn preflight_request_needs_a_key_unless_configured_otherwise() {
    assert_eq!(
        refusal(harness(json!({})).request("OPTIONS", "/").run()),
        refused(NO_KEY)
    );
    let lenient = harness(json!({ "run_on_preflight": false }));
    let access = lenient
        .request("OPTIONS", "/")
        .header("X-Consumer-ID", "mine")
        .run();
    assert!(access.passed());
    assert_eq!(access.header("x-consumer-id"), ["mine"], "nothing is touched");
    assert_eq!(refusal(lenient.request("GET", "/").run()), refused(NO_KEY));
}

#[test]
fn identity_headers_of_the_client_are_replaced_or_removed() {
    let request = harness(json!({}))
        .request("GET", "/?apikey=k1")
        .header("X-Consumer-ID", "spoof")
        .header("X-Consumer-Custom-ID", "spoof")
        .header("X-Consumer-Username", "root")
        .header("X-Credential-Identifier", "spoof")
        .header("X-Anonymous-Consumer", "true");
    let access = request.run();
    assert_eq!(access.header("x-consumer-username"), ["alice"]);
    assert!(
        access.header("x-consumer-custom-id").is_empty() && access.header("x-anonymous-consumer").is_empty()
    );
}

#[test]
fn anonymous_consumer_stands_for_everybody_who_is_not_authenticated() {
    let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, b"anonymous").to_string();
    for anonymous in ["anonymous", id.as_str()] {
        let harness = harness(json!({ "anonymous": anonymous }));
        for target in ["/", "/?apikey=nope", "/?apikey=k1&apikey=k2", "/?apikey="] {
            let access = harness
                .request("GET", target)
                .header("X-Credential-Identifier", "spoof")
                .run();
            assert!(access.passed(), "{target}");
            assert_eq!(access.header("x-anonymous-consumer"), ["true"]);
            assert_eq!(access.header("x-consumer-username"), ["anonymous"]);
            assert!(access.header("x-credential-identifier").is_empty());
            assert_eq!(access.exchange().credential, None);
        }
        let access = harness.request("GET", "/?apikey=k1").run();
        assert_eq!(
            (
                access.header("x-consumer-username"),
                access.header("x-anonymous-consumer")
            ),
            (vec!["alice"], vec![])
        );
    }
}

#[test]
fn anonymous_consumer_that_does_not_exist_is_an_error_of_the_gateway() {
    let id = "b0f4cd10-4b53-4d3a-bd43-98b0f0a3b1b7";
    let access = harness(json!({ "anonymous": id })).request("GET", "/").run();
    let (status, message, challenge) = refusal(access);
    assert_eq!(status, 500);
    assert_eq!(
        message,
        format!("anonymous consumer {id} is configured but doesn't exist")
    );
    assert!(challenge.is_empty());
}

#[test]
fn with_anonymous_an_earlier_credential_is_enough_and_without_it_a_key_is_needed_too() {
    let credential = tidegate_plugin::identity::Credential {
        id: tidegate_model::ids::CredentialId(Uuid::from_u128(5)),
        consumer: None,
    };
    let either = harness(json!({ "anonymous": "anonymous" }));
    let request = either
        .request("GET", "/")
        .consumer("bob")
        .with(|x| x.credential = Some(credential));
    let access = request.run();
    assert!(access.passed());
    assert_eq!(
        access.exchange().credential,
        Some(credential),
        "the earlier identity stays"
    );
    let both = harness(json!({}));
    let request = both
        .request("GET", "/")
        .consumer("bob")
        .with(|x| x.credential = Some(credential));
    assert_eq!(refusal(request.run()), refused(NO_KEY));
}

#[test]
fn earlier_anonymous_fallback_does_not_keep_a_key_from_being_tried() {
    let harness = harness(json!({ "anonymous": "anonymous" }));
    let access = harness.request("GET", "/?apikey=k2").consumer("anonymous").run();
    assert_eq!(access.header("x-consumer-username"), ["bob"]);
}

#[test]
fn key_names_must_be_header_names() {
    let violations = harness(json!({ "key_names": ["hello\\world"] })).violations();
    assert_eq!(violations.len(), 1, "{violations:?}");
    assert!(
        violations[0].starts_with("config.key_names[0]: "),
        "{violations:?}"
    );
}
