//! TLS towards clients: certificates by server name, versions, resumption.

use crate::ask::service;
use rustls::version::{TLS12, TLS13};
use rustls::{ProtocolVersion, SupportedProtocolVersion};
use std::time::Duration;
use tidegate_tests::tls::{Certificate, Hello};
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Gateway, RawClient, Request, Upstream, eventually};
use tokio::io::AsyncReadExt;

static ONLY_1_2: &[&SupportedProtocolVersion] = &[&TLS12];
static ONLY_1_3: &[&SupportedProtocolVersion] = &[&TLS13];

fn certificate_entry(certificate: &Certificate, names: &[&str]) -> String {
    let snis: Vec<String> = names.iter().map(|name| format!("{{name: \"{name}\"}}")).collect();
    format!(
        "- cert: |\n{}  key: |\n{}  snis: [{}]\n",
        Certificate::indented(&certificate.cert_pem, 4),
        Certificate::indented(&certificate.key_pem, 4),
        snis.join(", ")
    )
}

#[tokio::test]
async fn the_certificate_follows_the_server_name() {
    let upstream = Upstream::ok().await;
    let (exact, wild) = (
        Certificate::for_names(&["a.test"]),
        Certificate::for_names(&["*.b.test"]),
    );
    let yaml = format!(
        "{}certificates:\n{}{}",
        service(&upstream, "- {paths: [/]}"),
        certificate_entry(&exact, &["a.test"]),
        certificate_entry(&wild, &["*.b.test"]),
    );
    let gateway = Gateway::start(yaml).await;
    for (sni, expected) in [
        ("a.test", Some(&exact)),
        ("x.b.test", Some(&wild)),
        ("other.test", None),
    ] {
        let mut client = RawClient::connect_tls(gateway.tls(), Hello::to(sni)).await;
        let presented = client.certificate.clone().unwrap();
        match expected {
            Some(certificate) => assert_eq!(presented, certificate.der, "SNI {sni}"),
            None => assert!(
                presented != exact.der && presented != wild.der,
                "SNI {sni} gets the default"
            ),
        }
        assert_eq!(client.call(&Request::get("/")).await.status, 200);
    }
}

#[tokio::test]
async fn the_key_of_a_certificate_may_come_from_the_environment() {
    let upstream = Upstream::ok().await;
    let certificate = Certificate::for_names(&["a.test"]);
    let yaml = format!(
        "{}certificates:\n- cert: |\n{}  key: \"{{vault://env/tls-key}}\"\n  snis: [{{name: a.test}}]\n",
        service(&upstream, "- {paths: [/]}"),
        Certificate::indented(&certificate.cert_pem, 4),
    );
    let gateway = Gateway::with(yaml)
        .environment("TLS_KEY", &certificate.key_pem)
        .start()
        .await;
    let mut client = RawClient::connect_tls(gateway.tls(), Hello::to("a.test")).await;
    assert_eq!(client.certificate.as_ref(), Some(&certificate.der));
    assert_eq!(client.call(&Request::get("/")).await.status, 200);
}

#[tokio::test]
async fn the_default_certificate_is_a_setting() {
    let upstream = Upstream::ok().await;
    let own = Certificate::for_names(&["default.test"]);
    let gateway = Gateway::with(service(&upstream, "- {paths: [/]}"))
        .file("cert.pem", &own.cert_pem)
        .file("key.pem", &own.key_pem)
        .setting("ssl_cert", "{folder}/cert.pem")
        .setting("ssl_cert_key", "{folder}/key.pem")
        .start()
        .await;
    let client = RawClient::connect_tls(gateway.tls(), Hello::to("whatever.test")).await;
    assert_eq!(client.certificate, Some(own.der));
}

