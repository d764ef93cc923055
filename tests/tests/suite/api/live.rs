//! What a write changes is in service when its answer leaves.

use super::{Site, on_every_store};
use crate::ask::ask;
use serde_json::json;
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Admin, Request, Upstream, eventually};

on_every_store!(
    services_and_routes_follow_every_kind_of_write,
    plugins_are_added_switched_changed_and_removed,
    credentials_let_in_at_once_and_no_longer,
    a_credential_with_an_end_lets_nobody_in_after_it,
    groups_of_consumers_decide_at_once,
    vault_references_are_shown_as_written_and_followed_by_traffic,
    a_plugin_whose_secret_cannot_be_used_lets_nothing_through,
);

/// A service at that upstream with one route.
pub(super) async fn published(admin: &Admin, name: &str, upstream: &Upstream, paths: &[&str]) {
    let service = json!({"name": name, "url": upstream.url()});
    admin.post("/services", service).await;
    let route = json!({"name": name, "paths": paths});
    admin.post(&format!("/services/{name}/routes"), route).await;
}

async fn services_and_routes_follow_every_kind_of_write(site: &Site) {
    let (one, two) = (Upstream::ok().await, Upstream::ok().await);
    let admin = site.admin();
    site.answers(&Request::get("/a"), 404).await;
    published(&admin, "s", &one, &["/a"]).await;
    site.reaches(&Request::get("/a"), &one).await;

    let form = admin
        .form("PATCH", "/services/s", &format!("port={}", two.port()))
        .await;
    assert_eq!(form.status, 200, "{}", form.text());
    site.reaches(&Request::get("/a"), &two).await;

    let url = json!({"url": one.url()});
    admin.put("/services/s", url).await;
    site.reaches(&Request::get("/a"), &one).await;

    admin.patch("/routes/s", json!({"paths": ["/b"]})).await;
    site.answers(&Request::get("/a"), 404).await;
    site.reaches(&Request::get("/b"), &one).await;

    admin.patch("/services/s", json!({"enabled": false})).await;
    site.answers(&Request::get("/b"), 404).await;
    admin.patch("/services/s", json!({"enabled": true})).await;
    site.reaches(&Request::get("/b"), &one).await;

    let route = json!({"service": {"name": "s"}, "hosts": ["other.test"]});
    admin.put("/routes/second", route).await;
    site.reaches(&ask("GET /anything @other.test"), &one).await;

    admin.delete("/routes/s").await;
    site.answers(&Request::get("/b"), 404).await;
    admin.delete("/routes/second").await;
    admin.delete("/services/s").await;
    site.tells("/services/s", |answer| answer.status == 404).await;
}

async fn plugins_are_added_switched_changed_and_removed(site: &Site) {
    let upstream = Upstream::ok().await;
    let admin = site.admin();
    published(&admin, "s", &upstream, &["/"]).await;
    let config = json!({"status_code": 418, "message": "short and stout"});
    let plugin = json!({"name": "request-termination", "config": config});
    let made = admin.post("/routes/s/plugins", plugin).await;
    let path = format!("/plugins/{}", made["id"].as_str().unwrap());
    site.answers(&Request::get("/"), 418).await;

    admin.patch(&path, json!({"config": {"status_code": 451}})).await;
    site.answers(&Request::get("/"), 451).await;
    site.tells(&path, |answer| {
        answer.json()["config"]["message"] == "short and stout"
    })
    .await;

    admin.patch(&path, json!({"enabled": false})).await;
    site.reaches(&Request::get("/"), &upstream).await;
    admin.patch(&path, json!({"enabled": true})).await;
    site.answers(&Request::get("/"), 451).await;
    admin.delete(&path).await;
    site.reaches(&Request::get("/"), &upstream).await;

    let global = json!({"name": "request-termination", "config": {"status_code": 410}});
    admin.post("/plugins", global).await;
    site.answers(&Request::get("/"), 410).await;
}

async fn credentials_let_in_at_once_and_no_longer(site: &Site) {
    let upstream = Upstream::ok().await;
    let admin = site.admin();
    published(&admin, "s", &upstream, &["/"]).await;
    admin
        .post("/services/s/plugins", json!({"name": "key-auth"}))
        .await;
    let with_key = ask("GET / apikey:open-sesame");
    site.answers(&with_key, 401).await;
    admin.post("/consumers", json!({"username": "ali"})).await;
    let key = json!({"key": "open-sesame"});
    let made = admin.post("/consumers/ali/key-auth", key).await;
    site.reaches(&with_key, &upstream).await;
    assert_eq!(upstream.last().header("X-Consumer-Username"), "ali");

    let path = format!("/consumers/ali/key-auth/{}", made["id"].as_str().unwrap());
    admin.patch(&path, json!({"key": "closed"})).await;
    site.answers(&with_key, 401).await;
    site.answers(&ask("GET / apikey:closed"), 200).await;
    admin.delete("/consumers/ali").await;
    site.answers(&ask("GET / apikey:closed"), 401).await;
    site.tells("/key-auths", |answer| answer.json()["data"] == json!([]))
        .await;
}

