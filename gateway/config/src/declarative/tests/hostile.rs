//! Files that mean harm: each limit at its bound and one past it.

use super::support::{faults_of_file, lines, options};
use crate::declarative::{Limits, LoadOptions, Source, fuzz, load};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

const HEAD: &str = "_format_version: '3.0'\n";

fn outcome(text: &[u8], limits: Limits) -> Result<(), String> {
    let options = LoadOptions { limits, ..options() };
    load(
        &Source {
            name: "a.yaml",
            bytes: text,
        },
        &options,
    )
    .map(|_| ())
    .map_err(|faults| lines(&faults).join("; "))
}

/// `outcomes` are those at the bound and one past it.
fn check_bound(name: &str, outcomes: [Result<(), String>; 2], text: &str) {
    let [at_bound, past] = outcomes;
    assert_eq!(at_bound, Ok(()), "{name} at its bound");
    let fault = past.expect_err(name);
    assert!(fault.contains(text), "{name} one past its bound: {fault}");
}

#[test]
fn bytes_are_bounded() {
    let with = |max_bytes| {
        outcome(
            HEAD.as_bytes(),
            Limits {
                max_bytes,
                ..Limits::default()
            },
        )
    };
    check_bound(
        "max_bytes",
        [with(HEAD.len()), with(HEAD.len() - 1)],
        "bytes, more than the",
    );
}

#[test]
fn a_hundred_megabytes_of_nothing_are_refused_at_once() {
    for byte in [b' ', b'\n', b'[', 0] {
        let bytes = vec![byte; 100_000_000];
        let start = Instant::now();
        let fault = outcome(&bytes, Limits::default()).expect_err("too large");
        assert!(fault.contains("100000000 bytes"), "{fault}");
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "took {:?}",
            start.elapsed()
        );
    }
}

#[test]
fn depth_is_bounded_in_both_formats() {
    let limits = || Limits {
        max_depth: 20,
        ..Limits::default()
    };
    // The root and `_ignore` are two levels.
    let yaml = |depth: usize| {
        format!(
            "{HEAD}_ignore: [{}{}]\n",
            "[".repeat(depth - 2),
            "]".repeat(depth - 2)
        )
    };
    check_bound(
        "max_depth",
        [
            outcome(yaml(20).as_bytes(), limits()),
            outcome(yaml(21).as_bytes(), limits()),
        ],
        "deeper than 20",
    );
    let block = |depth: usize| {
        let mut text = format!("{HEAD}_ignore:\n- x\n-");
        (0..depth - 2).for_each(|_| text.push_str(" -"));
        text.push_str(" x\n");
        text
    };
    check_bound(
        "block depth",
        [
            outcome(block(20).as_bytes(), limits()),
            outcome(block(21).as_bytes(), limits()),
        ],
        "deeper than 20",
    );
    let json = |depth: usize| {
        format!(
            "{{\"_format_version\":\"3.0\",\"_ignore\":{}{}}}",
            "[".repeat(depth - 1),
            "]".repeat(depth - 1)
        )
    };
    let read = |text: String| {
        let options = LoadOptions {
            limits: limits(),
            ..options()
        };
        load(
            &Source {
                name: "a.json",
                bytes: text.as_bytes(),
            },
            &options,
        )
        .map(|_| ())
        .map_err(|faults| lines(&faults).join("; "))
    };
    check_bound("json depth", [read(json(20)), read(json(21))], "deeper than 20");
    let bomb = "[".repeat(1_000_000);
    assert!(lines(&faults_of_file("a.json", bomb.as_bytes()))[0].contains("deeper than 100"));
    assert!(lines(&faults_of_file("a.yaml", bomb.as_bytes()))[0].contains("failed parsing"));
}

#[test]
fn depth_counts_through_aliases() {
    let limits = || Limits {
        max_depth: 6,
        ..Limits::default()
    };
    let text = |depth: usize| {
        format!(
            "{HEAD}_ignore: [&a [[x]], {}*a{}]\n",
            "[".repeat(depth),
            "]".repeat(depth)
        )
    };
    check_bound(
        "alias depth",
        [
            outcome(text(2).as_bytes(), limits()),
            outcome(text(3).as_bytes(), limits()),
        ],
        "deeper than 6",
    );
}

#[test]
fn values_are_bounded() {
    // Root, version, list, and its elements.
    let text = |count: usize| format!("{HEAD}_ignore: [{}]\n", vec!["x"; count - 3].join(","));
    let limits = || Limits {
        max_nodes: 50,
        ..Limits::default()
    };
    check_bound(
        "max_nodes",
        [
            outcome(text(50).as_bytes(), limits()),
            outcome(text(51).as_bytes(), limits()),
        ],
        "more than 50 values",
    );
}

