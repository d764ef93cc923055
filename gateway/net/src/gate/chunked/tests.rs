use super::*;

fn limits() -> GateLimits {
    GateLimits {
        max_chunk_extensions: 8,
        max_trailer_count: 2,
        max_trailer_bytes: 20,
        ..GateLimits::default()
    }
}

fn scan(body: &[u8]) -> Scanned {
    let whole = ChunkScanner::new().scan(body, &limits());
    let mut bytewise = ChunkScanner::new();
    let mut used = 0;
    for byte in body {
        let scanned = bytewise.scan(&[*byte], &limits());
        used += scanned.used;
        if scanned.outcome != Outcome::GoesOn {
            assert_eq!(
                (used, scanned.outcome),
                (whole.used, whole.outcome),
                "byte by byte as in one piece"
            );
            return whole;
        }
    }
    assert_eq!(
        whole,
        Scanned {
            used,
            outcome: Outcome::GoesOn
        }
    );
    whole
}

fn reason(body: &str) -> &'static str {
    match scan(body.as_bytes()).outcome {
        Outcome::Broken(fault) => fault.reason,
        other => panic!("{body:?} gives {other:?}"),
    }
}

#[test]
fn whole_bodies_end_at_their_last_byte() {
    for body in [
        "0\r\n\r\n",
        "3\r\nabc\r\n0\r\n\r\n",
        "A\r\n0123456789\r\n00\r\n\r\n",
        "3;a=b\r\nabc\r\n0;c\r\n\r\n",
        "3\r\na\r\n\r\n0\r\nx-t: v\r\n\r\n",
    ] {
        let scanned = scan(format!("{body}GET /").as_bytes());
        assert_eq!(
            scanned,
            Scanned {
                used: body.len(),
                outcome: Outcome::Ended
            },
            "{body:?}"
        );
    }
}

#[test]
fn unfinished_bodies_go_on() {
    for body in [
        "",
        "3",
        "3\r",
        "3\r\n",
        "3\r\nab",
        "3\r\nabc\r\n",
        "0\r\n",
        "0\r\n\r",
        "0\r\nx-t: v\r\n",
    ] {
        assert_eq!(
            scan(body.as_bytes()),
            Scanned {
                used: body.len(),
                outcome: Outcome::GoesOn
            },
            "{body:?}"
        );
    }
}

#[test]
fn every_sloppiness_breaks_the_body() {
    for body in [
        "3\nabc\r\n",
        "3\rabc",
        "\r\n",
        "0x1\r\na\r\n",
        "3 \r\nabc",
        " 3\r\nabc",
        "+3\r\n",
        "-1\r\n",
        "g\r\n",
        "3\r\nabc\n",
        "3\r\nabcd\r\n",
        "3\r\nabc\r0",
        "3;a\nabc\r\n",
        "3;a\0\r\n",
        "0\r\nx\r\n\r\n",
        "0\r\n: v\r\n",
        "0\r\nx-t : v\r\n",
        "0\r\n x: v\r\n",
        "0\r\nx-t: a\0\r\n",
        "0\r\nx-t: a\n\r\n",
        "0\r\n\n",
        "0\r\n\rX",
    ] {
        reason(body);
    }
}

#[test]
fn sizes_overflow_instead_of_wrapping() {
    assert_eq!(reason("11111111111111111\r\n"), "chunk size overflows");
    assert_eq!(reason("00000000000000001\r\n"), "chunk size overflows");
    assert_eq!(reason("fffffffffffffffff\r\n"), "chunk size overflows");
    assert_eq!(scan(b"7fffffffffffffff\r\n").outcome, Outcome::GoesOn);
}

#[test]
fn trailers_that_steer_the_message_are_forbidden() {
    for name in [
        "Content-Length",
        "transfer-encoding",
        "HOST",
        "Authorization",
        "Connection",
        "Content-Type",
        "Cookie",
    ] {
        assert_eq!(
            reason(&format!("0\r\n{name}: 1\r\n\r\n")),
            "forbidden trailer",
            "{name}"
        );
    }
}

#[test]
fn limits_hold_at_the_bound_and_not_one_past_it() {
    assert_eq!(scan(b"1;1234567\r\na\r\n0;\r\n\r\n").outcome, Outcome::Ended);
    assert_eq!(scan(b"1;12345678\r\na\r\n0\r\n\r\n").outcome, Outcome::Ended);
    assert_eq!(
        reason("1;123456789\r\na\r\n0\r\n\r\n"),
        "chunk extensions longer than the limit"
    );
    assert_eq!(
        reason("1;12345\r\na\r\n1;12345\r\n"),
        "chunk extensions longer than the limit"
    );
    assert_eq!(scan(b"0\r\na:1\r\nb:2\r\n\r\n").outcome, Outcome::Ended);
    assert_eq!(
        reason("0\r\na:1\r\nb:2\r\nc:3\r\n\r\n"),
        "more trailers than the limit"
    );
    assert_eq!(scan(b"0\r\nx: 123456789012345\r\n\r\n").outcome, Outcome::Ended);
    assert_eq!(
        reason("0\r\nx: 1234567890123456\r\n\r\n"),
        "trailers longer than the limit"
    );
}
