//! Filters that are attached through the Admin API.

use super::guest::{Folder, adding};
use serde_json::json;
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Admin, Gateway, Upstream, eventually};

/// A service with the routes `/a` and `/b`.
async fn two_routes(admin: &Admin, upstream: &Upstream) {
    admin
        .post("/services", json!({"name": "s", "url": upstream.url()}))
        .await;
    for name in ["a", "b"] {
        let route = json!({"name": name, "paths": [format!("/{name}")]});
        admin.post("/services/s/routes", route).await;
    }
}

async fn seen(gateway: &Gateway, upstream: &Upstream, path: &str) -> (u16, Vec<String>) {
    drop(upstream.take());
    let answer = gateway.get(path).await;
    let requests = upstream.take();
    let values = requests
        .iter()
        .flat_map(|request| request.headers.all("x-filter"));
    (answer.status, values.map(str::to_owned).collect())
}

fn with(values: &[&str]) -> (u16, Vec<String>) {
    (200, values.iter().map(|value| (*value).to_owned()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn chains_and_plugins_are_live_at_once() {
    let upstream = Upstream::ok().await;
    let schema = r#"{"config_schema": {"type": "object", "properties": {"level": {"type": "integer"}}}}"#;
    let folder = Folder::new()
        .with("one", &adding("x-filter", "one"))
        .with("two", &adding("x-filter", "two"))
        .meta("two", schema);
    let gateway = folder.attached(Gateway::managed()).start().await;
    let admin = gateway.admin();
    two_routes(&admin, &upstream).await;
    assert_eq!(seen(&gateway, &upstream, "/a").await, with(&[]));
    let chain = json!({"name": "c", "filters": [{"name": "one"}]});
    admin.post("/routes/a/filter-chains", chain).await;
    assert_eq!(seen(&gateway, &upstream, "/a").await, with(&["one"]));
    admin.patch("/filter-chains/c", json!({"enabled": false})).await;
    assert_eq!(seen(&gateway, &upstream, "/a").await, with(&[]));
    admin.delete("/filter-chains/c").await;

    let plugin = json!({"name": "two", "config": {"level": 3}});
    let made = admin.post("/services/s/plugins", plugin).await;
    assert_eq!(seen(&gateway, &upstream, "/b").await, with(&["two"]));
    let path = format!("/plugins/{}", made["id"].as_str().unwrap());
    let wrong = json!({"config": {"level": "high"}});
    let answer = admin.send("PATCH", &path, &wrong).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    let wrong = json!({"filters": [{"name": "two", "config": {"level": "high"}}]});
    let answer = admin.send("POST", "/routes/a/filter-chains", &wrong).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(answer.text().contains("level"), "{}", answer.text());
    let unknown = json!({"name": "c", "filters": [{"name": "nobody"}]});
    let answer = admin.send("POST", "/routes/a/filter-chains", &unknown).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(answer.text().contains("no such filter"), "{}", answer.text());
    admin.delete(&path).await;
    assert_eq!(seen(&gateway, &upstream, "/b").await, with(&[]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_in_the_folder_holds_no_edit_up() {
    let upstream = Upstream::ok().await;
    let folder = Folder::new().with("one", &adding("x-filter", "one"));
    let gateway = folder.attached(Gateway::managed()).start().await;
    let admin = gateway.admin();
    two_routes(&admin, &upstream).await;
    folder.put("broken.wasm", b"no module at all");
    admin.patch("/routes/a", json!({"paths": ["/changed"]})).await;
    assert_eq!(gateway.get("/changed").await.status, 200);
    admin.post("/routes/b/plugins", json!({"name": "one"})).await;
    assert_eq!(seen(&gateway, &upstream, "/b").await, with(&["one"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_whose_filter_is_gone_lets_nothing_through_and_the_others_serve() {
    let upstream = Upstream::ok().await;
    let folder = Folder::new().with("one", &adding("x-filter", "one"));
    let mut gateway = folder.attached(Gateway::managed()).start().await;
    let admin = gateway.admin();
    two_routes(&admin, &upstream).await;
    admin.post("/routes/a/plugins", json!({"name": "one"})).await;
    assert_eq!(seen(&gateway, &upstream, "/a").await, with(&["one"]));

    std::fs::remove_file(folder.path().join("one.wasm")).unwrap();
    // Whatever is edited meanwhile.
    admin.patch("/services/s", json!({"retries": 1})).await;
    admin.patch("/routes/b", json!({"paths": ["/c"]})).await;
    assert_eq!(seen(&gateway, &upstream, "/c").await, with(&[]));
    let (status, passed) = seen(&gateway, &upstream, "/a").await;
    assert!(
        (status, &passed) == (200, &vec!["one".to_owned()]) || (status >= 500 && passed.is_empty()),
        "never past the filter: {status} {passed:?}"
    );
    gateway.restart().await;
    assert_eq!(seen(&gateway, &upstream, "/c").await, with(&[]));
    let (status, passed) = seen(&gateway, &upstream, "/a").await;
    assert!(status >= 500 && passed.is_empty(), "{status} {passed:?}");
    assert!(upstream.requests().is_empty());
    let plugins = admin.get("/routes/a/plugins").await;
    assert_eq!(plugins["data"].as_array().unwrap().len(), 1);
    folder.install("one", &adding("x-filter", "again"));
    eventually("the filter is taken into service", PATIENCE, async || {
        let answer = gateway.get("/a").await;
        (answer.status == 200).then_some(())
    })
    .await;
    assert_eq!(seen(&gateway, &upstream, "/a").await, with(&["again"]));
}

#[tokio::test]
async fn a_whole_configuration_with_an_unknown_filter_is_refused() {
    let folder = Folder::new().with("one", &adding("x-filter", "one"));
    let empty = Gateway::managed().setting("database", "off");
    let gateway = folder.attached(empty).start().await;
    for (name, status) in [("nobody", 400), ("one", 201), ("nobody", 400)] {
        let chain = json!({"name": "c", "route": "r", "filters": [{"name": name}]});
        let route = json!({"name": "r", "paths": ["/"]});
        let whole = json!({"_format_version": "3.0", "routes": [route], "filter_chains": [chain]});
        let answer = gateway.admin().send("POST", "/config", &whole).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
    }
}
