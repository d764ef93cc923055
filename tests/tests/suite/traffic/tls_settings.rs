//! Settings of TLS towards clients: ciphers, their order, resumption (kong-core H.2).

use crate::ask::service;
use rustls::client::Resumption;
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, ClientConfig, HandshakeKind, NamedGroup, SupportedProtocolVersion};
use std::sync::Arc;
use tidegate_tests::tls::{Certificate, Hello, trusting_config};
use tidegate_tests::{Gateway, RawClient, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

static ONLY_1_2: &[&SupportedProtocolVersion] = &[&TLS12];
static ONLY_1_3: &[&SupportedProtocolVersion] = &[&TLS13];

async fn with(settings: &[(&str, &str)]) -> Gateway {
    let upstream = Upstream::ok().await;
    let mut builder = Gateway::with(service(&upstream, "- {paths: [/]}"));
    for (name, value) in settings {
        builder = builder.setting(name, *value);
    }
    builder.start().await
}

async fn handshake(gateway: &Gateway, config: &Arc<ClientConfig>) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(gateway.tls()).await.unwrap();
    let name = "a.test".try_into().unwrap();
    TlsConnector::from(Arc::clone(config))
        .connect(name, stream)
        .await
        .unwrap()
}

fn config(versions: &'static [&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
    Arc::new(trusting_config(Hello {
        versions,
        ..Hello::to("a.test")
    }))
}

async fn cipher(gateway: &Gateway, versions: &'static [&'static SupportedProtocolVersion]) -> CipherSuite {
    let stream = handshake(gateway, &config(versions)).await;
    stream.get_ref().1.negotiated_cipher_suite().unwrap().suite()
}

#[tokio::test]
async fn a_cipher_list_leaves_only_its_ciphers() {
    let list = "ECDHE-ECDSA-CHACHA20-POLY1305:AES128-SHA:TLS_AES_128_GCM_SHA256";
    let gateway = with(&[("ssl_cipher_suite", "custom"), ("ssl_ciphers", list)]).await;
    assert_eq!(
        cipher(&gateway, ONLY_1_2).await,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
    );
    assert_eq!(
        cipher(&gateway, ONLY_1_3).await,
        CipherSuite::TLS13_AES_128_GCM_SHA256
    );
    let log = gateway.log();
    assert!(
        log.contains("ssl_ciphers: not available and left out: AES128-SHA"),
        "{log}"
    );
}

