//! A gateway without a database: everything at once by `/config`, nothing one by one.

use super::refusal;
use crate::gateway::{Gateway, Seen};
use serde_json::{Value, json};
use tidegate_admin::Mode;

const YAML: &str = "_format_version: '3.0'\nservices:\n- name: s\n  url: http://h.test\n  routes:\n  - name: r\n    paths: [/]\n\
    consumers:\n- username: c\n  basicauth_credentials:\n  - {username: u, password: p}\n  groups: [{name: g}]\nconsumer_groups:\n- name: g\n";

async fn post(gateway: &Gateway, path: &str, kind: &str, body: &str) -> Seen {
    gateway
        .send("POST", path, &[("content-type", kind)], body.as_bytes())
        .await
}

async fn loaded() -> Gateway {
    let gateway = Gateway::start(Mode::Declarative);
    let seen = post(&gateway, "/config", "text/yaml", YAML).await;
    assert_eq!(seen.status, 201, "{}", seen.body);
    gateway
}

#[tokio::test]
async fn a_configuration_comes_as_yaml_as_a_tree_or_as_a_text_in_either() {
    let tree = json!({"_format_version": "3.0", "services": [{"name": "s", "url": "http://h"}]}).to_string();
    let form = "config=_format_version%3A%20%273.0%27%0Aservices%3A%0A-%20%7Bname%3A%20s%2C%20host%3A%20h%7D";
    let part = format!("--x\r\nContent-Disposition: form-data; name=\"config\"\r\n\r\n{YAML}\r\n--x--");
    for (kind, body) in [
        ("text/yaml", YAML.to_owned()),
        ("application/json", tree.clone()),
        ("application/json", json!({"config": tree}).to_string()),
        ("application/json", json!({"config": YAML}).to_string()),
        ("application/x-www-form-urlencoded", form.to_owned()),
        ("multipart/form-data; boundary=x", part),
    ] {
        let gateway = Gateway::start(Mode::Declarative);
        let seen = post(&gateway, "/config", kind, &body).await;
        assert_eq!(seen.status, 201, "{kind}: {}", seen.body);
        let (id, service) = seen.json()["services"]
            .as_object()
            .unwrap()
            .iter()
            .next()
            .map(|(id, s)| (id.clone(), s.clone()))
            .unwrap();
        assert_eq!(service["id"], id.as_str());
        assert_eq!(gateway.get("/services/s").await.json(), service);
    }
}

#[tokio::test]
async fn what_is_no_configuration_is_told_apart() {
    let gateway = Gateway::start(Mode::Declarative);
    let seen = gateway.send("POST", "/config", &[], b"").await;
    assert_eq!(refusal(&seen, 400), "expected a declarative configuration");
    let seen = post(&gateway, "/config", "application/x-www-form-urlencoded", "a=b").await;
    assert_eq!(refusal(&seen, 400), "expected a declarative configuration");
    let seen = post(
        &gateway,
        "/config",
        "application/json",
        "{\"config\": \"bobby tables\"}",
    )
    .await;
    assert_eq!(seen.json()["code"], 14);
    assert_eq!(
        seen.json()["fields"],
        json!({"error": "failed parsing declarative configuration: expected an object"})
    );
}

#[tokio::test]
async fn a_refused_configuration_leaves_the_old_one() {
    let gateway = loaded().await;
    let hash = gateway.api.configuration_hash();
    let bad = "_format_version: '3.0'\nservices: [{name: s}]";
    assert_eq!(post(&gateway, "/config", "text/yaml", bad).await.status, 400);
    assert_eq!(gateway.api.configuration_hash(), hash);
    assert_eq!(gateway.get("/services/s").await.status, 200);
    assert_eq!(
        gateway.get("/status").await.json()["configuration_hash"],
        hash.as_str()
    );
}

#[tokio::test]
async fn the_same_text_again_is_not_modified() {
    let gateway = loaded().await;
    assert_eq!(
        post(&gateway, "/config?check_hash=1", "text/yaml", YAML)
            .await
            .status,
        304
    );
    assert_eq!(post(&gateway, "/config", "text/yaml", YAML).await.status, 201);
    let other = format!("{YAML}# more\n");
    assert_eq!(
        post(&gateway, "/config?check_hash=1", "text/yaml", &other)
            .await
            .status,
        201
    );
}

