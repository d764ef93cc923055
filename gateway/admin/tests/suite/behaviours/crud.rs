//! Create, read, replace, change, delete, and references both ways.

use super::{id, made, open, refusal};
use serde_json::json;

const UNKNOWN: &str = "99999999-9999-4999-8999-999999999999";

#[tokio::test]
async fn a_url_is_taken_apart_and_not_shown() {
    let gateway = open();
    let service = made(&gateway, "/services", json!({"url": "https://h.test/x"})).await;
    assert_eq!(
        (
            &service["protocol"],
            &service["host"],
            &service["port"],
            &service["path"]
        ),
        (&json!("https"), &json!("h.test"), &json!(443), &json!("/x"))
    );
    assert_eq!(service.get("url"), None);
    assert!(service["created_at"].is_i64() && service["updated_at"].is_i64());
}

#[tokio::test]
async fn put_creates_with_the_name_or_id_of_the_path() {
    let gateway = open();
    let body = json!({"host": "h"});
    let named = gateway.json("PUT", "/services/new-name", &body).await;
    assert_eq!((named.status, &named.json()["name"]), (200, &json!("new-name")));
    let numbered = gateway.json("PUT", &format!("/services/{UNKNOWN}"), &body).await;
    assert_eq!((numbered.status, &numbered.json()["id"]), (200, &json!(UNKNOWN)));
}

#[tokio::test]
async fn put_resets_what_is_left_out_and_patch_keeps_it() {
    let gateway = open();
    let first = made(
        &gateway,
        "/services",
        json!({"name": "s", "host": "h", "port": 81, "retries": 1, "created_at": 5}),
    )
    .await;
    let patched = gateway
        .json("PATCH", "/services/s", &json!({"retries": 2}))
        .await
        .json();
    assert_eq!((&patched["port"], &patched["retries"]), (&json!(81), &json!(2)));
    let replaced = gateway
        .json("PUT", "/services/s", &json!({"host": "h2"}))
        .await
        .json();
    assert_eq!((&replaced["port"], &replaced["retries"]), (&json!(80), &json!(5)));
    assert_eq!(
        (&replaced["id"], &replaced["created_at"]),
        (&first["id"], &json!(5))
    );
}

#[tokio::test]
async fn null_and_empty_lists_stay_apart() {
    let gateway = open();
    made(
        &gateway,
        "/routes",
        json!({"name": "r", "hosts": ["a"], "paths": ["/"]}),
    )
    .await;
    let empty = gateway
        .json("PATCH", "/routes/r", &json!({"hosts": []}))
        .await
        .json();
    assert_eq!(empty["hosts"], json!([]));
    let unset = gateway
        .json("PATCH", "/routes/r", &json!({"hosts": null}))
        .await
        .json();
    assert_eq!(unset["hosts"], json!(null));
}

#[tokio::test]
async fn what_is_not_there_is_told_by_method() {
    let gateway = open();
    assert_eq!(refusal(&gateway.get("/services/x").await, 404), "Not found");
    let seen = gateway.json("PATCH", "/services/x", &json!({})).await;
    assert_eq!(
        refusal(&seen, 404),
        "could not find the entity with '{name=\"x\"}'"
    );
    assert_eq!(
        (&seen.json()["code"], &seen.json()["name"]),
        (&json!(6), &json!("not found"))
    );
    let seen = gateway
        .json("PATCH", &format!("/services/{UNKNOWN}"), &json!({}))
        .await;
    assert_eq!(
        refusal(&seen, 404),
        format!("could not find the entity with primary key '{{id=\"{UNKNOWN}\"}}'")
    );
    for path in ["/services/x".to_owned(), format!("/services/{UNKNOWN}")] {
        assert_eq!(gateway.send("DELETE", &path, &[], b"").await.status, 204);
    }
    let seen = gateway.get("/certificates/nobody.test").await;
    assert_eq!(refusal(&seen, 404), "SNI not found");
    let seen = gateway.get("/ca_certificates/x").await;
    assert_eq!(refusal(&seen, 400), "invalid primary key: '{id=\"x\"}'");
    assert_eq!(seen.json()["code"], 1);
}

#[tokio::test]
async fn references_go_by_id_or_by_any_unique_value() {
    let gateway = open();
    let service = made(&gateway, "/services", json!({"name": "s", "host": "h"})).await;
    let consumer = made(&gateway, "/consumers", json!({"username": "u", "custom_id": "c"})).await;
    let route = made(
        &gateway,
        "/routes",
        json!({"paths": ["/"], "service": {"name": "s"}}),
    )
    .await;
    assert_eq!(route["service"], json!({"id": service["id"]}));
    let key = made(&gateway, "/key-auths", json!({"consumer": {"custom_id": "c"}})).await;
    assert_eq!(key["consumer"], json!({"id": consumer["id"]}));
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let seen = gateway
        .send("POST", "/routes", &form, b"paths=/x&service.name=s")
        .await;
    assert_eq!(seen.json()["service"], json!({"id": service["id"]}));
    let seen = gateway
        .json(
            "POST",
            "/routes",
            &json!({"paths": ["/"], "service": {"name": "x"}}),
        )
        .await;
    assert_eq!(
        refusal(&seen, 400),
        "foreign key unresolved (service.name: the foreign key cannot be resolved with '{name=\"x\"}' for an existing \
         'services' entity)"
    );
    assert_eq!(seen.json()["code"], 13);
    for service in [json!({}), json!({"protocol": "http"})] {
        let seen = gateway
            .json("POST", "/routes", &json!({"paths": ["/"], "service": service}))
            .await;
        assert_eq!(
            refusal(&seen, 400),
            "schema violation (service.id: missing primary key)"
        );
    }
}

