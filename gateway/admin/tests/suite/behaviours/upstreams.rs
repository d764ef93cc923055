//! Upstreams, targets and their health.

use super::{id, made, open, refusal};
use crate::gateway::Gateway;
use serde_json::json;

async fn with_targets() -> Gateway {
    let gateway = open();
    made(&gateway, "/upstreams", json!({"name": "u"})).await;
    for (number, target) in ["a.test:1", "b.test:2", "c.test"].into_iter().enumerate() {
        let body = json!({"target": target, "created_at": 1_000.5 + number as f64});
        made(&gateway, "/upstreams/u/targets", body).await;
    }
    gateway
}

#[tokio::test]
async fn targets_are_listed_newest_first_and_in_pages() {
    let gateway = with_targets().await;
    let names = |path| {
        let gateway = &gateway;
        async move {
            let page = gateway.get(path).await.json();
            let rows = page["data"].as_array().unwrap().clone();
            let names: Vec<_> = rows
                .iter()
                .map(|row| row["target"].as_str().unwrap().to_owned())
                .collect();
            (names, page["next"].as_str().map(str::to_owned))
        }
    };
    assert_eq!(
        names("/upstreams/u/targets").await.0,
        ["c.test:8000", "b.test:2", "a.test:1"]
    );
    let (first, next) = names("/upstreams/u/targets?size=2").await;
    assert_eq!(first, ["c.test:8000", "b.test:2"]);
    let next = next.unwrap();
    assert_eq!(names(&next).await, (vec!["a.test:1".to_owned()], None));
    assert_eq!(names("/upstreams/u/targets/all").await.0.len(), 3);
}

#[tokio::test]
async fn a_target_is_known_by_id_and_by_host_and_port() {
    let gateway = with_targets().await;
    let target = gateway.get("/upstreams/u/targets/c.test").await.json();
    for name in ["c.test:8000", id(&target)] {
        assert_eq!(
            gateway.get(&format!("/upstreams/u/targets/{name}")).await.json(),
            target
        );
    }
    assert!(target["created_at"].is_f64(), "milliseconds count");
    for method in ["GET", "PATCH", "PUT", "DELETE"] {
        let seen = gateway
            .json(method, "/upstreams/u/targets/z.test:9", &json!({"weight": 1}))
            .await;
        assert_eq!(seen.status, 404, "{method}");
    }
    let kept = gateway
        .json("PUT", "/upstreams/u/targets/a.test:1", &json!({"weight": 7}))
        .await
        .json();
    assert_eq!(
        (&kept["weight"], &kept["target"]),
        (&json!(7), &json!("a.test:1"))
    );
    made(&gateway, "/upstreams", json!({"name": "other"})).await;
    assert_eq!(
        gateway
            .get(&format!("/upstreams/other/targets/{}", id(&target)))
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn a_target_stands_once_in_its_upstream() {
    let gateway = with_targets().await;
    let seen = gateway
        .json("POST", "/upstreams/u/targets", &json!({"target": "c.test:8000"}))
        .await;
    assert!(
        refusal(&seen, 409)
            .starts_with("UNIQUE violation detected on '{target=\"c.test:8000\",upstream={id=")
    );
    assert_eq!(gateway.get("/targets").await.status, 404);
    assert_eq!(gateway.get("/targets/x").await.status, 404);
}

#[tokio::test]
async fn names_of_upstreams_and_their_hashing_are_checked() {
    let gateway = open();
    for (body, message) in [
        (json!({"name": "a:80"}), "no port allowed"),
        (json!({"name": "1.2.3.4"}), "no ip addresses allowed"),
        (
            json!({"name": "a", "slots": 9}),
            "value should be between 10 and 65536",
        ),
        (
            json!({"name": "a", "hash_on": "header"}),
            "hash_on_header: required field missing",
        ),
        (
            json!({"name": "a", "hash_on": "cookie", "hash_on_cookie": "c", "hash_fallback": "ip"}),
            "hash_fallback",
        ),
    ] {
        let seen = gateway.json("POST", "/upstreams", &body).await;
        assert!(refusal(&seen, 400).contains(message), "{body}: {}", seen.body);
    }
    let upstream = made(&gateway, "/upstreams", json!({"name": "a", "hash_on": "ip"})).await;
    assert_eq!(upstream["algorithm"], "consistent-hashing");
    let patched = gateway
        .json("PATCH", "/upstreams/a", &json!({"slots": 100}))
        .await
        .json();
    assert_eq!(
        (&patched["hash_on"], &patched["algorithm"]),
        (&json!("ip"), &json!("consistent-hashing"))
    );
}

#[tokio::test]
async fn health_is_shown_and_set_for_targets_that_belong_together() {
    let gateway = with_targets().await;
    made(&gateway, "/upstreams", json!({"name": "other"})).await;
    let health = gateway.get("/upstreams/u/health").await.json();
    assert_eq!(health["data"].as_array().unwrap().len(), 3);
    assert_eq!(health["data"][0]["health"], "HEALTHCHECKS_OFF");
    assert!(health["node_id"].is_string());
    assert_eq!(gateway.get("/upstreams/nope/health").await.status, 404);
    for (upstream, target, status) in [
        ("u", "a.test:1", 400),
        ("u", "z.test:1", 404),
        ("other", "a.test:1", 404),
        ("nope", "a.test:1", 404),
    ] {
        for end in [
            "healthy",
            "unhealthy",
            "10.0.0.1:80/healthy",
            "10.0.0.1/unhealthy",
        ] {
            let path = format!("/upstreams/{upstream}/targets/{target}/{end}");
            assert_eq!(
                gateway.send("PUT", &path, &[], b"").await.status,
                status,
                "{path}"
            );
        }
    }
    let seen = gateway
        .send("PUT", "/upstreams/u/targets/a.test:1/healthy", &[], b"")
        .await;
    assert_eq!(refusal(&seen, 400), "Upstream u has no balancer");
}
