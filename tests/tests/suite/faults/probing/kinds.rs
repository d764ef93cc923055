//! Each kind of check: what is sent, and what counts.

use super::{becomes, gateway, health, pool};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use tidegate_tests::gateway::Reload;
use tidegate_tests::tls::{Authority, Certificate};
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Answer, Fault, Faulty, H2Upstream, Upstream, eventually, h2_client};

#[tokio::test]
async fn a_probe_asks_for_its_path_with_its_headers_under_the_upstreams_name() {
    let backend = Upstream::ok().await;
    let active = "http_path: /ready/deep\n      headers: {X-Probe: [one, two]}";
    let yaml = pool(&[backend.address()], active)
        .replace("- name: pool\n", "- name: pool\n  host_header: up.test\n");
    let gateway = gateway(yaml).start().await;
    eventually("it is probed", PATIENCE, async || {
        (!backend.requests().is_empty()).then_some(())
    })
    .await;
    let probe = backend.requests().remove(0);
    assert_eq!(
        (probe.method.as_str(), probe.target.as_str(), probe.header("Host")),
        ("GET", "/ready/deep", "up.test")
    );
    assert_eq!(probe.headers.all("X-Probe"), ["one", "two"]);
    assert_eq!(probe.header("Connection"), "close");
    assert!(probe.header("User-Agent").starts_with("tidegate/"), "{probe:?}");
    drop(gateway);
}

#[tokio::test]
async fn an_https_probe_verifies_the_name_that_it_is_told_and_may_be_told_not_to() {
    let authority = Authority::new("Known");
    let trusted = Certificate::indented(&authority.cert_pem, 0);
    let good = Faulty::tls(&authority.certificate("up.test"), None).await;
    let expired = Faulty::tls(&authority.expired_certificate("up.test"), None).await;
    let stranger = Faulty::tls(&Certificate::for_names(&["up.test"]), None).await;
    let targets = [good.address(), expired.address(), stranger.address()];
    let start = async |active: &str| {
        gateway(pool(&targets, active))
            .file("trusted.pem", &trusted)
            .setting("lua_ssl_trusted_certificate", "{folder}/trusted.pem")
            .start()
            .await
    };
    let strict = start("type: https\n      https_sni: up.test").await;
    becomes(&strict, expired.address(), "UNHEALTHY").await;
    becomes(&strict, stranger.address(), "UNHEALTHY").await;
    eventually("the good one is probed", PATIENCE, async || {
        (good.count("GET") > 1).then_some(())
    })
    .await;
    assert_eq!(health(&strict, good.address()).await, "HEALTHY");
    assert_eq!(
        expired.count("GET") + stranger.count("GET"),
        0,
        "nothing was said to them"
    );
    drop(strict);

    let misnamed = start("type: https\n      https_sni: other.test").await;
    becomes(&misnamed, good.address(), "UNHEALTHY").await;
    drop(misnamed);

    let before = expired.count("GET");
    let loose = start("type: https\n      https_verify_certificate: false").await;
    eventually("the expired one is probed", PATIENCE, async || {
        (expired.count("GET") > before + 1).then_some(())
    })
    .await;
    for target in targets {
        assert_eq!(health(&loose, target).await, "HEALTHY");
    }
}

#[tokio::test]
async fn an_https_probe_shows_the_upstreams_certificate() {
    const OWN: &str = "44444444-4444-4444-8444-444444444444";
    let authority = Authority::new("Clients");
    let config = authority
        .certificate("up.test")
        .server_config_for_clients_of(&authority);
    let backend = Upstream::tls_with(config, |_| Answer::ok("ok")).await;
    let own = authority.certificate("gateway.test");
    let (cert, key) = (
        Certificate::indented(&own.cert_pem, 4),
        Certificate::indented(&own.key_pem, 4),
    );
    let certificate = format!("certificates:\n- id: {OWN}\n  cert: |\n{cert}  key: |\n{key}");
    let active = "type: https\n      https_verify_certificate: false";
    let bare = pool(&[backend.address()], active);
    let shown = bare.replace(
        "- name: pool\n",
        &format!("- name: pool\n  client_certificate: {{id: {OWN}}}\n"),
    );
    let gateway = gateway(format!("{certificate}{bare}")).start().await;
    becomes(&gateway, backend.address(), "UNHEALTHY").await;
    assert_eq!(
        gateway.reload(format!("{certificate}{shown}")).await,
        Reload::Accepted
    );
    becomes(&gateway, backend.address(), "HEALTHY").await;
}

#[tokio::test]
async fn a_tcp_probe_is_content_with_a_connection() {
    let backend = Faulty::with(Fault::Silent).await;
    let gateway = gateway(pool(&[backend.address()], "type: tcp")).start().await;
    eventually("it is probed", PATIENCE, async || {
        (backend.connections() > 2).then_some(())
    })
    .await;
    assert_eq!(health(&gateway, backend.address()).await, "HEALTHY");
    assert!(backend.requests().is_empty());
    backend.breaks(Fault::Refuses).await;
    becomes(&gateway, backend.address(), "UNHEALTHY").await;
}

#[tokio::test]
async fn a_grpc_probe_believes_what_the_health_protocol_says() {
    let is_serving = Arc::new(AtomicBool::new(true));
    let shared = Arc::clone(&is_serving);
    let backend = H2Upstream::serving(move |request| {
        assert_eq!(request.uri.path(), "/grpc.health.v1.Health/Check");
        let word = if shared.load(SeqCst) { 1 } else { 2 };
        let trailers = http::HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
        let message = vec![0, 0, 0, 0, 2, 8, word];
        http::Response::new(h2_client::with_trailers(message, trailers))
    })
    .await;
    let gateway = gateway(pool(&[backend.address()], "type: grpc")).start().await;
    eventually("it is probed", PATIENCE, async || {
        (!backend.requests().is_empty()).then_some(())
    })
    .await;
    assert_eq!(health(&gateway, backend.address()).await, "HEALTHY");
    is_serving.store(false, SeqCst);
    becomes(&gateway, backend.address(), "UNHEALTHY").await;
    is_serving.store(true, SeqCst);
    becomes(&gateway, backend.address(), "HEALTHY").await;
}