async fn a_credential_with_an_end_lets_nobody_in_after_it(site: &Site) {
    let upstream = Upstream::ok().await;
    let admin = site.admin();
    published(&admin, "s", &upstream, &["/"]).await;
    admin
        .post("/services/s/plugins", json!({"name": "key-auth"}))
        .await;
    admin.post("/consumers", json!({"username": "ali"})).await;
    admin
        .post("/consumers/ali/key-auth", json!({"key": "lasting"}))
        .await;
    let short = json!({"key": "short", "ttl": 3});
    admin.post("/consumers/ali/key-auth", short).await;
    site.answers(&ask("GET / apikey:short"), 200).await;
    for node in site.nodes() {
        eventually("the key no longer opens", PATIENCE, async || {
            (node.call(&ask("GET / apikey:short")).await.status == 401).then_some(())
        })
        .await;
        let keys = node.admin().get("/key-auths").await;
        assert_eq!(keys["data"].as_array().unwrap().len(), 1, "{keys}");
        assert_eq!(node.call(&ask("GET / apikey:lasting")).await.status, 200);
    }
}

async fn groups_of_consumers_decide_at_once(site: &Site) {
    let upstream = Upstream::ok().await;
    let admin = site.admin();
    published(&admin, "s", &upstream, &["/"]).await;
    for plugin in [
        json!({"name": "key-auth"}),
        json!({"name": "acl", "config": {"allow": ["staff"]}}),
    ] {
        admin.post("/services/s/plugins", plugin).await;
    }
    admin.post("/consumers", json!({"username": "ali"})).await;
    admin.post("/consumers/ali/key-auth", json!({"key": "k"})).await;
    let request = ask("GET / apikey:k");
    site.answers(&request, 403).await;
    admin.post("/consumers/ali/acls", json!({"group": "staff"})).await;
    site.answers(&request, 200).await;
    admin.delete("/consumers/ali/acls/staff").await;
    site.answers(&request, 403).await;
}

async fn vault_references_are_shown_as_written_and_followed_by_traffic(site: &Site) {
    let upstream = Upstream::ok().await;
    let admin = site.admin();
    published(&admin, "s", &upstream, &["/"]).await;
    // Of the environment that the nodes were started in.
    let reference = "{vault://env/test-secret}";
    let config = json!({"add": {"headers": [format!("X-Secret:{reference}")]}});
    let plugin = json!({"name": "request-transformer", "config": config});
    let made = admin.post("/services/s/plugins", plugin).await;
    assert!(made.to_string().contains(reference), "{made}");
    site.shows("the secret goes to the upstream", async |node| {
        node.get("/").await;
        let seen = upstream.last().header("X-Secret").to_owned();
        (seen == "hidden treasure").then_some(()).ok_or(seen)
    })
    .await;
    let path = format!("/plugins/{}", made["id"].as_str().unwrap());
    site.tells(&path, |answer| {
        answer.text().contains(reference) && !answer.text().contains("hidden")
    })
    .await;

    // A vault of its own, with a prefix for the variables.
    let vault = json!({"name": "env", "prefix": "mine", "config": {"prefix": "TEST_"}});
    admin.post("/vaults", vault).await;
    let config = json!({"add": {"headers": ["X-Secret:{vault://mine/second}"]}});
    admin.patch(&path, json!({"config": config})).await;
    site.shows("the other secret goes to the upstream", async |node| {
        node.get("/").await;
        let seen = upstream.last().header("X-Secret").to_owned();
        (seen == "gold").then_some(()).ok_or(seen)
    })
    .await;
}

async fn a_plugin_whose_secret_cannot_be_used_lets_nothing_through(site: &Site) {
    let upstream = Upstream::ok().await;
    let admin = site.admin();
    published(&admin, "s", &upstream, &["/"]).await;
    published(&admin, "other", &upstream, &["/other"]).await;
    let config = json!({"add": {"headers": ["X-Secret:{vault://env/test-unusable}"]}});
    let plugin = json!({"name": "request-transformer", "config": config});
    let made = admin.post("/services/s/plugins", plugin).await;
    site.answers(&Request::get("/"), 503).await;
    site.reaches(&Request::get("/other"), &upstream).await;
    let path = format!("/plugins/{}", made["id"].as_str().unwrap());
    let config = json!({"add": {"headers": ["X-Secret:{vault://env/test-secret}"]}});
    admin.patch(&path, json!({"config": config})).await;
    site.reaches(&Request::get("/"), &upstream).await;
    assert_eq!(upstream.last().header("X-Secret"), "hidden treasure");
}
