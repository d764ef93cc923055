//! Handshakes in memory.

use super::trust_all::TrustAll;
use super::*;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256,
    PKCS_RSA_SHA256,
};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind, SignatureScheme};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio_rustls::TlsConnector;

const SOON: Duration = Duration::from_secs(10);

struct Pem {
    cert: String,
    key: String,
}

impl Pem {
    fn input(&self) -> CertificateInput<'_> {
        CertificateInput {
            cert: &self.cert,
            key: &self.key,
            alternative: None,
        }
    }

    fn der(&self) -> Vec<u8> {
        pem::parse_chain(&self.cert).unwrap()[0].to_vec()
    }
}

fn pem(name: &str, algorithm: &'static rcgen::SignatureAlgorithm) -> Pem {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let cert = CertificateParams::new([name.to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    Pem {
        cert: cert.pem(),
        key: key.serialize_pem(),
    }
}

fn ecdsa(name: &str) -> Pem {
    pem(name, &PKCS_ECDSA_P256_SHA256)
}

fn name(name: &str) -> ServerName<'static> {
    ServerName::try_from(name.to_owned()).unwrap()
}

/// What the client got: the certificate, and whether the session was resumed.
type ClientSide = (Vec<u8>, HandshakeKind);

async fn handshake(
    server: &ServerTls,
    client: Arc<ClientConfig>,
    name: ServerName<'static>,
) -> (Result<ClientSide, std::io::Error>, Result<TlsFacts, AcceptError>) {
    let (near, far) = tokio::io::duplex(1 << 16);
    let connecting = async {
        let mut stream = TlsConnector::from(client).connect(name, near).await?;
        // TLS 1.3 tickets follow the handshake and come with the first read.
        stream.read_to_end(&mut Vec::new()).await.ok();
        let session = stream.get_ref().1;
        Ok((
            session.peer_certificates().unwrap()[0].to_vec(),
            session.handshake_kind().unwrap(),
        ))
    };
    let accepting = async {
        let (mut stream, facts) = accept(server, far, SOON).await?;
        tokio::io::AsyncWriteExt::shutdown(&mut stream).await.ok();
        Ok(facts)
    };
    tokio::join!(connecting, accepting)
}

fn trusting(options: &UpstreamTlsOptions) -> Arc<ClientConfig> {
    Arc::clone(UpstreamTls::build(options).unwrap().config())
}

fn server(settings: &ServerTlsSettings, store: CertificateStore) -> ServerTls {
    ServerTls::build(settings, Arc::new(SwappableCertificates::new(store))).unwrap()
}

fn serving(pem: &Pem) -> ServerTls {
    let pair = CertificatePair::load(&pem.input()).unwrap();
    server(
        &ServerTlsSettings::default(),
        CertificateStore::build(&[], &[], pair).unwrap(),
    )
}

#[tokio::test]
async fn the_certificate_is_chosen_by_exact_name_then_wildcards_then_star_then_default() {
    let pems: Vec<_> = (0..5).map(|n| ecdsa(&format!("c{n}.test"))).collect();
    let inputs: Vec<_> = pems.iter().map(Pem::input).collect();
    let default = ecdsa("default.test");
    let build = |with_star: bool| {
        let mut snis = vec![
            ("a.b.test", 0),
            ("*.B.test", 1),
            ("a.b.*", 2),
            ("*.c.test", 1),
            ("www.*", 2),
        ];
        if with_star {
            snis.push(("*", 3));
        }
        CertificateStore::build(&inputs, &snis, CertificatePair::load(&default.input()).unwrap()).unwrap()
    };
    let with_star = server(&ServerTlsSettings::default(), build(true));
    let cases = [
        ("a.b.test", 0),
        ("A.B.Test", 0),
        ("x.b.test", 1),
        ("a.b.example", 2),
        ("www.c.test", 1),
        ("www.d", 2),
        ("x.y.b.test", 3),
        ("other.test", 3),
    ];
    for (sni, expected) in cases {
        let (client, _) = handshake(&with_star, trusting(&UpstreamTlsOptions::default()), name(sni)).await;
        assert_eq!(client.unwrap().0, pems[expected].der(), "{sni}");
    }
    let without = server(&ServerTlsSettings::default(), build(false));
    for (tls, sni, rule) in [
        (&without, "other.test", "no name fits"),
        (&with_star, "127.0.0.1", "no SNI is sent"),
    ] {
        let (client, _) = handshake(tls, trusting(&UpstreamTlsOptions::default()), name(sni)).await;
        assert_eq!(client.unwrap().0, default.der(), "{rule}");
    }
}

