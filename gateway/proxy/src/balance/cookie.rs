//! Cookies that tie a client to its target.

use super::Balancing;
use crate::phases::Flow;
use bytes::Bytes;
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};
use std::sync::Arc;
use tidegate_plan::{PlannedUpstream, cookie_of};
use tidegate_upstream::Pick;

/// A cookie that the response sets.
pub(crate) struct Given {
    name: Arc<str>,
    field: HeaderValue,
}

impl Given {
    /// With Kong's attributes, and its spelling of them.
    pub(super) fn new(name: &Arc<str>, value: &str, path: &str) -> Option<Self> {
        let field = format!("{name}={value}; Path={path}; Same-Site=Lax; HttpOnly");
        Some(Self {
            name: Arc::clone(name),
            field: HeaderValue::from_maybe_shared(Bytes::from(field)).ok()?,
        })
    }

    /// Replaces what the response sets under the same name, and leaves its other cookies.
    fn put(self, headers: &mut HeaderMap) {
        let others: Vec<HeaderValue> = headers
            .get_all(SET_COOKIE)
            .iter()
            .filter(|field| !sets(field, &self.name))
            .cloned()
            .collect();
        headers.remove(SET_COOKIE);
        for field in others {
            headers.append(SET_COOKIE, field);
        }
        headers.append(SET_COOKIE, self.field);
    }
}

fn sets(field: &HeaderValue, name: &str) -> bool {
    let rest = field.as_bytes().trim_ascii_start().strip_prefix(name.as_bytes());
    rest.is_some_and(|rest| rest.trim_ascii_start().starts_with(b"="))
}

impl Flow {
    /// The cookie for a picked target, unless the client has it.
    pub(super) fn sticky_cookie(&self, upstream: &PlannedUpstream, pick: &Pick) -> Option<Given> {
        let (name, path) = upstream.cookie.as_ref()?;
        let value = format!("{:016x}", pick.endpoint().id());
        if cookie_of(&self.x.request.headers, name) == Some(value.as_bytes()) {
            return None;
        }
        Given::new(name, &value, path)
    }

    /// Sets the cookie on the response.
    pub(crate) fn give_cookie(&mut self) {
        if let Some(Balancing { cookie, .. }) = self.balancing.as_deref_mut()
            && let Some(given) = cookie.take()
        {
            given.put(&mut self.x.response.headers);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_cookie_replaces_its_namesake_alone() {
        let mut headers = HeaderMap::new();
        for field in ["sess=old; Path=/", "other=1", "session=2"] {
            headers.append(SET_COOKIE, HeaderValue::from_static(field));
        }
        Given::new(&Arc::from("sess"), "new", "/c")
            .unwrap()
            .put(&mut headers);
        let fields: Vec<&HeaderValue> = headers.get_all(SET_COOKIE).iter().collect();
        assert_eq!(
            fields,
            [
                "other=1",
                "session=2",
                "sess=new; Path=/c; Same-Site=Lax; HttpOnly"
            ]
        );
    }
}
