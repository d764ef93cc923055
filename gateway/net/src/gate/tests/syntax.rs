use super::support::{passed, refusal, talk};

fn with_line(line: &str) -> String {
    format!("GET /p1 HTTP/1.1\r\nHost: x.test\r\n{line}\r\n\r\n")
}

#[test]
fn host_is_required_once_and_valid_in_http_1_1() {
    assert_eq!(refusal("GET /p1 HTTP/1.1\r\n\r\n"), 400);
    assert_eq!(
        refusal("GET /p1 HTTP/1.1\r\nHost: x.test\r\nHost: y.test\r\n\r\n"),
        400
    );
    assert_eq!(
        refusal("GET /p1 HTTP/1.1\r\nHost: x.test\r\nhost: x.test\r\n\r\n"),
        400
    );
    for host in [
        "",
        " ",
        "a b",
        "u@x.test",
        "x.test/p",
        "x\ttest",
        "a..b",
        "x.test:99999",
        "x.test:1a",
        "[::1",
        "é",
    ] {
        assert_eq!(
            refusal(format!("GET /p1 HTTP/1.1\r\nHost: {host}\r\n\r\n")),
            400,
            "{host:?}"
        );
    }
    assert_eq!(
        passed("GET /p1 HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n").header("host"),
        ["[::1]:8000"]
    );
}

#[test]
fn http_1_0_needs_no_host_and_is_closed_after_the_answer() {
    for head in [
        "GET /p1 HTTP/1.0\r\n\r\n",
        "GET /p1 HTTP/1.0\r\nHost: x.test\r\n\r\n",
    ] {
        let outcome = talk(head);
        assert_eq!(outcome.statuses, [200], "{head:?}");
        assert_eq!(outcome.seen.len(), 1, "{head:?}");
    }
    assert_eq!(refusal("GET /p1 HTTP/1.0\r\nHost: \r\n\r\n"), 400);
}

#[test]
fn garbled_request_lines_are_refused() {
    for line in [
        "BLAH",
        "GET /p1",
        "GET  HTTP/1.1",
        "GET /p 1 HTTP/1.1",
        "GET /p1 HTTP/1.1 x",
        "GET /p1 http/1.1",
        "GET /p1 HTTP/1.",
        "GET /p1 HTTP/11",
        "GET /p1 HTTP/0.9",
        "GET /p1 HTTQ/1.1",
        "GET\t/p1 HTTP/1.1",
        " GET /p1 HTTP/1.1",
        "GET /p1\tHTTP/1.1",
        "\u{0}GET /p1 HTTP/1.1",
        "G\rET /p1 HTTP/1.1",
        "GET /p1 HTTP/1.1\r",
    ] {
        assert_eq!(
            refusal(format!("{line}\r\nHost: x.test\r\n\r\n")),
            400,
            "{line:?}"
        );
    }
}

#[test]
fn versions_other_than_1_0_and_1_1_are_not_supported() {
    for version in ["HTTP/1.2", "HTTP/2.0", "HTTP/3.0", "HTTP/9.9"] {
        assert_eq!(
            refusal(format!("GET /p1 {version}\r\nHost: x.test\r\n\r\n")),
            505,
            "{version}"
        );
    }
}

#[test]
fn methods_are_upper_case() {
    for method in ["get", "Get", "G3T", "G+T", "GE\"T", "É"] {
        assert_eq!(
            refusal(format!("{method} /p1 HTTP/1.1\r\nHost: x.test\r\n\r\n")),
            400,
            "{method}"
        );
    }
    for method in ["PURGE", "M-SEARCH", "DO_IT", "VERSION-CONTROL"] {
        assert_eq!(
            passed(format!("{method} /p1 HTTP/1.1\r\nHost: x.test\r\n\r\n")).method,
            method
        );
    }
}

#[test]
fn trace_and_connect_are_not_allowed() {
    assert_eq!(refusal("TRACE /p1 HTTP/1.1\r\nHost: x.test\r\n\r\n"), 405);
    assert_eq!(refusal("CONNECT /p1 HTTP/1.1\r\nHost: x.test\r\n\r\n"), 405);
    assert_eq!(refusal("CONNECT x.test:80 HTTP/1.1\r\nHost: x.test\r\n\r\n"), 400);
}

#[test]
fn extra_spaces_in_the_request_line_are_squeezed() {
    for line in ["GET  /p1 HTTP/1.1", "GET   /p1   HTTP/1.1", "GET /p1 HTTP/1.1 "] {
        assert_eq!(
            passed(format!("{line}\r\nHost: x.test\r\n\r\n")).target,
            "/p1",
            "{line:?}"
        );
    }
}