#[tokio::test]
async fn the_export_loads_to_the_same_entities() {
    let gateway = loaded().await;
    let all = |gateway: &Gateway| {
        let set = tidegate_store::Catalog::clone(&gateway.store.catalog());
        set.collections()
            .flat_map(|name| {
                set.rows(name)
                    .map(|row| row.text().to_owned())
                    .collect::<Vec<_>>()
            })
            .collect::<Vec<_>>()
    };
    let before = all(&gateway);
    assert_eq!(before.len(), 6, "with the membership: {before:?}");
    let config = gateway.get("/config").await.json();
    let again = Gateway::start(Mode::Declarative);
    let seen = again.json("POST", "/config", &config).await;
    assert_eq!(seen.status, 201, "{}", seen.body);
    assert_eq!(without_update(&all(&again)), without_update(&before));
}

fn without_update(texts: &[String]) -> Vec<Value> {
    let parse = |text: &String| {
        let mut value: Value = serde_json::from_str(text).unwrap();
        value.as_object_mut().unwrap().shift_remove("updated_at");
        value
    };
    texts.iter().map(parse).collect()
}

#[tokio::test]
async fn single_entities_are_checked_and_then_refused() {
    let gateway = loaded().await;
    for (method, path, body, message) in [
        (
            "POST",
            "/routes",
            json!({"paths": ["/"]}),
            "cannot create 'routes' entities when not using a database",
        ),
        (
            "PATCH",
            "/routes/r",
            json!({}),
            "cannot update 'routes' entities by 'name' when not using a database",
        ),
        (
            "PUT",
            "/routes/r",
            json!({"paths": ["/"]}),
            "cannot create or update 'routes' entities by 'name' when not using a database",
        ),
        (
            "DELETE",
            "/routes/r",
            json!({}),
            "cannot remove 'routes' entities by 'name' when not using a database",
        ),
    ] {
        let seen = gateway.json(method, path, &body).await;
        assert_eq!(refusal(&seen, 405), message, "{method} {path}");
        assert_eq!(seen.json()["code"], 12);
    }
    assert_eq!(
        gateway.json("POST", "/routes", &json!({})).await.status,
        400,
        "what is wrong comes first"
    );
    assert_eq!(gateway.send("DELETE", "/routes/none", &[], b"").await.status, 204);
    assert_eq!(
        gateway.json("PATCH", "/routes/none", &json!({})).await.status,
        404
    );
    assert_eq!(
        refusal(&gateway.send("DELETE", "/routes", &[], b"").await, 405),
        "Method not allowed"
    );
    let seen = gateway
        .json("POST", "/consumer_groups/g/consumers", &json!({"consumer": "c"}))
        .await;
    assert_eq!(seen.status, 405);
}

#[tokio::test]
async fn reads_work_as_with_a_database() {
    let gateway = loaded().await;
    assert_eq!(gateway.get("/services/s/routes/r").await.status, 200);
    assert_eq!(
        gateway.get("/consumer_groups/g/consumers").await.json()["data"][0]["username"],
        "c"
    );
    assert_eq!(
        gateway.get("/services?offset=none").await.json(),
        json!({"data": [], "next": null})
    );
    let password = gateway.get("/basic-auths/u").await.json()["password"].clone();
    assert_eq!(password.as_str().unwrap().len(), 40);
}

#[tokio::test]
async fn with_a_database_there_is_no_config() {
    let gateway = Gateway::start(Mode::Database);
    for method in ["GET", "POST"] {
        let seen = gateway
            .json(method, "/config", &json!({"_format_version": "3.0"}))
            .await;
        assert!(
            refusal(&seen, 400).contains("configured to not use a database"),
            "{method}"
        );
    }
}

#[tokio::test]
async fn errors_of_entities_are_flattened_when_asked_for() {
    let gateway = Gateway::start(Mode::Declarative);
    let body = json!({"_format_version": "3.0", "upstreams": [{"name": "u", "slots": 1, "targets": [{"target": ""}]}]});
    let seen = gateway
        .json("POST", "/config?flatten_errors=1", &body)
        .await
        .json();
    let types: Vec<_> = seen["flattened_errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| &error["entity_type"])
        .collect();
    assert_eq!(types, ["upstream", "target"]);
    assert_eq!(seen["fields"], json!({}));
}
