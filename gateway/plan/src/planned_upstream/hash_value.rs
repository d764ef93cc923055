//! What of a request is hashed (kong-core F.2).

use super::HashInput;
use http::header::COOKIE;
use http::{HeaderMap, HeaderName};
use percent_encoding::percent_decode;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::net::IpAddr;
use tidegate_plugin::exchange::Captures;
use uuid::Uuid;

/// What a request has to offer.
#[derive(Debug, Clone, Copy)]
pub struct HashFacts<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its normalised path.
    pub path: &'a [u8],
    /// Its query without `?`.
    pub query: Option<&'a str>,
    /// Address of the client.
    pub client: Option<IpAddr>,
    /// Id of the consumer, else of the credential.
    pub consumer: Option<Uuid>,
    /// Captures of the route's regex.
    pub captures: Option<&'a Captures>,
}

/// The value that decides about the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashValue(SmallVec<[u8; 40]>);

impl HashValue {
    /// The value of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(SmallVec::from_slice(bytes))
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl HashInput {
    /// The value for a request; `None` when it is missing, and for cookies, which the upstream names.
    #[must_use]
    pub fn value(&self, facts: &HashFacts<'_>) -> Option<HashValue> {
        match self {
            Self::None | Self::Cookie => None,
            Self::Consumer => Some(HashValue::of(facts.consumer?.hyphenated().to_string().as_bytes())),
            Self::Ip => Some(HashValue::of(facts.client?.to_string().as_bytes())),
            Self::Header(name) => header(facts.headers, name),
            Self::Path => Some(HashValue::of(facts.path)),
            Self::QueryArg(name) => query_arg(facts.query?, name),
            Self::UriCapture(name) => {
                let named = facts.captures?.name(name);
                let found = named.or_else(|| facts.captures?.number(name.parse().ok()?))?;
                Some(HashValue::of(found.as_bytes()))
            }
        }
    }
}

/// Repeated values are joined.
fn header(headers: &HeaderMap, name: &HeaderName) -> Option<HashValue> {
    let mut values = headers.get_all(name).iter();
    let mut joined = SmallVec::from_slice(values.next()?.as_bytes());
    for value in values {
        joined.extend_from_slice(b", ");
        joined.extend_from_slice(value.as_bytes());
    }
    Some(HashValue(joined))
}

/// Several values are sorted and joined; a name without `=` counts as `true`.
fn query_arg(query: &str, name: &str) -> Option<HashValue> {
    let arguments = query.split('&').filter(|argument| !argument.is_empty());
    let values = arguments.filter_map(|argument| {
        let (known, value) = match argument.split_once('=') {
            Some((known, value)) => (known, unescape(value)),
            None => (argument, Cow::Borrowed(&b"true"[..])),
        };
        (*unescape(known) == *name.as_bytes()).then_some(value)
    });
    let mut values: SmallVec<[Cow<'_, [u8]>; 2]> = values.collect();
    values.sort();
    let mut values = values.iter();
    let mut joined = SmallVec::from_slice(values.next()?);
    for value in values {
        joined.push(b',');
        joined.extend_from_slice(value);
    }
    Some(HashValue(joined))
}

/// Percent escapes and `+`.
fn unescape(text: &str) -> Cow<'_, [u8]> {
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return Cow::Owned(percent_decode(spaced.as_bytes()).collect());
    }
    percent_decode(text.as_bytes()).into()
}

/// The value of a cookie of the request; empty counts as none.
#[must_use]
pub fn cookie_of<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h [u8]> {
    let fields = headers.get_all(COOKIE).iter();
    let mut pairs = fields.flat_map(|field| field.as_bytes().split(|byte| *byte == b';'));
    let value = pairs.find_map(|pair| {
        let place = pair.iter().position(|byte| *byte == b'=')?;
        let (known, value) = pair.split_at_checked(place)?;
        (known.trim_ascii() == name.as_bytes()).then(|| value.get(1..).unwrap_or_default().trim_ascii())
    })?;
    (!value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn arguments_are_sorted_joined_and_decoded() {
        let cases: [(&str, Option<&str>); 9] = [
            ("q=1&q=2", Some("1,2")),
            ("q=2&x=3&q=1", Some("1,2")),
            ("q", Some("true")),
            ("q=true", Some("true")),
            ("q=", Some("")),
            ("x=1", None),
            ("", None),
            ("%71=a%20b", Some("a b")),
            ("q=a+b&&", Some("a b")),
        ];
        for (query, expected) in cases {
            let value = query_arg(query, "q");
            let value = value
                .as_ref()
                .map(|value| std::str::from_utf8(value.bytes()).unwrap());
            assert_eq!(value, expected, "{query}");
        }
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=1; sess=abc=d ;b"));
        headers.append(COOKIE, HeaderValue::from_static("late=x; empty="));
        let cases: [(&str, Option<&[u8]>); 6] = [
            ("sess", Some(b"abc=d")),
            ("late", Some(b"x")),
            ("a", Some(b"1")),
            ("b", None),
            ("empty", None),
            ("ses", None),
        ];
        for (name, value) in cases {
            assert_eq!(cookie_of(&headers, name), value, "{name}");
        }
    }
}
