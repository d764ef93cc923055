use super::*;

const LIMITS: HeadLimits = HeadLimits {
    max_headers: 100,
    max_bytes: 4_096,
};

fn take(wire: &str, is_head_request: bool) -> Result<Option<Parsed>, Http1Error> {
    take_head(&mut BytesMut::from(wire), LIMITS, is_head_request)
}

fn framing_of(wire: &str) -> (Option<BodyFraming>, bool) {
    let parsed = take(wire, false).expect("valid").expect("complete");
    (parsed.framing, parsed.keeps_alive)
}

#[test]
fn a_head_is_taken_once_it_is_whole_and_what_follows_stays() {
    let wire = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A: b \r\nX-A:\r\n\r\nabc";
    let end = wire.len() - 3;
    for length in 0..end {
        let mut read = BytesMut::from(&wire[..length]);
        let partial = take_head(&mut read, LIMITS, false).expect("valid so far");
        assert!(partial.is_none() && read.len() == length, "{length}");
    }
    let mut read = BytesMut::from(wire);
    let parsed = take_head(&mut read, LIMITS, false)
        .expect("valid")
        .expect("complete");
    assert_eq!(read, b"abc"[..]);
    assert_eq!(parsed.head.status, StatusCode::OK);
    let values: Vec<_> = parsed.head.headers.get_all("x-a").iter().collect();
    assert_eq!(values, ["b", ""]);
    assert_eq!(
        (parsed.framing, parsed.keeps_alive),
        (Some(BodyFraming::Sized(3)), true)
    );
}

#[test]
fn the_end_of_a_body_is_told_by_rfc_9112() {
    for (wire, expected) in [
        ("HTTP/1.1 200 OK\r\n\r\n", (Some(BodyFraming::UntilClose), false)),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            (Some(BodyFraming::Empty), true),
        ),
        ("HTTP/1.1 204 No\r\n\r\n", (Some(BodyFraming::Empty), true)),
        (
            "HTTP/1.1 304 Same\r\nContent-Length: 7\r\n\r\n",
            (Some(BodyFraming::Empty), true),
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
            (Some(BodyFraming::Sized(5)), true),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            (Some(BodyFraming::Chunked), true),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n",
            (Some(BodyFraming::Chunked), true),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            (Some(BodyFraming::UntilClose), false),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
            (Some(BodyFraming::Chunked), false),
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: a, Close\r\n\r\n",
            (Some(BodyFraming::Sized(1)), false),
        ),
        (
            "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n",
            (Some(BodyFraming::Sized(1)), false),
        ),
        (
            "HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n",
            (Some(BodyFraming::Sized(1)), true),
        ),
        ("HTTP/1.1 101 Now\r\nUpgrade: websocket\r\n\r\n", (None, false)),
    ] {
        assert_eq!(framing_of(wire), expected, "{wire:?}");
    }
}

#[test]
fn an_answer_to_head_has_no_body_whatever_its_length_says() {
    let parsed = take("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", true)
        .expect("valid")
        .expect("complete");
    assert_eq!(parsed.framing, Some(BodyFraming::Empty));
    assert_eq!(parsed.head.headers["content-length"], "9");
}

#[test]
fn ambiguous_or_malformed_heads_are_refused() {
    for wire in [
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: \u{1}\r\n\r\n",
    ] {
        let outcome = take(wire, false);
        assert!(
            matches!(outcome, Err(Http1Error::Malformed(_))),
            "{wire:?}: {outcome:?}"
        );
    }
}

#[test]
fn a_head_may_reach_its_limits_and_not_pass_them() {
    let with_headers = |count: usize| {
        let lines: String = (0..count).map(|index| format!("a{index}: b\r\n")).collect();
        format!("HTTP/1.1 200 OK\r\n{lines}\r\n")
    };
    assert!(matches!(take(&with_headers(100), false), Ok(Some(_))));
    assert!(matches!(
        take(&with_headers(101), false),
        Err(Http1Error::HeadTooLarge)
    ));
    let with_bytes = |count: usize| {
        let fixed = "HTTP/1.1 200 OK\r\na: \r\n\r\n".len();
        format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "x".repeat(count - fixed))
    };
    assert!(matches!(take(&with_bytes(4_096), false), Ok(Some(_))));
    assert!(matches!(
        take(&with_bytes(4_097), false),
        Err(Http1Error::HeadTooLarge)
    ));
    let endless = &with_bytes(8_000)[..4_096];
    assert!(matches!(take(endless, false), Err(Http1Error::HeadTooLarge)));
}
