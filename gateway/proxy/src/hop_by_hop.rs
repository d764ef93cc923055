//! Headers that concern one connection only (RFC 9110 §7.6.1, kong-core E.1).

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;
use tidegate_plugin::headers::{
    KEEP_ALIVE, PROXY, PROXY_CONNECTION, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PATH,
    X_FORWARDED_PORT, X_FORWARDED_PREFIX, X_FORWARDED_PROTO, X_REAL_IP,
};

/// What remains of the client's connection headers once they are removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ClientWants {
    /// `Upgrade: websocket`.
    pub(crate) websocket: bool,
    /// `TE: trailers`.
    pub(crate) trailers: bool,
}

/// Removes connection headers of a request. Headers that protect the upstream cannot be named away by
/// `Connection: Authorization` and the like.
pub(crate) fn clean_request(headers: &mut HeaderMap) -> ClientWants {
    let mut wants = ClientWants::default();
    if !headers.keys().any(concerns_connection) {
        return wants;
    }
    if let Some(upgrade) = headers.remove(UPGRADE) {
        wants.websocket = upgrade.as_bytes().eq_ignore_ascii_case(b"websocket");
    }
    if let Some(connection) = headers.remove(CONNECTION) {
        remove_listed(headers, &connection, is_protected);
    }
    if headers.contains_key(TE) {
        wants.trailers = headers.get_all(TE).iter().any(lists_trailers);
        headers.remove(TE);
    }
    for name in [KEEP_ALIVE, PROXY_CONNECTION, PROXY, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    wants
}

/// Removes connection headers of a response.
pub(crate) fn clean_response(headers: &mut HeaderMap, wants: ClientWants, is_upgrade: bool) {
    let mut present = SmallVec::<[HeaderName; 4]>::new();
    present.extend(headers.keys().filter(|name| concerns_connection(name)).cloned());
    for name in present {
        if name == CONNECTION {
            if let Some(connection) = headers.remove(CONNECTION) {
                remove_listed(headers, &connection, |_| false);
            }
        } else if name == TRANSFER_ENCODING {
            // RFC 9112 §6.3: beside Transfer-Encoding a length means nothing.
            headers.remove(TRANSFER_ENCODING);
            headers.remove(CONTENT_LENGTH);
        } else if name == KEEP_ALIVE
            || (name == UPGRADE && !is_upgrade)
            || (name == TRAILER && !wants.trailers)
        {
            headers.remove(name);
        }
    }
}

/// Cheaper than looking each of them up in a map that mostly has none.
fn concerns_connection(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "upgrade"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "keep-alive"
            | "proxy-connection"
            | "proxy"
    )
}

fn remove_listed(headers: &mut HeaderMap, connection: &HeaderValue, keep: fn(&HeaderName) -> bool) {
    let bytes = connection.as_bytes();
    if [&b"keep-alive"[..], b"close", b"upgrade"]
        .iter()
        .any(|alone| bytes.eq_ignore_ascii_case(alone))
    {
        return;
    }
    for token in bytes.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
        let is_option = [&b"keep-alive"[..], b"close", b"upgrade", b"te"]
            .iter()
            .any(|o| token.eq_ignore_ascii_case(o));
        if token.is_empty() || is_option {
            continue;
        }
        if let Ok(name) = HeaderName::from_bytes(token)
            && !keep(&name)
        {
            headers.remove(name);
        }
    }
}

/// Headers that a client must not be able to remove: what backends and plugins take decisions by.
fn is_protected(name: &HeaderName) -> bool {
    [
        http::header::AUTHORIZATION,
        http::header::COOKIE,
        CONTENT_LENGTH,
        HOST,
    ]
    .contains(name)
        || [
            X_REAL_IP,
            X_FORWARDED_FOR,
            X_FORWARDED_PROTO,
            X_FORWARDED_HOST,
            X_FORWARDED_PORT,
            X_FORWARDED_PATH,
            X_FORWARDED_PREFIX,
        ]
        .contains(name)
}

fn lists_trailers(value: &HeaderValue) -> bool {
    value.as_bytes().split(|byte| *byte == b',').any(|token| {
        token
            .split(|byte| *byte == b';')
            .next()
            .is_some_and(|name| name.trim_ascii().eq_ignore_ascii_case(b"trailers"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn headers_listed_in_connection_are_removed_and_lookalikes_stay() {
        let mut headers = map(&[
            ("connection", "X-Foo, X-Bar"),
            ("x-foo", "1"),
            ("x-bar", "1"),
            ("x-foo-bar", "1"),
            ("close", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-authorization", "x"),
        ]);
        assert_eq!(clean_request(&mut headers), ClientWants::default());
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["close", "proxy-authorization", "x-foo-bar"]);
    }

    #[test]
    fn connection_cannot_remove_what_backends_decide_by() {
        let mut headers = map(&[
            ("connection", "authorization, x-forwarded-for, host"),
            ("authorization", "a"),
            ("host", "h"),
        ]);
        clean_request(&mut headers);
        assert!(headers.contains_key("authorization") && headers.contains_key("host"));
    }

    #[test]
    fn te_survives_only_as_trailers() {
        for (te, wanted) in [
            ("trailers, deflate;q=0.5", true),
            ("deflate", false),
            ("trailers;q=0.1", true),
        ] {
            let mut headers = map(&[("te", te)]);
            assert_eq!(clean_request(&mut headers).trailers, wanted, "{te}");
            assert!(!headers.contains_key("te"));
        }
    }

    #[test]
    fn only_websocket_upgrades_are_passed_on() {
        assert!(clean_request(&mut map(&[("upgrade", "WebSocket"), ("connection", "Upgrade")])).websocket);
        assert!(!clean_request(&mut map(&[("upgrade", "h2c"), ("connection", "upgrade")])).websocket);
    }
}