#[tokio::test]
async fn of_two_key_types_the_client_gets_the_one_it_can_verify() {
    let (rsa, ec) = (pem("x.test", &PKCS_RSA_SHA256), ecdsa("x.test"));
    let input = CertificateInput {
        cert: &rsa.cert,
        key: &rsa.key,
        alternative: Some((&ec.cert, &ec.key)),
    };
    let store = CertificateStore::build(&[], &[], CertificatePair::load(&input).unwrap()).unwrap();
    let tls = server(&ServerTlsSettings::default(), store);
    let with_schemes = |schemes: &[SignatureScheme]| {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap();
        let verifier = Arc::new(TrustAll(schemes.to_vec()));
        Arc::new(
            builder
                .dangerous()
                .with_custom_certificate_verifier(verifier)
                .with_no_client_auth(),
        )
    };
    let both = [
        SignatureScheme::RSA_PSS_SHA256,
        SignatureScheme::ECDSA_NISTP256_SHA256,
    ];
    for (schemes, expected) in [(&both[..], &ec), (&both[..1], &rsa), (&both[1..], &ec)] {
        let (client, _) = handshake(&tls, with_schemes(schemes), name("x.test")).await;
        assert_eq!(client.unwrap().0, expected.der(), "{schemes:?}");
    }
}

#[tokio::test]
async fn a_swap_of_certificates_counts_from_the_next_handshake() {
    let (old, new) = (ecdsa("old.test"), ecdsa("new.test"));
    let store =
        |pem: &Pem| CertificateStore::build(&[], &[], CertificatePair::load(&pem.input()).unwrap()).unwrap();
    let certificates = Arc::new(SwappableCertificates::new(store(&old)));
    let tls = ServerTls::build(&ServerTlsSettings::default(), Arc::clone(&certificates) as _).unwrap();
    for pem in [&old, &new] {
        certificates.swap(store(pem));
        let (client, _) = handshake(&tls, trusting(&UpstreamTlsOptions::default()), name("x.test")).await;
        assert_eq!(client.unwrap().0, pem.der());
    }
}

#[tokio::test]
async fn the_facts_tell_version_cipher_name_and_protocol() {
    let pem = ecdsa("x.test");
    let store = || CertificateStore::build(&[], &[], CertificatePair::load(&pem.input()).unwrap()).unwrap();
    let http2 = UpstreamTlsOptions {
        http2: true,
        ..UpstreamTlsOptions::default()
    };
    let (_, facts) = handshake(
        &server(&ServerTlsSettings::default(), store()),
        trusting(&http2),
        name("x.test"),
    )
    .await;
    let facts = facts.unwrap();
    assert_eq!(
        (facts.version, facts.http2, facts.sni.as_deref()),
        ("TLSv1.3", true, Some("x.test"))
    );
    assert!(facts.cipher.starts_with("TLS_"), "{}", facts.cipher);
    let old = ServerTlsSettings {
        tls13: false,
        ..ServerTlsSettings::default()
    };
    let (_, facts) = handshake(
        &server(&old, store()),
        trusting(&UpstreamTlsOptions::default()),
        name("127.0.0.1"),
    )
    .await;
    let facts = facts.unwrap();
    assert_eq!((facts.version, facts.http2, facts.sni), ("TLSv1.2", false, None));
    assert!(facts.cipher.starts_with("ECDHE-ECDSA-"), "{}", facts.cipher);
    let none = ServerTlsSettings {
        tls12: false,
        tls13: false,
        ..ServerTlsSettings::default()
    };
    let certificates = Arc::new(SwappableCertificates::new(store()));
    assert!(matches!(
        ServerTls::build(&none, certificates),
        Err(TlsError::NoVersion)
    ));
}

