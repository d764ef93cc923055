//! TLS towards upstreams: who is believed, what is shown, which connections are shared (kong-core F.7).

use crate::ask::service_at;
use tidegate_tests::tls::{Authority, Certificate};
use tidegate_tests::{Answer, Gateway, Request, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const CA: &str = "33333333-3333-4333-8333-333333333333";
const OWN: &str = "44444444-4444-4444-8444-444444444444";
const STRANGE: &str = "55555555-5555-4555-8555-555555555555";

/// One service of that upstream, found at `/NAME`.
fn service(name: &str, upstream: &Upstream, fields: &str) -> String {
    let port = upstream.port();
    format!(
        "- {{name: {name}, url: \"https://localhost:{port}\", retries: 0, {fields} routes: [{{paths: [/{name}]}}]}}\n"
    )
}

fn authority(authority: &Authority) -> String {
    let cert = Certificate::indented(&authority.cert_pem, 4);
    format!("ca_certificates:\n- id: {CA}\n  cert: |\n{cert}")
}

fn certificate(id: &str, certificate: &Certificate) -> String {
    let cert = Certificate::indented(&certificate.cert_pem, 4);
    let key = Certificate::indented(&certificate.key_pem, 4);
    format!("- id: {id}\n  cert: |\n{cert}  key: |\n{key}")
}

async fn status(gateway: &Gateway, path: &str) -> u16 {
    gateway.get(path).await.status
}

#[tokio::test]
async fn upstreams_behind_tls_are_verified_when_asked() {
    let known = Authority::new("Known");
    let upstream = Upstream::tls(&known.certificate("localhost"), |_| Answer::ok("secret")).await;
    let misnamed = Upstream::tls(&known.certificate("other.test"), |_| Answer::ok("secret")).await;
    let trusting = format!("tls_verify: true, ca_certificates: [{CA}],");
    let yaml = format!(
        "{}services:\n{}{}{}{}",
        authority(&known),
        service("loose", &upstream, ""),
        service("strict", &upstream, "tls_verify: true,"),
        service("trusting", &upstream, &trusting),
        service("misnamed", &misnamed, &trusting),
    );
    let gateway = Gateway::start(yaml).await;
    assert_eq!(
        gateway.get("/loose").await.text(),
        "secret",
        "not verified by default"
    );
    assert_eq!(status(&gateway, "/strict").await, 502, "nobody vouches for it");
    assert_eq!(gateway.get("/trusting").await.text(), "secret");
    assert_eq!(
        status(&gateway, "/misnamed").await,
        502,
        "a certificate for somebody else"
    );
}

#[tokio::test]
async fn a_chain_may_be_as_long_as_the_service_says() {
    let root = Authority::new("Root");
    let leaf = root.below("Between").certificate("localhost");
    let upstream = Upstream::tls(&leaf, |_| Answer::ok("ok")).await;
    let with_depth =
        |depth: u8| format!("tls_verify: true, tls_verify_depth: {depth}, ca_certificates: [{CA}],");
    let yaml = format!(
        "{}services:\n{}{}",
        authority(&root),
        service("one", &upstream, &with_depth(1)),
        service("none", &upstream, &with_depth(0)),
    );
    let gateway = Gateway::start(yaml).await;
    assert_eq!(status(&gateway, "/one").await, 200, "one certificate in between");
    assert_eq!(status(&gateway, "/none").await, 502);
}

#[tokio::test]
async fn a_service_shows_its_own_certificate_to_upstreams_that_ask() {
    let clients = Authority::new("Clients");
    let server = Certificate::for_names(&["localhost"]);
    let config = server.server_config_for_clients_of(&clients);
    let upstream = Upstream::tls_with(config, |_| Answer::ok("ok")).await;
    let balanced = |name: &str, fields: &str| {
        format!(
            "- {{name: {name}, url: \"https://pool.test\", retries: 0, {fields} routes: [{{paths: [/{name}]}}]}}\n"
        )
    };
    let yaml = format!(
        "certificates:\n{}{}services:\n{}{}{}{}{}\
         upstreams: [{{name: pool.test, client_certificate: {{id: {OWN}}}, targets: [{{target: \"localhost:{}\"}}]}}]\n",
        certificate(OWN, &clients.certificate("gateway.test")),
        certificate(STRANGE, &Authority::new("Strange").certificate("gateway.test")),
        service("bare", &upstream, ""),
        service("known", &upstream, &format!("client_certificate: {OWN},")),
        service("strange", &upstream, &format!("client_certificate: {STRANGE},")),
        balanced("pooled", ""),
        balanced("overruled", &format!("client_certificate: {STRANGE},")),
        upstream.port(),
    );
    let gateway = Gateway::start(yaml).await;
    assert_eq!(status(&gateway, "/known").await, 200);
    assert_eq!(
        status(&gateway, "/pooled").await,
        200,
        "the Upstream's, when the Service has none"
    );
    for path in ["/bare", "/strange", "/overruled"] {
        assert_eq!(status(&gateway, path).await, 502, "{path}");
        assert_eq!(status(&gateway, "/known").await, 200, "after {path}");
    }
}

#[tokio::test]
async fn connections_under_one_server_name_never_serve_another() {
    let upstream = Upstream::tls(&Certificate::for_names(&["a.test", "b.test"]), |_| {
        Answer::ok("ok")
    })
    .await;
    let yaml = format!(
        "services:\n- {{name: s, url: \"{}\", routes: [{{paths: [/], preserve_host: true}}]}}\n",
        upstream.url().replace("http:", "https:")
    );
    let gateway = Gateway::start(yaml).await;
    for host in ["a.test", "b.test", "a.test", "b.test"] {
        assert_eq!(gateway.call(&Request::get("/").host(host)).await.status, 200);
        assert_eq!(upstream.last().header("Host"), host);
    }
    let connections: Vec<usize> = upstream
        .requests()
        .iter()
        .map(|request| request.connection)
        .collect();
    assert_eq!(connections, [0, 1, 0, 1]);
}

#[tokio::test]
async fn an_upstream_that_speaks_no_tls_is_a_502() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1_024]).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let gateway = Gateway::start(service_at(&url, "retries: 0", "- {paths: [/]}")).await;
    let response = gateway.get("/").await;
    assert_eq!(response.status, 502);
    assert!(
        response
            .text()
            .starts_with("An invalid response was received from the upstream server"),
        "{response:?}"
    );
}

#[tokio::test]
async fn the_time_for_a_connection_covers_the_handshake() {
    // Waits for the end of a head that never comes.
    let silent = Upstream::ok().await;
    let url = silent.url().replace("http:", "https:");
    let gateway = Gateway::start(service_at(
        &url,
        "retries: 0\nconnect_timeout: 300",
        "- {paths: [/]}",
    ))
    .await;
    assert_eq!(status(&gateway, "/").await, 504);
}
