//! Encrypted connections.

use super::server::Server;
use super::{Arc, FaultKind, PostgresSettings, PostgresTls, insert, node, refusal};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

fn trusting(certificate: CertificateDer<'static>, is_required: bool) -> PostgresTls {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let client = builder
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    PostgresTls {
        client: Arc::new(client),
        is_required,
    }
}

fn self_signed() -> CertifiedKey<rcgen::KeyPair> {
    generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate")
}

/// A server that listens on TCP, and settings for it without TLS.
fn listening(encryption: Option<&CertifiedKey<rcgen::KeyPair>>) -> (Server, PostgresSettings) {
    let port = TcpListener::bind(("127.0.0.1", 0))
        .expect("a port")
        .local_addr()
        .expect("an address")
        .port();
    let port_option = format!("port={port}");
    let mut options = vec!["listen_addresses=localhost", &port_option];
    if encryption.is_some() {
        options.extend(["ssl=on", "ssl_cert_file=../cert.pem", "ssl_key_file=../key.pem"]);
    }
    let mut server = Server::new(&options);
    if let Some(own) = encryption {
        write(server.folder(), own);
    }
    server.set_port(port);
    server.run();
    let settings = PostgresSettings {
        host: "localhost".to_owned(),
        ..server.fresh()
    };
    (server, settings)
}

/// The server wants a key that only its user can read.
fn write(folder: &Path, own: &CertifiedKey<rcgen::KeyPair>) {
    std::fs::write(folder.join("cert.pem"), own.cert.pem()).expect("a file");
    let key = folder.join("key.pem");
    std::fs::write(&key, own.signing_key.serialize_pem()).expect("a file");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).expect("rights");
    let owner = std::fs::metadata(folder).expect("a folder").uid();
    chown(&key, Some(owner), None).expect("an owner");
}

#[test]
fn a_connection_is_encrypted_and_the_server_known() {
    let own = self_signed();
    let (_server, clear) = listening(Some(&own));
    let settings = PostgresSettings {
        tls: Some(trusting(own.cert.der().clone(), true)),
        ..clear.clone()
    };
    insert(&node(&settings), 1, "one").expect("an insert");
    let mut link = super::super::link::Link::new(settings.clone()).expect("a link");
    let is_encrypted = link.run(None, FaultKind::Unreachable, async |connection| {
        let query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        Ok(connection
            .client
            .query_one(query, &[])
            .await?
            .try_get::<_, bool>(0)?)
    });
    assert_eq!(is_encrypted, Ok(true));

    let stranger = PostgresSettings {
        tls: Some(trusting(self_signed().cert.der().clone(), true)),
        ..clear
    };
    let fault = refusal(&stranger);
    assert_eq!(fault.kind, FaultKind::Unreachable);
    assert!(fault.text.contains("certificate"), "{fault}");
    let elsewhere = PostgresSettings {
        host: "127.0.0.1".to_owned(),
        ..settings
    };
    let fault = refusal(&elsewhere);
    assert!(fault.text.contains("certificate"), "the name is another: {fault}");
}

#[test]
fn a_server_without_encryption_is_refused_only_when_that_is_wanted() {
    let (_server, clear) = listening(None);
    let certificate = self_signed().cert.der().clone();
    let with = |is_required| PostgresSettings {
        tls: Some(trusting(certificate.clone(), is_required)),
        ..clear.clone()
    };
    node(&with(false));
    let fault = refusal(&with(true));
    assert!(fault.text.contains("TLS"), "{fault}");
}
