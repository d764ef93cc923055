//! Cipher lists in the notation of OpenSSL (`ciphers(1)`), mapped to the suites that this gateway has.
//!
//! All of ours are AEADs with forward secrecy, so most of what a list excludes is not there to begin with.

use rustls::crypto::aws_lc_rs::ALL_CIPHER_SUITES;
use rustls::{CipherSuite, SupportedCipherSuite};

/// What a cipher list selects.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CipherSelection {
    /// Suites of TLS 1.2 in the order of the list.
    pub tls12: Vec<SupportedCipherSuite>,
    /// Suites of TLS 1.3 in the order of the list; empty when it names none, which leaves all of them.
    pub tls13: Vec<SupportedCipherSuite>,
    /// Words that select nothing here: ciphers we do not have, or no names at all.
    pub unknown: Vec<String>,
}

/// The OpenSSL name of a suite.
#[must_use]
pub(super) const fn openssl_name(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => "ECDHE-ECDSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => "ECDHE-ECDSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-ECDSA-CHACHA20-POLY1305",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => "ECDHE-RSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "ECDHE-RSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-RSA-CHACHA20-POLY1305",
        _ => "unknown",
    }
}

/// The suites that FIPS 140-3 approves: AES-GCM.
#[must_use]
pub(super) fn approved_by_fips() -> Vec<SupportedCipherSuite> {
    let mut suites = ALL_CIPHER_SUITES.to_vec();
    suites.retain(|suite| !openssl_name(suite.suite()).contains("CHACHA20"));
    suites
}

impl CipherSelection {
    /// Reads a list: names and selectors (`ECDHE+AESGCM`) separated by colons, spaces or commas. `!` excludes for good,
    /// `-` takes away, `+` moves to the end.
    #[must_use]
    pub fn parse(list: &str) -> Self {
        let mut selection = Self::default();
        let mut banned: Vec<SupportedCipherSuite> = Vec::new();
        for word in list.split([':', ' ', ',']).filter(|word| !word.is_empty()) {
            // Ours are of one strength class for this purpose; the order of the list stands.
            if word.starts_with('@') {
                continue;
            }
            let (sign, name) = match word.split_at_checked(1) {
                Some((sign @ ("!" | "-" | "+"), name)) => (sign, name),
                _ => ("", word),
            };
            let found = select(name);
            match sign {
                // To exclude what we never had is no fault of the list.
                "!" => {
                    selection.remove(&found);
                    banned.extend(found);
                }
                "-" => selection.remove(&found),
                "+" => selection.move_to_end(&found),
                _ if found.is_empty() => selection.unknown.push(word.to_owned()),
                _ => selection.add(found.into_iter().filter(|suite| !banned.contains(suite))),
            }
        }
        selection
    }

    fn add(&mut self, suites: impl Iterator<Item = SupportedCipherSuite>) {
        for suite in suites {
            let list = self.list_of(suite);
            if !list.contains(&suite) {
                list.push(suite);
            }
        }
    }

    fn remove(&mut self, suites: &[SupportedCipherSuite]) {
        self.tls12.retain(|suite| !suites.contains(suite));
        self.tls13.retain(|suite| !suites.contains(suite));
    }

    fn move_to_end(&mut self, suites: &[SupportedCipherSuite]) {
        for suite in suites {
            let list = self.list_of(*suite);
            if let Some(place) = list.iter().position(|known| known == suite) {
                let suite = list.remove(place);
                list.push(suite);
            }
        }
    }

    fn list_of(&mut self, suite: SupportedCipherSuite) -> &mut Vec<SupportedCipherSuite> {
        match suite {
            SupportedCipherSuite::Tls13(_) => &mut self.tls13,
            SupportedCipherSuite::Tls12(_) => &mut self.tls12,
        }
    }
}

