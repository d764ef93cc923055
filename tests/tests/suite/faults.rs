//! Broken and hostile upstreams: the client gets an honest error, the connection is thrown away, nobody else notices.

#[path = "faults/dns.rs"]
mod dns;
#[path = "faults/each.rs"]
mod each;
#[path = "faults/guards.rs"]
mod guards;
#[path = "faults/leaks.rs"]
mod leaks;
#[path = "faults/probing.rs"]
mod probing;
#[path = "faults/processes.rs"]
mod processes;
#[path = "faults/retries.rs"]
mod retries;
#[path = "faults/tls.rs"]
mod tls;

use crate::ask::{service, service_at};
use std::time::Duration;
use tidegate_tests::{Answer, Gateway, RawClient, Request, Upstream};

struct Case {
    name: &'static str,
    /// Bytes that the upstream sends; then it closes, or stays silent.
    wire: &'static str,
    closes: bool,
    /// What the client may get; `None`: an answer that visibly breaks off.
    status: Option<u16>,
}

const CASES: &[Case] = &[
    Case {
        name: "no HTTP at all",
        wire: "SSH-2.0-OpenSSH_9.6\r\n",
        closes: true,
        status: Some(502),
    },
    Case {
        name: "nothing but the end",
        wire: "",
        closes: true,
        status: Some(502),
    },
    Case {
        name: "an end inside the head",
        wire: "HTTP/1.1 200 OK\r\nContent-Le",
        closes: true,
        status: Some(502),
    },
    Case {
        name: "a status that is no number",
        wire: "HTTP/1.1 2xx OK\r\n\r\n",
        closes: true,
        status: Some(502),
    },
    Case {
        name: "a header line without a colon",
        wire: "HTTP/1.1 200 OK\r\nbroken line\r\nContent-Length: 0\r\n\r\n",
        closes: false,
        status: Some(502),
    },
    Case {
        name: "a bare CR in a header",
        wire: "HTTP/1.1 200 OK\r\nX-A: a\rSet-Cookie: x\r\nContent-Length: 0\r\n\r\n",
        closes: false,
        status: Some(502),
    },
    Case {
        name: "two lengths that differ",
        wire: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        closes: false,
        status: Some(502),
    },
    Case {
        name: "a length that is no number",
        wire: "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok",
        closes: false,
        status: Some(502),
    },
    Case {
        name: "a body that ends early",
        wire: "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        closes: true,
        status: None,
    },
    Case {
        name: "chunks that end early",
        wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        closes: true,
        status: None,
    },
    Case {
        name: "a chunk size that is no number",
        wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
        closes: false,
        status: None,
    },
];

#[tokio::test]
async fn a_broken_answer_is_never_passed_on_as_a_whole_one() {
    for case in CASES {
        let upstream = Upstream::serving(move |_| {
            let answer = Answer::raw(case.wire);
            if case.closes {
                answer.close()
            } else {
                answer.hang()
            }
        })
        .await;
        let gateway = Gateway::start(service_at(
            &upstream.url(),
            "retries: 0\nread_timeout: 2000",
            "- {paths: [/]}",
        ))
        .await;
        let mut client = gateway.send(Request::get("/").bytes()).await;
        let found = client.try_response("GET").await;
        match (case.status, &found) {
            (Some(status), Ok(response)) => {
                assert_eq!(response.status, status, "{}: {response:?}", case.name)
            }
            (None, Err(_)) => {}
            _ => panic!("{}: {found:?}", case.name),
        }
        assert_eq!(
            gateway.call(&Request::new("TRACE", "/")).await.status,
            405,
            "it serves on after: {}",
            case.name
        );
    }
}

#[tokio::test]
async fn both_framings_in_an_answer_are_never_both_passed_on() {
    let upstream = Upstream::serving(|_| {
        Answer::raw(
            "HTTP/1.1 200 OK\r\nContent-Length: 40\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        )
        .hang()
    })
    .await;
    let gateway = Gateway::start(service_at(
        &upstream.url(),
        "retries: 0\nread_timeout: 2000",
        "- {paths: [/]}",
    ))
    .await;
    // The strict reader of the client refuses an answer with both.
    let response = gateway.get("/").await;
    assert!(response.status == 502 || response.text() == "ok", "{response:?}");
}

#[tokio::test]
async fn an_endless_head_is_cut_off() {
    let upstream = Upstream::serving(|_| {
        let line = format!("X-Filler: {}\r\n", "x".repeat(1_000));
        (0..2_000)
            .fold(Answer::raw("HTTP/1.1 200 OK\r\n"), |answer, _| {
                answer.then(line.clone())
            })
            .hang()
    })
    .await;
    let gateway = Gateway::start(service_at(
        &upstream.url(),
        "retries: 0\nread_timeout: 5000",
        "- {paths: [/]}",
    ))
    .await;
    let before = gateway.resident_bytes();
    assert_eq!(gateway.get("/").await.status, 502);
    assert!(gateway.resident_bytes().saturating_sub(before) < 16 << 20);
}

#[tokio::test]
async fn an_answer_nobody_asked_for_does_not_become_somebody_elses() {
    let upstream = Upstream::serving(|_| {
        Answer::ok("mine")
            .then("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
            .wait(Duration::from_millis(50))
    })
    .await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    for _ in 0..5 {
        assert_eq!(gateway.get("/").await.text(), "mine");
        tokio::time::sleep(Duration::from_millis(80)).await;
    }
}

#[tokio::test]
async fn a_body_after_an_answer_that_has_none_is_not_the_next_answer() {
    let upstream = Upstream::serving(|request| match request.method.as_str() {
        "HEAD" => Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"),
        _ if request.target == "/204" => {
            Answer::raw("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
        }
        _ => Answer::ok("good"),
    })
    .await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    let mut client = RawClient::connect(gateway.proxy()).await;
    for request in [Request::new("HEAD", "/"), Request::get("/204")] {
        client.call(&request).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
        let next = client.call(&Request::get("/next")).await;
        assert_eq!(
            (next.status, next.text().as_str()),
            (200, "good"),
            "after {}",
            request.method()
        );
    }
}

#[tokio::test]
async fn a_reset_after_the_head_is_visible_to_the_client() {
    let upstream = Upstream::serving(|_| {
        Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            .wait(Duration::from_millis(30))
            .reset()
    })
    .await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    let mut client = gateway.send(Request::get("/").bytes()).await;
    assert!(client.try_response("GET").await.is_err());
}

#[tokio::test]
async fn x_accel_redirect_of_a_backend_is_not_obeyed() {
    let upstream = Upstream::serving(|_| Answer::ok("own").header("X-Accel-Redirect", "/secret")).await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    let response = gateway.get("/").await;
    assert_eq!((response.text().as_str(), upstream.requests().len()), ("own", 1));
}
