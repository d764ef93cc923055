//! Request lines and header lines that are not what they seem.

use super::{Case, Expect, run};
use crate::ask::service;
use tidegate_tests::{Gateway, Request, Upstream};

const HOSTS: &[Case] = &[
    Case {
        name: "no Host",
        wire: "GET / HTTP/1.1\r\n\r\n",
        expect: Expect::Refused(400),
    },
    Case {
        name: "two Hosts",
        wire: "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        expect: Expect::Refused(400),
    },
    Case {
        name: "the same Host twice",
        wire: "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        expect: Expect::Refused(400),
    },
    Case {
        name: "a space in Host",
        wire: "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        expect: Expect::Refused(400),
    },
    Case {
        name: "a slash in Host",
        wire: "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        expect: Expect::Refused(400),
    },
    Case {
        name: "userinfo in Host",
        wire: "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
        expect: Expect::Refused(400),
    },
    Case {
        name: "a port that is no number",
        wire: "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n",
        expect: Expect::Refused(400),
    },
    Case {
        name: "a plain Host",
        wire: "GET / HTTP/1.1\r\nHost: a.test:80\r\n\r\n",
        expect: Expect::Served,
    },
    Case {
        name: "an IPv6 Host",
        wire: "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
        expect: Expect::Served,
    },
    Case {
        name: "an absolute target of the same host",
        wire: "GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
        expect: Expect::Served,
    },
    Case {
        name: "userinfo in an absolute target",
        wire: "GET http://u:p@a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
        expect: Expect::Refused(400),
    },
];

const LINES: &[Case] = &[
    Case {
        name: "no request at all",
        wire: "hello\r\n\r\n",
        expect: Expect::Broken,
    },
    Case {
        name: "a space in the target",
        wire: "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        expect: Expect::Refused(400),
    },
    Case {
        name: "two spaces in the line",
        wire: "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        expect: Expect::Served,
    },
    Case {
        name: "a tab in the line",
        wire: "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
        expect: Expect::Refused(400),
    },
    Case {
        name: "a fragment",
        wire: "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
        expect: Expect::Served,
    },
    Case {
        name: "NUL in the target",
        wire: "GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n",
        expect: Expect::Refused(400),
    },
    Case {
        name: "a bare CR in the target",
        wire: "GET /a\rb HTTP/1.1\r\nHost: a\r\n\r\n",
        expect: Expect::Refused(400),
    },
    Case {
        name: "an asterisk with GET",
        wire: "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
        expect: Expect::Refused(400),
    },
    Case {
        name: "CONNECT",
        wire: "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n",
        expect: Expect::RefusedAny(&[400, 405, 501]),
    },
    Case {
        name: "a target without a slash",
        wire: "GET admin HTTP/1.1\r\nHost: a\r\n\r\n",
        expect: Expect::Refused(400),
    },
    Case {
        name: "another scheme",
        wire: "GET file:///etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n",
        expect: Expect::Refused(400),
    },
    Case {
        name: "HTTP/1.2",
        wire: "GET / HTTP/1.2\r\nHost: a\r\n\r\n",
        expect: Expect::RefusedAny(&[400, 505]),
    },
    Case {
        name: "HTTP/2.0 in a line",
        wire: "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        expect: Expect::RefusedAny(&[400, 505]),
    },
    Case {
        name: "HTTP/0.9",
        wire: "GET /\r\n\r\n",
        expect: Expect::Broken,
    },
    Case {
        name: "a method that is no token",
        wire: "GE(T / HTTP/1.1\r\nHost: a\r\n\r\n",
        expect: Expect::Refused(400),
    },
    Case {
        name: "a TLS hello",
        wire: "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03",
        expect: Expect::Broken,
    },
];

const FIELDS: &[Case] = &[
    Case {
        name: "a space before the colon",
        wire: "GET / HTTP/1.1\r\nHost: a\r\nX-A : 1\r\n\r\n",
        expect: Expect::Refused(400),
    },
    Case {
        name: "an empty name",
        wire: "GET / HTTP/1.1\r\nHost: a\r\n: 1\r\n\r\n",
        expect: Expect::Refused(400),
    },
    Case {
        name: "a line without a colon",
        wire: "GET / HTTP/1.1\r\nHost: a\r\nX-A\r\n\r\n",
        expect: Expect::Refused(400),
    },
    Case {
        name: "a folded line",
        wire: "GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n 2\r\n\r\n",
        expect: Expect::Refused(400),
    },
    Case {
        name: "a first line that begins with a space",
        wire: "GET / HTTP/1.1\r\n Host: a\r\nHost: b\r\n\r\n",
        expect: Expect::Refused(400),
    },
    Case {
        name: "a bare CR in a value",
        wire: "GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r2\r\n\r\n",
        expect: Expect::Refused(400),
    },
    Case {
        name: "NUL in a value",
        wire: "GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\x002\r\n\r\n",
        expect: Expect::Refused(400),
    },
    Case {
        name: "a name with a space",
        wire: "GET / HTTP/1.1\r\nHost: a\r\nX A: 1\r\n\r\n",
        expect: Expect::Refused(400),
    },
    Case {
        name: "a name in brackets",
        wire: "GET / HTTP/1.1\r\nHost: a\r\nX[A]: 1\r\n\r\n",
        expect: Expect::Refused(400),
    },
    Case {
        name: "an empty value",
        wire: "GET / HTTP/1.1\r\nHost: a\r\nX-A:\r\n\r\n",
        expect: Expect::Served,
    },
    Case {
        name: "a tab in a value",
        wire: "GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\t2\r\n\r\n",
        expect: Expect::Served,
    },
];