#[tokio::test]
async fn sessions_are_resumed_by_ticket_or_cache_and_not_without() {
    let pem = ecdsa("x.test");
    for (session_tickets, session_cache_size, expected) in [
        (true, 0, HandshakeKind::Resumed),
        (false, 16, HandshakeKind::Resumed),
        (false, 0, HandshakeKind::Full),
    ] {
        for tls13 in [true, false] {
            let settings = ServerTlsSettings {
                session_tickets,
                session_cache_size,
                tls13,
                ..ServerTlsSettings::default()
            };
            let pair = CertificatePair::load(&pem.input()).unwrap();
            let tls = server(&settings, CertificateStore::build(&[], &[], pair).unwrap());
            let client = trusting(&UpstreamTlsOptions::default());
            handshake(&tls, Arc::clone(&client), name("x.test"))
                .await
                .0
                .unwrap();
            let (_, kind) = handshake(&tls, client, name("x.test")).await.0.unwrap();
            assert_eq!(
                kind, expected,
                "tickets {session_tickets}, cache {session_cache_size}, TLS 1.3 {tls13}"
            );
        }
    }
}

#[tokio::test]
async fn silent_and_babbling_clients_are_given_up() {
    let tls = serving(&ecdsa("x.test"));
    let (_silent, far) = tokio::io::duplex(64);
    assert!(matches!(
        accept(&tls, far, Duration::from_millis(10)).await,
        Err(AcceptError::Timeout)
    ));
    let (mut near, far) = tokio::io::duplex(64);
    tokio::io::AsyncWriteExt::write_all(&mut near, b"GET / HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    assert!(matches!(
        accept(&tls, far, SOON).await,
        Err(AcceptError::Failed(_))
    ));
}

/// A CA, an intermediate CA under it, and a certificate for `up.test` with its chain.
fn authority() -> (String, Pem) {
    let ca = |issuer: Option<&CertifiedIssuer<'static, KeyPair>>| {
        let mut parameters = CertificateParams::new([]).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(
            rcgen::DnType::CommonName,
            if issuer.is_some() { "middle" } else { "root" },
        );
        let key = KeyPair::generate().unwrap();
        match issuer {
            None => CertifiedIssuer::self_signed(parameters, key).unwrap(),
            Some(issuer) => CertifiedIssuer::signed_by(parameters, key, issuer).unwrap(),
        }
    };
    let root = ca(None);
    let middle = ca(Some(&root));
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(["up.test".to_owned()])
        .unwrap()
        .signed_by(&key, &middle)
        .unwrap();
    (
        root.pem(),
        Pem {
            cert: leaf.pem() + &middle.pem(),
            key: key.serialize_pem(),
        },
    )
}

#[tokio::test]
async fn upstreams_are_verified_by_authority_name_and_depth() {
    let (root, pem) = authority();
    let tls = serving(&pem);
    let verify = |ca: &str, verify_depth| UpstreamTlsOptions {
        verify: true,
        verify_depth,
        ca_certificates: vec![ca.into()],
        ..UpstreamTlsOptions::default()
    };
    let other = ecdsa("other.test").cert;
    let cases = [
        (verify(&root, None), "up.test", true),
        (verify(&root, Some(1)), "up.test", true),
        (verify(&root, Some(0)), "up.test", false),
        (verify(&root, None), "down.test", false),
        (verify(&other, None), "up.test", false),
        (UpstreamTlsOptions::default(), "down.test", true),
    ];
    for (options, sni, accepted) in cases {
        let (client, _) = handshake(&tls, trusting(&options), name(sni)).await;
        assert_eq!(client.is_ok(), accepted, "{sni} with {options:?}");
    }
}

