//! Headers that only the gateway may set.

use crate::ask::{ask, service};
use tidegate_tests::{Gateway, Request, Upstream};

#[tokio::test]
async fn a_client_cannot_pass_for_a_consumer() {
    let upstream = Upstream::ok().await;
    let yaml = service(&upstream, "- {paths: [/], plugins: [{name: key-auth}]}")
        + "consumers:\n- {custom_id: c-1, keyauth_credentials: [{key: k}]}\n";
    let gateway = Gateway::start(yaml).await;
    let request = ask("GET / apikey:k X-Consumer-Username:root X-Consumer-ID:1 X-Anonymous-Consumer:true")
        .header("X-Consumer-Custom-ID", "2")
        .header("X-Credential-Identifier", "3");
    assert_eq!(gateway.call(&request).await.status, 200);
    let seen = upstream.last();
    assert_eq!(seen.headers.all("X-Consumer-Custom-ID"), ["c-1"]);
    assert_eq!(seen.headers.all("X-Consumer-ID")[0].len(), 36);
    assert_ne!(seen.header("X-Credential-Identifier"), "3");
    for name in ["X-Consumer-Username", "X-Anonymous-Consumer"] {
        assert!(!seen.headers.has(name), "{name}: {seen:?}");
    }
}

#[tokio::test]
async fn an_injected_secret_is_neither_displaced_nor_accompanied() {
    let upstream = Upstream::ok().await;
    let routes = "- name: r
  paths: [/]
  plugins:
  - name: request-transformer
    config:
      remove: {headers: [Authorization]}
      add: {headers: [\"{vault://env/backend-token}\"]}
";
    let gateway = Gateway::with(service(&upstream, routes))
        .environment("BACKEND_TOKEN", "Authorization:Bearer s3cret")
        .start()
        .await;
    let own = Request::get("/")
        .header("Authorization", "Bearer mine")
        .header("authorization", "Basic x");
    for request in [
        Request::get("/"),
        own,
        ask("GET / Connection:Authorization Authorization:x"),
    ] {
        gateway.call(&request).await;
        assert_eq!(
            upstream.last().headers.all("Authorization"),
            ["Bearer s3cret"],
            "{request:?}"
        );
    }
    assert!(!gateway.log().contains("s3cret"), "a secret is never logged");
}

#[tokio::test]
async fn an_underscore_does_not_make_another_header_of_a_trusted_name() {
    let upstream = Upstream::ok().await;
    let yaml = service(&upstream, "- {paths: [/], plugins: [{name: key-auth}]}")
        + "consumers:\n- {username: alice, keyauth_credentials: [{key: k}]}\n";
    let gateway = Gateway::start(yaml).await;
    gateway
        .call(&ask("GET / apikey:k X_Consumer_Username:root X_Real_IP:10.0.0.1"))
        .await;
    let seen = upstream.last();
    assert_eq!(seen.header("X-Consumer-Username"), "alice");
    assert_eq!(seen.header("X-Real-IP"), "127.0.0.1");
}
