//! Filters that do what the published examples of the proxy-wasm SDK for Rust do, built with its crate as it is.

use super::built::built;
use super::guest::Folder;
use http::{HeaderMap, HeaderValue, Request as HttpRequest, Response};
use regex::Regex;
use std::path::PathBuf;
use std::sync::OnceLock;
use tidegate_tests::h2_client::{self, Body, H2Client};
use tidegate_tests::h2_upstream::{H2Recorded, H2Upstream};
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Answer, Gateway, Request, Upstream, eventually};

fn module(name: &str) -> Vec<u8> {
    static MODULES: OnceLock<Vec<PathBuf>> = OnceLock::new();
    let modules = MODULES.get_or_init(|| built("guests"));
    let found = modules
        .iter()
        .find(|module| module.file_stem().is_some_and(|stem| stem == name));
    std::fs::read(found.unwrap_or_else(|| panic!("no module {name}"))).unwrap()
}

/// A gateway in front of `url` with one example on it; `more` stands beside the service.
async fn gateway(name: &str, url: &str, config: &str, more: &str) -> Gateway {
    let yaml = format!(
        "services:\n- name: s\n  url: {url}\n  routes:\n  - {{paths: [/], protocols: [http, grpc]}}\n{more}\
         filter_chains:\n- {{name: c, service: s, filters: [{{name: example{config}}}]}}\n"
    );
    let yaml = match url.starts_with("grpc") {
        true => yaml.replace("[http, grpc]", "[grpc]"),
        false => yaml.replace("[http, grpc]", "[http]"),
    };
    let folder = Folder::new();
    folder.put("example.wasm", &module(name));
    if name == "hello_world" {
        // It has no context for exchanges: Envoy runs it beside them.
        folder.put("example.meta.json", br#"{"tidegate": {"background_only": true}}"#);
    }
    folder.attached(Gateway::with(yaml)).start().await
}

/// Waits for a line in the gateway's log.
async fn logged(gateway: &Gateway, pattern: &str) {
    let pattern = Regex::new(pattern).unwrap();
    eventually("the filter logs", PATIENCE, async || {
        gateway
            .log()
            .lines()
            .any(|line| pattern.is_match(line))
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn http_headers_logs_both_heads_and_answers_hello() {
    let upstream = Upstream::serving(|_| Answer::ok("ok").header("x-from", "upstream")).await;
    let gateway = gateway("http_headers", &upstream.url(), "", "").await;
    let answer = gateway
        .call(&Request::get("/other?q=1").header("x-my", "own"))
        .await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    for line in [
        r"#\d+ -> :path: /other\?q=1",
        r"#\d+ -> :method: GET",
        r"#\d+ -> :authority: ",
        r"#\d+ -> x-my: own",
        r"#\d+ <- :status: 200",
        r"#\d+ <- x-from: upstream",
        r"#\d+ completed\.",
    ] {
        logged(&gateway, line).await;
    }
    let answer = gateway.get("/hello").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "Hello, World!\n"));
    assert_eq!(
        (answer.header("hello"), answer.header("powered-by")),
        ("World", "proxy-wasm")
    );
    assert_eq!(upstream.requests().len(), 1, "the greeting is the filter's");
    logged(&gateway, r"#\d+ <- powered-by: proxy-wasm").await;
}

#[tokio::test]
async fn http_body_blanks_bodies_that_tell_a_secret() {
    let upstream = Upstream::serving(|request| {
        let secret = "a secret in a long text, ".repeat(4_000);
        match request.target.as_str() {
            "/short" => Answer::ok("some secret"),
            "/long" => Answer::ok(secret),
            _ => Answer::ok("nothing to hide"),
        }
    })
    .await;
    let gateway = gateway("http_body", &upstream.url(), "", "").await;
    for (target, body) in [
        ("/plain", "nothing to hide"),
        ("/short", "Original message body (11 bytes) redacted.\n"),
        ("/long", "Original message body (100000 bytes) redacted.\n"),
    ] {
        let answer = gateway.get(target).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, body), "{target}");
    }
}

#[tokio::test]
async fn http_config_adds_its_configuration_as_a_header() {
    let upstream = Upstream::ok().await;
    let config = ", config: The secret to life is meaningless unless you discover it yourself";
    let gateway = gateway("http_config", &upstream.url(), config, "").await;
    assert_eq!(
        gateway.get("/").await.headers.all("custom-header"),
        ["The secret to life is meaningless unless you discover it yourself"]
    );
}

