//! Methods, headers and bodies, whatever the entity.

use super::{made, open, refusal};
use crate::gateway::Gateway;
use serde_json::json;
use tidegate_admin::{AdminToken, Mode, Options};

#[tokio::test]
async fn methods_that_a_path_lacks_are_told() {
    let gateway = open();
    for (method, path) in [
        ("POST", "/"),
        ("GEEEET", "/"),
        ("PUT", "/routes"),
        ("DELETE", "/status"),
        ("GET", "/cache"),
    ] {
        let seen = gateway.send(method, path, &[], b"").await;
        assert_eq!(refusal(&seen, 405), "Method not allowed", "{method} {path}");
    }
}

#[tokio::test]
async fn options_lists_the_methods() {
    let gateway = open();
    for (path, expected) in [
        ("/", "GET, HEAD, OPTIONS"),
        ("/routes", "GET, HEAD, OPTIONS, POST"),
        ("/routes/x", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
        ("/services/x/plugins", "GET, HEAD, OPTIONS, POST"),
    ] {
        let seen = gateway.send("OPTIONS", path, &[], b"").await;
        assert_eq!(seen.status, 204);
        assert_eq!(seen.headers["allow"], expected, "{path}");
        assert_eq!(seen.headers["access-control-allow-methods"], expected, "{path}");
        assert_eq!(seen.headers["access-control-allow-headers"], "Content-Type");
    }
    let asked = [("access-control-request-headers", "x-a, x-b")];
    let seen = gateway.send("OPTIONS", "/routes", &asked, b"").await;
    assert_eq!(seen.headers["access-control-allow-headers"], "x-a, x-b");
    assert_eq!(gateway.send("OPTIONS", "/nope", &[], b"").await.status, 404);
}

#[tokio::test]
async fn head_is_a_get_without_its_body() {
    let gateway = open();
    let get = gateway.get("/services").await;
    let head = gateway.send("HEAD", "/services", &[], b"").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.headers["content-length"], get.body.len().to_string());
    let missing = gateway.send("HEAD", "/nope", &[], b"").await;
    assert_eq!((missing.status, missing.body.as_str()), (404, ""));
}

#[tokio::test]
async fn every_answer_carries_the_marks_of_a_gateway() {
    let gateway = open();
    for path in ["/", "/nope", "/services/x"] {
        let seen = gateway.get(path).await;
        assert_eq!(seen.headers["server"], "tidegate/0.1.0");
        assert!(seen.headers.contains_key("x-kong-admin-latency"));
        assert_eq!(seen.headers["access-control-allow-origin"], "*");
        assert_eq!(seen.headers["access-control-allow-credentials"], "true");
    }
    let bare = Gateway::with(Options {
        shows_server: false,
        shows_latency: false,
        ..Options::new(Mode::Database)
    });
    let seen = bare.get("/").await;
    assert!(!seen.headers.contains_key("server") && !seen.headers.contains_key("x-kong-admin-latency"));
}

#[tokio::test]
async fn pages_of_known_origins_are_let_in() {
    let gateway = open();
    let from = |origin| [("origin", origin)];
    let seen = gateway.send("GET", "/", &from("http://x.test"), b"").await;
    assert_eq!(seen.headers["access-control-allow-origin"], "http://x.test");
    assert_eq!(seen.headers["vary"], "Origin");
    let narrow = Gateway::with(Options {
        origins: vec!["http://gui.test:8002".to_owned(), "http://other.test".to_owned()],
        ..Options::new(Mode::Database)
    });
    for (origin, expected) in [
        ("http://other.test", "http://other.test"),
        ("http://evil.test", "http://gui.test:8002"),
    ] {
        let seen = narrow.send("GET", "/", &from(origin), b"").await;
        assert_eq!(seen.headers["access-control-allow-origin"], expected);
    }
}

#[tokio::test]
async fn a_token_keeps_strangers_out() {
    let gateway = Gateway::with(Options {
        token: Some(AdminToken::new("s3cret")),
        ..Options::new(Mode::Database)
    });
    let seen = gateway.get("/services").await;
    assert_eq!(refusal(&seen, 401), "Unauthorized");
    assert_eq!(seen.headers["www-authenticate"], "Bearer");
    assert_eq!(
        gateway.get("/nope").await.status,
        401,
        "nor may they learn what there is"
    );
    let with = [("kong-admin-token", "s3cret")];
    assert_eq!(gateway.send("GET", "/services", &with, b"").await.status, 200);
    assert_eq!(
        gateway.send("OPTIONS", "/services", &[], b"").await.status,
        204,
        "browsers ask first"
    );
}

#[tokio::test]
async fn bodies_of_get_and_delete_are_ignored() {
    let gateway = open();
    let broken = [("content-type", "application/json")];
    assert_eq!(gateway.send("GET", "/services", &broken, b"{").await.status, 200);
    assert_eq!(
        gateway.send("DELETE", "/services/x", &broken, b"{").await.status,
        204
    );
}

#[tokio::test]
async fn nothing_at_all_counts_as_an_empty_entity() {
    let gateway = open();
    let seen = gateway.send("POST", "/consumers", &[], b"").await;
    assert!(refusal(&seen, 400).contains("at least one of these fields must be non-empty"));
}

#[tokio::test]
async fn names_may_be_raw_or_encoded_utf_8() {
    let gateway = open();
    let service = made(&gateway, "/services", json!({"name": "stör", "host": "h"})).await;
    for path in ["/services/st%C3%B6r", "/services/st%c3%b6r"] {
        assert_eq!(gateway.get(path).await.json()["id"], service["id"], "{path}");
    }
}
