use super::Acl;
use serde_json::{Value, json};
use tidegate_model::ids::{ConsumerId, CredentialId};
use tidegate_plugin::identity::Credential;
use tidegate_plugin::testing::{Access, Harness, TestRequest};
use tidegate_plugin::{Kind, kind::ScopeRules};
use uuid::Uuid;

fn harness(config: Value) -> Harness {
    Harness::new(Acl)
        .config(config)
        .consumer("nobody")
        .acl("admin", "admin")
        .acl("both", "a")
        .acl("both", "admin")
        .acl("user", "user")
        .acl("mixed", "good")
        .acl("mixed", "bad")
}

fn credential() -> Credential {
    Credential {
        id: CredentialId(Uuid::from_u128(1)),
        consumer: None,
    }
}

/// A request of a consumer who showed a credential.
fn known(harness: &Harness, consumer: &str) -> TestRequest {
    harness
        .request("GET", "/")
        .consumer(consumer)
        .with(|x| x.credential = Some(credential()))
}

/// A request that fell back to a consumer without a credential.
fn anonymous(harness: &Harness, consumer: &str) -> TestRequest {
    harness.request("GET", "/").consumer(consumer)
}

fn with_groups(request: TestRequest, groups: &[&str]) -> TestRequest {
    let groups = groups.iter().map(|group| (*group).to_owned()).collect();
    request.with(|x| x.authenticated_groups = Some(groups))
}

fn refusal(access: Access) -> (u16, String) {
    let finished = access.finish();
    assert!(
        finished.header("www-authenticate").is_empty(),
        "acl challenges nobody"
    );
    (
        finished.status(),
        finished.json()["message"].as_str().unwrap().to_owned(),
    )
}

fn unauthorized() -> (u16, String) {
    (401, "Unauthorized".to_owned())
}

fn forbidden() -> (u16, String) {
    (403, "You cannot consume this service".to_owned())
}

#[test]
fn without_an_auth_plugin_nobody_is_known() {
    for config in [json!({ "allow": ["admin"] }), json!({ "deny": ["bad"] })] {
        assert_eq!(refusal(harness(config).request("GET", "/").run()), unauthorized());
    }
}

#[test]
fn member_of_an_allowed_group_passes_and_the_upstream_is_told_all_groups_in_order() {
    let harness = harness(json!({ "allow": ["admin"] }));
    assert_eq!(
        known(&harness, "admin").run().header("x-consumer-groups"),
        ["admin"]
    );
    assert_eq!(
        known(&harness, "both").run().header("x-consumer-groups"),
        ["a, admin"]
    );
}

#[test]
fn consumer_outside_of_the_allowed_groups_is_forbidden() {
    let harness = harness(json!({ "allow": ["admin", "Admin2"] }));
    assert_eq!(refusal(known(&harness, "user").run()), forbidden());
    assert_eq!(refusal(known(&harness, "nobody").run()), forbidden());
}

#[test]
fn groups_are_compared_exactly() {
    assert_eq!(
        refusal(known(&harness(json!({ "allow": ["Admin"] })), "admin").run()),
        forbidden()
    );
}

#[test]
fn anonymous_consumer_without_groups_is_unauthorized_and_with_an_allowed_group_passes() {
    let harness = harness(json!({ "allow": ["admin"] }));
    assert_eq!(refusal(anonymous(&harness, "nobody").run()), unauthorized());
    assert!(anonymous(&harness, "admin").run().passed());
    assert_eq!(refusal(anonymous(&harness, "user").run()), forbidden());
}

#[test]
fn deny_list_blocks_its_members_only() {
    let harness = harness(json!({ "deny": ["bad"] }));
    let nobody = known(&harness, "nobody").run();
    assert!(nobody.passed());
    assert_eq!(
        nobody.header("x-consumer-groups"),
        [""],
        "no groups are told as an empty header"
    );
    assert!(known(&harness, "admin").run().passed());
    assert_eq!(refusal(known(&harness, "mixed").run()), forbidden());
}

#[test]
fn hidden_groups_are_not_told() {
    let harness = harness(json!({ "allow": ["admin"], "hide_groups_header": true }));
    assert!(
        known(&harness, "admin")
            .run()
            .header("x-consumer-groups")
            .is_empty()
    );
}