#[test]
fn alias_expansion_is_bounded() {
    // The anchored list counts once for its copy, and once for each alias: 4 values each time.
    let text = |aliases: usize| format!("{HEAD}_ignore: [&a [x, y, z]{}]\n", ", *a".repeat(aliases));
    let limits = || Limits {
        max_alias_nodes: 20,
        ..Limits::default()
    };
    check_bound(
        "max_alias_nodes",
        [
            outcome(text(4).as_bytes(), limits()),
            outcome(text(5).as_bytes(), limits()),
        ],
        "more than 20 values",
    );
}

#[test]
fn alias_bombs_are_refused_quickly() {
    let mut laughs = format!("{HEAD}_ignore:\n- &a0 [lol, lol]\n");
    for level in 1..60 {
        let _ = writeln!(laughs, "- &a{level} [*a{0}, *a{0}]", level - 1);
    }
    let mut merges = format!("{HEAD}_ignore:\n- &m0 {{k: [v, v]}}\n");
    for level in 1..60 {
        let _ = writeln!(merges, "- &m{level} {{a: *m{0}, b: *m{0}}}", level - 1);
    }
    let nested_anchors = format!(
        "{HEAD}_ignore: [{}{}{}]\n",
        "&a [".repeat(90),
        vec!["x"; 50_000].join(","),
        "]".repeat(90)
    );
    for bomb in [laughs, merges, nested_anchors] {
        let start = Instant::now();
        let fault = outcome(bomb.as_bytes(), Limits::default()).expect_err("a bomb");
        assert!(
            fault.contains("anchors and aliases expand") || fault.contains("deeper than"),
            "{fault}"
        );
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "took {:?}",
            start.elapsed()
        );
    }
}

