//! What HTTP/2 can say and HTTP/1 must not hear.

use super::frames::Frames;
use crate::ask::service;
use tidegate_tests::{Gateway, Upstream};

struct Case {
    name: &'static str,
    fields: &'static [(&'static str, &'static str)],
}

const fn case(name: &'static str, fields: &'static [(&'static str, &'static str)]) -> Case {
    Case { name, fields }
}

/// Field lists that RFC 9113 section 8.2 and 8.3 call malformed, or that would be read otherwise in HTTP/1.
const CASES: &[Case] = &[
    case(
        "a line break in a value",
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "a"),
            ("x-a", "1\r\nx-b: 2"),
        ],
    ),
    case(
        "a line feed in a value",
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "a"),
            ("x-a", "1\nx-b: 2"),
        ],
    ),
    case(
        "NUL in a value",
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "a"),
            ("x-a", "1\0"),
        ],
    ),
    case(
        "a colon in a name",
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "a"),
            ("x:a", "1"),
        ],
    ),
    case(
        "a line break in a name",
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "a"),
            ("x\r\na", "1"),
        ],
    ),
    case(
        "capitals in a name",
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "a"),
            ("X-A", "1"),
        ],
    ),
    case(
        "a space in the path",
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/a b"),
            (":authority", "a"),
        ],
    ),
    case(
        "a line break in the path",
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/a HTTP/1.1\r\nx: y"),
            (":authority", "a"),
        ],
    ),
    case(
        "an empty path",
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", ""),
            (":authority", "a"),
        ],
    ),
    case(
        "a path without a slash",
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "a"),
            (":authority", "a"),
        ],
    ),
    case(
        "a line break in the method",
        &[
            (":method", "GET / HTTP/1.1\r\nx: y"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "a"),
        ],
    ),
    case(
        "a line break in the authority",
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "a\r\nx: y"),
        ],
    ),
    case(
        "an authority and another host",
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "a.test"),
            ("host", "b.test"),
        ],
    ),
    case(
        "connection",
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "a"),
            ("connection", "x-a"),
        ],
    ),
    case(
        "transfer-encoding",
        &[
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "a"),
            ("transfer-encoding", "chunked"),
        ],
    ),
    case(
        "keep-alive",
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "a"),
            ("keep-alive", "5"),
        ],
    ),
    case(
        "upgrade",
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "a"),
            ("upgrade", "websocket"),
        ],
    ),
    case(
        "two paths",
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":path", "/b"),
            (":authority", "a"),
        ],
    ),
    case(
        "no path",
        &[(":method", "GET"), (":scheme", "http"), (":authority", "a")],
    ),
    case(
        "an unknown pseudo field",
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "a"),
            (":x", "1"),
        ],
    ),
    case(
        "a pseudo field after a plain one",
        &[
            (":method", "GET"),
            (":scheme", "http"),
            ("x", "1"),
            (":path", "/"),
            (":authority", "a"),
        ],
    ),
    case(
        "no authority and no host",
        &[(":method", "GET"), (":scheme", "http"), (":path", "/")],
    ),
    case(
        "a length that the body does not have",
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "a"),
            ("content-length", "5"),
        ],
    ),
    case(
        "two lengths",
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "a"),
            ("content-length", "0"),
            ("content-length", "1"),
        ],
    ),
];

#[tokio::test]
async fn what_http1_would_misread_is_refused_at_the_door() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    let mut failures = Vec::new();
    for case in CASES {
        let mut frames = Frames::connect(gateway.proxy()).await;
        frames.headers(1, case.fields, true).await;
        let outcome = frames.outcome_of(1).await;
        if !outcome.is_refusal() {
            failures.push(format!("{}: {outcome:?}", case.name));
        }
        if !upstream.requests().is_empty() {
            failures.push(format!(
                "{}: the upstream saw {:?}",
                case.name,
                upstream.requests()
            ));
            break;
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test]
async fn a_plain_field_list_of_the_same_kind_is_served() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    let mut frames = Frames::connect(gateway.proxy()).await;
    let fields = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "a"),
        ("x-a", "1"),
    ];
    frames.headers(1, &fields, true).await;
    let outcome = frames.outcome_of(1).await;
    assert!(!outcome.is_refusal(), "{outcome:?}");
    assert_eq!(upstream.last().header("x-a"), "1");
}
