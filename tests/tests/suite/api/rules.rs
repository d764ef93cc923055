//! What is refused, and that it leaves no trace (kong-core G.3, A.13).

use super::{Site, on_every_store};
use crate::ask::ask;
use serde_json::{Value, json};
use tidegate_tests::{Request, Response, Upstream};

on_every_store!(
    values_that_must_be_unique_are_taken_once,
    a_fresh_id_does_not_free_a_name,
    references_lead_somewhere_and_what_is_referred_to_stays,
    deletes_take_along_what_belongs_to_the_entity,
    a_plugin_that_cannot_be_built_is_refused_with_its_path,
    a_refused_write_changes_nothing,
);

/// The number of the error and its fields.
fn refusal(answer: &Response) -> (u16, u64, Value) {
    let body = answer.json();
    let code = body["code"].as_u64().unwrap_or(0);
    (answer.status, code, body["fields"].clone())
}

async fn values_that_must_be_unique_are_taken_once(site: &Site) {
    let admin = site.admin();
    admin.post("/services", json!({"name": "s", "host": "h"})).await;
    let same = json!({"name": "s", "host": "other"});
    let answer = admin.send("POST", "/services", &same).await;
    assert_eq!(refusal(&answer), (409, 5, json!({"name": "s"})));
    assert_eq!(answer.message(), "UNIQUE violation detected on '{name=\"s\"}'");

    let id = admin.get("/services/s").await["id"].clone();
    let answer = admin
        .send("POST", "/services", &json!({"id": id, "host": "h"}))
        .await;
    assert_eq!(refusal(&answer).1, 3, "{}", answer.text());

    admin
        .post("/services/s/plugins", json!({"name": "key-auth"}))
        .await;
    let again = json!({"name": "key-auth", "service": {"id": id}});
    let answer = admin.send("POST", "/plugins", &again).await;
    assert_eq!((answer.status, refusal(&answer).1), (409, 5), "{}", answer.text());

    admin.post("/upstreams", json!({"name": "u"})).await;
    let target = json!({"target": "h.test:80"});
    admin.post("/upstreams/u/targets", target.clone()).await;
    let answer = admin.send("POST", "/upstreams/u/targets", &target).await;
    assert_eq!(answer.status, 409, "{}", answer.text());

    admin.post("/consumers", json!({"username": "a"})).await;
    admin.post("/consumers", json!({"username": "b"})).await;
    admin.post("/consumers/a/key-auth", json!({"key": "k"})).await;
    let answer = admin
        .send("POST", "/consumers/b/key-auth", &json!({"key": "k"}))
        .await;
    assert_eq!(refusal(&answer), (409, 5, json!({"key": "k"})));
}

async fn a_fresh_id_does_not_free_a_name(site: &Site) {
    let admin = site.admin();
    let made = admin.post("/services", json!({"name": "s", "host": "h"})).await;
    let path = format!("/services/{}", uuid::Uuid::new_v4());
    let answer = admin
        .send("PUT", &path, &json!({"name": "s", "host": "other"}))
        .await;
    assert_eq!(refusal(&answer), (409, 5, json!({"name": "s"})));
    assert_eq!(admin.get("/services/s").await, made);
    assert_eq!(admin.status(&path).await, 404);
}

async fn references_lead_somewhere_and_what_is_referred_to_stays(site: &Site) {
    let admin = site.admin();
    let nobody = uuid::Uuid::new_v4();
    let route = json!({"paths": ["/"], "service": {"id": nobody}});
    let answer = admin.send("POST", "/routes", &route).await;
    assert_eq!((answer.status, refusal(&answer).1), (400, 4), "{}", answer.text());
    let route = json!({"paths": ["/"], "service": {"name": "nobody"}});
    let answer = admin.send("POST", "/routes", &route).await;
    assert_eq!(
        (answer.status, refusal(&answer).1),
        (400, 13),
        "{}",
        answer.text()
    );
    assert_eq!(admin.get("/routes").await["data"], json!([]));

    admin.post("/services", json!({"name": "s", "host": "h"})).await;
    admin
        .post("/services/s/routes", json!({"name": "r", "paths": ["/"]}))
        .await;
    let answer = admin.call(Request::new("DELETE", "/services/s")).await;
    assert_eq!(refusal(&answer), (400, 4, json!({"@referenced_by": "routes"})));
    assert_eq!(admin.status("/services/s").await, 200);
    admin.delete("/routes/r").await;
    admin.delete("/services/s").await;
    assert_eq!(admin.status("/services/s").await, 404);
    admin.delete("/services/s").await;
}