#[tokio::test]
async fn there_is_one_valid_host_and_the_target_does_not_say_another() {
    run(HOSTS).await;
}

#[tokio::test]
async fn the_host_of_an_absolute_target_is_the_only_one_that_counts() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(&upstream, "- {hosts: [b.test]}")).await;
    // RFC 9112 section 3.2.2, and what Kong does.
    let mut client = gateway
        .send("GET http://b.test/x HTTP/1.1\r\nHost: a.test\r\n\r\n")
        .await;
    assert_eq!(client.response().await.status, 200);
    let seen = upstream.last();
    assert_eq!(
        (seen.target.as_str(), seen.header("X-Forwarded-Host")),
        ("/x", "b.test")
    );
    assert!(
        !seen.headers.0.iter().any(|(_, value)| value.contains("a.test")),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_fragment_is_not_sent_on() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/p]}")).await;
    assert_eq!(gateway.get("/p/a#/../../b").await.status, 200);
    let target = upstream.last().target;
    assert!(!target.contains('#') && !target.contains('b'), "{target}");
}

#[tokio::test]
async fn request_lines_are_read_in_one_way_or_refused() {
    run(LINES).await;
}

#[tokio::test]
async fn header_lines_are_read_in_one_way_or_refused() {
    run(FIELDS).await;
}

#[tokio::test]
async fn a_refusal_has_the_form_of_every_error() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    let mut client = gateway.send("GET / HTTP/1.1\r\n\r\n").await;
    let response = client.response().await;
    assert_eq!(response.status, 400);
    assert!(response.text().contains("Bad request"), "{response:?}");
    assert!(
        response.headers.has("Server") && !response.headers.has("Via"),
        "{response:?}"
    );
    assert!(
        response.header("Connection").eq_ignore_ascii_case("close"),
        "{response:?}"
    );
    assert!(
        gateway
            .status_page("/metrics")
            .await
            .text()
            .contains("tidegate_refused_requests_total{"),
        "it is counted"
    );
}

#[tokio::test]
async fn an_upgrade_to_h2c_is_not_made() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    let request = Request::get("/")
        .header("Connection", "Upgrade, HTTP2-Settings")
        .header("Upgrade", "h2c")
        .header("HTTP2-Settings", "AAMAAABkAAQAoAAAAAIAAAAA");
    let response = gateway.call(&request).await;
    assert_ne!(response.status, 101);
    for seen in upstream.requests() {
        assert!(
            !seen.headers.has("Upgrade") && !seen.headers.has("HTTP2-Settings"),
            "{seen:?}"
        );
    }
}

#[tokio::test]
async fn raw_bytes_in_a_path_are_passed_on_escaped() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    let mut client = gateway
        .send(b"GET /\xff\xc3\xb8 HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    let response = client.response().await;
    if response.status == 200 {
        assert_eq!(upstream.last().target.to_uppercase(), "/%FF%C3%B8");
    } else {
        assert_eq!(response.status, 400);
        assert!(upstream.requests().is_empty());
    }
}

#[tokio::test]
async fn percent_encoded_tricks_stay_within_the_route() {
    let upstream = Upstream::ok().await;
    let routes = "- {name: secret, paths: [/secret], plugins: [{name: request-termination, config: {status_code: 403}}]}
- {name: open, paths: [/open], strip_path: false}";
    let gateway = Gateway::start(service(&upstream, routes)).await;
    for target in [
        "/open/../secret",
        "/open/%2e%2e/secret",
        "/open/./../secret",
        "//secret",
        "/%73ecret",
    ] {
        assert_eq!(gateway.get(target).await.status, 403, "{target} is /secret");
    }
    for target in [
        "/open/..%2fsecret",
        "/open/%252e%252e/secret",
        "/open/..;/secret",
        "/open/%c0%ae%c0%ae/secret",
    ] {
        let response = gateway.get(target).await;
        if response.status == 200 {
            let seen = upstream.last().target;
            assert!(
                seen.starts_with("/open/"),
                "{target} reached the upstream as {seen}"
            );
        }
    }
    for target in ["/open/%00", "/open/%zz", "/../secret", "/%2e%2e/secret"] {
        assert_eq!(
            gateway.get(target).await.status,
            400,
            "{target} is refused, as nginx does"
        );
    }
}
