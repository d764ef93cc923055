//! Kong's scalar checks and their texts (kong-core A.1).

use crate::address::{Address, MAX_SOCKET_PATH, UNIX};
use crate::host::{HostError, HostKind, HostPort};
use crate::normalize::normalize_path;
use regex::Regex;
use serde_json::Value;
use std::net::IpAddr;

type Checked = Result<(), String>;

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn ensure(holds: bool, message: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(message()) }
}

/// `8-4-4-4-12` hexadecimal digits in any case; no braces, no other form.
pub(crate) fn uuid(text: &str) -> Checked {
    let is_dash = |position| matches!(position, 8 | 13 | 18 | 23);
    let mut bytes = text.bytes().enumerate();
    let holds = text.len() == 36
        && bytes.all(|(position, byte)| {
            if is_dash(position) {
                byte == b'-'
            } else {
                byte.is_ascii_hexdigit()
            }
        });
    ensure(holds, || "expected a valid UUID".to_owned())
}

pub(crate) fn timestamp(value: &Value) -> Checked {
    ensure(value.as_f64().is_some_and(|seconds| seconds > 0.0), || {
        "expected a valid timestamp".to_owned()
    })
}

/// Bytes that Kong counts as UTF-8 beyond ASCII.
fn is_beyond_ascii(byte: u8) -> bool {
    (0x80..=0xf4).contains(&byte)
}

pub(crate) fn name(value: &Value) -> Checked {
    let name = text(value);
    let is_accepted = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'~') || is_beyond_ascii(byte)
    };
    ensure(name.bytes().all(is_accepted), || {
        format!(
            "invalid value '{name}': the only accepted ascii characters are alphanumerics or ., -, _, and ~"
        )
    })
}

pub(crate) fn tag(value: &Value) -> Checked {
    let tag = text(value);
    let is_accepted =
        |byte: u8| (matches!(byte, b' '..=b'~') && byte != b',' && byte != b'/') || is_beyond_ascii(byte);
    ensure(tag.bytes().all(is_accepted), || {
        format!("invalid tag '{tag}': expected printable ascii (except `,` and `/`) or valid utf-8 sequences")
    })
}

pub(crate) fn header_name(value: &Value) -> Checked {
    let name = text(value);
    ensure(
        name.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')),
        || format!("bad header name '{name}', allowed characters are A-Z, a-z, 0-9, '_', and '-'"),
    )
}

pub(crate) fn cookie_name(value: &Value) -> Checked {
    let is_accepted =
        |byte: u8| !byte.is_ascii_control() && byte != b' ' && !b"()<>@,;:\\\"/?={}[]".contains(&byte);
    ensure(text(value).bytes().all(is_accepted), || {
        "contains one or more invalid characters. ASCII control characters (0-31;127), space, tab and the characters \
         ()<>@,;:\\\"/?={}[] are not allowed."
            .to_owned()
    })
}

pub(crate) fn ip_or_cidr(value: &Value) -> Checked {
    let text = text(value);
    let is_valid = text.parse::<IpAddr>().is_ok() || text.parse::<ipnet::IpNet>().is_ok();
    ensure(is_valid, || format!("invalid ip or cidr range: '{text}'"))
}

/// A host that must not have a port. The second argument is how a faulty one is shown.
fn portless(host: &str, shown: &str) -> Result<HostKind, String> {
    match HostPort::parse(host) {
        Ok(HostPort { port: Some(_), .. }) | Err(HostError::Port) => Err("must not have a port".to_owned()),
        Ok(host) => Ok(host.kind),
        Err(_) => Err(format!("invalid value: {shown}")),
    }
}

pub(crate) fn host(value: &Value) -> Checked {
    let host = text(value);
    portless(host, host).map(|_| ())
}

pub(crate) fn host_with_optional_port(value: &Value) -> Checked {
    HostPort::parse(text(value))
        .map(|_| ())
        .map_err(|error| error.to_string())
}

pub(crate) fn sni(value: &Value) -> Checked {
    let host = text(value);
    match HostPort::parse(host) {
        Ok(address) if address.kind != HostKind::Name => Err("must not be an IP".to_owned()),
        _ => portless(host, host).map(|_| ()),
    }
}

pub(crate) fn wildcard_host(value: &Value) -> Checked {
    let host = text(value);
    let mut filled = None;
    if let Some(position) = host.find('*') {
        if position != 0 && position + 1 != host.len() {
            return Err("wildcard must be leftmost or rightmost character".to_owned());
        }
        if host.matches('*').count() > 1 {
            return Err("only one wildcard must be specified".to_owned());
        }
        filled = Some(host.replace('*', "wildcard"));
    }
    let is_address = |text: &str| HostPort::parse(text).is_ok_and(|host| host.kind != HostKind::Name);
    let candidate = filled.as_deref().unwrap_or(host);
    if is_address(candidate) {
        return Err("must not be an IP".to_owned());
    }
    portless(candidate, host).map(|_| ())
}

