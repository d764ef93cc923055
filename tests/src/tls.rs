//! Certificates made for one test, and TLS from both sides.

use rcgen::{CertificateParams, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme, SupportedProtocolVersion};
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
            key_der: key.serialize_der(),
        }
    }

    /// What a server needs to present it.
    #[must_use]
    pub fn server_config(&self, alpn: &[&str]) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::try_from(self.key_der.clone()).unwrap();
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.der.clone()], key)
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
