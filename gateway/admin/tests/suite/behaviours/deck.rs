//! The requests that decK makes in a sync, in its order (control-plane A.7).

use super::open;
use crate::gateway::Gateway;
use serde_json::{Value, json};

const IDS: [&str; 8] = [
    "00000000-0000-4000-8000-0000000000a1",
    "00000000-0000-4000-8000-0000000000a2",
    "00000000-0000-4000-8000-0000000000a3",
    "00000000-0000-4000-8000-0000000000a4",
    "00000000-0000-4000-8000-0000000000a5",
    "00000000-0000-4000-8000-0000000000a6",
    "00000000-0000-4000-8000-0000000000a7",
    "00000000-0000-4000-8000-0000000000a8",
];

/// PUTs an entity; what comes back must be what a GET shows.
async fn put(gateway: &Gateway, path: &str, body: Value) -> Value {
    let seen = gateway.json("PUT", path, &body).await;
    assert_eq!(seen.status, 200, "{path}: {}", seen.body);
    let shown = gateway.get(path).await.json();
    if shown.get("consumer_group").is_none() {
        assert_eq!(shown, seen.json(), "{path}");
    }
    seen.json()
}

#[tokio::test]
async fn lists_that_deck_must_have_are_there_and_others_are_absent_in_json() {
    let gateway = open();
    for path in [
        "/services",
        "/routes",
        "/plugins",
        "/certificates",
        "/ca_certificates",
        "/snis",
        "/upstreams",
        "/vaults",
        "/keys",
        "/key-sets",
        "/consumers",
        "/key-auths",
        "/basic-auths",
        "/hmac-auths",
        "/jwts",
        "/acls",
        "/oauth2",
        "/consumer_groups",
    ] {
        let page = gateway.get(&format!("{path}?size=1000&tags=managed")).await;
        assert_eq!(page.json(), json!({"data": [], "next": null}), "{path}");
    }
    for path in [
        "/partials",
        "/mtls-auths",
        "/licenses",
        "/workspaces/default",
        "/default/workspaces",
        "/degraphql_routes",
    ] {
        let absent = gateway.get(path).await;
        assert_eq!(
            (absent.status, absent.json()),
            (404, json!({"message": "Not found"})),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_sync_creates_updates_and_deletes() {
    let gateway = open();
    let tags = json!(["managed"]);
    put(
        &gateway,
        &format!("/consumers/{}", IDS[0]),
        json!({"username": "alice", "tags": tags}),
    )
    .await;
    put(
        &gateway,
        &format!("/consumer_groups/{}", IDS[1]),
        json!({"name": "gold", "tags": tags}),
    )
    .await;
    put(
        &gateway,
        &format!("/services/{}", IDS[2]),
        json!({"name": "s", "host": "up", "tags": tags}),
    )
    .await;
    put(
        &gateway,
        &format!("/upstreams/{}", IDS[3]),
        json!({"name": "up", "tags": tags}),
    )
    .await;
    put(
        &gateway,
        &format!("/consumers/{}/key-auth/{}", IDS[0], IDS[4]),
        json!({"key": "k", "tags": tags}),
    )
    .await;
    let route = json!({"name": "r", "paths": ["/"], "service": {"id": IDS[2]}, "tags": tags});
    put(&gateway, &format!("/routes/{}", IDS[5]), route.clone()).await;
    put(
        &gateway,
        &format!("/upstreams/{}/targets/{}", IDS[3], IDS[6]),
        json!({"target": "127.0.0.1:80"}),
    )
    .await;
    let member = gateway
        .json(
            "POST",
            &format!("/consumer_groups/{}/consumers", IDS[1]),
            &json!({"consumer": IDS[0]}),
        )
        .await;
    assert_eq!(member.status, 201);
    let plugin =
        json!({"name": "rate-limiting", "service": {"id": IDS[2]}, "config": {"minute": 1}, "tags": tags});
    put(&gateway, &format!("/plugins/{}", IDS[7]), plugin).await;

    let mut changed = put(&gateway, &format!("/routes/{}", IDS[5]), route).await;
    changed["paths"] = json!(["/v2"]);
    let created = changed["created_at"].clone();
    let again = put(&gateway, &format!("/routes/{}", IDS[5]), changed).await;
    assert_eq!(
        (&again["paths"], &again["created_at"]),
        (&json!(["/v2"]), &created)
    );

    let taken = gateway
        .json(
            "PUT",
            "/services/00000000-0000-4000-8000-0000000000ff",
            &json!({"name": "s", "host": "h"}),
        )
        .await;
    assert_eq!(
        taken.status, 409,
        "a name that exists elsewhere is never overwritten"
    );

    for path in [
        format!("/plugins/{}", IDS[7]),
        format!("/routes/{}", IDS[5]),
        format!("/upstreams/{}/targets/{}", IDS[3], IDS[6]),
        format!("/consumer_groups/{}/consumers/{}", IDS[1], IDS[0]),
        format!("/consumers/{}/key-auth/{}", IDS[0], IDS[4]),
        format!("/services/{}", IDS[2]),
        format!("/upstreams/{}", IDS[3]),
        format!("/consumer_groups/{}", IDS[1]),
        format!("/consumers/{}", IDS[0]),
    ] {
        assert_eq!(
            gateway.send("DELETE", &path, &[], b"").await.status,
            204,
            "{path}"
        );
    }
    assert!(gateway.store.catalog().is_empty());
}

#[tokio::test]
async fn credentials_of_a_deleted_consumer_may_be_deleted_too() {
    let gateway = open();
    put(
        &gateway,
        &format!("/consumers/{}", IDS[0]),
        json!({"username": "alice"}),
    )
    .await;
    let path = format!("/consumers/{}/key-auth/{}", IDS[0], IDS[4]);
    put(&gateway, &path, json!({"key": "k"})).await;
    assert_eq!(gateway.send("DELETE", &path, &[], b"").await.status, 204);
    assert_eq!(gateway.send("DELETE", &path, &[], b"").await.status, 204);
}
