//! Who may ask, and who is told of what was asked.

use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, StatusCode};
use std::time::Duration;
use subtle::ConstantTimeEq;

/// Header that decK sends its token in.
const TOKEN_HEADER: &str = "kong-admin-token";

/// The token that every request must carry, in `Kong-Admin-Token` or as a bearer token.
#[derive(Clone)]
pub struct AdminToken(String);

impl AdminToken {
    /// A token; an empty one lets nobody in.
    #[must_use]
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    pub(crate) fn admits(&self, headers: &HeaderMap) -> bool {
        let own = headers.get(TOKEN_HEADER).map(http::HeaderValue::as_bytes);
        let bearer = headers.get(AUTHORIZATION).and_then(|value| {
            let (scheme, token) = value.as_bytes().split_at_checked(7)?;
            scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
        });
        let is_same = |sent: &[u8]| !self.0.is_empty() && bool::from(sent.ct_eq(self.0.as_bytes()));
        own.or(bearer).is_some_and(is_same)
    }
}

impl std::fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdminToken(******)")
    }
}

/// One request that was answered.
#[derive(Debug, Clone, Copy)]
pub struct AuditEntry<'e> {
    /// What was asked.
    pub method: &'e Method,
    /// Where; arguments are left out, they may hold secrets.
    pub path: &'e str,
    /// What was answered.
    pub status: StatusCode,
    /// Bytes of the body that was sent; what it said is not told.
    pub body_size: usize,
    /// How long it took.
    pub took: Duration,
}

/// Is told of every request that was answered, reads and refusals included.
pub trait AuditLog: Send + Sync + 'static {
    /// Takes note; must not wait.
    fn record(&self, entry: &AuditEntry<'_>);
}

#[cfg(test)]
mod tests {
    use super::AdminToken;
    use http::{HeaderMap, HeaderName, HeaderValue};

    #[test]
    fn a_token_is_taken_from_either_header_and_nothing_else() {
        let token = AdminToken::new("secret");
        for (name, value, expected) in [
            ("kong-admin-token", "secret", true),
            ("authorization", "Bearer secret", true),
            ("authorization", "bearer secret", true),
            ("authorization", "Basic secret", false),
            ("authorization", "secret", false),
            ("kong-admin-token", "secret2", false),
            ("kong-admin-token", "", false),
            ("x-other", "secret", false),
        ] {
            let name: HeaderName = name.parse().unwrap();
            let headers = HeaderMap::from_iter([(name.clone(), HeaderValue::from_static(value))]);
            assert_eq!(token.admits(&headers), expected, "{name}: {value}");
        }
        assert!(!format!("{token:?}").contains("secret"));
        let empty =
            HeaderMap::from_iter([("kong-admin-token".parse().unwrap(), HeaderValue::from_static(""))]);
        assert!(!AdminToken::new("").admits(&empty));
    }
}