#[tokio::test]
async fn the_order_of_the_server_decides_when_it_is_preferred() {
    let list = "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384";
    for (prefers, expected) in [
        ("on", CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
        ("off", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    ] {
        let gateway = with(&[
            ("ssl_cipher_suite", "custom"),
            ("ssl_ciphers", list),
            ("ssl_prefer_server_ciphers", prefers),
        ])
        .await;
        assert_eq!(
            cipher(&gateway, ONLY_1_2).await,
            expected,
            "ssl_prefer_server_ciphers = {prefers}"
        );
    }
}

#[tokio::test]
async fn a_list_that_leaves_nothing_stops_the_start() {
    let started = Gateway::with("services: []\n")
        .setting("ssl_cipher_suite", "custom")
        .setting("ssl_ciphers", "AES128-SHA:DES-CBC3-SHA")
        .try_start()
        .await;
    let (status, log) = started.unwrap_err();
    assert!(
        !status.success() && log.contains("no cipher suite is left for TLSv1.2"),
        "{log}"
    );
    assert!(log.contains("AES128-SHA, DES-CBC3-SHA"), "{log}");
    let gateway = with(&[
        ("ssl_cipher_suite", "custom"),
        ("ssl_ciphers", "AES128-SHA"),
        ("ssl_protocols", "TLSv1.3"),
    ])
    .await;
    cipher(&gateway, ONLY_1_3).await;
}

#[tokio::test]
async fn protocols_narrow_every_suite() {
    let gateway = with(&[("ssl_protocols", "TLSv1.2")]).await;
    cipher(&gateway, ONLY_1_2).await;
    let only_new = Hello {
        versions: ONLY_1_3,
        ..Hello::to("a.test")
    };
    assert!(RawClient::try_connect_tls(gateway.tls(), only_new).await.is_err());
    let (_, log) = Gateway::with("services: []\n")
        .setting("ssl_cipher_suite", "modern")
        .setting("ssl_protocols", "TLSv1.2")
        .try_start()
        .await
        .unwrap_err();
    assert!(log.contains("no TLS version is enabled"), "{log}");
}

#[tokio::test]
async fn fips_means_aes_on_nist_curves() {
    let gateway = with(&[("ssl_cipher_suite", "fips")]).await;
    let stream = handshake(&gateway, &config(rustls::ALL_VERSIONS)).await;
    let session = stream.get_ref().1;
    let suite = format!("{:?}", session.negotiated_cipher_suite().unwrap().suite());
    assert!(suite.contains("AES"), "{suite}");
    let group = session.negotiated_key_exchange_group().unwrap().name();
    assert!(
        matches!(
            group,
            NamedGroup::secp256r1 | NamedGroup::secp384r1 | NamedGroup::secp256r1MLKEM768
        ),
        "{group:?}"
    );
}

/// Two connections of one client; tells how the second handshake went.
async fn second_handshake(
    gateway: &Gateway,
    versions: &'static [&'static SupportedProtocolVersion],
) -> HandshakeKind {
    let mut config = trusting_config(Hello {
        versions,
        ..Hello::to("a.test")
    });
    config.resumption = Resumption::in_memory_sessions(8);
    let config = Arc::new(config);
    let mut first = handshake(gateway, &config).await;
    // The ticket of TLS 1.3 comes behind the handshake, ahead of the response.
    first
        .write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let _ = first.read_to_end(&mut Vec::new()).await;
    let second = handshake(gateway, &config).await;
    second.get_ref().1.handshake_kind().unwrap()
}

#[tokio::test]
async fn sessions_are_resumed_by_ticket_or_from_memory_or_not_at_all() {
    let cases: [(&[(&str, &str)], HandshakeKind); 5] = [
        (&[], HandshakeKind::Resumed),
        (&[("workers", "4")], HandshakeKind::Resumed),
        (&[("ssl_session_timeout", "1h")], HandshakeKind::Resumed),
        (&[("ssl_session_tickets", "off")], HandshakeKind::Resumed),
        (
            &[("ssl_session_tickets", "off"), ("ssl_session_cache_size", "0")],
            HandshakeKind::Full,
        ),
    ];
    for (settings, expected) in cases {
        let gateway = with(settings).await;
        for versions in [ONLY_1_2, ONLY_1_3] {
            assert_eq!(
                second_handshake(&gateway, versions).await,
                expected,
                "{settings:?}, {versions:?}"
            );
        }
    }
}

#[tokio::test]
async fn certificates_of_settings_must_belong_to_their_keys() {
    let (one, other) = (
        Certificate::for_names(&["a.test"]),
        Certificate::for_names(&["a.test"]),
    );
    let with = |cert: &str, key: &str| {
        Gateway::with("services: []\n")
            .file("cert.pem", &one.cert_pem)
            .file("key.pem", &other.key_pem)
            .setting(cert, "{folder}/cert.pem")
            .setting(key, "{folder}/key.pem")
            .setting("client_ssl", if cert == "client_ssl_cert" { "on" } else { "off" })
    };
    for (cert, key) in [
        ("ssl_cert", "ssl_cert_key"),
        ("client_ssl_cert", "client_ssl_cert_key"),
    ] {
        let (_, log) = with(cert, key).try_start().await.unwrap_err();
        assert!(
            log.contains(&format!("{cert} and {key}")) && log.contains("certificate does not match key"),
            "{log}"
        );
    }
    let started = Gateway::with("services: []\n")
        .setting("trusted_certificates", "system, {folder}/absent.pem")
        .try_start()
        .await;
    let (_, log) = started.unwrap_err();
    assert!(log.contains("trusted_certificates: cannot read"), "{log}");
}