#[tokio::test]
async fn http_auth_random_lets_even_bytes_pass() {
    for (byte, status, body) in [(6, 200, "ok"), (7, 403, "Access forbidden.\n")] {
        let upstream = Upstream::ok().await;
        let dice = Upstream::serving(move |_| Answer::ok([byte])).await;
        let more = format!("- {{name: httpbin, url: {}}}\n", dice.url());
        let gateway = gateway("http_auth_random", &upstream.url(), "", &more).await;
        let answer = gateway.get("/").await;
        assert_eq!((answer.status, answer.text().as_str()), (status, body));
        assert_eq!(answer.header("powered-by"), "proxy-wasm");
        let asked = dice.last();
        assert_eq!(
            (asked.method.as_str(), asked.target.as_str(), asked.header("host")),
            ("GET", "/bytes/1", "httpbin.org")
        );
        assert_eq!(upstream.requests().len(), usize::from(status == 200));
        let line = if status == 200 {
            "Access granted."
        } else {
            "Access forbidden."
        };
        logged(&gateway, line).await;
    }
}

#[tokio::test]
async fn http_auth_random_forbids_when_nobody_throws() {
    let upstream = Upstream::ok().await;
    let more = "- {name: httpbin, url: 'http://127.0.0.1:1'}\n";
    let gateway = gateway("http_auth_random", &upstream.url(), "", more).await;
    assert_eq!(gateway.get("/").await.status, 403);
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn hello_world_greets_when_it_starts_and_tells_the_time() {
    let upstream = Upstream::ok().await;
    let gateway = gateway("hello_world", &upstream.url(), "", "").await;
    logged(&gateway, "Hello, World!").await;
    assert_eq!(gateway.get("/").await.status, 200, "it has no part in exchanges");
    logged(
        &gateway,
        r"It's \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ UTC, your lucky number is \d{1,3}\.",
    )
    .await;
}

/// Answers a gRPC request with a status and no message.
fn ended_with(status: &'static str) -> impl Fn(&H2Recorded) -> Response<Body> + Send + Sync {
    move |_| {
        let status = [("grpc-status".parse().unwrap(), HeaderValue::from_static(status))];
        let mut response = Response::new(h2_client::with_trailers("", HeaderMap::from_iter(status)));
        let headers = response.headers_mut();
        headers.insert("content-type", HeaderValue::from_static("application/grpc"));
        response
    }
}

/// The example behind a gateway, in front of a backend that says OK; its dice end with a status.
async fn grpc_example(status: &'static str) -> (Gateway, H2Upstream, H2Upstream) {
    let upstream = H2Upstream::serving(ended_with("0")).await;
    let dice = H2Upstream::serving(ended_with(status)).await;
    let more = format!("- {{name: grpcbin, url: 'grpc://{}'}}\n", dice.address());
    let url = format!("grpc://{}", upstream.address());
    (gateway("grpc_auth_random", &url, "", &more).await, upstream, dice)
}

#[tokio::test]
async fn grpc_auth_random_lets_even_statuses_pass() {
    for (thrown, passes) in [("2", true), ("14", true), ("5", false), ("13", false)] {
        let (gateway, upstream, dice) = grpc_example(thrown).await;
        let mut client = H2Client::cleartext(gateway.proxy()).await;
        let answer = client
            .call(h2_client::grpc("http://h/hello.Greeter/Greet", b"hi"))
            .await;
        assert_eq!(answer.status, 200, "{thrown}");
        assert_eq!(answer.header("powered-by"), "proxy-wasm", "{thrown}");
        assert_eq!(dice.last().uri.path(), "/grpcbin.GRPCBin/RandomError");
        assert_eq!(upstream.requests().len(), usize::from(passes), "{thrown}");
        if passes {
            assert_eq!(answer.trailer("grpc-status"), "0", "{thrown}");
        } else {
            let told = (answer.header("grpc-status"), answer.header("grpc-message"));
            assert_eq!(told, ("10", "Aborted by Proxy-Wasm!"), "{thrown}");
        }
    }
}

#[tokio::test]
async fn grpc_auth_random_asks_nobody_about_reflection_and_serves_grpc_clients_only() {
    let (gateway, upstream, dice) = grpc_example("5").await;
    let mut client = H2Client::cleartext(gateway.proxy()).await;
    let reflection = "http://h/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
    let answer = client.call(h2_client::grpc(reflection, b"")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.trailer("grpc-status")),
        (200, "0")
    );
    assert!(dice.requests().is_empty());
    assert_eq!(upstream.requests().len(), 1);
    drop(gateway);

    // A route for gRPC refuses others itself; here the filter has to.
    let upstream = Upstream::ok().await;
    let more = format!("- {{name: grpcbin, url: 'grpc://{}'}}\n", dice.address());
    let gateway = self::gateway("grpc_auth_random", &upstream.url(), "", &more).await;
    let mut client = H2Client::cleartext(gateway.proxy()).await;
    let plain = HttpRequest::get("http://h/").body(h2_client::full("")).unwrap();
    let answer = client.call(plain).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.body, "Service accessible only to gRPC clients.\n");
    assert_eq!(answer.header("powered-by"), "proxy-wasm");
    assert!(upstream.requests().is_empty());
}
