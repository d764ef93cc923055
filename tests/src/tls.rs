//! Certificates made for one test, and TLS from both sides.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme,
    SupportedProtocolVersion,
};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// A self-signed certificate with its key.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// Certificate in PEM.
    pub cert_pem: String,
    /// Key in PEM.
    pub key_pem: String,
    /// Certificate in DER.
    pub der: CertificateDer<'static>,
    /// Certificates between it and an authority.
    between: Vec<CertificateDer<'static>>,
    key_der: Vec<u8>,
}

impl Certificate {
    /// A certificate for these names.
    #[must_use]
    pub fn for_names(names: &[&str]) -> Self {
        let params =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        let key = KeyPair::generate().unwrap();
        let cert = params.self_signed(&key).unwrap();
        Self {
            cert_pem: cert.pem(),
            key_pem: key.serialize_pem(),
            der: cert.der().clone(),
            between: Vec::new(),
            key_der: key.serialize_der(),
        }
    }

    /// What a server needs to present it.
    #[must_use]
    pub fn server_config(&self, alpn: &[&str]) -> Arc<ServerConfig> {
        self.server_config_with(alpn, Arc::new(NoClientAuth))
    }

    /// The same for a server that takes only clients with a certificate of that authority.
    #[must_use]
    pub fn server_config_for_clients_of(&self, authority: &Authority) -> Arc<ServerConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.der.clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
        self.server_config_with(&["http/1.1"], verifier.build().unwrap())
    }

    fn server_config_with(&self, alpn: &[&str], verifier: Arc<dyn ClientCertVerifier>) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::try_from(self.key_der.clone()).unwrap();
        let chain = std::iter::once(&self.der).chain(&self.between);
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.cloned().collect(), key)
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    /// The PEM texts, each line indented for a YAML block of that depth.
    #[must_use]
    pub fn indented(pem: &str, depth: usize) -> String {
        let indent = " ".repeat(depth);
        pem.lines().map(|line| format!("{indent}{line}\n")).collect()
    }
}

/// Somebody who signs certificates.
#[derive(Debug)]
pub struct Authority {
    /// Its own certificate in PEM.
    pub cert_pem: String,
    der: CertificateDer<'static>,
    /// Certificates between it and the one at the root, itself first.
    between: Vec<CertificateDer<'static>>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one that signs itself.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let (params, key) = (Self::params(name), KeyPair::generate().unwrap());
        let cert = params.self_signed(&key).unwrap();
        Self {
            cert_pem: cert.pem(),
            der: cert.der().clone(),
            between: Vec::new(),
            issuer: Issuer::new(params, key),
        }
    }

    /// One that this one vouches for.
    #[must_use]
    pub fn below(&self, name: &str) -> Self {
        let (params, key) = (Self::params(name), KeyPair::generate().unwrap());
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        let between = std::iter::once(cert.der()).chain(&self.between);
        Self {
            cert_pem: cert.pem(),
            der: cert.der().clone(),
            between: between.cloned().collect(),
            issuer: Issuer::new(params, key),
        }
    }

    /// Signs a certificate for servers and clients of that name.
    #[must_use]
    pub fn certificate(&self, name: &str) -> Certificate {
        self.sign(CertificateParams::new([name.to_owned()]).unwrap())
    }

    /// Signs one that was good until some years ago.
    #[must_use]
    pub fn expired_certificate(&self, name: &str) -> Certificate {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
        self.sign(params)
    }

    fn sign(&self, mut params: CertificateParams) -> Certificate {
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        Certificate {
            cert_pem: cert.pem(),
            key_pem: key.serialize_pem(),
            der: cert.der().clone(),
            between: self.between.clone(),
            key_der: key.serialize_der(),
        }
    }

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        params.distinguished_name.push(DnType::CommonName, name);
        params
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// How a client opens TLS.
#[derive(Debug, Clone, Copy)]
pub struct Hello<'a> {
    /// Server name to ask for.
    pub sni: &'a str,
    /// Protocols to offer.
    pub alpn: &'a [&'a str],
    /// Versions to offer.
    pub versions: &'static [&'static SupportedProtocolVersion],
}

impl<'a> Hello<'a> {
    /// TLS 1.2 and 1.3 without ALPN.
    #[must_use]
    pub fn to(sni: &'a str) -> Self {
        Self {
            sni,
            alpn: &[],
            versions: rustls::ALL_VERSIONS,
        }
    }
}

/// Client settings that take any certificate: which one was presented is the test's to judge.
#[must_use]
pub fn trusting_config(hello: Hello<'_>) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(hello.versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TrustAll(provider())))
        .with_no_client_auth();
    config.alpn_protocols = hello.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

/// Opens TLS on a connected stream.
///
/// # Errors
/// The handshake failed.
pub async fn handshake(stream: TcpStream, hello: Hello<'_>) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(hello.sni.to_owned()).unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(trusting_config(hello)))
        .connect(name, stream)
        .await
}

/// A stream of either kind.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

#[derive(Debug)]
struct TrustAll(Arc<CryptoProvider>);

impl ServerCertVerifier for TrustAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
