//! The address of an Admin API, taken apart.

use crate::error::Error;
use http::Uri;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) is_tls: bool,
    /// Without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// Host and port as they were written.
    pub(super) authority: String,
    /// Path ahead of all others: empty, or with a leading slash and none at its end.
    pub(super) path: String,
}

impl Address {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let invalid = |why: &str| Error::input(format!("invalid Kong address {text:?}: {why}"));
        let uri: Uri = text
            .parse()
            .map_err(|error: http::uri::InvalidUri| invalid(&error.to_string()))?;
        let is_tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(scheme) => {
                return Err(Error::input(format!(
                    "invalid scheme {scheme:?} in Kong address: must be http or https"
                )));
            }
            None => return Err(invalid("it must start with http:// or https://")),
        };
        let authority = uri.authority().ok_or_else(|| invalid("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(invalid("user names do not belong there, use --headers"));
        }
        let default_port = if is_tls { 443 } else { 80 };
        Ok(Self {
            is_tls,
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(default_port),
            authority: authority.to_string(),
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn addresses_are_taken_apart() {
        for (text, is_tls, host, port, path) in [
            ("http://localhost:8001", false, "localhost", 8001, ""),
            (
                "https://kong.example.com/admin/",
                true,
                "kong.example.com",
                443,
                "/admin",
            ),
            ("http://[::1]:8001/", false, "::1", 8001, ""),
            ("http://a", false, "a", 80, ""),
        ] {
            let address = Address::parse(text).expect(text);
            let found = (
                address.is_tls,
                address.host.as_str(),
                address.port,
                address.path.as_str(),
            );
            assert_eq!(found, (is_tls, host, port, path), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "localhost:8001", "ftp://a", "http://", "http://u:p@a", "//a"] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }
}