/// The suites of a name or of selectors joined by `+`, which all must hold.
fn select(text: &str) -> Vec<SupportedCipherSuite> {
    let exact = ALL_CIPHER_SUITES.iter().find(|suite| {
        let suite = suite.suite();
        openssl_name(suite).eq_ignore_ascii_case(text)
            || suite.as_str().is_some_and(|iana| iana.eq_ignore_ascii_case(text))
    });
    if let Some(suite) = exact {
        return vec![*suite];
    }
    // In OpenSSL selectors never touch TLS 1.3, whose suites are chosen by their full names.
    let mut suites: Vec<SupportedCipherSuite> = ALL_CIPHER_SUITES
        .iter()
        .filter(|suite| matches!(suite, SupportedCipherSuite::Tls12(_)))
        .copied()
        .collect();
    for selector in text.split('+') {
        suites.retain(|suite| is_selected(selector, openssl_name(suite.suite())));
    }
    suites
}

fn is_selected(selector: &str, name: &str) -> bool {
    match selector {
        "ALL" | "DEFAULT" | "HIGH" | "TLSv1.2" | "ECDHE" | "EECDH" | "kECDHE" | "kEECDH" => true,
        "AESGCM" => name.contains("-GCM-"),
        "AES" => name.contains("AES"),
        "AES128" => name.contains("AES128"),
        "AES256" => name.contains("AES256"),
        "CHACHA20" => name.contains("CHACHA20"),
        "ECDSA" | "aECDSA" => name.contains("-ECDSA-"),
        "RSA" | "aRSA" => name.contains("-RSA-"),
        "SHA256" => name.ends_with("SHA256"),
        "SHA384" => name.ends_with("SHA384"),
        "FIPS" => !name.contains("CHACHA20"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(suites: &[SupportedCipherSuite]) -> Vec<&'static str> {
        suites.iter().map(|suite| openssl_name(suite.suite())).collect()
    }

    #[test]
    fn names_are_taken_in_the_order_of_the_list() {
        let selection = CipherSelection::parse(
            "ECDHE-RSA-AES256-GCM-SHA384:TLS_CHACHA20_POLY1305_SHA256:\
             TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:ECDHE-RSA-AES256-GCM-SHA384",
        );
        assert_eq!(
            names(&selection.tls12),
            ["ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256"]
        );
        assert_eq!(names(&selection.tls13), ["TLS_CHACHA20_POLY1305_SHA256"]);
        assert!(selection.unknown.is_empty());
    }

    #[test]
    fn what_we_do_not_have_is_named() {
        let selection =
            CipherSelection::parse("AES128-SHA:ECDHE-RSA-AES128-SHA256:nonsense:ECDHE-RSA-AES128-GCM-SHA256");
        assert_eq!(names(&selection.tls12), ["ECDHE-RSA-AES128-GCM-SHA256"]);
        assert_eq!(
            selection.unknown,
            ["AES128-SHA", "ECDHE-RSA-AES128-SHA256", "nonsense"]
        );
        assert!(CipherSelection::parse("3DES").tls12.is_empty());
    }

    #[test]
    fn selectors_are_joined_excluded_and_moved() {
        let selection = CipherSelection::parse("HIGH:!aNULL:!MD5:!CHACHA20:!aRSA");
        assert_eq!(
            names(&selection.tls12),
            ["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256"]
        );
        assert!(selection.unknown.is_empty(), "exclusions are no wishes");
        let moved = CipherSelection::parse("EECDH+AESGCM+aRSA:+AES256:@STRENGTH");
        assert_eq!(
            names(&moved.tls12),
            ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"]
        );
        let again = CipherSelection::parse("!ECDSA:ALL:-AES");
        assert_eq!(
            names(&again.tls12),
            ["ECDHE-RSA-CHACHA20-POLY1305"],
            "`!` is for good"
        );
    }

    #[test]
    fn fips_has_aes_only() {
        assert!(names(&approved_by_fips()).iter().all(|name| name.contains("AES")));
        assert_eq!(approved_by_fips().len(), 6);
    }
}
