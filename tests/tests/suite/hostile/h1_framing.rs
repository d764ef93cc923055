//! Where a message ends: whatever can be read in two ways is refused (RFC 9112 section 6).

use super::{Case, Expect, run};
use crate::ask::service;
use tidegate_tests::{Gateway, Upstream};

const LENGTHS: &[Case] = &[
    Case {
        name: "length and encoding",
        wire: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        expect: Expect::Refused(400),
    },
    Case {
        name: "encoding and length",
        wire: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        expect: Expect::Refused(400),
    },
    Case {
        name: "two lengths that differ",
        wire: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
        expect: Expect::Refused(400),
    },
    Case {
        name: "two equal lengths",
        wire: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nabcd",
        expect: Expect::Refused(400),
    },
    Case {
        name: "a list of lengths",
        wire: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4, 4\r\n\r\nabcd",
        expect: Expect::Refused(400),
    },
    Case {
        name: "a plus",
        wire: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +4\r\n\r\nabcd",
        expect: Expect::Refused(400),
    },
    Case {
        name: "a minus",
        wire: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -4\r\n\r\nabcd",
        expect: Expect::Refused(400),
    },
    Case {
        name: "hex",
        wire: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x4\r\n\r\nabcd",
        expect: Expect::Refused(400),
    },
    Case {
        name: "an empty length",
        wire: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\nabcd",
        expect: Expect::Refused(400),
    },
    Case {
        name: "a length beyond 64 bits",
        wire: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\nabcd",
        expect: Expect::Refused(400),
    },
    Case {
        name: "a space inside",
        wire: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4 4\r\n\r\nabcd",
        expect: Expect::Refused(400),
    },
    Case {
        name: "a plain length",
        wire: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd",
        expect: Expect::Served,
    },
    Case {
        name: "spaces around a length",
        wire: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:  4 \r\n\r\nabcd",
        expect: Expect::Served,
    },
];

const CODINGS: &[Case] = &[
    Case {
        name: "chunked twice in one line",
        wire: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        expect: Expect::RefusedAny(&[400, 501]),
    },
    Case {
        name: "chunked in two lines",
        wire: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        expect: Expect::RefusedAny(&[400, 501]),
    },
    Case {
        name: "gzip before chunked",
        wire: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        expect: Expect::RefusedAny(&[400, 501]),
    },
    Case {
        name: "chunked before gzip",
        wire: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        expect: Expect::RefusedAny(&[400, 501]),
    },
    Case {
        name: "identity",
        wire: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        expect: Expect::RefusedAny(&[400, 501]),
    },
    Case {
        name: "xchunked",
        wire: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        expect: Expect::RefusedAny(&[400, 501]),
    },
    Case {
        name: "a vertical tab before chunked",
        wire: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        expect: Expect::RefusedAny(&[400, 501]),
    },
    Case {
        name: "quoted chunked",
        wire: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
        expect: Expect::RefusedAny(&[400, 501]),
    },
    Case {
        name: "an encoding in HTTP/1.0",
        wire: "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        expect: Expect::Refused(400),
    },
    Case {
        name: "a space before the colon",
        wire: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        expect: Expect::Refused(400),
    },
    Case {
        name: "chunked in capitals",
        wire: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n1\r\na\r\n0\r\n\r\n",
        expect: Expect::Served,
    },
];

const CHUNKS: &[Case] = &[
    Case {
        name: "a size with a prefix",
        wire: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
        expect: Expect::Broken,
    },
    Case {
        name: "a size beyond 64 bits",
        wire: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000001\r\na\r\n0\r\n\r\n",
        expect: Expect::Broken,
    },
    Case {
        name: "a negative size",
        wire: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\na\r\n0\r\n\r\n",
        expect: Expect::Broken,
    },
    Case {
        name: "no line end after the data",
        wire: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        expect: Expect::Broken,
    },
    Case {
        name: "a bare LF after the size",
        wire: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
        expect: Expect::Broken,
    },
    Case {
        name: "a bare LF in an extension",
        wire: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;x\na\r\n0\r\n\r\n",
        expect: Expect::Broken,
    },
    Case {
        name: "an extension",
        wire: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;x=\"y\"\r\na\r\n0\r\n\r\n",
        expect: Expect::Served,
    },
    Case {
        name: "leading zeros",
        wire: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0001\r\na\r\n000\r\n\r\n",
        expect: Expect::Served,
    },
];

#[tokio::test]
async fn a_length_is_one_plain_number_or_the_request_is_refused() {
    run(LENGTHS).await;
}

#[tokio::test]
async fn chunked_is_the_only_transfer_coding_and_stands_alone() {
    run(CODINGS).await;
}

#[tokio::test]
async fn broken_chunks_end_the_connection_and_the_upstream_never_sees_a_whole_request() {
    run(CHUNKS).await;
}

#[tokio::test]
async fn bytes_behind_a_refused_request_are_never_a_request() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    for head in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Content-Length: 5\r\nContent-Length: 0",
    ] {
        let wire = format!(
            "POST /outer HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
        );
        let mut client = gateway.send(wire).await;
        assert_eq!(client.response().await.status, 400, "{head}");
        client.assert_closed(head).await;
    }
    assert!(upstream.requests().is_empty(), "{:?}", upstream.requests());
}

#[tokio::test]
async fn trailers_cannot_name_fields_that_frame_or_authorise() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    let wire = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\nHost: evil\r\nAuthorization: x\r\n\r\n";
    let mut client = gateway.send(wire).await;
    let _ = client.try_response("GET").await;
    for request in upstream.requests() {
        for name in ["Content-Length", "Transfer-Encoding", "Host", "Authorization"] {
            assert!(!request.trailers.has(name), "{name} as a trailer: {request:?}");
        }
        assert!(
            request.headers.all("Host").len() == 1 && !request.headers.has("Authorization"),
            "{request:?}"
        );
    }
}

#[tokio::test]
async fn the_gateway_frames_upstream_messages_itself() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    let wire = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n2;ext=1\r\nab\r\n0\r\nX-T: 1\r\n\r\n";
    assert_eq!(gateway.send(wire).await.response().await.status, 200);
    let seen = upstream.last();
    let framings = seen.headers.all("Transfer-Encoding").len() + seen.headers.all("Content-Length").len();
    assert_eq!((framings, &seen.body[..]), (1, &b"ab"[..]), "{seen:?}");
    let encoding = seen.header("Transfer-Encoding");
    assert!(encoding.is_empty() || encoding == "chunked", "{encoding}");
}