#[test]
fn invalid_utf8_is_reported_with_its_byte() {
    let found = faults_of_file("a.yaml", b"_format_version: '3.0'\nservices:\n- name: a\xff\n");
    assert_eq!(
        lines(&found),
        ["3:10 : failed parsing declarative configuration: invalid UTF-8 at byte 42 (0xff)"]
    );
    assert!(found.items[0].excerpt.is_some());
    for bytes in [&b"\xff\xfe_\0"[..], b"\xc3", b"{\"a\": \"\xed\xa0\x80\"}"] {
        assert!(lines(&faults_of_file("a", bytes))[0].contains("invalid UTF-8 at byte"));
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_text() {
    assert_eq!(
        outcome(format!("\u{feff}{HEAD}").as_bytes(), Limits::default()),
        Ok(())
    );
}

#[test]
fn wrong_types_everywhere_are_faults_and_nothing_else() {
    let values = [
        "5",
        "-1.5",
        "text",
        "true",
        "[]",
        "[[]]",
        "{}",
        "{a: {b: c}}",
        "''",
        "[null, 5]",
    ];
    let collections = [
        "services",
        "routes",
        "consumers",
        "consumer_groups",
        "plugins",
        "upstreams",
        "targets",
        "certificates",
        "snis",
        "ca_certificates",
        "vaults",
        "keys",
        "key_sets",
        "filter_chains",
        "keyauth_credentials",
        "basicauth_credentials",
        "jwt_secrets",
        "hmacauth_credentials",
        "acls",
        "oauth2_credentials",
        "_info",
        "_plugin_configs",
        "_konnect",
        "_comment",
        "_ignore",
        "_transform",
        "_workspace",
    ];
    for collection in collections {
        let fields =
            tidegate_model::entity_table::entity_type(collection).map(|entity| &entity.schema().fields);
        for value in values {
            let _ = outcome(
                format!("{HEAD}{collection}: {value}\n").as_bytes(),
                Limits::default(),
            );
            for field in fields.into_iter().flatten() {
                let text = format!("{HEAD}{collection}:\n- {}: {value}\n", field.name);
                let _ = outcome(text.as_bytes(), Limits::default());
            }
        }
    }
}

#[test]
fn long_lines_and_control_characters_are_cut_in_excerpts() {
    let text = format!(
        "{{\"_format_version\": \"3.0\", \"services\": [{{\"host\": \"h\", \"port\": \"{}\u{7f}\", \"name\": \"{}\"}}]}}",
        "é".repeat(20),
        "x".repeat(10_000)
    );
    let found = faults_of_file("a.json", text.as_bytes());
    assert_eq!(lines(&found), ["1:63 services[0].port: expected an integer"]);
    let excerpt = found.items[0].excerpt.as_ref().expect("an excerpt");
    assert!(excerpt.text.chars().count() <= 112, "{}", excerpt.text);
    assert_eq!(excerpt.text.chars().nth(excerpt.caret), Some('"'));
    assert!(!excerpt.text.contains('\u{7f}'));
}

#[test]
fn repeated_keys_without_end_are_counted() {
    let text = format!("{HEAD}{}", "a: 1\n".repeat(100_000));
    let found = faults_of_file("a.yaml", text.as_bytes());
    assert_eq!((found.items.len(), found.count()), (100, 99_999));
}

#[test]
fn large_files_of_one_kind_of_trouble_are_answered_in_time() {
    let repeated = |piece: &str| piece.repeat(100_000 / piece.len());
    let pieces = [
        "- ",
        "? ",
        "[",
        "{",
        "a: ",
        "&a ",
        "!!str ",
        "# x\n",
        "\n",
        "\"\n",
        "'\n\n",
        "|\n\n",
        "*a ",
        "%X\n",
        "--- ",
        "a,",
        "<<: {a: 1}\n",
        "- &a x\n",
        "x\n",
        "a\\",
        "\t",
        "- - x\n",
        "? x\n: y\n",
        "{}",
        "[],",
    ];
    for piece in pieces {
        for head in [
            "",
            "_ignore: [",
            "_ignore: \"",
            "services:\n",
            "{\"a\": [",
            "[\"",
            "a: |\n",
        ] {
            let text = format!("{head}{}", repeated(piece));
            let start = Instant::now();
            let _ = outcome(text.as_bytes(), Limits::default());
            assert!(
                start.elapsed() < Duration::from_secs(5),
                "{head:?} and {piece:?} took {:?}",
                start.elapsed()
            );
        }
    }
}

#[test]
fn many_dangling_references_among_many_names_are_answered_in_time() {
    let mut text = format!("{HEAD}services:\n");
    for index in 0..2000 {
        let _ = writeln!(text, "- {{name: service-{index}, host: h}}");
    }
    text.push_str("routes:\n");
    for index in 0..2000 {
        let _ = writeln!(text, "- {{paths: [/a], service: servce-{index}}}");
    }
    let start = Instant::now();
    let found = faults_of_file("a.yaml", text.as_bytes());
    assert_eq!((found.items.len(), found.count()), (1000, 2000));
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "took {:?}",
        start.elapsed()
    );
}

/// Random edits of real files for five seconds; the seed is fixed by the round number.
#[test]
fn fuzzed_files_neither_panic_nor_hang() {
    let seeds: &[&str] = &[
        "_format_version: '3.0'\nservices:\n- &s\n  name: a\n  url: http://h\n  routes:\n  - {name: r, paths: [/a, '~/\\d+'], strip_path: no}\n  tags: [x]\n- {<<: *s, name: b}\n",
        "{\"_format_version\":\"3.0\",\"consumers\":[{\"username\":\"a\",\"acls\":[{\"group\":\"g\"}]}],\"upstreams\":[{\"name\":\"u\",\"targets\":[{\"target\":\"t:1\"}]}]}",
        "_format_version: '1.1'\n_info: {select_tags: [a], defaults: {route: {strip_path: false}}}\nconsumers:\n- username: c\n  keyauth_credentials: [{key: k}]\n  groups: [{name: g}]\nconsumer_groups: [{name: g}]\nkey_sets: [{name: s, keys: [{kid: k, jwk: '{\"kid\":\"k\"}'}]}]\n",
    ];
    let tokens: &[&[u8]] = &[
        b"\n", b"- ", b": ", b"&a ", b"*a", b"<<: ", b"{", b"}", b"[", b"]", b"\"", b"'", b"|\n", b"---\n",
        b"#", b"!!int ", b"\xff", b"~", b"? ", b"  ",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below.max(1) as u64).unwrap_or(0)
    };
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        let mut bytes = seeds[random(seeds.len())].as_bytes().to_vec();
        for _ in 0..=random(6) {
            let at = random(bytes.len());
            match random(4) {
                0 => {
                    bytes.remove(at);
                }
                1 => bytes[at] = u8::try_from(random(256)).unwrap_or(0),
                2 => {
                    let token = tokens[random(tokens.len())];
                    bytes.splice(at..at, token.iter().copied());
                }
                _ => {
                    let end = (at + random(20)).min(bytes.len());
                    let copy = bytes[at..end].to_vec();
                    let to = random(bytes.len());
                    bytes.splice(to..to, copy);
                }
            }
            if bytes.is_empty() {
                break;
            }
        }
        fuzz(&bytes);
    }
}
