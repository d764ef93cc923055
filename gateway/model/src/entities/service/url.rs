//! The `url` shorthand of a service: one text for protocol, host, port and path (kong-core A.2).

use crate::schema::{Shorthand, string};
use serde_json::Value;

pub(super) fn shorthand() -> Shorthand {
    Shorthand {
        name: "url",
        kind: string().into_kind(),
        expand,
        overrides: true,
        shows: None,
    }
}

/// What is missing or wrong in the text is left to the rules of the fields that it fills.
#[allow(clippy::unnecessary_wraps, reason = "the type of a shorthand")]
fn expand(url: &Value) -> Result<Vec<(&'static str, Value)>, String> {
    let parts = Parts::of(url.as_str().unwrap_or_default());
    let number = parts.port.and_then(|digits| digits.parse::<u64>().ok());
    let told_by_port = match number {
        Some(80) => Some("http"),
        Some(443) => Some("https"),
        _ => None,
    };
    let protocol = parts.scheme.or(told_by_port).unwrap_or("http");
    let port = match (number, parts.port) {
        (Some(number), _) => Value::from(number),
        (None, Some(text)) => Value::from(text),
        (None, None) => Value::from(if protocol == "https" { 443 } else { 80 }),
    };
    Ok(vec![
        ("protocol", Value::from(protocol)),
        ("host", parts.host.into()),
        ("port", port),
        ("path", parts.path.into()),
    ])
}

/// A URL cut at its delimiters, nothing decoded. User, query and fragment have no place in a service.
struct Parts<'a> {
    scheme: Option<&'a str>,
    host: Option<&'a str>,
    port: Option<&'a str>,
    path: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(url: &'a str) -> Self {
        let (scheme, rest) = match url.split_once(':').filter(|(scheme, _)| is_scheme(scheme)) {
            Some((scheme, rest)) => (Some(scheme), rest),
            None => (None, url),
        };
        let (authority, rest) = match rest.strip_prefix("//") {
            Some(rest) => rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())),
            None => ("", rest),
        };
        let path = rest.split(['?', '#', ';']).next().filter(|path| !path.is_empty());
        let authority = authority.split_once('@').map_or(authority, |(_, host)| host);
        let (host, port) = match authority.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        Self {
            scheme,
            host: none_if_empty(bare),
            port: port.and_then(none_if_empty),
            path,
        }
    }
}

fn none_if_empty(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::expand;
    use serde_json::{Value, json};

    #[test]
    fn a_url_fills_protocol_host_port_and_path() {
        let cases = [
            ("http://a.test", json!(["http", "a.test", 80, null])),
            ("https://a.test/p", json!(["https", "a.test", 443, "/p"])),
            ("grpc://a.test", json!(["grpc", "a.test", 80, null])),
            ("tcp://a.test:5432", json!(["tcp", "a.test", 5432, null])),
            ("//a.test:443/x", json!(["https", "a.test", 443, "/x"])),
            (
                "http://u:p@a.test:81/x?q=1#f",
                json!(["http", "a.test", 81, "/x"]),
            ),
            ("http://[::1]:8080/", json!(["http", "::1", 8080, "/"])),
            ("http://[::1]", json!(["http", "::1", 80, null])),
            ("http://a:b:c", json!(["http", "a:b", "c", null])),
            ("x", json!(["http", null, 80, "x"])),
            ("http://h:99999", json!(["http", "h", 99999, null])),
            ("http://h:", json!(["http", "h", 80, null])),
        ];
        for (url, expected) in cases {
            let written = expand(&json!(url)).unwrap();
            let values: Vec<Value> = written.into_iter().map(|(_, value)| value).collect();
            assert_eq!(Value::from(values), expected, "{url}");
        }
    }
}
