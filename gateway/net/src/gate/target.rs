//! The request target: its form, what is refused, and how it is rewritten to an origin form that the HTTP library
//! represents.

use super::bytes::{self, TARGET_BAD, TARGET_ENCODE, TARGET_LOOK};
use super::fault::RequestFault;
use super::host::is_valid_host;
use std::ops::Range;

/// Longest target that the HTTP library represents, with room to spare.
pub(super) const MAX_TARGET: usize = 65_000;

/// A target that was found good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Target {
    /// Authority of an absolute form, as a range of the target.
    pub(super) authority: Option<Range<usize>>,
    /// Path and query as a range of the target; empty for an absolute form without a path.
    pub(super) path: Range<usize>,
    /// The target must be written anew: absolute form, fragment, or bytes to encode.
    pub(super) rewrite: bool,
}

/// Checks a target.
///
/// # Errors
/// Fails on every form but origin and absolute form, on control bytes, on an invalid or zero percent-encoding in the
/// path, on a path that climbs above its root (all as nginx), and on an invalid authority.
pub(super) fn check(target: &[u8]) -> Result<Target, RequestFault> {
    if target.first() == Some(&b'/') {
        return check_path(target, 0);
    }
    let Some(authority_start) = scheme_len(target) else {
        return Err(RequestFault::bad("target in neither origin nor absolute form"));
    };
    let rest = target.get(authority_start..).unwrap_or_default();
    let authority_len = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?' | b'#'))
        .unwrap_or(rest.len());
    let path_start = authority_start + authority_len;
    if !is_valid_host(rest.get(..authority_len).unwrap_or_default()) {
        return Err(RequestFault::bad("invalid authority in the target"));
    }
    let checked = check_path(target, path_start)?;
    Ok(Target {
        authority: Some(authority_start..path_start),
        rewrite: true,
        ..checked
    })
}

/// Appends the path and query of a checked target in origin form, percent-encoding what cannot be represented.
pub(super) fn write_origin_form(path: &[u8], out: &mut Vec<u8>) {
    if path.first() != Some(&b'/') {
        out.push(b'/');
    }
    let mut in_query = false;
    for &byte in path {
        let plain = if in_query {
            bytes::is_query_byte(byte)
        } else {
            bytes::is_path_byte(byte) || byte == b'?'
        };
        in_query |= byte == b'?';
        if plain {
            out.push(byte);
        } else {
            out.extend_from_slice(&[b'%', hex_digit(byte >> 4), hex_digit(byte & 15)]);
        }
    }
}

fn check_path(target: &[u8], start: usize) -> Result<Target, RequestFault> {
    let whole = target.get(start..).unwrap_or_default();
    let classes = bytes::target_classes(whole);
    let mut checked = Target {
        authority: None,
        path: start..target.len(),
        rewrite: false,
    };
    if classes & (TARGET_BAD | TARGET_ENCODE | TARGET_LOOK) == 0 {
        return Ok(checked);
    }
    if classes & TARGET_BAD != 0 {
        return Err(RequestFault::bad("control byte in the target"));
    }
    if let Some(fragment) = memchr::memchr(b'#', whole) {
        checked.path.end = start + fragment;
        checked.rewrite = true;
    }
    checked.rewrite |= classes & TARGET_ENCODE != 0;
    let path_and_query = target.get(checked.path.clone()).unwrap_or_default();
    let path_len = memchr::memchr(b'?', path_and_query).unwrap_or(path_and_query.len());
    check_segments(path_and_query.get(..path_len).unwrap_or_default())?;
    Ok(checked)
}

/// Length of `http://` or `https://`, in any case.
fn scheme_len(target: &[u8]) -> Option<usize> {
    ["http://", "https://"]
        .into_iter()
        .find(|scheme| {
            target
                .get(..scheme.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(scheme.as_bytes()))
        })
        .map(str::len)
}

/// Follows the decoded path as nginx does, with repeated slashes merged.
fn check_segments(path: &[u8]) -> Result<(), RequestFault> {
    let mut depth = 0_usize;
    let mut segment = Segment::Empty;
    let mut rest = path.iter();
    while let Some(&raw) = rest.next() {
        let byte = if raw == b'%' {
            decode(rest.next(), rest.next())?
        } else {
            raw
        };
        if byte == b'/' {
            depth = segment.close(depth)?;
            segment = Segment::Empty;
        } else {
            segment = segment.push(byte);
        }
    }
    segment.close(depth).map(drop)
}