#[test]
fn group_headers_of_the_client_never_reach_the_upstream() {
    for hides in [true, false] {
        let harness = harness(json!({ "allow": ["admin"], "hide_groups_header": hides }));
        let request = known(&harness, "admin")
            .header("X-Consumer-Groups", "root")
            .header("X-Authenticated-Groups", "root");
        let access = request.run();
        let told: &[&str] = if hides { &[] } else { &["admin"] };
        assert_eq!(access.header("x-consumer-groups"), told);
        assert!(access.header("x-authenticated-groups").is_empty());
    }
}

#[test]
fn groups_of_another_auth_plugin_decide_when_there_is_no_consumer() {
    let harness = harness(json!({ "allow": ["admin"] }));
    let access = with_groups(harness.request("GET", "/"), &["x", "admin"]).run();
    assert!(access.passed());
    assert_eq!(access.header("x-authenticated-groups"), ["x, admin"]);
    assert!(access.header("x-consumer-groups").is_empty());
    assert_eq!(
        refusal(with_groups(harness.request("GET", "/"), &["x"]).run()),
        forbidden()
    );
}

#[test]
fn groups_of_a_consumer_with_a_credential_win_unless_the_others_are_preferred() {
    let usual = harness(json!({ "allow": ["admin"] }));
    assert_eq!(
        refusal(with_groups(known(&usual, "user"), &["admin"]).run()),
        forbidden()
    );
    assert!(with_groups(known(&usual, "admin"), &["user"]).run().passed());
    let preferring = harness(json!({ "allow": ["admin"], "always_use_authenticated_groups": true }));
    assert!(with_groups(known(&preferring, "user"), &["admin"]).run().passed());
    assert_eq!(
        refusal(with_groups(known(&preferring, "admin"), &["user"]).run()),
        forbidden()
    );
    assert!(
        known(&preferring, "admin").run().passed(),
        "without such groups the consumer's own decide"
    );
}

#[test]
fn groups_of_another_auth_plugin_win_over_those_of_an_anonymous_consumer() {
    let harness = harness(json!({ "allow": ["admin"] }));
    assert!(
        with_groups(anonymous(&harness, "user"), &["admin"])
            .run()
            .passed()
    );
    assert_eq!(
        refusal(with_groups(anonymous(&harness, "admin"), &["user"]).run()),
        forbidden()
    );
}

#[test]
fn credential_without_consumer_and_groups_is_forbidden() {
    let harness = harness(json!({ "allow": ["admin"] }));
    let request = harness
        .request("GET", "/")
        .with(|x| x.credential = Some(credential()));
    assert_eq!(refusal(request.run()), forbidden());
}

#[test]
fn owner_of_the_credential_counts_when_no_consumer_was_set() {
    let harness = harness(json!({ "allow": ["admin"] }));
    let owner = ConsumerId(Uuid::new_v5(&Uuid::NAMESPACE_OID, b"admin"));
    let request = harness.request("GET", "/").with(|x| {
        x.credential = Some(Credential {
            consumer: Some(owner),
            ..credential()
        })
    });
    assert_eq!(request.run().header("x-consumer-groups"), ["admin"]);
}

#[test]
fn exactly_one_of_the_lists_must_be_given() {
    let exactly = "exactly one of these fields must be non-empty: 'config.allow', 'config.deny'";
    let at_least = "at least one of these fields must be non-empty: 'config.allow', 'config.deny'";
    let violations = harness(json!({ "allow": ["a"], "deny": ["b"] })).violations();
    assert_eq!(violations.len(), 1);
    assert!(violations[0].ends_with(exactly));
    let violations = harness(json!({})).violations();
    assert!(
        violations[0].ends_with(exactly) && violations[1].ends_with(at_least),
        "{violations:?}"
    );
    assert_eq!(
        harness(json!({ "deny": ["b"] })).violations(),
        Vec::<String>::new()
    );
}

#[test]
fn runs_between_authentication_and_rate_limits_and_not_on_consumers() {
    assert!((911..1_030).contains(&Acl.priority()));
    assert_eq!(Acl.scopes(), ScopeRules::NO_CONSUMER);
}