#[tokio::test]
async fn a_reload_changes_certificates_for_new_connections_and_leaves_open_ones() {
    let upstream = Upstream::ok().await;
    let (old, new) = (
        Certificate::for_names(&["a.test"]),
        Certificate::for_names(&["a.test"]),
    );
    let document = |certificate: &Certificate| {
        format!(
            "{}certificates:\n{}",
            service(&upstream, "- {paths: [/]}"),
            certificate_entry(certificate, &["a.test"])
        )
    };
    let gateway = Gateway::start(document(&old)).await;
    let mut open = RawClient::connect_tls(gateway.tls(), Hello::to("a.test")).await;
    assert_eq!(open.certificate, Some(old.der.clone()));
    gateway.reload(document(&new)).await;
    let fresh = RawClient::connect_tls(gateway.tls(), Hello::to("a.test")).await;
    assert_eq!(fresh.certificate, Some(new.der));
    open.assert_open(&Request::get("/"), "an open connection is not touched")
        .await;
}

#[tokio::test]
async fn tls_1_2_and_1_3_are_spoken() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    for (versions, expected) in [
        (ONLY_1_2, ProtocolVersion::TLSv1_2),
        (ONLY_1_3, ProtocolVersion::TLSv1_3),
    ] {
        let hello = Hello {
            versions,
            ..Hello::to("a.test")
        };
        let mut client = RawClient::connect_tls(gateway.tls(), hello).await;
        assert_eq!(client.tls_version, Some(expected));
        assert_eq!(client.call(&Request::get("/")).await.status, 200);
    }
}

#[tokio::test]
async fn the_suite_modern_refuses_tls_1_2() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::with(service(&upstream, "- {paths: [/]}"))
        .setting("ssl_cipher_suite", "modern")
        .start()
        .await;
    let old = Hello {
        versions: ONLY_1_2,
        ..Hello::to("a.test")
    };
    assert!(RawClient::try_connect_tls(gateway.tls(), old).await.is_err());
    RawClient::connect_tls(gateway.tls(), Hello::to("a.test")).await;
}

#[tokio::test]
async fn plain_http_on_a_tls_port_gets_no_handshake_and_hurts_nobody() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    let mut client = RawClient::connect(gateway.tls()).await;
    client.send(Request::get("/").bytes()).await;
    client.rest_until_closed("no TLS").await;
    assert!(upstream.requests().is_empty());
    RawClient::connect_tls(gateway.tls(), Hello::to("a.test")).await;
    let failures = gateway.metric("tidegate_tls_handshake_failures_total").await;
    assert!(failures >= 1.0, "counted: {failures}");
}

#[tokio::test]
async fn a_handshake_that_never_goes_on_is_ended_and_does_not_hold_others_up() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::with(service(&upstream, "- {paths: [/]}"))
        .setting("tls_handshake_timeout", "1s")
        .start()
        .await;
    let mut silent = tokio::net::TcpStream::connect(gateway.tls()).await.unwrap();
    let mut other = RawClient::connect_tls(gateway.tls(), Hello::to("a.test")).await;
    assert_eq!(other.call(&Request::get("/")).await.status, 200);
    let read = tokio::time::timeout(Duration::from_secs(5), silent.read(&mut [0; 100])).await;
    assert!(
        matches!(read, Ok(Ok(0) | Err(_))),
        "closed after the deadline: {read:?}"
    );
}

#[tokio::test]
async fn open_tls_connections_are_counted_and_forgotten() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    let before = active(&gateway).await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        let mut client = RawClient::connect_tls(gateway.tls(), Hello::to("a.test")).await;
        client.call(&Request::get("/")).await;
        clients.push(client);
    }
    eventually("five more", PATIENCE, async || {
        (active(&gateway).await >= before + 5.0).then_some(())
    })
    .await;
    drop(clients);
    eventually("as before", PATIENCE, async || {
        (active(&gateway).await <= before).then_some(())
    })
    .await;
}

/// Open client connections, whatever the node's id.
async fn active(gateway: &Gateway) -> f64 {
    let page = gateway.status_page("/metrics").await.text();
    let line = page
        .lines()
        .find(|line| line.starts_with("kong_nginx_connections_total{") && line.contains("state=\"active\""));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
        .expect("the gauge is there")
}
