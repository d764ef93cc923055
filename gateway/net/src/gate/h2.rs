//! The gate for HTTP/2 requests: the rules of the HTTP/1 gate that the HTTP/2 library leaves open.

use super::bytes::{self, NAME_BAD, NAME_IGNORED};
use super::fault::RequestFault;
use super::host::is_valid_host;
use super::limits::GateLimits;
use super::target;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, request::Parts};

/// Checks the head of an HTTP/2 request.
///
/// # Errors
/// Fails when `:authority` and Host are both missing, differ, repeat or are invalid, on connection-specific fields
/// (RFC 9113 section 8.2.2), on TE other than `trailers`, on a bad method or path, and past a limit.
pub fn check_h2(parts: &Parts, limits: &GateLimits) -> Result<(), RequestFault> {
    check_method(&parts.method)?;
    check_path(parts, limits)?;
    check_authority(parts)?;
    check_headers(&parts.headers, limits)
}

/// Removes the fields whose names nginx ignores (`ignore_invalid_headers`), as the HTTP/1 gate does.
pub fn remove_ignored_headers(headers: &mut HeaderMap) {
    let is_ignored = |name: &HeaderName| bytes::name_classes(name.as_str().as_bytes()) & NAME_IGNORED != 0;
    while let Some(name) = headers.keys().find(|name| is_ignored(name)).cloned() {
        headers.remove(name);
    }
}

fn check_method(method: &Method) -> Result<(), RequestFault> {
    match method.as_str() {
        "TRACE" => Err(RequestFault::method_not_allowed("TRACE")),
        "CONNECT" => Err(RequestFault::method_not_allowed("CONNECT")),
        name if name.bytes().all(bytes::is_method_byte) => Ok(()),
        _ => Err(RequestFault::bad("invalid method")),
    }
}

fn check_path(parts: &Parts, limits: &GateLimits) -> Result<(), RequestFault> {
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    if path.len() > limits.max_request_line {
        return Err(RequestFault::target_too_long());
    }
    if !path.starts_with('/') {
        return Err(RequestFault::bad("target not in origin form"));
    }
    target::check(path.as_bytes()).map(drop)
}

fn check_authority(parts: &Parts) -> Result<(), RequestFault> {
    let authority = parts
        .uri
        .authority()
        .map(|authority| authority.as_str().as_bytes());
    let mut hosts = parts.headers.get_all(HOST).iter().map(HeaderValue::as_bytes);
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(RequestFault::bad("several Host headers"));
    }
    let named = match (authority, host) {
        (None, None) => return Err(RequestFault::bad("HTTP/2 request without an authority")),
        (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => {
            return Err(RequestFault::bad("authority and Host header differ"));
        }
        (Some(named), _) | (None, Some(named)) => named,
    };
    if is_valid_host(named) {
        Ok(())
    } else {
        Err(RequestFault::bad("invalid authority"))
    }
}

fn check_headers(headers: &HeaderMap, limits: &GateLimits) -> Result<(), RequestFault> {
    if headers.len() > limits.max_header_count {
        return Err(RequestFault::headers_too_large(
            "more header lines than the limit",
        ));
    }
    let mut total = 0;
    let mut has_length = false;
    for (name, value) in headers {
        // As long as the same line would be in HTTP/1, line end included.
        let line = name.as_str().len() + value.len() + 2;
        total += line + 2;
        if line > limits.max_header_line || total > limits.max_header_bytes {
            return Err(RequestFault::headers_too_large(
                "header lines longer than the limit",
            ));
        }
        if bytes::name_classes(name.as_str().as_bytes()) & NAME_BAD != 0 {
            return Err(RequestFault::bad("invalid header name"));
        }
        if !bytes::is_clean_value(value.as_bytes()) {
            return Err(RequestFault::bad("control byte in a header value"));
        }
        check_known(name, value, &mut has_length)?;
    }
    Ok(())
}

