//! The certificate of a gateway that was given none.

use super::TlsError;
use super::certificates::{CertificateInput, CertificatePair};
use super::pem::PemError;
use rcgen::{CertificateParams, DnType, KeyPair};

/// Makes a self-signed certificate for `localhost` with a P-256 key. Each start makes another one.
///
/// # Errors
/// Fails when no key can be generated.
pub fn self_signed_pair() -> Result<CertificatePair, TlsError> {
    let (cert, key) = generate().map_err(|error| PemError::Certificate(error.to_string()))?;
    CertificatePair::load(&CertificateInput {
        cert: &cert,
        key: &key,
        alternative: None,
    })
}

fn generate() -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut parameters = CertificateParams::new(["localhost".to_owned()])?;
    parameters
        .distinguished_name
        .push(DnType::CommonName, "localhost");
    parameters
        .distinguished_name
        .push(DnType::OrganizationName, "Tidegate");
    let certificate = parameters.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}
