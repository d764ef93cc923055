//! Without a database: everything at once by `/config` or by the file, nothing one by one (kong-core B.4, G.4).

use crate::ask::service;
use serde_json::{Value, json};
use tidegate_tests::gateway::{Builder, Reload};
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Gateway, Request, Response, Upstream, eventually};

const NOTHING: &str = "00000000000000000000000000000000";

fn empty() -> Builder {
    Gateway::managed()
        .setting("database", "off")
        .setting("workers", "2")
}

fn with(yaml: String) -> Builder {
    Gateway::with(yaml).setting("admin_listen", "{admin}")
}

async fn post(gateway: &Gateway, path: &str, yaml: &str) -> Response {
    let yaml = format!("_format_version: \"3.0\"\n{yaml}");
    let request = Request::post(path, yaml).header("Content-Type", "text/yaml");
    gateway.admin().call(request).await
}

async fn hash(gateway: &Gateway) -> String {
    let status = gateway.admin().get("/status").await;
    status["configuration_hash"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_configuration_serves_when_its_answer_leaves_and_a_broken_one_changes_nothing() {
    let (one, two) = (Upstream::ok().await, Upstream::ok().await);
    let gateway = empty().start().await;
    assert_eq!(hash(&gateway).await, NOTHING);
    assert_eq!(gateway.status_page("/status/ready").await.status, 503);
    for (upstream, path) in [(&one, "/a"), (&two, "/b"), (&one, "/a")] {
        let answer = post(
            &gateway,
            "/config",
            &service(upstream, &format!("- {{name: r, paths: [{path}]}}")),
        )
        .await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let body = answer.json();
        assert_eq!(body["services"].as_object().unwrap().len(), 1);
        drop(upstream.take());
        assert_eq!(gateway.get(path).await.status, 200);
        assert_eq!(upstream.take().len(), 1, "the very next request goes there");
    }
    assert_eq!(gateway.status_page("/status/ready").await.status, 200);
    let before = hash(&gateway).await;
    assert_ne!(before, NOTHING);
    let answer = post(&gateway, "/config", "services:\n- {name: s, port: 70000}\n").await;
    let body = answer.json();
    assert_eq!((answer.status, &body["code"]), (400, &json!(14)), "{body}");
    assert_eq!(
        body["fields"]["services"][0]["port"],
        "value should be between 0 and 65535"
    );
    assert_eq!(hash(&gateway).await, before);
    assert_eq!(gateway.get("/a").await.status, 200);
    assert_eq!(gateway.admin().status("/routes/r").await, 200);
}

#[tokio::test]
async fn single_entities_are_read_and_not_written() {
    let upstream = Upstream::ok().await;
    let gateway = with(service(&upstream, "- {name: r, paths: [/]}")).start().await;
    let admin = gateway.admin();
    let service = admin.get("/services/s").await;
    for (method, path, what) in [
        ("POST", "/services", "create 'services' entities"),
        ("PATCH", "/services/s", "update 'services' entities by 'name'"),
        (
            "PUT",
            "/routes/other",
            "create or update 'routes' entities by 'name'",
        ),
        ("DELETE", "/routes/r", "remove 'routes' entities by 'name'"),
    ] {
        let body = json!({"host": "h", "paths": ["/"]});
        let body = if path.starts_with("/routes") {
            json!({"paths": ["/"]})
        } else {
            json!({"host": body["host"]})
        };
        let answer = admin.send(method, path, &body).await;
        let told = answer.json();
        assert_eq!(
            (answer.status, &told["code"]),
            (405, &json!(12)),
            "{method} {path}: {told}"
        );
        assert_eq!(
            told["message"],
            format!("cannot {what} when not using a database")
        );
    }
    assert_eq!(admin.get("/services/s").await, service);
    assert_eq!(gateway.get("/").await.status, 200);
}

#[tokio::test]
async fn the_admin_api_shows_the_file_and_follows_its_reloads() {
    let upstream = Upstream::ok().await;
    let gateway = with(service(&upstream, "- {name: r, paths: [/a]}")).start().await;
    let admin = gateway.admin();
    let before = admin.get("/services/s").await;
    assert_eq!(before["host"], "127.0.0.1");
    assert_eq!(admin.get("/routes/r").await["paths"], json!(["/a"]));
    let first = hash(&gateway).await;

    let next = service(
        &upstream,
        "- {name: r, paths: [/b]}\n- {name: other, paths: [/c]}",
    );
    assert_eq!(gateway.reload(next).await, Reload::Accepted);
    eventually("it is shown", PATIENCE, async || {
        (admin.get("/routes/r").await["paths"] == json!(["/b"])).then_some(())
    })
    .await;
    assert_eq!(admin.get("/routes").await["data"].as_array().unwrap().len(), 2);
    assert_eq!(
        admin.get("/services/s").await,
        before,
        "what did not change keeps its id and times"
    );
    let second = hash(&gateway).await;
    assert_ne!(first, second);

    assert_eq!(gateway.reload("services: 1").await, Reload::Refused);
    assert_eq!(admin.get("/routes/r").await["paths"], json!(["/b"]));
    assert_eq!(hash(&gateway).await, second);

    // What was posted gives way when the file is read anew, and not before.
    let posted = post(
        &gateway,
        "/config",
        &service(&upstream, "- {name: p, paths: [/p]}"),
    )
    .await;
    assert_eq!(posted.status, 201, "{}", posted.text());
    assert_eq!(gateway.get("/p").await.status, 200);
    assert_eq!(gateway.get("/b").await.status, 404);
    let file = service(&upstream, "- {name: r, paths: [/d]}");
    assert_eq!(gateway.reload(file).await, Reload::Accepted);
    assert_eq!(gateway.get("/d").await.status, 200);
    assert_eq!(gateway.get("/p").await.status, 404);
    eventually("it is shown", PATIENCE, async || {
        (admin.status("/routes/p").await == 404).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_same_configuration_is_not_loaded_twice_when_asked_to_look() {
    let upstream = Upstream::ok().await;
    let gateway = empty().start().await;
    let yaml = service(&upstream, "- {name: r, paths: [/]}");
    assert_eq!(post(&gateway, "/config?check_hash=1", &yaml).await.status, 201);
    let again = post(&gateway, "/config?check_hash=1", &yaml).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(post(&gateway, "/config", &yaml).await.status, 201);
    let other = service(&upstream, "- {name: other, paths: [/]}");
    assert_eq!(post(&gateway, "/config?check_hash=1", &other).await.status, 201);
    assert_eq!(gateway.admin().status("/routes/other").await, 200);
}

#[tokio::test]
async fn faults_are_flattened_to_their_entities() {
    let gateway = empty().start().await;
    let yaml = "services:\n- name: s\n  host: h\n  tags: [mine]\n  port: 70000\n  plugins:\n  - name: key-auth\n    config: {colour: red}\n";
    let answer = post(&gateway, "/config?flatten_errors=1", yaml).await;
    let body = answer.json();
    assert_eq!(answer.status, 400, "{body}");
    let flattened = body["flattened_errors"].as_array().unwrap();
    let of = |kind: &str| -> &Value {
        let found = flattened.iter().find(|entry| entry["entity_type"] == kind);
        found.unwrap_or_else(|| panic!("{kind} in {body}"))
    };
    assert_eq!(of("service")["entity_name"], "s");
    assert_eq!(of("service")["entity_tags"], json!(["mine"]));
    assert_eq!(of("service")["errors"][0]["field"], "port");
    assert_eq!(of("plugin")["errors"][0]["field"], "config.colour");
}

#[tokio::test]
async fn bombs_and_deep_documents_are_refused() {
    let upstream = Upstream::ok().await;
    let gateway = with(service(&upstream, "- {paths: [/]}")).start().await;
    let mut bomb = String::from("_ignore:\n- &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let below = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("- &a{level} [{below}]\n"));
    }
    let deep = format!("services: {}{}", "[".repeat(50_000), "]".repeat(50_000));
    let braces = format!("services: {}", "{a: ".repeat(50_000));
    for body in [
        &bomb,
        &deep,
        &braces,
        "services: *nobody",
        "\u{0}",
        "- - - -",
        "&a [*a]",
    ] {
        let answer = post(&gateway, "/config", body).await;
        assert_eq!(
            answer.status,
            400,
            "{}: {}",
            &body[..body.len().min(60)],
            answer.text()
        );
    }
    let nested = json!({"config": bomb}).to_string();
    let request = Request::post("/config", nested).header("Content-Type", "application/json");
    assert_eq!(gateway.admin().call(request).await.status, 400);
    assert_eq!(gateway.get("/").await.status, 200);
}

#[tokio::test]
async fn what_is_exported_loads_back_to_the_same() {
    let upstream = Upstream::ok().await;
    let yaml = format!(
        "{}consumers:\n- username: ali\n  keyauth_credentials: [{{key: k}}]\nplugins:\n- {{name: cors}}\n",
        service(&upstream, "- {name: r, paths: [/]}")
    );
    let gateway = with(yaml).start().await;
    let lists = ["/services", "/routes", "/consumers", "/key-auths", "/plugins"];
    let exported = gateway.admin().get("/config").await;
    let other = empty().start().await;
    let answer = other.admin().send("POST", "/config", &exported).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    for list in lists {
        assert_eq!(
            other.admin().get(list).await["data"],
            gateway.admin().get(list).await["data"],
            "{list}"
        );
    }
}
