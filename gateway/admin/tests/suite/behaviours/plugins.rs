//! Plugins: names, configurations, scopes; keys, vaults and filters beside them.

use super::{made, open, refusal};
use serde_json::json;

#[tokio::test]
async fn a_plugin_that_is_not_there_is_named() {
    let seen = open().json("POST", "/plugins", &json!({"name": "nope"})).await;
    let text = "plugin 'nope' not enabled; add it to the 'plugins' configuration property";
    assert_eq!(refusal(&seen, 400), format!("schema violation (name: {text})"));
    assert_eq!(seen.json()["fields"], json!({"name": text}));
}

#[tokio::test]
async fn part_of_a_configuration_changes_alone() {
    let gateway = open();
    made(&gateway, "/plugins", json!({"name": "rate-limiting", "instance_name": "p", "config": {"minute": 5, "redis_host": "old.test"}})).await;
    let patched = gateway
        .json("PATCH", "/plugins/p", &json!({"config": {"hour": 9}}))
        .await
        .json();
    assert_eq!(
        (&patched["config"]["minute"], &patched["config"]["hour"]),
        (&json!(5), &json!(9))
    );
    let patched = gateway
        .json(
            "PATCH",
            "/plugins/p",
            &json!({"config": {"redis": {"host": "new.test"}}}),
        )
        .await
        .json();
    let config = &patched["config"];
    assert_eq!(
        (&config["redis"]["host"], &config["redis_host"]),
        (&json!("new.test"), &json!("new.test"))
    );
    let patched = gateway
        .json(
            "PATCH",
            "/plugins/p",
            &json!({"config": {"redis_host": "third.test"}}),
        )
        .await
        .json();
    assert_eq!(
        patched["config"]["redis"]["host"], "third.test",
        "the old name still changes it"
    );
    let seen = gateway
        .json("PATCH", "/plugins/p", &json!({"config": {"nope": 1}}))
        .await;
    assert_eq!(
        refusal(&seen, 400),
        "schema violation (config.nope: unknown field)"
    );
    let seen = gateway
        .json(
            "PATCH",
            "/plugins/p",
            &json!({"config": {"minute": null, "hour": null}}),
        )
        .await;
    assert!(
        refusal(&seen, 400)
            .contains("when updating, at least one of these fields must be non-empty: 'config.second'")
    );
}

#[tokio::test]
async fn a_form_that_changes_a_plugin_is_typed_by_the_plugin_that_is_there() {
    let gateway = open();
    let body = json!({"name": "rate-limiting", "instance_name": "p", "config": {"minute": 5}});
    made(&gateway, "/plugins", body).await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let seen = gateway
        .send("PATCH", "/plugins/p", &form, b"config.minute=7&enabled=false")
        .await;
    assert_eq!(seen.status, 200, "{}", seen.body);
    assert_eq!(seen.json()["config"]["minute"], 7);
}

#[tokio::test]
async fn a_scope_holds_a_plugin_once() {
    let gateway = open();
    made(&gateway, "/services", json!({"name": "s", "host": "h"})).await;
    made(&gateway, "/consumer_groups", json!({"name": "g"})).await;
    for body in [
        json!({"name": "cors"}),
        json!({"name": "cors", "service": {"name": "s"}}),
    ] {
        made(&gateway, "/plugins", body.clone()).await;
        assert_eq!(
            gateway.json("POST", "/plugins", &body).await.status,
            409,
            "{body}"
        );
    }
    let grouped = json!({"name": "rate-limiting", "config": {"minute": 1}, "consumer_group": {"name": "g"}});
    made(&gateway, "/plugins", grouped.clone()).await;
    let seen = gateway.json("POST", "/plugins", &grouped).await;
    assert!(
        refusal(&seen, 409).contains("consumer_group={id="),
        "a group that is set is named"
    );
}

#[tokio::test]
async fn protocols_must_meet_those_of_the_route() {
    let gateway = open();
    made(&gateway, "/services", json!({"name": "s", "host": "h"})).await;
    made(
        &gateway,
        "/services/s/routes",
        json!({"name": "r", "paths": ["/"], "protocols": ["http"]}),
    )
    .await;
    let plugin = |protocol| json!({"name": "cors", "protocols": [protocol]});
    let seen = gateway.json("POST", "/routes/r/plugins", &plugin("grpc")).await;
    assert_eq!(
        refusal(&seen, 400),
        "schema violation (protocols: must match the associated route's protocols)"
    );
    let seen = gateway.json("POST", "/services/s/plugins", &plugin("grpc")).await;
    assert!(refusal(&seen, 400).contains("must match the protocols of at least one route pointing to"));
    let seen = gateway.json("POST", "/plugins", &plugin("tcp")).await;
    assert_eq!(
        refusal(&seen, 400),
        "schema violation (protocols.1: expected one of: grpc, grpcs, http, https)"
    );
    made(&gateway, "/routes/r/plugins", plugin("http")).await;
}