#[test]
fn bare_line_feeds_end_lines_of_the_head() {
    let seen = passed("GET /p1 HTTP/1.1\nHost: x.test\nX-A: 1\r\n\n");
    assert_eq!(
        (seen.header("host"), seen.header("x-a")),
        (vec!["x.test"], vec!["1"])
    );
}

#[test]
fn a_few_empty_lines_before_a_request_are_skipped() {
    assert_eq!(
        passed("\r\nGET /p1 HTTP/1.1\r\nHost: x.test\r\n\r\n").target,
        "/p1"
    );
    assert_eq!(
        passed("\n\r\n\nGET /p1 HTTP/1.1\r\nHost: x.test\r\n\r\n").target,
        "/p1"
    );
    let many = |count| format!("{}GET /p1 HTTP/1.1\r\nHost: x.test\r\n\r\n", "\r\n".repeat(count));
    assert_eq!(passed(many(8)).target, "/p1");
    assert_eq!(refusal(many(9)), 400);
    assert_eq!(
        refusal("\rGET /p1 HTTP/1.1\r\nHost: x.test\r\n\r\n"),
        400,
        "a lone CR is no line end"
    );
}

#[test]
fn odd_header_lines_are_refused() {
    for line in [
        "Bad Header: 1",
        "X : 1",
        "X\t: 1",
        ": 1",
        ":",
        "X",
        " X: 1",
        "\tX: 1",
        "X: a\r\n b",
        "X: a\r\n\tb",
        "X: a\rb",
        "X: a\r\r",
        "X: a\u{0}b",
        "X: a\u{1}b",
        "X: a\u{7f}b",
        "X: a\u{b}",
        "X(: 1",
        "X@Y: 1",
        "Ünder: 1",
        "\u{0}: 1",
        "X\u{7f}: 1",
        "\r: 1",
    ] {
        assert_eq!(refusal(with_line(line)), 400, "{line:?}");
    }
}

#[test]
fn header_values_keep_tabs_and_bytes_from_0x80_on() {
    let seen = passed("GET /p1 HTTP/1.1\r\nHost: x.test\r\nX-A: a\tb\r\nX-B: é\r\nX-Empty:\r\n\r\n");
    assert_eq!(
        (seen.header("x-a"), seen.header("x-b"), seen.header("x-empty")),
        (vec!["a\tb"], vec!["é"], vec![""])
    );
}

#[test]
fn header_names_that_nginx_ignores_do_not_travel_on() {
    let seen = passed(with_line("X.Dot: 1\r\nX_Under: 2\r\nX!: 3\r\nX-A: 4"));
    let names: Vec<_> = seen.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["host", "x_under", "x-a"]);
}

#[test]
fn cleartext_http_2_upgrades_never_travel_on() {
    for line in [
        "Upgrade: h2c",
        "UPGRADE: websocket, H2C",
        "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk",
    ] {
        let seen = passed(with_line(&format!(
            "Connection: Upgrade, HTTP2-Settings\r\n{line}\r\nX-A: 1"
        )));
        let names: Vec<_> = seen.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["host", "connection", "x-a"], "{line:?}");
    }
}

#[test]
fn only_100_continue_may_be_expected() {
    assert_eq!(refusal(with_line("Expect: tea")), 417);
    assert_eq!(refusal(with_line("Expect:")), 417);
    let outcome =
        talk("POST / HTTP/1.1\r\nHost: x.test\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\nabc");
    assert_eq!(outcome.statuses, [200, 200]);
    assert_eq!(
        talk("GET / HTTP/1.0\r\nExpect: tea\r\n\r\n").statuses,
        [200],
        "HTTP/1.0 knows no Expect"
    );
}

#[test]
fn the_first_broken_rule_decides() {
    assert_eq!(refusal("TRACE /p1 HTTP/1.1\r\nBad Header: 1\r\n\r\n"), 405);
    assert_eq!(
        refusal("GET /p1 HTTP/1.1\r\nBad Header: 1\r\nHost: x\r\nTransfer-Encoding: x\r\n\r\n"),
        400
    );
}

#[test]
fn a_refusal_does_not_wait_for_the_rest_of_the_head() {
    let outcome = super::support::exchange(&[b"BLAH\r\n"], crate::gate::GateLimits::default());
    assert_eq!(outcome.statuses, [400]);
}

#[test]
fn a_head_cut_off_by_the_end_of_the_stream_gets_no_answer() {
    let outcome = super::support::exchange(
        &[b"GET / HTTP/1.1\r\nHost: x"],
        crate::gate::GateLimits::default(),
    );
    assert_eq!((outcome.received.as_str(), outcome.seen.len()), ("", 0));
}
