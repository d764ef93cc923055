use super::support::{GOOD, exchange};
use crate::gate::fuzz::{pass, small_limits};
use crate::gate::{GateLimits, fuzz_gate};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};

/// Pieces that make good and bad requests when they are strung together.
fn fragments() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(GOOD),
        Just("GET /a HTTP/1.1\r\nHost: x.test\r\n"),
        Just("POST /a HTTP/1.1\nHost: x\n"),
        Just("GET http://y/%c3 HTTP/1.1\r\n"),
        Just("Host: x\r\n"),
        Just("Content-Length: 5\r\n"),
        Just("Transfer-Encoding: chunked\r\n"),
        Just("Upgrade: websocket\r\n"),
        Just("Expect: x\r\n"),
        Just("X.Y: z\r\n"),
        Just("X: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        Just("\r\n"),
        Just("\n"),
        Just("\r"),
        Just("hello"),
        Just("5\r\nhello\r\n"),
        Just("0\r\n"),
        Just("A: b\r\n"),
        Just("/#\u{e9}?\\"),
    ];
    let noise = vec(any::<u8>(), 0..4);
    vec(
        prop_oneof![8 => piece.prop_map(|text| text.as_bytes().to_vec()), 1 => noise],
        0..14,
    )
    .prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_outcome_does_not_depend_on_the_split(
        bytes in fragments(),
        sizes in vec(1_usize..40, 1..6),
        room in 1_usize..200,
    ) {
        let whole = pass(&bytes, &[usize::MAX], 8_192, &small_limits());
        let split = pass(&bytes, &sizes, room, &small_limits());
        assert_eq!(whole, split);
    }

    #[test]
    fn arbitrary_bytes_are_survived(bytes in vec(any::<u8>(), 0..400)) {
        fuzz_gate(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn hyper_finds_no_fault_in_what_passed(bytes in fragments(), sizes in vec(1_usize..60, 1..4)) {
        let mut rest = bytes.as_slice();
        let mut pieces = Vec::new();
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, more) = rest.split_at((*size).min(rest.len()));
            pieces.push(piece);
            rest = more;
        }
        // The service of `exchange` panics for a request that was not judged; an answer by hyper itself would be
        // one more than the requests that reached the service.
        let limits = GateLimits { linger: std::time::Duration::ZERO, ..small_limits() };
        let outcome = exchange(&pieces, limits.clone());
        let judged = pass(&bytes, &[usize::MAX], 8_192, &limits);
        let refused = judged.requests.iter().flatten().count();
        assert!(outcome.statuses.len() <= outcome.seen.len() + refused, "{outcome:?}");
        let bare = outcome.statuses.iter().filter(|&&status| status != 200).count();
        assert!(bare <= refused, "hyper answered by itself: {outcome:?}");
    }
}
