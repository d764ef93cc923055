//! What is wrong with the certificates of a configuration, found while it is checked (kong-core A.8).

use crate::tls::unix_seconds;
use tidegate_config::declarative::Inspection;
use tidegate_model::entities::{Certificate, EntitySet};
use tidegate_net::tls::{PemError, ca_certificate_fault, check_certificate, check_key, check_pair, expiry};

/// Unreadable certificates and keys, and pairs that do not belong together, are faults. A certificate that has expired
/// is a warning, that of an authority a fault, as in Kong.
pub(crate) fn inspect(entities: &EntitySet) -> Vec<Inspection> {
    let now = unix_seconds();
    let mut found = Vec::new();
    for (index, certificate) in entities.certificates.iter().enumerate() {
        let mut report = |(field, message): Finding, is_fault| {
            found.push(Inspection {
                collection: "certificates",
                index,
                field,
                message,
                is_fault,
            });
        };
        if let Some(fault) = pair_fault(certificate) {
            report(fault, true);
        }
        for (field, cert) in [
            ("cert", Some(&certificate.cert)),
            ("cert_alt", certificate.cert_alt.as_ref()),
        ] {
            if cert.is_some_and(|cert| expiry(cert).is_ok_and(|end| end < now)) {
                let text = "the certificate has expired; clients that check it will refuse it";
                report((Some(field), text.to_owned()), false);
            }
        }
    }
    for (index, authority) in entities.ca_certificates.iter().enumerate() {
        if let Some(message) = ca_certificate_fault(&authority.cert, now) {
            found.push(Inspection {
                collection: "ca_certificates",
                index,
                field: Some("cert"),
                message,
                is_fault: true,
            });
        }
    }
    found
}

/// The field at fault, or none for the entity as a whole, and why.
pub(crate) type Finding = (Option<&'static str>, String);

/// The first fault of both pairs. An empty text is a secret that is missing, which is told elsewhere.
pub(crate) fn pair_fault(certificate: &Certificate) -> Option<Finding> {
    let alternative = certificate
        .cert_alt
        .as_deref()
        .zip(certificate.key_alt.as_deref());
    let mut texts = vec![
        ("cert", certificate.cert.as_str(), false),
        ("key", certificate.key.as_str(), true),
    ];
    if let Some((cert, key)) = alternative {
        texts.extend([("cert_alt", cert, false), ("key_alt", key, true)]);
    }
    for (field, text, is_key) in &texts {
        let checked = match (text.is_empty(), is_key) {
            (true, _) => Ok(()),
            (false, true) => check_key(text),
            (false, false) => check_certificate(text),
        };
        if let Err(error) = checked {
            return Some((Some(field), error.to_string()));
        }
    }
    if texts.iter().any(|(_, text, _)| text.is_empty()) {
        return None;
    }
    let fault: PemError = check_pair(&certificate.cert, &certificate.key, alternative).err()?;
    Some((None, fault.to_string()))
}