#[tokio::test]
async fn configurations_can_be_tried_out() {
    let gateway = open();
    let good =
        json!({"name": "cors", "service": {"id": "00000000-0000-4000-8000-000000000001", "name": "later"}});
    let seen = gateway.json("POST", "/schemas/plugins/validate", &good).await;
    assert_eq!(refusal(&seen, 200), "schema validation successful");
    let bad = json!({"name": "cors", "config": {"max_age": "x"}});
    let seen = gateway.json("POST", "/schemas/plugins/validate", &bad).await;
    assert_eq!(
        refusal(&seen, 400),
        "schema violation (config.max_age: expected a number)"
    );
    for (path, body, status) in [
        (
            "/schemas/routes/validate",
            json!({"paths": ["/"], "service": {"name": "later"}}),
            400,
        ),
        ("/schemas/routes/validate", json!({}), 400),
        (
            "/schemas/keyauth_credentials/validate",
            json!({"consumer": {"id": "00000000-0000-4000-8000-000000000001", "username": "later"}}),
            200,
        ),
        (
            "/schemas/vaults/validate",
            json!({"name": "env", "prefix": "my-env"}),
            200,
        ),
        (
            "/schemas/vaults/validate",
            json!({"name": "aws", "prefix": "x1"}),
            400,
        ),
        ("/schemas/nope/validate", json!({}), 404),
    ] {
        assert_eq!(
            gateway.json("POST", path, &body).await.status,
            status,
            "{path} {body}"
        );
    }
    assert_eq!(
        gateway.get("/plugins").await.json()["data"],
        json!([]),
        "nothing was written"
    );
}

#[tokio::test]
async fn tables_can_be_read() {
    let gateway = open();
    let table = gateway.get("/schemas/plugins/key-auth").await.json();
    assert_eq!(table["fields"][0]["consumer"]["eq"], json!(null));
    let config = table["fields"]
        .as_array()
        .unwrap()
        .iter()
        .find_map(|field| field.get("config"))
        .unwrap();
    assert_eq!(config["fields"][0]["key_names"]["default"], json!(["apikey"]));
    assert_eq!(gateway.get("/plugins/schema/key-auth").await.json(), table);
    assert_eq!(
        refusal(&gateway.get("/schemas/nope").await, 404),
        "No entity named 'nope'"
    );
    assert_eq!(
        refusal(&gateway.get("/schemas/plugins/nope").await, 404),
        "No plugin named 'nope'"
    );
    assert_eq!(
        refusal(&gateway.get("/schemas/vaults/nope").await, 404),
        "No vault named 'nope'"
    );
    assert_eq!(
        refusal(&gateway.get("/schemas/filters/nope").await, 404),
        "Filter 'nope' not found"
    );
    assert_eq!(gateway.get("/schemas/vaults/env").await.status, 200);
    let enabled = gateway.get("/plugins/enabled").await.json();
    assert!(
        enabled["enabled_plugins"]
            .as_array()
            .unwrap()
            .contains(&json!("cors"))
    );
}

#[tokio::test]
async fn keys_belong_to_sets_and_vaults_have_prefixes_of_their_own() {
    let gateway = open();
    made(&gateway, "/key-sets", json!({"name": "s"})).await;
    let key = json!({"kid": "1", "name": "k", "jwk": "{\"kid\": \"1\", \"kty\": \"oct\"}"});
    made(&gateway, "/key-sets/s/keys", key.clone()).await;
    let mut other = key.clone();
    other["name"] = json!("other");
    assert_eq!(
        gateway.json("POST", "/key-sets/s/keys", &other).await.status,
        409,
        "same kid, same set"
    );
    other["kid"] = json!("2");
    let seen = gateway.json("POST", "/keys", &other).await;
    assert!(refusal(&seen, 400).contains("kid in jwk.kid must be equal to keys.kid"));
    assert_eq!(gateway.get("/keys/k/set").await.json()["name"], "s");
    let seen = gateway.get("/vaults/env").await;
    assert_eq!(refusal(&seen, 400), "must not be one of: env");
    made(
        &gateway,
        "/vaults",
        json!({"name": "env", "prefix": "my-env", "config": {"prefix": "APP_"}}),
    )
    .await;
    assert_eq!(gateway.get("/vaults/my-env").await.status, 200);
}

#[tokio::test]
async fn filters_need_wasm() {
    let gateway = open();
    for path in [
        "/filter-chains",
        "/filter-chains/x",
        "/services/x/filter-chains",
        "/routes/x/filters/all",
    ] {
        let seen = gateway.get(path).await;
        assert_eq!(
            refusal(&seen, 400),
            "this endpoint is only available when wasm is enabled",
            "{path}"
        );
    }
}
