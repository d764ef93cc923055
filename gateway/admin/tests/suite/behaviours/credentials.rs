//! Credentials of consumers, and groups.

use super::{id, made, open, refusal};
use crate::gateway::Gateway;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tidegate_admin::{Mode, Options};
use tidegate_store::Clock;

async fn with_consumer() -> Gateway {
    let gateway = open();
    made(&gateway, "/consumers", json!({"username": "c"})).await;
    gateway
}

#[tokio::test]
async fn a_key_is_made_up_and_unique() {
    let gateway = with_consumer().await;
    let credential = made(&gateway, "/consumers/c/key-auth", json!({})).await;
    let key = credential["key"].as_str().unwrap();
    assert_eq!(key.len(), 32);
    let seen = gateway
        .json("POST", "/consumers/c/key-auth", &json!({"key": key}))
        .await;
    assert_eq!(
        refusal(&seen, 409),
        format!("UNIQUE violation detected on '{{key=\"{key}\"}}'")
    );
    assert_eq!(gateway.get("/key-auths").await.json()["data"][0]["key"], key);
    assert_eq!(
        gateway.get(&format!("/key-auths/{key}/consumer")).await.json()["username"],
        "c"
    );
    let patched = gateway
        .json("PATCH", &format!("/key-auths/{key}"), &json!({"tags": ["a"]}))
        .await
        .json();
    assert_eq!(
        patched["key"], key,
        "a change of something else makes up no new one"
    );
}

#[tokio::test]
async fn passwords_are_stored_hashed_once() {
    let gateway = with_consumer().await;
    let path = "/consumers/c/basic-auth";
    let first = made(&gateway, path, json!({"username": "u", "password": "p"})).await;
    let hash = first["password"].as_str().unwrap();
    assert_eq!(hash.len(), 40);
    let patched = gateway
        .json("PATCH", &format!("{path}/u"), &json!({"tags": ["a"]}))
        .await
        .json();
    assert_eq!(patched["password"], hash, "not hashed again");
    let again = gateway
        .json("PATCH", &format!("{path}/u"), &json!({"password": "p"}))
        .await
        .json();
    assert_eq!(again["password"], hash);
    let raw = made(
        &gateway,
        &format!("{path}?skip_hash=true"),
        json!({"username": "v", "password": hash}),
    )
    .await;
    assert_eq!(raw["password"], hash, "taken as it is");
}

#[tokio::test]
async fn a_credential_with_a_time_to_live_is_shown_with_what_is_left_and_goes() {
    let now = Arc::new(AtomicU64::new(0));
    let clock = Arc::clone(&now);
    let gateway = Gateway::over(
        Options::new(Mode::Database),
        Clock::new(move || clock.load(Relaxed)),
    );
    made(&gateway, "/consumers", json!({"username": "c"})).await;
    let made_key = made(&gateway, "/consumers/c/key-auth", json!({"key": "k", "ttl": 100})).await;
    let left = made_key["ttl"].as_u64().unwrap();
    assert!((98..=100).contains(&left), "{left}");
    let created = made_key["created_at"].as_u64().unwrap();
    now.store((created + 99) * 1_000, Relaxed);
    assert_eq!(gateway.get("/key-auths/k").await.status, 200);
    now.store((created + 101) * 1_000, Relaxed);
    assert_eq!(gateway.get("/key-auths/k").await.status, 404);
    for ttl in [json!(-1), json!(100_000_001), json!(1.5), json!("x")] {
        let seen = gateway
            .json("POST", "/consumers/c/key-auth", &json!({"ttl": ttl}))
            .await;
        assert!(refusal(&seen, 400).starts_with("invalid option (ttl: "), "{ttl}");
    }
    assert_eq!(
        made(&gateway, "/consumers/c/key-auth", json!({"ttl": 0})).await["ttl"],
        json!(null)
    );
}

#[tokio::test]
async fn memberships_are_kept_from_both_sides() {
    let gateway = with_consumer().await;
    let group = made(&gateway, "/consumer_groups", json!({"name": "g"})).await;
    let added = made(&gateway, "/consumer_groups/g/consumers", json!({"consumer": "c"})).await;
    assert_eq!(added["consumer_group"]["name"], "g");
    assert_eq!(added["consumers"][0]["username"], "c");
    let shown = gateway
        .get(&format!("/consumer_groups/{}", id(&group)))
        .await
        .json();
    assert_eq!(shown["consumer_group"], group);
    assert_eq!(shown["consumers"][0]["username"], "c");
    let bare = gateway
        .get("/consumer_groups/g?list_consumers=false")
        .await
        .json();
    assert_eq!(bare["consumers"], json!([]));
    let of_consumer = gateway.get("/consumers/c/consumer_groups").await.json();
    assert_eq!(
        (&of_consumer["data"], &of_consumer["consumer_groups"]),
        (&json!([group]), &json!([group]))
    );
    assert_eq!(gateway.get("/consumer_groups/g/consumers/c").await.status, 200);
    assert_eq!(
        gateway
            .send("DELETE", "/consumer_groups/g/consumers/c", &[], b"")
            .await
            .status,
        204
    );
    assert_eq!(
        gateway
            .send("DELETE", "/consumer_groups/g/consumers/c", &[], b"")
            .await
            .status,
        204
    );
    assert_eq!(gateway.get("/consumer_groups/g/consumers/c").await.status, 404);
    made(&gateway, "/consumers/c/consumer_groups", json!({"group": "g"})).await;
    assert_eq!(
        gateway.get("/consumer_groups/g/consumers").await.json()["data"][0]["username"],
        "c"
    );
    assert_eq!(
        gateway
            .send("DELETE", "/consumers/c/consumer_groups", &[], b"")
            .await
            .status,
        204
    );
    assert_eq!(
        gateway.get("/consumer_groups/g/consumers").await.json()["data"],
        json!([])
    );
    let seen = gateway
        .json("POST", "/consumer_groups/g/consumers", &json!({"consumer": "x"}))
        .await;
    assert_eq!(seen.status, 404);
    assert_eq!(
        gateway
            .json("POST", "/consumer_groups/g/consumers", &json!({}))
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn a_jwt_of_an_algorithm_with_keys_needs_one() {
    let gateway = with_consumer().await;
    let made = made(&gateway, "/consumers/c/jwt", json!({})).await;
    assert!(made["key"].as_str().unwrap().len() == 32 && made["secret"].as_str().unwrap().len() == 32);
    let seen = gateway
        .json("POST", "/consumers/c/jwt", &json!({"algorithm": "RS256"}))
        .await;
    assert!(refusal(&seen, 400).contains("rsa_public_key: required field missing"));
}