async fn deletes_take_along_what_belongs_to_the_entity(site: &Site) {
    let upstream = Upstream::ok().await;
    let admin = site.admin();
    admin
        .post("/services", json!({"name": "s", "url": upstream.url()}))
        .await;
    admin
        .post("/services/s/routes", json!({"name": "r", "paths": ["/"]}))
        .await;
    admin.post("/consumers", json!({"username": "c"})).await;
    for (path, body) in [
        ("/routes/r/plugins", json!({"name": "key-auth"})),
        (
            "/consumers/c/plugins",
            json!({"name": "rate-limiting", "config": {"minute": 9}}),
        ),
        ("/consumers/c/key-auth", json!({"key": "k"})),
        (
            "/consumers/c/basic-auth",
            json!({"username": "u", "password": "p"}),
        ),
        ("/consumers/c/acls", json!({"group": "g"})),
    ] {
        admin.post(path, body).await;
    }
    site.answers(&ask("GET / apikey:k"), 200).await;
    admin.delete("/consumers/c").await;
    site.answers(&ask("GET / apikey:k"), 401).await;
    for path in ["/key-auths", "/basic-auths", "/acls"] {
        site.tells(path, |answer| answer.json()["data"] == json!([]))
            .await;
    }
    site.tells("/plugins", |answer| {
        answer.json()["data"].as_array().unwrap().len() == 1
    })
    .await;
    admin.delete("/routes/r").await;
    site.tells("/plugins", |answer| answer.json()["data"] == json!([]))
        .await;

    admin.post("/key-sets", json!({"name": "set"})).await;
    let jwk = json!({"kty": "oct", "kid": "1", "k": "c2VjcmV0"}).to_string();
    admin
        .post(
            "/keys",
            json!({"name": "k", "kid": "1", "jwk": jwk, "set": {"name": "set"}}),
        )
        .await;
    admin.delete("/key-sets/set").await;
    site.tells("/keys", |answer| answer.json()["data"] == json!([]))
        .await;
}

async fn a_plugin_that_cannot_be_built_is_refused_with_its_path(site: &Site) {
    let upstream = Upstream::ok().await;
    let admin = site.admin();
    admin
        .post("/services", json!({"name": "s", "url": upstream.url()}))
        .await;
    admin.post("/services/s/routes", json!({"paths": ["/"]})).await;
    // What the table allows, and the plugin cannot compile.
    let config = json!({"add": {"headers": ["x-a:$(os.execute())"]}});
    let plugin = json!({"name": "request-transformer", "config": config});
    let answer = admin.send("POST", "/services/s/plugins", &plugin).await;
    let (status, code, fields) = refusal(&answer);
    assert_eq!((status, code), (400, 2), "{}", answer.text());
    assert!(
        fields["config"]["add"]["headers"]
            .to_string()
            .contains("is not supported in templates"),
        "the path leads there: {fields}"
    );
    site.answers(&Request::get("/"), 200).await;
    assert_eq!(admin.get("/plugins").await["data"], json!([]));

    let config = json!({"config": {"add": {"headers": ["x-a:1"]}}, "name": "request-transformer"});
    let made = admin.post("/services/s/plugins", config).await;
    let path = format!("/plugins/{}", made["id"].as_str().unwrap());
    let broken = json!({"config": {"add": {"headers": ["x-a:$(os.execute())"]}}});
    let answer = admin.send("PATCH", &path, &broken).await;
    assert_eq!((answer.status, refusal(&answer).1), (400, 2), "{}", answer.text());
    assert_eq!(admin.get(&path).await, made);
    site.shows("the plugin works as before", async |node| {
        node.get("/").await;
        let seen = upstream.last().header("x-a").to_owned();
        (seen == "1").then_some(()).ok_or(seen)
    })
    .await;
}

async fn a_refused_write_changes_nothing(site: &Site) {
    let upstream = Upstream::ok().await;
    let admin = site.admin();
    let service = admin
        .post("/services", json!({"name": "s", "url": upstream.url()}))
        .await;
    admin
        .post("/services/s/routes", json!({"name": "r", "paths": ["/"]}))
        .await;
    for (method, path, body) in [
        (
            "PATCH",
            "/services/s",
            json!({"port": 70_000, "host": "elsewhere"}),
        ),
        (
            "PATCH",
            "/services/s",
            json!({"colour": "red", "host": "elsewhere"}),
        ),
        ("PUT", "/services/s", json!({"host": "elsewhere", "retries": -1})),
        ("PATCH", "/routes/r", json!({"paths": ["no-slash"]})),
        ("POST", "/services/s/plugins", json!({"name": "nope"})),
        // The certificate is fine with everybody but the name that stands beside it.
        (
            "POST",
            "/certificates",
            json!({"cert": "x", "key": "y", "snis": ["a.test"]}),
        ),
    ] {
        let answer = admin.send(method, path, &body).await;
        assert_eq!(
            (answer.status, refusal(&answer).1),
            (400, 2),
            "{path} {}",
            answer.text()
        );
    }
    assert_eq!(admin.get("/services/s").await, service);
    site.reaches(&Request::get("/"), &upstream).await;
    for path in ["/plugins", "/certificates", "/snis"] {
        assert_eq!(admin.get(path).await["data"], json!([]), "{path}");
    }
}
