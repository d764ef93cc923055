//! Certificates of a declarative file are looked at before it is served (kong-core A.8).

use super::start::run;
use crate::ask::service;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
use tidegate_tests::tls::{Certificate, Hello};
use tidegate_tests::{Gateway, RawClient, Upstream};

/// A self-signed certificate that ended long ago, and its key.
fn expired(is_ca: bool) -> (String, String) {
    let mut parameters = CertificateParams::new(vec!["old.test".to_owned()]).unwrap();
    parameters.not_before = date_time_ymd(2000, 1, 1);
    parameters.not_after = date_time_ymd(2001, 1, 1);
    if is_ca {
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let key = KeyPair::generate().unwrap();
    (parameters.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn entry(cert: &str, key: &str) -> String {
    format!(
        "- cert: |\n{}  key: |\n{}",
        Certificate::indented(cert, 4),
        Certificate::indented(key, 4)
    )
}

fn check(yaml: &str) -> (Option<i32>, String) {
    let (output, _folder) = run(&["check", "FILE"], &format!("_format_version: \"3.0\"\n{yaml}"));
    let told = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(told).unwrap())
}

#[test]
fn check_finds_certificates_and_keys_that_do_not_belong_together() {
    let (one, other) = (
        Certificate::for_names(&["a.test"]),
        Certificate::for_names(&["b.test"]),
    );
    let yaml = format!(
        "certificates:\n{}{}",
        entry(&one.cert_pem, &one.key_pem),
        entry(&one.cert_pem, &other.key_pem)
    );
    let (code, told) = check(&yaml);
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("certificates[1]") && told.contains("certificate does not match key"),
        "{told}"
    );
    assert!(
        !told.contains("certificates[0]"),
        "the first pair is fine: {told}"
    );
    assert!(!told.contains("PRIVATE KEY"), "no key is shown: {told}");
}

#[test]
fn check_finds_what_cannot_be_read_with_its_field_and_line() {
    let good = Certificate::for_names(&["a.test"]);
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let key_garbage = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for (yaml, path, text) in [
        (
            entry(garbage, &good.key_pem),
            "certificates[0].cert",
            "invalid certificate: ",
        ),
        (
            entry(&good.cert_pem, key_garbage),
            "certificates[0].key",
            "invalid key: ",
        ),
    ] {
        let (code, told) = check(&format!("certificates:\n{yaml}"));
        assert_eq!(code, Some(1));
        assert!(
            told.contains(path) && told.contains(text) && told.contains("kong.yaml:"),
            "{told}"
        );
    }
}

#[test]
fn an_expired_certificate_is_a_warning_and_an_expired_authority_a_fault() {
    let (cert, key) = expired(false);
    let (code, told) = check(&format!("certificates:\n{}", entry(&cert, &key)));
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.contains("certificates[0].cert") && told.contains("has expired"),
        "{told}"
    );
    let (cert, _) = expired(true);
    let yaml = format!("ca_certificates:\n- cert: |\n{}", Certificate::indented(&cert, 4));
    let (code, told) = check(&yaml);
    assert_eq!(code, Some(1));
    assert!(
        told.contains("ca_certificates[0].cert") && told.contains("\"Not After\" time is in the past"),
        "{told}"
    );
    let leaf = Certificate::for_names(&["a.test"]);
    let yaml = format!(
        "ca_certificates:\n- cert: |\n{}",
        Certificate::indented(&leaf.cert_pem, 4)
    );
    let (code, told) = check(&yaml);
    assert_eq!(code, Some(1));
    assert!(told.contains("does not appear to be a CA"), "{told}");
}

#[tokio::test]
async fn a_certificate_whose_secret_is_missing_leaves_its_names_to_the_default() {
    let upstream = Upstream::ok().await;
    let own = Certificate::for_names(&["a.test"]);
    let yaml = format!(
        "{}certificates:\n- cert: |\n{}  key: \"{{vault://env/absent-key}}\"\n  snis: [{{name: a.test}}]\n",
        service(&upstream, "- {paths: [/]}"),
        Certificate::indented(&own.cert_pem, 4),
    );
    let gateway = Gateway::with(yaml).start().await;
    let client = RawClient::connect_tls(gateway.tls(), Hello::to("a.test")).await;
    assert!(
        client
            .certificate
            .is_some_and(|certificate| certificate != own.der)
    );
    let log = gateway.log();
    assert!(
        log.contains("environment variable ABSENT_KEY is not set"),
        "{log}"
    );
}

#[tokio::test]
async fn a_reload_with_a_wrong_key_is_refused_with_its_place() {
    let upstream = Upstream::ok().await;
    let (one, other) = (
        Certificate::for_names(&["a.test"]),
        Certificate::for_names(&["b.test"]),
    );
    let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    let yaml = format!(
        "{}certificates:\n{}",
        service(&upstream, "- {paths: [/]}"),
        entry(&one.cert_pem, &other.key_pem)
    );
    assert_eq!(
        gateway.reload(yaml).await,
        tidegate_tests::gateway::Reload::Refused
    );
    assert_eq!(
        gateway.get("/").await.status,
        200,
        "the old configuration serves on"
    );
    gateway.logs("certificates[0]").await;
}
