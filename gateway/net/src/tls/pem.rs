//! Checks of certificates and keys in PEM, with Kong's texts (kong-core A.8).

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, SignatureAlgorithm};
use std::sync::Arc;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Why a certificate, a key or a pair of both is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// The certificate.
    #[error("invalid certificate: {0}")]
    Certificate(String),
    /// The key.
    #[error("invalid key: {0}")]
    Key(String),
    /// Both are fine, but do not belong together.
    #[error("certificate does not match key")]
    Mismatch,
    /// The same for the pair of the other key type.
    #[error("alternative certificate does not match key")]
    AlternativeMismatch,
    /// Both pairs are of one key type.
    #[error(
        "certificate and alternative certificate need to have different type (e.g. RSA and ECDSA), \
         the provided certificates were both of the same type"
    )]
    SameType,
}

/// Checks a certificate chain.
///
/// # Errors
/// Fails when there is no certificate in it or one cannot be read.
pub fn check_certificate(pem: &str) -> Result<(), PemError> {
    parse_chain(pem).map(drop)
}

/// Checks a private key.
///
/// # Errors
/// Fails when there is none in it or it is of an unknown kind.
pub fn check_key(pem: &str) -> Result<(), PemError> {
    let key = parse_key(pem)?;
    super::provider()
        .key_provider
        .load_private_key(key)
        .map(drop)
        .map_err(|error| PemError::Key(error.to_string()))
}

/// Checks that a certificate and a key belong together; `alternative` may be the pair of the other key type.
///
/// # Errors
/// Fails on the first fault of [`PemError`].
pub fn check_pair(cert: &str, key: &str, alternative: Option<(&str, &str)>) -> Result<(), PemError> {
    certified_keys(cert, key, alternative).map(drop)
}

/// The fault of a CA certificate, in Kong's words.
#[must_use]
pub fn ca_certificate_fault(pem: &str, now_unix: i64) -> Option<String> {
    let chain = match parse_chain(pem) {
        Ok(chain) => chain,
        Err(error) => return Some(error.to_string()),
    };
    let [certificate] = chain.as_slice() else {
        return Some("please submit only one certificate at a time".to_owned());
    };
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    if certificate.validity().not_after.timestamp() < now_unix {
        return Some("certificate expired, \"Not After\" time is in the past".to_owned());
    }
    let is_ca = certificate
        .basic_constraints()
        .ok()
        .flatten()
        .is_some_and(|constraints| constraints.value.ca);
    (!is_ca).then(|| {
        "certificate does not appear to be a CA because it is missing the \"CA\" basic constraint".to_owned()
    })
}

/// When the first certificate of a chain ends, in Unix seconds.
///
/// # Errors
/// Fails when there is no certificate or it cannot be read.
pub fn expiry(pem: &str) -> Result<i64, PemError> {
    let chain = parse_chain(pem)?;
    let first = chain.first().ok_or_else(no_certificate)?;
    let (_, certificate) =
        X509Certificate::from_der(first).map_err(|error| PemError::Certificate(error.to_string()))?;
    Ok(certificate.validity().not_after.timestamp())
}

/// SHA-256 of the first certificate, the content of `cert_digest`.
///
/// # Errors
/// Fails when there is no certificate or it cannot be read.
pub fn certificate_digest(pem: &str) -> Result<[u8; 32], PemError> {
    let chain = parse_chain(pem)?;
    let first = chain.first().ok_or_else(no_certificate)?;
    let hash = rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256
        .tls13()
        .ok_or_else(no_certificate)?
        .common
        .hash_provider
        .hash(first);
    hash.as_ref().try_into().map_err(|_| no_certificate())
}

/// The certificates of a PEM text, each of them readable.
pub(super) fn parse_chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let failed = |reason: String| PemError::Certificate(reason);
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| failed(error.to_string()))?;
    if chain.is_empty() {
        return Err(no_certificate());
    }
    for certificate in &chain {
        X509Certificate::from_der(certificate).map_err(|error| failed(error.to_string()))?;
    }
    Ok(chain)
}

/// A pair, and its alternative when one is given, checked and ready to sign.
pub(super) fn certified_keys(
    cert: &str,
    key: &str,
    alternative: Option<(&str, &str)>,
) -> Result<(Arc<CertifiedKey>, Option<Arc<CertifiedKey>>), PemError> {
    let main = certified_key(cert, key)?;
    let Some((cert, key)) = alternative else {
        return Ok((main, None));
    };
    let alternative = certified_key(cert, key).map_err(|error| match error {
        PemError::Mismatch => PemError::AlternativeMismatch,
        error => error,
    })?;
    if is_ecdsa(&main) == is_ecdsa(&alternative) {
        return Err(PemError::SameType);
    }
    Ok((main, Some(alternative)))
}

/// The key is of an elliptic curve.
pub(super) fn is_ecdsa(key: &CertifiedKey) -> bool {
    matches!(
        key.key.algorithm(),
        SignatureAlgorithm::ECDSA | SignatureAlgorithm::ED25519
    )
}

fn certified_key(cert: &str, key: &str) -> Result<Arc<CertifiedKey>, PemError> {
    let chain = parse_chain(cert)?;
    let key = parse_key(key)?;
    let key = super::provider()
        .key_provider
        .load_private_key(key)
        .map_err(|error| PemError::Key(error.to_string()))?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(Arc::new(certified)),
        Err(rustls::Error::InconsistentKeys(_)) => Err(PemError::Mismatch),
        Err(error) => Err(PemError::Certificate(error.to_string())),
    }
}

fn parse_key(pem: &str) -> Result<PrivateKeyDer<'static>, PemError> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| PemError::Key(error.to_string()))
}

fn no_certificate() -> PemError {
    PemError::Certificate("no certificate found".to_owned())
}
