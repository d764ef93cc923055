use super::support::{passed, refusal, talk};

fn post(headers: &str, body: &str) -> String {
    format!("POST /p HTTP/1.1\r\nHost: x.test\r\n{headers}\r\n{body}")
}

#[test]
fn content_length_beside_transfer_encoding_is_refused_in_either_order() {
    assert_eq!(
        refusal(post(
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "0\r\n\r\n"
        )),
        400
    );
    assert_eq!(
        refusal(post(
            "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
            "0\r\n\r\n"
        )),
        400
    );
}

#[test]
fn repeated_content_length_is_refused_even_when_equal() {
    assert_eq!(
        refusal(post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc")),
        400
    );
    assert_eq!(
        refusal(post("Content-Length: 3\r\nContent-Length: 4\r\n", "abc")),
        400
    );
    assert_eq!(refusal(post("Content-Length: 3, 3\r\n", "abc")), 400);
}

#[test]
fn content_length_is_digits_only() {
    for value in [
        "",
        "+3",
        "-3",
        "0x3",
        "3 3",
        "abc",
        "3,",
        "18446744073709551616",
        "9999999999999999999",
        "３",
    ] {
        assert_eq!(
            refusal(post(&format!("Content-Length: {value}\r\n"), "abc")),
            400,
            "{value:?}"
        );
    }
    assert_eq!(passed(post("Content-Length:3\r\n", "abc")).body.unwrap(), "abc");
    assert_eq!(
        passed(post("content-LENGTH: \t 003 \t\r\n", "abc")).body.unwrap(),
        "abc"
    );
}

#[test]
fn transfer_codings_other_than_one_chunked_are_not_implemented() {
    for value in [
        "identity",
        "xchunked",
        "gzip, chunked",
        "chunked, chunked",
        "chunked, gzip",
        "",
        "chunked;q=1",
    ] {
        assert_eq!(
            refusal(post(&format!("Transfer-Encoding: {value}\r\n"), "0\r\n\r\n")),
            501,
            "{value:?}"
        );
    }
    assert_eq!(
        refusal(post("Transfer-Encoding: \u{b}chunked\r\n", "0\r\n\r\n")),
        400,
        "vertical tab"
    );
    let twice = "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n";
    assert_eq!(refusal(post(twice, "0\r\n\r\n")), 400);
}

#[test]
fn chunked_is_accepted_in_any_case_and_with_a_tab() {
    assert_eq!(
        passed(post(
            "Transfer-Encoding: \tCHUNKED\t\r\n",
            "3\r\nabc\r\n0\r\n\r\n"
        ))
        .body
        .unwrap(),
        "abc"
    );
}

#[test]
fn transfer_encoding_in_http_1_0_is_refused() {
    assert_eq!(
        refusal("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        400
    );
}

#[test]
fn a_broken_chunked_body_is_an_error_to_the_service_and_ends_the_connection() {
    for body in [
        "3\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "3 \r\nabc\r\n0\r\n\r\n",
        "3\r\nabcX0\r\n\r\n",
        "3;a\nabc\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\nabc",
        "3\r\nabc\r\n0\r\nContent-Length: 1\r\n\r\n",
        "3\r\nabc\r\n0\r\nX\r\n\r\n",
    ] {
        let outcome = talk(post("Transfer-Encoding: chunked\r\n", body));
        let bodies: Vec<_> = outcome.seen.iter().map(|seen| seen.body.is_err()).collect();
        assert_eq!(
            bodies,
            [true],
            "{body:?}: the body fails and nothing after it is a request: {outcome:?}"
        );
        assert_ne!(
            outcome.seen[0].body,
            Err("cut off".to_owned()),
            "the rule is noted: {body:?}"
        );
    }
}

#[test]
fn trailers_arrive_and_the_connection_is_kept() {
    let seen = passed(post(
        "Transfer-Encoding: chunked\r\n",
        "3;x=\"y\"\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n",
    ));
    assert_eq!(seen.body.unwrap(), "abc");
}

#[test]
fn bytes_in_a_body_are_never_read_as_a_request() {
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: x.test\r\n\r\n";
    let outcome = talk(post(&format!("Content-Length: {}\r\n", smuggled.len()), smuggled));
    let targets: Vec<_> = outcome.seen.iter().map(|seen| seen.target.as_str()).collect();
    assert_eq!(targets, ["/p", "/good"]);
    let chunked = format!("{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len());
    let outcome = talk(post("Transfer-Encoding: chunked\r\n", &chunked));
    let targets: Vec<_> = outcome.seen.iter().map(|seen| seen.target.as_str()).collect();
    assert_eq!(targets, ["/p", "/good"]);
}

#[test]
fn a_refused_pipelined_request_leaves_the_earlier_ones_alone() {
    let outcome = talk(format!(
        "{}GET /b HTTP/1.1\r\n\r\n",
        super::support::GOOD.repeat(2)
    ));
    assert_eq!(outcome.statuses, [200, 200, 400]);
    assert_eq!(outcome.seen.len(), 2);
}
