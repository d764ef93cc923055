//! Bad input: deep, huge, malformed. Nothing of it may bring a 5xx.

use super::{open, refusal};
use crate::gateway::Gateway;
use serde_json::json;
use tidegate_admin::{Mode, Options};

#[tokio::test]
async fn a_body_of_the_largest_size_passes_and_one_byte_more_does_not() {
    let gateway = Gateway::with(Options {
        max_body: 100,
        ..Options::new(Mode::Database)
    });
    let headers = [("content-type", "application/json")];
    let body = |length: usize| format!("{{\"host\":\"{}\"}}", "h".repeat(length - 11)).into_bytes();
    let seen = gateway.send("POST", "/services", &headers, &body(100)).await;
    assert_eq!(seen.status, 201, "{}", seen.body);
    let seen = gateway.send("POST", "/services", &headers, &body(101)).await;
    assert_eq!(refusal(&seen, 413), "Request body is too large");
}

#[tokio::test]
async fn deep_bodies_are_refused() {
    let gateway = open();
    let deep =
        |open: &str, close: &str| format!("{{\"config\":{}1{}}}", open.repeat(50_000), close.repeat(50_000));
    for body in [deep("[", "]"), deep("{\"a\":", "}")] {
        let headers = [("content-type", "application/json")];
        for path in ["/plugins", "/services", "/schemas/plugins/validate"] {
            let seen = gateway.send("POST", path, &headers, body.as_bytes()).await;
            assert_eq!(refusal(&seen, 400), "Cannot parse JSON body", "{path}");
        }
    }
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let name = format!("a{}=1", "[a]".repeat(20_000));
    assert_eq!(
        gateway
            .send("POST", "/services", &form, name.as_bytes())
            .await
            .status,
        400
    );
    let bare = Gateway::start(Mode::Declarative);
    let yaml = format!("_format_version: '3.0'\nservices: {}", "[".repeat(100_000));
    let seen = bare
        .send(
            "POST",
            "/config",
            &[("content-type", "text/yaml")],
            yaml.as_bytes(),
        )
        .await;
    assert_eq!(seen.status, 400);
}

#[tokio::test]
async fn too_many_arguments_are_refused_in_bodies_and_queries() {
    let gateway = open();
    let many = vec!["tags[]=a"; 1_001].join("&");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let seen = gateway.send("POST", "/services", &form, many.as_bytes()).await;
    assert_eq!(refusal(&seen, 400), "Too many arguments");
    let seen = gateway
        .get(&format!("/services?{}", vec!["a=1"; 1_001].join("&")))
        .await;
    assert_eq!(refusal(&seen, 400), "Too many arguments");
}

#[tokio::test]
async fn strange_values_are_refused_with_a_reason() {
    let gateway = open();
    for path in [
        "/services",
        "/routes",
        "/upstreams",
        "/plugins",
        "/consumers",
        "/certificates",
        "/keys",
        "/vaults",
    ] {
        for value in [
            json!(null),
            json!(true),
            json!(1e300),
            json!("\u{0}"),
            json!([[]]),
            json!({"a": {}}),
            json!(-1),
        ] {
            for field in [
                "id",
                "name",
                "tags",
                "config",
                "created_at",
                "service",
                "snis",
                "healthchecks",
                "ttl",
                "url",
            ] {
                let seen = gateway.json("POST", path, &json!({ field: value })).await;
                assert!(
                    (200..500).contains(&seen.status),
                    "{path} {field} {value}: {}",
                    seen.body
                );
            }
        }
    }
}

#[tokio::test]
async fn strange_paths_and_queries_are_answered() {
    let gateway = open();
    for path in [
        "/services/%",
        "/services/%ff%fe",
        "/services/%2F",
        "/upstreams/%00/targets/%00",
        "/tags/%ff",
        "/services?size=%ff",
        "/services?size=1e309",
        "/services?offset=%00",
        "/services?offset=WyJ4Il0",
        "/services?tags=%ff",
        "/status?scale=99999999999",
        "/status?unit=",
        "/consumers?custom_id=%ff",
        "/tags?offset=W10",
        "/upstreams/u/targets?offset=x",
        "/certificates/*",
        "/cache/%00",
    ] {
        let seen = gateway.get(path).await;
        assert!(
            (200..500).contains(&seen.status),
            "{path}: {} {}",
            seen.status,
            seen.body
        );
    }
}

/// A page of a thousand rows is a copy of texts.
#[tokio::test]
async fn a_long_list_shows_the_stored_texts() {
    let gateway = Gateway::start(Mode::Declarative);
    let services: Vec<_> = (0..1_500)
        .map(|number| json!({"name": format!("s{number}"), "host": "h"}))
        .collect();
    let seen = gateway
        .json(
            "POST",
            "/config",
            &json!({"_format_version": "3.0", "services": services}),
        )
        .await;
    assert_eq!(seen.status, 201);
    let page = gateway.get("/services?size=1000").await;
    let catalog = gateway.store.catalog();
    let texts: Vec<_> = catalog
        .rows("services")
        .take(1_000)
        .map(|row| row.text())
        .collect();
    assert!(
        page.body
            .starts_with(&format!("{{\"data\":[{}],\"next\":\"", texts.join(",")))
    );
}
