use super::IpRestriction;
use serde_json::{Value, json};
use tidegate_plugin::Kind;
use tidegate_plugin::testing::Harness;

/// Status for a client at an address, 200 when it passes.
fn status(config: Value, address: &str) -> u16 {
    let access = Harness::new(IpRestriction)
        .config(config)
        .request("GET", "/")
        .client_address(address)
        .run();
    if access.passed() {
        200
    } else {
        access.finish().status()
    }
}

#[test]
fn lists_decide_by_address_and_range_and_deny_beats_allow() {
    for (config, address, wanted) in [
        (json!({ "deny": ["127.0.0.1"] }), "127.0.0.1", 403),
        (json!({ "deny": ["127.0.0.2"] }), "127.0.0.1", 200),
        (json!({ "deny": ["127.0.0.0/24"] }), "127.0.0.1", 403),
        (
            json!({ "allow": ["127.0.0.0/24"], "deny": ["127.0.0.1"] }),
            "127.0.0.1",
            403,
        ),
        (
            json!({ "allow": ["127.0.0.0/24"], "deny": ["127.0.0.1"] }),
            "127.0.0.2",
            200,
        ),
        (json!({ "allow": ["127.0.0.2"] }), "127.0.0.1", 403),
        (json!({ "allow": ["127.0.0.1"] }), "127.0.0.1", 200),
        (json!({ "allow": ["0.0.0.0/0"] }), "203.0.113.1", 200),
        (json!({ "deny": ["0.0.0.0/0"] }), "203.0.113.1", 403),
        (json!({ "allow": ["::/0"] }), "2001:db8::1", 200),
        (json!({ "deny": ["::/0"] }), "2001:db8::1", 403),
        (json!({ "deny": ["::1"] }), "::1", 403),
        (json!({ "deny": ["2001:db8::/32"] }), "2001:db9::1", 200),
        (json!({ "deny": ["10.0.0.1/8"] }), "10.200.0.1", 403),
        (json!({ "deny": ["192.0.2.1"] }), "::ffff:192.0.2.1", 403),
    ] {
        assert_eq!(status(config.clone(), address), wanted, "{config} for {address}");
    }
}

#[test]
fn refusal_names_the_address() {
    let harness = Harness::new(IpRestriction).config(json!({ "deny": ["127.0.0.1"] }));
    let finished = harness.request("GET", "/").run().finish();
    assert_eq!(
        (finished.status(), finished.json()["message"].as_str()),
        (403, Some("IP address not allowed: 127.0.0.1"))
    );
}

#[test]
fn status_and_message_are_as_configured() {
    let config = json!({ "deny": ["127.0.0.1"], "status": 401, "message": "no" });
    let finished = Harness::new(IpRestriction)
        .config(config)
        .request("GET", "/")
        .run()
        .finish();
    assert_eq!(
        (finished.status(), finished.json()["message"].as_str()),
        (401, Some("no"))
    );
}

#[test]
fn client_without_an_address_is_refused() {
    let harness = Harness::new(IpRestriction).config(json!({ "allow": ["0.0.0.0/0", "::/0"] }));
    let finished = harness
        .request("GET", "/")
        .with(|x| x.client.address = None)
        .run()
        .finish();
    let message = "Cannot identify the client IP address, unix domain sockets are not supported.";
    assert_eq!(
        (finished.status(), finished.json()["message"].as_str()),
        (403, Some(message))
    );
}

#[test]
fn client_is_the_one_behind_trusted_proxies() {
    let harness = Harness::new(IpRestriction).config(json!({ "deny": ["127.0.0.3"] }));
    let peer = "127.0.0.1".parse().unwrap();
    let request = harness
        .request("GET", "/")
        .client_address("127.0.0.3")
        .with(|x| x.client.peer_address = Some(peer));
    assert_eq!(request.run().finish().status(), 403);
    let untrusted = harness.request("GET", "/").header("X-Forwarded-For", "127.0.0.3");
    assert!(
        untrusted.run().passed(),
        "headers alone say nothing: the gateway decides whom to trust"
    );
}

#[test]
fn lists_are_checked_when_they_are_written() {
    let violations = |config| Harness::new(IpRestriction).config(config).violations();
    let one_of = "at least one of these fields must be non-empty: 'config.allow', 'config.deny'";
    for config in [json!({}), json!({ "allow": [], "deny": [] })] {
        assert!(violations(config)[0].ends_with(one_of));
    }
    for bad in ["127.0.0.1/33", "x", "::1/200"] {
        let found = violations(json!({ "allow": [bad] }));
        assert_eq!(found.len(), 1, "{bad}");
        assert!(
            found[0].contains(&format!("invalid ip or cidr range: '{bad}'")),
            "{found:?}"
        );
    }
    assert!(violations(json!({ "deny": ["::1"], "status": 200 }))[0].contains("between 400 and 599"));
}

#[test]
fn stream_protocols_are_accepted_and_grpc_to_tls_are_the_default() {
    assert!(IpRestriction.protocols().contains(&"udp"));
    assert_eq!(
        IpRestriction.default_protocols(),
        ["http", "https", "tcp", "tls", "grpc", "grpcs"]
    );
}
