use super::support::{passed, refusal};

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: x.test\r\n\r\n")
}

#[test]
fn absolute_form_becomes_origin_form_and_its_authority_the_host() {
    let seen = passed("GET http://y.test/p1?x=1 HTTP/1.1\r\nX-A: 1\r\nHost: x.test\r\n\r\n");
    assert_eq!(
        (seen.target.as_str(), seen.header("host"), seen.header("x-a")),
        ("/p1?x=1", vec!["y.test"], vec!["1"])
    );
    let seen = passed(get("HTTP://y.test:8000"));
    assert_eq!(
        (seen.target.as_str(), seen.header("host")),
        ("/", vec!["y.test:8000"])
    );
}

#[test]
fn absolute_form_is_held_to_the_rules_of_host() {
    for target in [
        "http://u@y.test/",
        "http://u:p@y.test/",
        "http:///p1",
        "http://a..b/",
        "ftp://y.test/",
        "http:/p1",
    ] {
        assert_eq!(refusal(get(target)), 400, "{target}");
    }
    assert_eq!(
        refusal("GET http://y.test/ HTTP/1.1\r\n\r\n"),
        400,
        "Host is still required"
    );
    assert_eq!(
        refusal("GET http://y.test/ HTTP/1.1\r\nHost: a b\r\n\r\n"),
        400,
        "and still checked"
    );
}

#[test]
fn other_forms_are_refused() {
    for target in ["*", "p1", "x.test:80", "?x", "#f", "\\p1"] {
        assert_eq!(refusal(get(target)), 400, "{target}");
    }
    assert_eq!(refusal("OPTIONS * HTTP/1.1\r\nHost: x.test\r\n\r\n"), 400);
}

#[test]
fn fragments_are_cut_off() {
    assert_eq!(passed(get("/p1#frag")).target, "/p1");
    assert_eq!(passed(get("/p1?a=b#frag")).target, "/p1?a=b");
}

#[test]
fn bytes_that_no_uri_holds_are_percent_encoded() {
    assert_eq!(passed(get("/café")).target, "/caf%C3%A9");
    assert_eq!(
        passed(b"GET /caf\xe9?\xff HTTP/1.1\r\nHost: x.test\r\n\r\n").target,
        "/caf%E9?%FF"
    );
    assert_eq!(passed(get("/a<b>`?\"c\"")).target, "/a%3Cb%3E%60?%22c%22");
    assert_eq!(
        passed(get("/p1\\x^{\"}|[]")).target,
        "/p1\\x^{\"}|[]",
        "what a URI can hold stays"
    );
}

#[test]
fn paths_that_nginx_refuses_are_refused() {
    for target in [
        "/p1%00",
        "/a/%",
        "/a%zz",
        "/a%2",
        "/..",
        "//..",
        "//../a",
        "/a/../../..",
        "/%2e%2e/",
        "/p1\u{7f}",
        "/p\u{1}",
    ] {
        assert_eq!(refusal(get(target)), 400, "{target:?}");
    }
    for target in ["/a/..", "/a//../b", "/a/...", "/.", "/a?%00", "/a?..", "/a?%"] {
        assert_eq!(passed(get(target)).target, target);
    }
}