fn check_known(name: &HeaderName, value: &HeaderValue, has_length: &mut bool) -> Result<(), RequestFault> {
    if *name == CONTENT_LENGTH {
        let digits = value.as_bytes();
        if std::mem::replace(has_length, true) {
            return Err(RequestFault::bad("several Content-Length headers"));
        }
        if digits.is_empty() || digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
            return Err(RequestFault::bad("invalid Content-Length header"));
        }
    } else if *name == TE {
        if !value.as_bytes().eq_ignore_ascii_case(b"trailers") {
            return Err(RequestFault::bad("TE header other than trailers"));
        }
    } else if *name == EXPECT {
        if !value.as_bytes().eq_ignore_ascii_case(b"100-continue") {
            return Err(RequestFault::expectation());
        }
    } else if *name == CONNECTION
        || *name == TRANSFER_ENCODING
        || *name == UPGRADE
        || matches!(
            name.as_str(),
            "keep-alive" | "proxy-connection" | "http2-settings"
        )
    {
        return Err(RequestFault::bad(
            "connection-specific header in an HTTP/2 request",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn check(request: http::request::Builder) -> Result<(), u16> {
        let (parts, ()) = request.body(()).unwrap().into_parts();
        check_h2(&parts, &GateLimits::default()).map_err(|fault| fault.status)
    }

    fn get() -> http::request::Builder {
        Request::get("https://x.test/p1?a=b")
    }

    #[test]
    fn ordinary_requests_pass() {
        assert_eq!(check(get()), Ok(()));
        assert_eq!(check(get().header("host", "X.test")), Ok(()));
        assert_eq!(check(Request::get("/p1").header("host", "x.test:8443")), Ok(()));
        assert_eq!(
            check(get().header("te", "trailers").header("content-length", "3")),
            Ok(())
        );
        assert_eq!(check(get().header("x_under", "1").header("x.dot", "1")), Ok(()));
    }

    #[test]
    fn disagreeing_missing_repeated_and_odd_authorities_are_refused() {
        assert_eq!(check(Request::get("/p1")), Err(400));
        assert_eq!(check(get().header("host", "y.test")), Err(400));
        assert_eq!(
            check(get().header("host", "x.test").header("host", "x.test")),
            Err(400)
        );
        assert_eq!(check(Request::get("https://u:p@x.test/")), Err(400));
        assert_eq!(check(Request::get("/").header("host", "a b")), Err(400));
        assert_eq!(check(Request::get("/").header("host", "")), Err(400));
    }

    #[test]
    fn fields_that_mean_something_only_in_http_1_are_refused() {
        for name in [
            "connection",
            "keep-alive",
            "proxy-connection",
            "transfer-encoding",
            "upgrade",
            "http2-settings",
        ] {
            assert_eq!(check(get().header(name, "x")), Err(400), "{name}");
        }
        assert_eq!(check(get().header("te", "gzip")), Err(400));
        assert_eq!(check(get().header("content-length", "+3")), Err(400));
        assert_eq!(
            check(get().header("content-length", "3").header("content-length", "3")),
            Err(400)
        );
        assert_eq!(check(get().header("expect", "tea")), Err(417));
    }

    #[test]
    fn methods_and_paths_follow_the_rules_of_http_1() {
        assert_eq!(check(get().method("TRACE")), Err(405));
        assert_eq!(check(get().method("CONNECT")), Err(405));
        assert_eq!(check(get().method("get")), Err(400));
        for path in ["https://x.test/%00", "https://x.test/..", "https://x.test/a%zz"] {
            assert_eq!(check(Request::get(path)), Err(400), "{path}");
        }
    }

    #[test]
    fn limits_hold_at_the_bound_and_not_one_past_it() {
        let limits = GateLimits::default();
        let long = |len: usize| format!("https://x.test/{}", "a".repeat(len - 1));
        assert_eq!(check(Request::get(long(limits.max_request_line))), Ok(()));
        assert_eq!(check(Request::get(long(limits.max_request_line + 1))), Err(414));
        let value = |len: usize| "a".repeat(len - "x: ".len());
        assert_eq!(check(get().header("x", value(limits.max_header_line))), Ok(()));
        assert_eq!(
            check(get().header("x", value(limits.max_header_line + 1))),
            Err(400)
        );
        let many = |count: usize| (0..count).fold(get(), |request, n| request.header(format!("x-{n}"), "v"));
        assert_eq!(check(many(limits.max_header_count)), Ok(()));
        assert_eq!(check(many(limits.max_header_count + 1)), Err(400));
    }

    #[test]
    fn names_that_nginx_ignores_are_removed() {
        let (mut parts, ()) = get()
            .header("x.dot", "1")
            .header("x!", "2")
            .header("x_u", "3")
            .body(())
            .unwrap()
            .into_parts();
        remove_ignored_headers(&mut parts.headers);
        assert_eq!(
            parts.headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(),
            ["x_u"]
        );
    }
}