/// An element of a route's `hosts`: one wildcard may stand for the first or the last label.
pub(crate) fn route_host(value: &Value) -> Checked {
    let host = text(value);
    match host.matches('*').count() {
        0 => return host_with_optional_port(value),
        1 => {}
        _ => return Err("invalid wildcard: must have at most one wildcard".to_owned()),
    }
    let without_port = match host.rsplit_once(':') {
        Some((name, digits)) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            name
        }
        _ => host,
    };
    if !host.starts_with("*.") && !without_port.ends_with(".*") {
        return Err("invalid wildcard: must be placed at leftmost or rightmost label".to_owned());
    }
    HostPort::parse(&host.replace('*', "abc"))
        .map(|_| ())
        .map_err(|error| match error {
            HostError::Name(_) => HostError::Name(host.to_owned()).to_string(),
            other => other.to_string(),
        })
}

/// Name of an upstream: a host name without a port (kong-core A.4).
pub(crate) fn upstream_name(value: &Value) -> Checked {
    let name = text(value);
    let fault = match HostPort::parse(name) {
        Err(_) => "must be a valid hostname",
        Ok(host) if host.kind != HostKind::Name => "no ip addresses allowed",
        Ok(HostPort { port: Some(_), .. }) => "no port allowed",
        Ok(_) => return Ok(()),
    };
    Err(format!("Invalid name ('{name}'); {fault}"))
}

/// Address of a target (kong-core A.5).
pub(crate) fn target(value: &Value) -> Checked {
    let target = text(value);
    if target.starts_with(UNIX) {
        return ensure(Address::of_unix(target).is_some(), || {
            format!(
                "Invalid target ('{target}'); a socket file needs an absolute path of at most {MAX_SOCKET_PATH} bytes"
            )
        });
    }
    let holds = HostPort::parse(target).is_ok();
    ensure(holds, || {
        "Invalid target; not a valid hostname or ip address".to_owned()
    })
}

pub(crate) fn path(value: &Value) -> Checked {
    let path = text(value);
    if !path.starts_with('/') {
        return Err("should start with: /".to_owned());
    }
    if path.contains("//") {
        return Err("must not have empty segments".to_owned());
    }
    if !is_rfc3986_path(path) {
        return Err(format!(
            "invalid path: '{path}' (characters outside of the reserved list of RFC 3986 found)"
        ));
    }
    match broken_triplet(path) {
        Some(broken) => Err(format!("invalid url-encoded value: '{broken}'")),
        None => Ok(()),
    }
}

/// RFC 3986 section 3.3: unreserved, sub-delims, `:`, `@`, `/` and `%`.
fn is_rfc3986_path(path: &str) -> bool {
    path.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b".-_~/%:@!$&'()*+,;=".contains(&byte))
}

/// The first `%` that two hexadecimal digits do not follow, with up to two characters after it.
fn broken_triplet(path: &str) -> Option<&str> {
    let mut rest = path;
    while let Some(position) = rest.find('%') {
        let triplet = rest.get(position..)?;
        let mut digits = triplet.bytes().skip(1);
        let is_whole = (0..2).all(|_| digits.next().is_some_and(|byte| byte.is_ascii_hexdigit()));
        if !is_whole {
            let end = triplet
                .char_indices()
                .nth(3)
                .map_or(triplet.len(), |(end, _)| end);
            return triplet.get(..end);
        }
        rest = triplet.get(3..)?;
    }
    None
}

pub(crate) fn router_path(value: &Value) -> Checked {
    let path = text(value);
    if path.contains("//") {
        return Err("must not have empty segments".to_owned());
    }
    if let Some(pattern) = path.strip_prefix('~').filter(|pattern| pattern.starts_with('/')) {
        return regex(pattern);
    }
    if !path.starts_with('/') {
        return Err("should start with: / (fixed path) or ~/ (regex path)".to_owned());
    }
    if let Some(broken) = Some(path)
        .filter(|path| is_rfc3986_path(path))
        .and_then(broken_triplet)
    {
        return Err(format!("invalid url-encoded value: '{broken}'"));
    }
    let normal = normalize_path(path.as_bytes());
    ensure(*normal == *path.as_bytes(), || {
        format!(
            "non-normalized path, consider use '{}' instead",
            String::from_utf8_lossy(&normal)
        )
    })
}

/// Bytes of a pattern whose automaton stays below the limit of the `regex` crate, whatever classes it consists of.
const SURELY_COMPILES: usize = 128;

/// A regular expression of the `regex` crate. Common faults are told in the words of Kong's engine.
pub(crate) fn regex(pattern: &str) -> Checked {
    // Compiling takes a hundred times as long as parsing. Only counted repetitions and long texts can get too large.
    let is_small = pattern.len() <= SURELY_COMPILES && !pattern.contains('{');
    if is_small && regex_syntax::parse(pattern).is_ok() {
        return Ok(());
    }
    let Err(error) = Regex::new(pattern) else {
        return Ok(());
    };
    let told = error.to_string();
    let reason = told
        .rsplit_once("error: ")
        .map_or(told.as_str(), |(_, reason)| reason)
        .trim();
    let translated = match reason {
        "unclosed group" => "missing closing parenthesis",
        "unclosed character class" => "missing terminating ] for character class",
        "empty capture group name" => "subpattern name expected",
        "unclosed capture group name" | "invalid capture group character" => {
            "syntax error in subpattern name (missing terminator?)"
        }
        _ => return Err(format!("invalid regex: '{pattern}' ({reason})")),
    };
    Err(format!(
        "invalid regex: '{pattern}' (PCRE returned: pcre2_compile() failed: {translated} in \"{pattern}\")"
    ))
}
