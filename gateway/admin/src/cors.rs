//! Which web pages may use the Admin API: Kong Manager is one.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_HEADERS, ALLOW, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue};

/// The origins that are let in.
pub(crate) struct Origins(Vec<HeaderValue>);

impl Origins {
    /// None: everybody, as in Kong.
    pub(crate) fn new(origins: &[String]) -> Self {
        let values = origins
            .iter()
            .filter_map(|origin| HeaderValue::from_str(origin).ok());
        Self(values.collect())
    }

    pub(crate) fn apply(&self, request: &HeaderMap, response: &mut HeaderMap) {
        let asked = request.get(ORIGIN);
        let known = asked.filter(|origin| self.0.is_empty() || self.0.contains(origin));
        let shown = match (known, self.0.first()) {
            (Some(origin), _) => origin.clone(),
            (None, Some(first)) => first.clone(),
            (None, None) => HeaderValue::from_static("*"),
        };
        response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, shown);
        response.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        if asked.is_some() {
            response.insert(VARY, HeaderValue::from_static("Origin"));
        }
    }
}

/// What an answer to OPTIONS tells of a path.
pub(crate) fn apply_methods(methods: &[&str], request: &HeaderMap, response: &mut HeaderMap) {
    if let Ok(listed) = HeaderValue::from_str(&methods.join(", ")) {
        response.insert(ALLOW, listed.clone());
        response.insert(ACCESS_CONTROL_ALLOW_METHODS, listed);
    }
    let asked = request.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let headers = asked.unwrap_or_else(|| HeaderValue::from_static("Content-Type"));
    response.insert(ACCESS_CONTROL_ALLOW_HEADERS, headers);
}
