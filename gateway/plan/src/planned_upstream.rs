//! An Upstream as requests use it: the live one, and what of a request decides.

mod hash_value;

pub use hash_value::{HashFacts, HashValue, cookie_of};

use http::{HeaderMap, HeaderName};
use std::sync::Arc;
use tidegate_model::entities;
use tidegate_upstream::{Algorithm, Upstream};

/// An Upstream entity at work.
#[derive(Debug)]
pub struct PlannedUpstream {
    /// Choice and health, shared with the snapshots before and after as long as nothing changes.
    pub live: Arc<Upstream>,
    /// What is hashed, and what when that is missing; both `None` unless the algorithm hashes.
    pub hash: [HashInput; 2],
    /// The cookie that is hashed or names the target, with its path.
    pub cookie: Option<(Arc<str>, Arc<str>)>,
    /// Whether the cookie names the target.
    pub is_sticky: bool,
    /// Whether any target is a name.
    pub has_names: bool,
}

/// What of a request is hashed (kong-core F.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashInput {
    /// Nothing.
    None,
    /// Id of the consumer, else of the credential.
    Consumer,
    /// Address of the client.
    Ip,
    /// A header; repeated values are joined.
    Header(HeaderName),
    /// The upstream's cookie, which is set when it is missing.
    Cookie,
    /// The normalised path.
    Path,
    /// A query argument; several values are sorted and joined.
    QueryArg(Box<str>),
    /// A capture of the route's regex by name or number.
    UriCapture(Box<str>),
}

impl PlannedUpstream {
    /// The value that a request has for the upstream's cookie.
    #[must_use]
    pub fn cookie_value(&self, headers: &HeaderMap) -> Option<HashValue> {
        let (name, _) = self.cookie.as_ref()?;
        cookie_of(headers, name).map(HashValue::of)
    }

    pub(crate) fn new(live: Arc<Upstream>) -> Self {
        let spec = live.spec();
        let entity = &spec.entity;
        let is_sticky = spec.algorithm == Algorithm::StickySessions;
        let hash = if spec.algorithm == Algorithm::ConsistentHashing {
            inputs(entity)
        } else {
            [HashInput::None, HashInput::None]
        };
        let cookie = if is_sticky {
            let own = entity.tidegate.as_ref();
            let own =
                own.and_then(|own| cookie(own.sticky_cookie.as_deref(), own.sticky_cookie_path.as_deref()));
            own.or_else(|| {
                cookie(
                    entity.sticky_sessions_cookie.as_deref(),
                    entity.sticky_sessions_cookie_path.as_deref(),
                )
            })
        } else if hash.contains(&HashInput::Cookie) {
            cookie(
                entity.hash_on_cookie.as_deref(),
                entity.hash_on_cookie_path.as_deref(),
            )
        } else {
            None
        };
        Self {
            has_names: live.has_names(),
            hash,
            cookie,
            is_sticky,
            live,
        }
    }
}

fn cookie(name: Option<&str>, path: Option<&str>) -> Option<(Arc<str>, Arc<str>)> {
    Some((Arc::from(name?), Arc::from(path.unwrap_or("/"))))
}

fn inputs(entity: &entities::Upstream) -> [HashInput; 2] {
    [
        input(
            &entity.hash_on,
            entity.hash_on_header.as_deref(),
            entity.hash_on_query_arg.as_deref(),
            entity.hash_on_uri_capture.as_deref(),
        ),
        input(
            &entity.hash_fallback,
            entity.hash_fallback_header.as_deref(),
            entity.hash_fallback_query_arg.as_deref(),
            entity.hash_fallback_uri_capture.as_deref(),
        ),
    ]
}

fn input(
    selector: &str,
    header: Option<&str>,
    query_arg: Option<&str>,
    uri_capture: Option<&str>,
) -> HashInput {
    let found = match selector {
        "consumer" => Some(HashInput::Consumer),
        "ip" => Some(HashInput::Ip),
        "cookie" => Some(HashInput::Cookie),
        "path" => Some(HashInput::Path),
        "header" => header
            .and_then(|name| HeaderName::try_from(name).ok())
            .map(HashInput::Header),
        "query_arg" => query_arg.map(|name| HashInput::QueryArg(Box::from(name))),
        "uri_capture" => uri_capture.map(|name| HashInput::UriCapture(Box::from(name))),
        _ => None,
    };
    found.unwrap_or(HashInput::None)
}
