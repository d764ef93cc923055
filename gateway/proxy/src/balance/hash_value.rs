//! What of a request is hashed (kong-core F.2).

use super::cookie::{Given, cookie_of};
use crate::phases::Flow;
use http::HeaderName;
use percent_encoding::percent_decode;
use smallvec::SmallVec;
use std::borrow::Cow;
use tidegate_plan::{HashInput, PlannedUpstream};
use tidegate_plugin::Exchange;

/// The value that decides about the target.
pub(crate) struct HashValue(SmallVec<[u8; 40]>);

impl HashValue {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn of(bytes: &[u8]) -> Self {
        Self(SmallVec::from_slice(bytes))
    }
}

impl Flow {
    /// The value for this request, and the cookie that the client is given when it lacks one.
    pub(super) fn hash_value(&self, upstream: &PlannedUpstream) -> (Option<HashValue>, Option<Given>) {
        if upstream.is_sticky {
            let cookie = upstream.cookie.as_ref();
            let value = cookie.and_then(|(name, _)| cookie_of(&self.x.request.headers, name));
            return (value.map(HashValue::of), None);
        }
        for input in &upstream.hash {
            if *input == HashInput::Cookie
                && let Some((name, path)) = &upstream.cookie
            {
                if let Some(value) = cookie_of(&self.x.request.headers, name) {
                    return (Some(HashValue::of(value)), None);
                }
                let value = self.worker.random_uuid();
                let value = value.hyphenated().to_string();
                let given = Given::new(name, &value, path);
                return (Some(HashValue::of(value.as_bytes())), given);
            }
            if let Some(value) = found(&self.x, input) {
                return (Some(value), None);
            }
        }
        (None, None)
    }
}

fn found(x: &Exchange, input: &HashInput) -> Option<HashValue> {
    match input {
        HashInput::None | HashInput::Cookie => None,
        HashInput::Consumer => {
            let consumer = x.consumer().map(|entry| entry.consumer.id.0);
            let id = consumer.or_else(|| x.credential.as_ref().map(|credential| credential.id.0))?;
            Some(HashValue::of(id.hyphenated().to_string().as_bytes()))
        }
        HashInput::Ip => Some(HashValue::of(x.client.address?.to_string().as_bytes())),
        HashInput::Header(name) => header(x, name),
        HashInput::Path => Some(HashValue::of(x.request.path())),
        HashInput::QueryArg(name) => query_arg(x.query()?, name),
        HashInput::UriCapture(name) => {
            let captures = x.captures.as_deref()?;
            let named = captures.name(name);
            let found = named.or_else(|| captures.number(name.parse().ok()?))?;
            Some(HashValue::of(found.as_bytes()))
        }
    }
}

/// Repeated values are joined.
fn header(x: &Exchange, name: &HeaderName) -> Option<HashValue> {
    let mut values = x.request.headers.get_all(name).iter();
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