#[test]
fn equal_upstream_options_share_their_settings_while_in_use() {
    let cache = UpstreamTlsCache::default();
    let first = cache.get_or_build(&UpstreamTlsOptions::default()).unwrap();
    let same = cache.get_or_build(&UpstreamTlsOptions::default()).unwrap();
    let other = cache
        .get_or_build(&UpstreamTlsOptions {
            http2: true,
            ..UpstreamTlsOptions::default()
        })
        .unwrap();
    assert!(Arc::ptr_eq(&first, &same) && !Arc::ptr_eq(&first, &other));
    let client = ecdsa("client.test");
    let client = ClientCertificate {
        cert: client.cert.into(),
        key: ecdsa("x").key.into(),
    };
    let mismatched = UpstreamTlsOptions {
        client_certificate: Some(client),
        ..UpstreamTlsOptions::default()
    };
    assert_eq!(
        cache.get_or_build(&mismatched).unwrap_err().to_string(),
        "certificate does not match key"
    );
}

#[test]
fn certificates_and_keys_are_refused_with_kongs_texts() {
    let (a, b, rsa) = (ecdsa("a.test"), ecdsa("b.test"), pem("a.test", &PKCS_RSA_SHA256));
    check_certificate(&a.cert).unwrap();
    check_key(&rsa.key).unwrap();
    check_pair(&a.cert, &a.key, Some((&rsa.cert, &rsa.key))).unwrap();
    let text = |result: Result<(), PemError>| result.unwrap_err().to_string();
    assert!(text(check_certificate("nothing")).starts_with("invalid certificate: "));
    assert!(text(check_certificate(&a.key)).starts_with("invalid certificate: "));
    assert!(text(check_key(&a.cert)).starts_with("invalid key: "));
    assert_eq!(
        text(check_pair(&a.cert, &b.key, None)),
        "certificate does not match key"
    );
    let mismatch = check_pair(&a.cert, &a.key, Some((&rsa.cert, &b.key)));
    assert_eq!(text(mismatch), "alternative certificate does not match key");
    assert_eq!(
        check_pair(&a.cert, &a.key, Some((&b.cert, &b.key))),
        Err(PemError::SameType)
    );
}

#[test]
fn ca_certificates_are_judged_with_kongs_texts() {
    let (root, leaf) = authority();
    assert_eq!(ca_certificate_fault(&root, 0), None);
    assert_eq!(
        ca_certificate_fault(&leaf.cert, 0).unwrap(),
        "please submit only one certificate at a time"
    );
    let expired = ca_certificate_fault(&root, i64::MAX).unwrap();
    assert_eq!(expired, "certificate expired, \"Not After\" time is in the past");
    let plain = ca_certificate_fault(&ecdsa("x.test").cert, 0).unwrap();
    assert!(plain.ends_with("missing the \"CA\" basic constraint"), "{plain}");
    assert!(
        ca_certificate_fault("x", 0)
            .unwrap()
            .starts_with("invalid certificate: ")
    );
    assert_ne!(
        certificate_digest(&root).unwrap(),
        certificate_digest(&leaf.cert).unwrap()
    );
}

#[test]
fn the_self_signed_pair_serves() {
    let store = CertificateStore::build(&[], &[], self_signed_pair().unwrap()).unwrap();
    ServerTls::build(&ServerTlsSettings::default(), Arc::new(store)).unwrap();
    let dangling = CertificateStore::build(&[], &[("x.test", 0)], self_signed_pair().unwrap()).unwrap_err();
    assert_eq!(
        dangling.to_string(),
        "SNI x.test refers to a certificate that does not exist"
    );
}