#[tokio::test]
async fn a_service_with_routes_stays() {
    let gateway = open();
    made(&gateway, "/services", json!({"name": "s", "host": "h"})).await;
    made(
        &gateway,
        "/services/s/routes",
        json!({"name": "r", "paths": ["/"]}),
    )
    .await;
    let seen = gateway.send("DELETE", "/services/s", &[], b"").await;
    assert_eq!(
        refusal(&seen, 400),
        "an existing 'routes' entity references this 'services' entity"
    );
    assert_eq!(seen.json()["fields"], json!({"@referenced_by": "routes"}));
    assert_eq!(gateway.send("DELETE", "/routes/r", &[], b"").await.status, 204);
    assert_eq!(gateway.send("DELETE", "/services/s", &[], b"").await.status, 204);
}

#[tokio::test]
async fn children_go_with_their_parents() {
    let gateway = open();
    made(&gateway, "/consumers", json!({"username": "c"})).await;
    made(&gateway, "/consumers/c/key-auth", json!({})).await;
    made(&gateway, "/upstreams", json!({"name": "u"})).await;
    made(&gateway, "/upstreams/u/targets", json!({"target": "a"})).await;
    made(&gateway, "/routes", json!({"name": "r", "paths": ["/"]})).await;
    made(&gateway, "/routes/r/plugins", json!({"name": "cors"})).await;
    for path in ["/consumers/c", "/upstreams/u", "/routes/r"] {
        assert_eq!(gateway.send("DELETE", path, &[], b"").await.status, 204);
    }
    for path in ["/key-auths", "/plugins"] {
        assert_eq!(gateway.get(path).await.json()["data"], json!([]), "{path}");
    }
}

#[tokio::test]
async fn the_parent_of_a_child_is_found_made_and_changed_through_it() {
    let gateway = open();
    let route = made(&gateway, "/routes", json!({"name": "r", "paths": ["/"]})).await;
    let path = "/routes/r/service";
    assert_eq!(gateway.get(path).await.status, 404);
    assert_eq!(gateway.send("DELETE", path, &[], b"").await.status, 404);
    let service = gateway.json("PUT", path, &json!({"host": "h"})).await;
    assert_eq!(service.status, 200);
    let linked = gateway.get(&format!("/routes/{}", id(&route))).await.json();
    assert_eq!(linked["service"]["id"], service.json()["id"]);
    let changed = gateway.json("PATCH", path, &json!({"port": 81})).await.json();
    assert_eq!(
        (&changed["id"], &changed["port"]),
        (&service.json()["id"], &json!(81))
    );
    assert_eq!(gateway.get(path).await.json()["port"], 81);
    assert_eq!(gateway.send("DELETE", path, &[], b"").await.status, 405);
}

#[tokio::test]
async fn a_child_of_another_parent_is_not_there() {
    let gateway = open();
    for name in ["a", "b"] {
        made(&gateway, "/services", json!({"name": name, "host": "h"})).await;
    }
    made(
        &gateway,
        "/services/a/routes",
        json!({"name": "r", "paths": ["/"]}),
    )
    .await;
    assert_eq!(gateway.get("/services/a/routes/r").await.status, 200);
    for (method, status) in [("GET", 404), ("PATCH", 404), ("PUT", 409), ("DELETE", 204)] {
        let seen = gateway
            .json(method, "/services/b/routes/r", &json!({"paths": ["/"]}))
            .await;
        assert_eq!(seen.status, status, "{method}");
    }
    assert_eq!(gateway.get("/routes/r").await.status, 200, "and it stays");
    assert_eq!(gateway.get("/services/nope/routes").await.status, 404);
    assert_eq!(
        gateway
            .json("POST", "/services/nope/routes", &json!({}))
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn an_id_counts_in_any_case_of_its_letters() {
    let gateway = open();
    let sent = "ABCDEFAB-0000-4000-8000-00000000ABCD";
    let service = made(&gateway, "/services", json!({"id": sent, "host": "h"})).await;
    assert_eq!(id(&service), sent.to_lowercase());
    assert_eq!(gateway.get(&format!("/services/{sent}")).await.status, 200);
    let route = made(
        &gateway,
        "/routes",
        json!({"paths": ["/"], "service": {"id": sent}}),
    )
    .await;
    assert_eq!(route["service"]["id"], service["id"]);
}
