//! Certificates and keys, which may be files or stand in the setting itself.

use crate::settings::spec::Spec;
use crate::settings::value::Value;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::path::PathBuf;

/// Where PEM text comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum PemSource {
    /// A file.
    File(PathBuf),
    /// The setting held the text, plain or in base64.
    Inline(String),
}

/// Inline text may be a private key: it never reaches a log.
impl fmt::Debug for PemSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Inline(_) => f.write_str("Inline(..)"),
        }
    }
}

const PEM_START: &str = "-----BEGIN";
/// What `PEM_START` looks like in base64.
const ENCODED_START: &str = "LS0tLS1CRUdJT";

impl Value for PemSource {
    fn read(text: &str, _spec: &Spec) -> Result<Self, String> {
        if text.starts_with(PEM_START) {
            return Ok(Self::Inline(text.to_owned()));
        }
        if text.starts_with(ENCODED_START) {
            let joined: String = text.split_ascii_whitespace().collect();
            let pem = STANDARD
                .decode(joined)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok());
            return pem
                .map(Self::Inline)
                .ok_or_else(|| "looks like PEM in base64, but cannot be decoded".to_owned());
        }
        Ok(Self::File(PathBuf::from(text)))
    }
}

/// Certificates that are trusted to sign others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustAnchor {
    /// Those of the operating system.
    System,
    /// Those of a PEM bundle.
    Pem(PemSource),
}

impl Value for TrustAnchor {
    fn read(text: &str, spec: &Spec) -> Result<Self, String> {
        if text == "system" {
            Ok(Self::System)
        } else {
            PemSource::read(text, spec).map(Self::Pem)
        }
    }
}

/// Whether showing `text` would show a key rather than the path of one.
pub(crate) fn holds_key_material(text: &str) -> bool {
    let is_inline = |item: &str| item.contains(PEM_START) || item.trim_start().starts_with(ENCODED_START);
    text.split(',').any(is_inline)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::spec::path;

    const PEM: &str = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";

    #[test]
    fn a_setting_holds_a_path_or_pem_or_pem_in_base64() {
        let spec = path("");
        let encoded = STANDARD.encode(PEM);
        assert_eq!(
            PemSource::read("/etc/k.pem", &spec),
            Ok(PemSource::File(PathBuf::from("/etc/k.pem")))
        );
        assert_eq!(PemSource::read(PEM, &spec), Ok(PemSource::Inline(PEM.to_owned())));
        assert_eq!(
            PemSource::read(&encoded, &spec),
            Ok(PemSource::Inline(PEM.to_owned()))
        );
        assert!(PemSource::read("LS0tLS1CRUdJTi!", &spec).is_err());
        assert!(holds_key_material(PEM) && holds_key_material(&format!("/a.pem, {encoded}")));
        assert!(!holds_key_material("/etc/k.pem"));
    }

    #[test]
    fn debug_output_never_shows_an_inline_key() {
        assert_eq!(format!("{:?}", PemSource::Inline(PEM.to_owned())), "Inline(..)");
    }
}
