use super::{escape_path, normalize_path};
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};
use std::borrow::Cow;

fn normalized(path: &str) -> String {
    String::from_utf8_lossy(&normalize_path(path.as_bytes())).into_owned()
}

#[test]
fn paths_are_brought_into_their_normal_form() {
    let cases = [
        ("", ""),
        ("/", "/"),
        ("/%6B%6f%6e%67", "/kong"),
        ("/a%2fb", "/a%2Fb"),
        ("/a/b/c/./../../g", "/a/g"),
        ("/a//b//", "/a/b/"),
        ("/endel%C3%B8st", "/endeløst"),
        ("/%20%21", "/ %21"),
        ("/./.././../", "/"),
        ("/%2e%2e/p", "/p"),
        ("/..%2f../secret", "/..%2F../secret"),
        ("/a/.", "/a/"),
        ("/a/..", "/"),
        ("/a/b/..", "/a/"),
        ("/a//../b", "/b"),
        ("//", "/"),
        ("/...", "/..."),
        ("/.well-known/x", "/.well-known/x"),
        ("/a..b/.c/d.", "/a..b/.c/d."),
        ("/%25", "/%25"),
        ("/%2525", "/%2525"),
        ("/%", "/%"),
        ("/%zz", "/%zz"),
        ("/%2", "/%2"),
        ("*", "*"),
        ("a/b", "a/b"),
        ("a/../b", "/b"),
        ("./a", "a"),
        ("../../a", "a"),
        ("..", ""),
    ];
    for (path, expected) in cases {
        assert_eq!(normalized(path), expected, "{path}");
    }
}

#[test]
fn a_stray_percent_sign_never_becomes_part_of_a_triplet() {
    assert_eq!(normalized("/%%41B"), "/%%41B");
    assert_eq!(normalized("/%4%31"), "/%4%31");
    assert_eq!(normalized("/%%2e%2e"), "/%..", "a dot is no digit");
}

#[test]
fn a_path_in_normal_form_is_not_copied() {
    for path in ["/", "/a/b-c_d~e/.x/file.txt", "/a b/é", "/a?b", "*", ""] {
        assert!(
            matches!(normalize_path(path.as_bytes()), Cow::Borrowed(_)),
            "{path}"
        );
        assert_eq!(normalized(path), path);
    }
}

#[test]
fn bytes_that_do_not_belong_in_a_request_line_are_escaped() {
    let escaped = |path: &[u8]| String::from_utf8(escape_path(path).into_owned()).unwrap();
    assert_eq!(escaped(b"/cat and dog"), "/cat%20and%20dog");
    assert_eq!(escaped("/endeløst".as_bytes()), "/endel%C3%B8st");
    assert_eq!(
        escaped(b"/a\r\nb\"<>\\^`{|}\x00\x7f\xff"),
        "/a%0D%0Ab%22%3C%3E%5C%5E%60%7B%7C%7D%00%7F%FF"
    );
    let kept = b"/!#$&'()*+,/:;=?@[]AZaz09-_.~%2F";
    assert!(matches!(escape_path(kept), Cow::Borrowed(_)));
}

/// Bytes that make trouble, far more often than chance would give them.
fn hostile_path() -> impl Strategy<Value = Vec<u8>> {
    let piece = proptest::prop_oneof![
        proptest::sample::select(vec![
            "/", "//", ".", "..", "/./", "/../", "%", "%2e", "%2E", "%2f", "%25", "%41", "%4", "%31", "%00",
            "a", "é", "?",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn normalising_twice_changes_nothing(path in hostile_path()) {
        let once = normalize_path(&path).into_owned();
        let twice = normalize_path(&once);
        prop_assert_eq!(twice.as_ref(), once.as_slice());
        let is_borrowed = matches!(twice, Cow::Borrowed(_));
        prop_assert!(is_borrowed || once.contains(&b'%'), "without triplets, the fast path sees that nothing is to do");
    }

    #[test]
    fn an_absolute_path_keeps_its_slash_and_loses_dots_and_empty_segments(path in hostile_path()) {
        let absolute = [b"/", path.as_slice()].concat();
        let normal = normalize_path(&absolute);
        prop_assert_eq!(normal.first(), Some(&b'/'));
        let segments: Vec<&[u8]> = normal.split(|byte| *byte == b'/').skip(1).collect();
        let inner = segments.get(..segments.len() - 1).unwrap();
        prop_assert!(!inner.iter().any(|segment| segment.is_empty()), "{:?}", normal);
        prop_assert!(!segments.iter().any(|segment| matches!(*segment, b"." | b"..")), "{:?}", normal);
    }

    #[test]
    fn an_escaped_path_is_fit_for_a_request_line_and_reads_back(path in hostile_path()) {
        let normal = normalize_path(&path).into_owned();
        let escaped = escape_path(&normal).into_owned();
        prop_assert!(escaped.iter().all(|byte| byte.is_ascii_graphic()));
        // A stray `%` may meet the triplet of an escaped byte, whose digits then read as they stand.
        if !has_stray_percent(&normal) {
            let again = normalize_path(&escaped);
            prop_assert_eq!(again.as_ref(), normal.as_slice());
        }
    }
}

fn has_stray_percent(path: &[u8]) -> bool {
    let triplet_at = |position: usize| {
        path.get(position + 1..position + 3)
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    path.iter()
        .enumerate()
        .any(|(position, byte)| *byte == b'%' && !triplet_at(position))
}
