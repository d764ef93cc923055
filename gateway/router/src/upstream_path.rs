//! The path that the upstream sees (kong-core C.6).

use std::borrow::Cow;
use tidegate_model::entities::PathHandling;

/// The path for the upstream, not yet escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamPath<'a> {
    /// The request path as it is.
    Unchanged,
    /// Another one.
    Changed(Cow<'a, [u8]>),
}

impl<'a> UpstreamPath<'a> {
    /// The bytes, given the request path it was computed from.
    #[must_use]
    pub fn bytes<'s>(&'s self, request_path: &'s [u8]) -> &'s [u8] {
        match self {
            Self::Unchanged => request_path,
            Self::Changed(path) => path,
        }
    }

    fn new(path: Cow<'a, [u8]>, request_path: &[u8]) -> Self {
        if *path == *request_path {
            Self::Unchanged
        } else {
            Self::Changed(path)
        }
    }
}

/// Joins service path and request path. `matched_prefix` is what the router answered: bytes of the path that matched,
/// 0 when the route has no path.
#[must_use]
pub fn upstream_path<'a>(
    service_path: Option<&'a str>,
    request_path: &'a [u8],
    matched_prefix: usize,
    strip: bool,
    handling: PathHandling,
) -> UpstreamPath<'a> {
    let base = service_path
        .filter(|path| !path.is_empty())
        .unwrap_or("/")
        .as_bytes();
    if !strip && base == b"/" {
        return UpstreamPath::Unchanged;
    }
    // Without a path on the route, the slash counts as matched.
    let rest = if matched_prefix == 0 {
        without_slash(request_path)
    } else {
        without_dots(request_path.get(matched_prefix..).unwrap_or_default())
    };
    let path = match (handling, strip) {
        (PathHandling::V0, true) => strip_v0(base, request_path, rest),
        (PathHandling::V0, false) => keep_v0(base, request_path),
        (PathHandling::V1, true) if base.ends_with(b"/") && rest.starts_with(b"/") => {
            joined(without_last(base), rest)
        }
        (PathHandling::V1, true) => joined(base, rest),
        (PathHandling::V1, false) => joined(base, without_slash(request_path)),
    };
    UpstreamPath::new(path, request_path)
}

fn strip_v0<'a>(base: &'a [u8], request_path: &[u8], rest: &'a [u8]) -> Cow<'a, [u8]> {
    let ends_with_slash = request_path.ends_with(b"/");
    match (base.ends_with(b"/"), rest.first()) {
        (true, None) if base.len() == 1 || ends_with_slash => Cow::Borrowed(base),
        (true, None) => Cow::Borrowed(without_last(base)),
        (true, Some(b'/')) => joined(without_last(base), rest),
        (false, None) if request_path.len() > 1 && ends_with_slash => joined(base, b"/"),
        (false, None) => Cow::Borrowed(base),
        (true, Some(_)) | (false, Some(b'/')) => joined(base, rest),
        (false, Some(_)) => Cow::Owned([base, b"/", rest].concat()),
    }
}

fn keep_v0<'a>(base: &'a [u8], request_path: &'a [u8]) -> Cow<'a, [u8]> {
    if base.ends_with(b"/") {
        joined(base, without_slash(request_path))
    } else if request_path == b"/" {
        Cow::Borrowed(base)
    } else {
        joined(base, request_path)
    }
}

fn joined<'a>(base: &'a [u8], rest: &'a [u8]) -> Cow<'a, [u8]> {
    if base.is_empty() {
        Cow::Borrowed(rest)
    } else if rest.is_empty() {
        Cow::Borrowed(base)
    } else {
        Cow::Owned([base, rest].concat())
    }
}

fn without_slash(path: &[u8]) -> &[u8] {
    path.strip_prefix(b"/").unwrap_or(path)
}

fn without_last(path: &[u8]) -> &[u8] {
    path.split_last().map_or(path, |(_, rest)| rest)
}

/// A stripped prefix must not leave a dot segment behind.
fn without_dots(rest: &[u8]) -> &[u8] {
    match rest {
        b"." | b".." => &[],
        [b'.', b'/', ..] => rest.get(2..).unwrap_or_default(),
        [b'.', b'.', b'/', ..] => rest.get(3..).unwrap_or_default(),
        _ => rest,
    }
}
