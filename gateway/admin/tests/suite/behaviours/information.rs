//! What the gateway tells of itself.

use super::{made, open, refusal};
use crate::gateway::Gateway;
use serde_json::json;
use tidegate_admin::Mode;

#[tokio::test]
async fn the_root_tells_what_clients_decide_by() {
    let gateway = open();
    made(&gateway, "/plugins", json!({"name": "cors"})).await;
    let about = gateway.get("/").await.json();
    assert_eq!(about["version"], "3.9.1");
    assert_eq!(about["tagline"], "Welcome to kong");
    assert_eq!(about["plugins"]["enabled_in_cluster"], json!(["cors"]));
    assert!(about["plugins"]["available_on_server"]["cors"]["priority"].is_i64());
}

#[tokio::test]
async fn the_status_tells_of_the_database_or_the_configuration() {
    let open = open();
    assert_eq!(open.get("/status").await.json()["database"]["reachable"], true);
    let status = Gateway::start(Mode::Declarative).get("/status").await.json();
    assert_eq!(status["configuration_hash"], "0".repeat(32));
    let unit = |query: &str| {
        let path = format!("/status?{query}");
        let open = &open;
        async move { open.get(&path).await.json()["memory"]["workers_lua_vms"][0]["http_allocated_gc"].clone() }
    };
    assert_eq!(unit("").await, "3.00 MiB");
    assert_eq!(unit("unit=k&scale=0").await, "3072 KiB");
    assert_eq!(unit("unit=B").await, 3 << 20);
    let seen = open.get("/status?unit=V").await;
    assert_eq!(
        refusal(&seen, 400),
        "invalid unit 'V' (expected 'k/K', 'm/M', or 'g/G')"
    );
}

#[tokio::test]
async fn the_endpoints_are_those_of_kong_and_ours() {
    let listed = open().get("/endpoints").await.json();
    let listed: Vec<_> = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|path| path.as_str())
        .collect();
    for path in [
        "/",
        "/plugins",
        "/basic-auths/{basicauth_credentials}",
        "/services/{services}/routes/{routes}",
    ] {
        assert!(listed.contains(&path), "{path}");
    }
    let recorded = include_str!("endpoints.txt").lines();
    let missing: Vec<_> = recorded.filter(|path| !listed.contains(path)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[tokio::test]
async fn the_log_level_is_changed_where_there_is_a_database() {
    let gateway = open();
    let put = |path: &'static str| {
        let gateway = &gateway;
        async move { gateway.send("PUT", path, &[], b"").await }
    };
    assert_eq!(
        refusal(&gateway.get("/debug/node/log-level").await, 200),
        "log level: notice"
    );
    assert_eq!(
        refusal(&put("/debug/node/log-level/debug").await, 200),
        "log level changed"
    );
    assert_eq!(
        refusal(&put("/debug/node/log-level/debug?timeout=5").await, 200),
        "log level is already debug"
    );
    assert_eq!(
        refusal(&put("/debug/cluster/log-level/foo").await, 400),
        "unknown log level: foo"
    );
    assert_eq!(
        refusal(&put("/debug/node/log-level/info?timeout=-1").await, 400),
        "timeout must be greater than or equal to 0"
    );
    let bare = Gateway::start(Mode::Declarative);
    let seen = bare.send("PUT", "/debug/node/log-level/info", &[], b"").await;
    assert_eq!(
        refusal(&seen, 405),
        "cannot change log level when not using a database"
    );
}

#[tokio::test]
async fn what_needs_a_control_plane_says_so() {
    let gateway = open();
    for path in ["/clustering/data-planes", "/clustering/status"] {
        assert!(refusal(&gateway.get(path).await, 400).contains("run as Control Plane for the cluster"));
    }
    assert_eq!(gateway.send("DELETE", "/cache", &[], b"").await.status, 204);
    assert_eq!(gateway.get("/cache/none").await.status, 404);
    assert_eq!(gateway.get("/status/dns").await.status, 501);
    assert_eq!(gateway.get("/timers").await.status, 200);
}
