//! The listener of the Admin API: who may ask, how much, in which protocols; and that it survives bad input.

use super::Site;
use bytes::Bytes;
use serde_json::{Value, json};
use tidegate_tests::tls::{Certificate, Hello};
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Gateway, H2Client, RawClient, Request, Response, eventually, h2_client};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A request whose body does not come.
const BEGUN: &str =
    "POST /services HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n{";

#[tokio::test]
async fn without_the_token_every_answer_is_the_same() {
    let gateway = Gateway::managed()
        .setting("admin_token", "opens-it")
        .start()
        .await;
    let open = gateway.admin().with_header("Kong-Admin-Token", "opens-it");
    open.post("/services", json!({"name": "s", "host": "h"})).await;
    let bearer = gateway.admin().with_header("Authorization", "Bearer opens-it");
    assert_eq!(bearer.status("/services/s").await, 200);

    let told = |answer: &Response| {
        (
            answer.status,
            answer.text(),
            answer.headers.all("WWW-Authenticate").len(),
        )
    };
    let closed = gateway.admin();
    let first = closed.call(Request::get("/services/s")).await;
    assert_eq!(told(&first), (401, r#"{"message":"Unauthorized"}"#.to_owned(), 1));
    for path in [
        "/services/nobody",
        "/",
        "/nowhere",
        "/metrics",
        "/status/ready",
        "/openapi.json",
    ] {
        assert_eq!(
            told(&closed.call(Request::get(path)).await),
            told(&first),
            "{path}"
        );
    }
    for token in ["", "opens-i", "opens-it ", "opens-itt", "OPENS-IT"] {
        for (name, value) in [
            ("Kong-Admin-Token", token.to_owned()),
            ("Authorization", format!("Bearer {token}")),
        ] {
            // Space at the end of a value is no part of it.
            if token.ends_with(' ') {
                continue;
            }
            let answer = closed.call(Request::get("/services").header(name, &value)).await;
            assert_eq!(told(&answer), told(&first), "{name}: {value}");
        }
    }
    // Nobody waits for the body of a stranger.
    let mut client = RawClient::connect(closed.address()).await;
    client.send(BEGUN).await;
    assert_eq!(told(&client.response().await), told(&first));
    let answer = closed.send("DELETE", "/services/s", &json!({})).await;
    assert_eq!(answer.status, 401);
    assert_eq!(open.status("/services/s").await, 200);
    let shown = open.get("/").await.to_string();
    assert!(!shown.contains("opens-it"), "the token is not shown");
    assert!(!gateway.log().contains("opens-it"), "nor logged");
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let gateway = Gateway::managed()
        .setting("admin_client_max_body_size", "2k")
        .start()
        .await;
    let admin = gateway.admin();
    let service = |length: usize| json!({"host": "h", "tags": ["t".repeat(length)]});
    let answer = admin.send("POST", "/services", &service(1_000)).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let answer = admin.send("POST", "/services", &service(3_000)).await;
    assert_eq!(answer.status, 413, "{}", answer.text());
    // Nothing says how long it will be.
    let mut client = RawClient::connect(admin.address()).await;
    client
        .send("POST /services HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    for _ in 0..5 {
        client
            .try_send(format!("400\r\n{}\r\n", "x".repeat(1_024)).as_bytes(), PATIENCE)
            .await;
    }
    assert_eq!(client.response().await.status, 413);
    // What is announced need not be waited for.
    let mut client = RawClient::connect(admin.address()).await;
    client.send(BEGUN).await;
    assert_eq!(client.response().await.status, 413);
    assert_eq!(admin.get("/services").await["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn each_request_leaves_a_line_without_secrets() {
    let gateway = Gateway::managed()
        .setting("admin_access_log", "admin.log")
        .setting("admin_token", "opens-it")
        .start()
        .await;
    let admin = gateway.admin().with_header("Kong-Admin-Token", "opens-it");
    admin.post("/consumers", json!({"username": "ali"})).await;
    let secret = json!({"username": "u", "password": "hunter2"});
    admin.post("/consumers/ali/basic-auth", secret).await;
    admin.status("/consumers?custom_id=hunter3").await;
    gateway.admin().status("/services").await;
    let path = gateway.folder().join("admin.log");
    let lines = eventually("four lines", PATIENCE, async || {
        let text = std::fs::read_to_string(&path).ok()?;
        (text.lines().count() >= 4).then_some(text)
    })
    .await;
    for secret in ["hunter", "opens-it"] {
        assert!(!lines.contains(secret), "{lines}");
    }
    let line: Value = serde_json::from_str(lines.lines().nth(1).unwrap()).unwrap();
    assert_eq!(
        (&line["method"], &line["path"], &line["status"]),
        (&json!("POST"), &json!("/consumers/ali/basic-auth"), &json!(201))
    );
    assert!(lines.lines().last().unwrap().contains("401"), "{lines}");
}

#[tokio::test]
async fn hostile_bodies_are_refused_and_the_gateway_goes_on() {
    let site = Site::embedded().await;
    let admin = site.admin();
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
    let json_body =
        |body: String| Request::post("/services", body).header("Content-Type", "application/json");
    let answer = admin.call(json_body(deep("{\"a\":", "}"))).await;
    assert_eq!(
        (answer.status, answer.message().as_str()),
        (400, "Cannot parse JSON body")
    );
    let answer = admin
        .call(json_body(format!("{{\"a\":{}}}", deep("[", "]"))))
        .await;
    assert_eq!(answer.status, 400);
    let answer = admin
        .form("POST", "/services", &format!("host=h&{}=1", "a.".repeat(50_000)))
        .await;
    assert_eq!(answer.status, 400, "{}", answer.text().len());
    let many: Vec<String> = (0..1_001).map(|number| format!("a{number}=1")).collect();
    let answer = admin.form("POST", "/services", &many.join("&")).await;
    assert_eq!(
        (answer.status, answer.message().as_str()),
        (400, "Too many arguments")
    );
    for body in [
        "",
        "{",
        "null",
        "1",
        "\"a\"",
        "{\"host\":\"\u{0}\"}",
        "{\"host\": 1e999}",
    ] {
        let answer = admin.call(json_body(body.to_owned())).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
    }
    let answer = admin
        .call(Request::post("/services", "host=h").header("Content-Type", "text/plain"))
        .await;
    assert_eq!(answer.status, 415);
    for path in [
        "/services/%00",
        "/services/%ff",
        "/services/..%2f..",
        "/services/a/b/c/d/e",
    ] {
        let status = admin.status(path).await;
        assert!((400..500).contains(&status), "{path}: {status}");
    }
    assert_eq!(admin.get("/services").await["data"], json!([]));
    admin.post("/services", json!({"host": "h"})).await;
}

#[tokio::test]
async fn head_options_and_other_origins_are_answered_as_browsers_expect() {
    let site = Site::embedded().await;
    let admin = site.admin();
    let head = admin.call(Request::new("HEAD", "/services")).await;
    let get = admin.call(Request::get("/services")).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("Content-Length"), get.body.len().to_string());
    for (path, allowed) in [
        ("/services", "GET, HEAD, OPTIONS, POST"),
        ("/services/s", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
        ("/", "GET, HEAD, OPTIONS"),
    ] {
        let request = Request::new("OPTIONS", path)
            .header("Origin", "http://manager.test")
            .header("Access-Control-Request-Headers", "X-Own");
        let answer = admin.call(request).await;
        assert_eq!(answer.status, 204);
        assert_eq!(answer.header("Allow"), allowed);
        assert_eq!(answer.header("Access-Control-Allow-Methods"), allowed);
        assert_eq!(answer.header("Access-Control-Allow-Headers"), "X-Own");
        assert_eq!(
            answer.header("Access-Control-Allow-Origin"),
            "http://manager.test"
        );
    }
    let answer = admin.call(Request::get("/services")).await;
    assert_eq!(answer.header("Access-Control-Allow-Origin"), "*");
    for method in ["POST", "PUT", "DELETE", "PATCH", "BREW"] {
        assert_eq!(
            admin.call(Request::new(method, "/")).await.status,
            405,
            "{method}"
        );
    }
}

#[tokio::test]
async fn the_admin_api_speaks_tls_and_http_2_with_its_own_certificate() {
    let certificate = Certificate::for_names(&["admin.test"]);
    let gateway = Gateway::managed()
        .setting("admin_listen", "{admin} ssl http2")
        .setting("admin_ssl_cert", "{folder}/admin.pem")
        .setting("admin_ssl_cert_key", "{folder}/admin.key")
        .file("admin.pem", &certificate.cert_pem)
        .file("admin.key", &certificate.key_pem)
        .start()
        .await;
    let address = gateway.admin().address();
    let mut client = RawClient::connect_tls(address, Hello::to("admin.test")).await;
    assert_eq!(client.certificate.as_ref(), Some(&certificate.der));
    let answer = client.call(&Request::get("/services")).await;
    assert_eq!(answer.json()["data"], json!([]));
    let mut client = H2Client::tls(address, "admin.test").await;
    let body = Bytes::from(json!({"name": "s", "host": "h"}).to_string());
    let request = http::Request::post("https://admin.test/services")
        .header("content-type", "application/json")
        .body(h2_client::full(body))
        .unwrap();
    let answer = client.call(request).await;
    assert_eq!(answer.status, 201);
    let answer = client.call(h2_client::get("https://admin.test/services/s")).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn the_admin_api_is_served_on_a_unix_socket() {
    let gateway = Gateway::managed()
        .setting("admin_listen", "{admin}, unix:{folder}/admin.sock")
        .start()
        .await;
    let path = gateway.folder().join("admin.sock");
    let mut stream = tokio::net::UnixStream::connect(path).await.unwrap();
    let request = Request::get("/services").header("Connection", "close");
    stream.write_all(&request.bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\"data\":[]"), "{answer}");
}
