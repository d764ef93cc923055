//! Writes a head anew: a good one in a form with a single reading, a bad one as a harmless stand-in.

use super::bytes::{self, NAME_IGNORED};
use super::head::{HeadParser, is_h2c, split_header};
use super::target::write_origin_form;

/// Longest target that a stand-in carries for the access log.
const MAX_LOGGED_TARGET: usize = 2_048;

/// The head that the parser found complete, with CRLF line ends, single spaces, the target in origin form and without
/// the fields that must not travel on.
pub(super) fn good_head(parser: &HeadParser, head: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(head.len() + 64);
    out.extend_from_slice(parser.method(head));
    out.push(b' ');
    write_origin_form(parser.path(head), &mut out);
    out.extend_from_slice(if parser.is_http_10() {
        b" HTTP/1.0\r\n"
    } else {
        b" HTTP/1.1\r\n"
    });
    let authority = parser.authority(head);
    if let Some(authority) = authority {
        // RFC 9112 section 3.2.2: the authority of an absolute form replaces the Host field.
        out.extend_from_slice(b"Host: ");
        out.extend_from_slice(authority);
        out.extend_from_slice(b"\r\n");
    }
    for line in parser.header_lines(head).split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some((name, value)) = split_header(line) else {
            continue;
        };
        if is_forwarded(name, value, authority.is_some()) {
            out.extend_from_slice(line);
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// A well-formed request that stands for a refused one, so that the refusal is answered and logged like any request.
/// Method and target are kept where they are sane.
pub(super) fn stand_in(parser: &HeadParser, head: &[u8]) -> Vec<u8> {
    let method = match parser.method(head) {
        b"" | b"CONNECT" => b"GET".as_slice(),
        method => method,
    };
    let path = parser.path(head);
    let mut out = Vec::with_capacity(128);
    out.extend_from_slice(method);
    out.push(b' ');
    if path.len() > MAX_LOGGED_TARGET {
        out.push(b'/');
    } else {
        write_origin_form(path, &mut out);
    }
    out.extend_from_slice(b" HTTP/1.1\r\nhost: invalid\r\nconnection: close\r\n\r\n");
    out
}

fn is_forwarded(name: &[u8], value: &[u8], replaces_host: bool) -> bool {
    if bytes::name_classes(name) & NAME_IGNORED != 0 {
        return false;
    }
    match name.len() {
        4 => !(replaces_host && name.eq_ignore_ascii_case(b"host")),
        7 => !(name.eq_ignore_ascii_case(b"upgrade") && is_h2c(value)),
        14 => !name.eq_ignore_ascii_case(b"http2-settings"),
        _ => true,
    }
}
