use super::support::{exchange, passed, refusal};
use crate::gate::GateLimits;

fn request_line(len: usize) -> String {
    let path = "a".repeat(len - "GET / HTTP/1.1".len());
    format!("GET /{path} HTTP/1.1\r\nHost: x.test\r\n\r\n")
}

fn header_line(len: usize) -> String {
    let value = "a".repeat(len - "X-Big: ".len());
    format!("GET / HTTP/1.1\r\nHost: x.test\r\nX-Big: {value}\r\n\r\n")
}

/// Header lines of `bytes` bytes in total.
fn header_bytes(bytes: usize) -> String {
    let host = "Host: x.test\r\n";
    let mut lines = host.to_owned();
    while lines.len() < bytes {
        let line = (bytes - lines.len()).min(4_000);
        // A remainder too short for a line of its own goes into this one.
        let line = if bytes - lines.len() - line < 10 {
            bytes - lines.len()
        } else {
            line
        };
        lines += &format!("X: {}\r\n", "a".repeat(line - "X: \r\n".len()));
    }
    format!("GET / HTTP/1.1\r\n{lines}\r\n")
}

fn header_count(count: usize) -> String {
    let lines: String = (1..count).map(|n| format!("X-H{n}: v\r\n")).collect();
    format!("GET / HTTP/1.1\r\nHost: x.test\r\n{lines}\r\n")
}

#[test]
fn request_lines_hold_8192_bytes() {
    passed(request_line(8_192));
    assert_eq!(refusal(request_line(8_193)), 414);
    assert_eq!(refusal(request_line(100_000)), 414);
}

#[test]
fn header_lines_hold_8192_bytes() {
    passed(header_line(8_192));
    assert_eq!(refusal(header_line(8_193)), 400);
    assert_eq!(refusal(header_line(100_000)), 400);
}

#[test]
fn headers_hold_32_kib_in_total() {
    assert_eq!(
        header_bytes(32_768).len(),
        32_768 + "GET / HTTP/1.1\r\n\r\n".len()
    );
    passed(header_bytes(32_768));
    assert_eq!(refusal(header_bytes(32_769)), 400);
}

#[test]
fn requests_hold_200_headers() {
    passed(header_count(200));
    assert_eq!(refusal(header_count(201)), 400);
}

#[test]
fn a_head_that_never_ends_is_refused_at_the_limit() {
    let cases: [(&[u8], u16); 3] = [
        (&[b'a'; 8_194], 414),
        (
            &[b"GET / HTTP/1.1\r\nX: ".as_slice(), &[b'a'; 8_194]].concat(),
            400,
        ),
        (
            &[
                b"GET / HTTP/1.1\r\n".as_slice(),
                &b"X: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n".repeat(800),
            ]
            .concat(),
            400,
        ),
    ];
    for (bytes, status) in cases {
        let outcome = exchange(&[bytes], GateLimits::default());
        assert_eq!(outcome.statuses, [status]);
        assert_eq!(outcome.seen, []);
    }
}

#[test]
fn the_client_learns_which_limit_it_met() {
    let outcome = super::support::talk(request_line(9_000));
    assert!(outcome.received.ends_with("URI too long"), "{}", outcome.received);
    let outcome = super::support::talk(header_line(9_000));
    assert!(
        outcome.received.ends_with("Request header or cookie too large"),
        "{}",
        outcome.received
    );
}

#[test]
fn what_a_refused_client_still_sends_is_drained_so_that_the_answer_arrives() {
    let limits = GateLimits {
        max_linger_bytes: 4 << 20,
        ..GateLimits::default()
    };
    let flood = vec![b'a'; 2 << 20];
    let outcome = exchange(&[b"BLAH\r\n", &flood], limits);
    assert_eq!(outcome.statuses, [400]);
    assert!(outcome.received.ends_with("Bad request"));
}