#[derive(Clone, Copy)]
enum Segment {
    Empty,
    Dot,
    DotDot,
    Name,
}

impl Segment {
    const fn push(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Empty, b'.') => Self::Dot,
            (Self::Dot, b'.') => Self::DotDot,
            _ => Self::Name,
        }
    }

    fn close(self, depth: usize) -> Result<usize, RequestFault> {
        match self {
            Self::Empty | Self::Dot => Ok(depth),
            Self::Name => Ok(depth + 1),
            Self::DotDot => depth
                .checked_sub(1)
                .ok_or(RequestFault::bad("path climbs above its root")),
        }
    }
}

fn decode(high: Option<&u8>, low: Option<&u8>) -> Result<u8, RequestFault> {
    let digit = |byte: Option<&u8>| byte.and_then(|&byte| char::from(byte).to_digit(16));
    let (Some(high), Some(low)) = (digit(high), digit(low)) else {
        return Err(RequestFault::bad("invalid percent-encoding in the path"));
    };
    match u8::try_from(high * 16 + low) {
        Ok(0) | Err(_) => Err(RequestFault::bad("encoded NUL in the path")),
        Ok(byte) => Ok(byte),
    }
}

const fn hex_digit(nibble: u8) -> u8 {
    if nibble < 10 {
        b'0' + nibble
    } else {
        b'A' + nibble - 10
    }
}

#[cfg(test)]
mod tests {
    use super::{Target, check, write_origin_form};

    fn rewritten(target: &[u8]) -> Option<String> {
        let Target { path, .. } = check(target).ok()?;
        let mut out = Vec::new();
        write_origin_form(&target[path], &mut out);
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn ordinary_targets_need_no_rewrite() {
        for target in [
            "/",
            "/p1?x=1",
            "/a/b.txt",
            "//a",
            "/a/../b",
            "/%C3%A9",
            "/a?b=%zz&c=../..",
            "/p\\x",
            "/{a}|~",
        ] {
            assert!(
                !check(target.as_bytes()).unwrap().rewrite,
                "{target} passes unchanged"
            );
        }
    }

    #[test]
    fn absolute_form_is_reduced_to_path_and_query() {
        let cases = [
            ("http://y.test/p1?x=1", "/p1?x=1", "y.test"),
            ("HTTPS://y.test:8443", "/", "y.test:8443"),
            ("http://y.test?x", "/?x", "y.test"),
            ("http://[::1]#f", "/", "[::1]"),
        ];
        for (target, path, authority) in cases {
            let checked = check(target.as_bytes()).unwrap();
            assert_eq!(rewritten(target.as_bytes()).unwrap(), path, "{target}");
            assert_eq!(&target[checked.authority.unwrap()], authority, "{target}");
        }
    }

    #[test]
    fn fragments_are_cut_and_odd_bytes_are_encoded() {
        assert_eq!(rewritten(b"/p1#frag").unwrap(), "/p1");
        assert_eq!(rewritten(b"/p1?a#frag?b").unwrap(), "/p1?a");
        assert_eq!(
            rewritten(b"/caf\xe9/\xff?\xc3\xa9=\"<").unwrap(),
            "/caf%E9/%FF?%C3%A9=%22%3C"
        );
        assert_eq!(rewritten(b"/a`<>?`").unwrap(), "/a%60%3C%3E?`");
    }

    #[test]
    fn bad_targets_are_refused() {
        for target in [
            "",
            "*",
            "p1",
            "x.test:80",
            "ftp://x.test/",
            "http://",
            "http:///p",
            "http://u@x.test/",
            "http://a b/",
            "/p1%00",
            "/a/%",
            "/a%zz",
            "/..",
            "//..",
            "/a/../../..",
            "/%2e%2e",
            "/a%2f..%2f..",
            "/a\u{7f}",
            "/a\u{1}",
            "?x",
            "/..#/a",
        ] {
            assert!(check(target.as_bytes()).is_err(), "{target:?} is refused");
        }
    }
}
