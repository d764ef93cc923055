use super::support::{GOOD, exchange, passed, talk};
use crate::gate::GateLimits;

fn pattern(len: usize) -> String {
    (0..len)
        .map(|n| char::from(b'a' + u8::try_from(n % 23).unwrap()))
        .collect()
}

#[test]
fn a_body_of_one_mebibyte_arrives_unchanged() {
    let body = pattern(1 << 20);
    let sized = format!(
        "POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    assert!(passed(sized).body.unwrap() == body);
    let chunks: String = body
        .as_bytes()
        .chunks(7_001)
        .map(|chunk| format!("{:x}\r\n{}\r\n", chunk.len(), str::from_utf8(chunk).unwrap()))
        .collect();
    let chunked =
        format!("POST / HTTP/1.1\r\nHost: x.test\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n");
    assert!(passed(chunked).body.unwrap() == body);
}

#[test]
fn pipelined_requests_arrive_in_order() {
    let raw: String = (0..50)
        .map(|n| match n % 3 {
            0 => format!("GET /{n} HTTP/1.1\r\nHost: x.test\r\n\r\n"),
            1 => format!("POST /{n} HTTP/1.1\nHost: x.test\nContent-Length: 2\n\n{n:02}"),
            _ => format!("POST /{n} HTTP/1.1\r\nHost: x.test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{n:02}\r\n0\r\n\r\n"),
        })
        .collect();
    let outcome = talk(&raw);
    assert_eq!(outcome.statuses, [200; 51]);
    for (n, seen) in outcome.seen.iter().take(50).enumerate() {
        let body = if n % 3 == 0 {
            String::new()
        } else {
            format!("{n:02}")
        };
        assert_eq!(
            (seen.target.as_str(), seen.body.as_ref()),
            (format!("/{n}").as_str(), Ok(&body))
        );
    }
}

#[test]
fn requests_arrive_byte_by_byte() {
    let raw = format!(
        "{GOOD}POST /p HTTP/1.1\r\nHost: x.test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n{GOOD}"
    );
    let pieces: Vec<_> = raw.as_bytes().chunks(1).collect();
    let outcome = exchange(&pieces, GateLimits::default());
    assert_eq!(outcome.statuses, [200; 3]);
    assert_eq!(outcome.seen[1].body.as_deref(), Ok("a"));
}

#[test]
fn a_get_with_a_body_and_a_length_of_zero_are_framed() {
    assert_eq!(
        passed("GET / HTTP/1.1\r\nHost: x.test\r\nContent-Length: 3\r\n\r\nabc")
            .body
            .unwrap(),
        "abc"
    );
    assert_eq!(
        passed("POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: 0\r\n\r\n")
            .body
            .unwrap(),
        ""
    );
}

#[test]
fn a_body_cut_off_by_the_end_of_the_stream_is_an_error() {
    for body in [
        "Content-Length: 5\r\n\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ] {
        let raw = format!("POST / HTTP/1.1\r\nHost: x.test\r\n{body}");
        let outcome = exchange(&[raw.as_bytes()], GateLimits::default());
        assert_eq!(outcome.seen[0].body, Err("cut off".to_owned()), "{body:?}");
    }
}
