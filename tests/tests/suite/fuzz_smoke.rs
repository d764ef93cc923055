//! The fuzz targets of `fuzz/`, five seconds each, with seeds of their own and a seeded mutator.
//!
//! A failure prints the seed and the input. Whatever takes longer than [`SLOWEST`] on one input fails too.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use tidegate_model::normalize::{escape_path, normalize_path};
use tidegate_wasm::testing::fuzz;

const TIME: Duration = Duration::from_secs(5);
const SLOWEST: Duration = Duration::from_secs(2);
const LONGEST_INPUT: usize = 4_096;
const SEED: u64 = 0x7469_6465;

/// Feeds mutations of the seeds to a target.
fn smoke(seeds: &[&[u8]], target: impl Fn(&[u8])) {
    let mut random = fastrand::Rng::with_seed(SEED);
    let end = Instant::now() + TIME;
    let mut corpus: Vec<Vec<u8>> = seeds.iter().map(|seed| seed.to_vec()).collect();
    let mut rounds = 0_u64;
    while Instant::now() < end {
        let input = if rounds < corpus.len() as u64 {
            corpus[usize::try_from(rounds).unwrap()].clone()
        } else {
            mutate(&corpus, &mut random)
        };
        let started = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| target(&input)));
        let shown = || String::from_utf8_lossy(&input).into_owned();
        assert!(
            outcome.is_ok(),
            "seed {SEED:#x}, round {rounds}, input {input:?} ({:?})",
            shown()
        );
        assert!(
            started.elapsed() < SLOWEST,
            "seed {SEED:#x}, round {rounds} took {:?}: {:?}",
            started.elapsed(),
            shown()
        );
        // Without coverage to guide it, keeping some of what was made lets changes add up.
        if random.u32(..200) == 0 && corpus.len() < 500 {
            corpus.push(input);
        }
        rounds += 1;
    }
    assert!(rounds > 100, "only {rounds} inputs in {TIME:?}");
}

fn mutate(corpus: &[Vec<u8>], random: &mut fastrand::Rng) -> Vec<u8> {
    const WORDS: &[&str] = &[
        "..",
        "%2e",
        "%2F",
        "%",
        "//",
        "\r\n",
        "\n",
        "\0",
        ":",
        "{",
        "}",
        "[",
        "]",
        "&a",
        "*a",
        "- ",
        "  ",
        "$(",
        ")",
        "'",
        "\"",
        "~/",
        "\\d+",
        "(?<n>",
        "0",
        "-1",
        "18446744073709551616",
        "chunked",
        "Content-Length: ",
        "\u{ff}",
    ];
    let mut input = random.choice(corpus).unwrap().clone();
    for _ in 0..random.usize(1..6) {
        let place = random.usize(..=input.len());
        match random.u8(..6) {
            0 => input.insert(place, random.u8(..)),
            1 if place < input.len() => input[place] ^= 1 << random.u8(..8),
            2 if place < input.len() => {
                let until = (place + random.usize(1..20)).min(input.len());
                input.drain(place..until);
            }
            3 => {
                let word = random.choice(WORDS).unwrap().bytes();
                input.splice(place..place, word);
            }
            4 => {
                let other = random.choice(corpus).unwrap();
                let from = random.usize(..=other.len());
                let until = (from + random.usize(..60)).min(other.len());
                let piece = other[from..until].to_vec();
                input.splice(place..place, piece);
            }
            _ => {
                let until = (place + random.usize(1..60)).min(input.len());
                let piece = input[place..until].to_vec();
                input.extend(piece);
            }
        }
    }
    input.truncate(LONGEST_INPUT);
    input
}

#[test]
fn the_router_agrees_with_a_plain_walk_for_any_routes() {
    let bytes: Vec<u8> = (0..=255).cycle().take(1_500).collect();
    smoke(
        &[&bytes, &[0; 200], &[1; 300], b"\x02\x10paths and hosts"],
        tidegate_router::fuzz,
    );
}

#[test]
fn any_declarative_file_gives_entities_or_diagnostics() {
    let example = include_bytes!("../../../examples/quickstart/kong.yaml");
    let json =
        br#"{"_format_version":"3.0","services":[{"name":"s","url":"http://a","routes":[{"paths":["/"]}]}]}"#;
    let anchors =
        b"_format_version: \"3.0\"\n_ignore:\n- &a {name: s, host: a}\nservices:\n- <<: *a\n  port: 80\n";
    smoke(&[example, json, anchors], tidegate_config::declarative::fuzz);
}

#[test]
fn any_template_is_refused_or_rendered() {
    let seeds: [&[u8]; 5] = [
        b"plain",
        b"$(headers.host)",
        b"/u/$(uri_captures.id or 'none')/$(uri_captures[1])",
        b"$(type(headers[\"x\"]) == \"table\" and headers[\"x\"][1] or headers[\"x\"])",
        b"a$(query_params.q .. \"b\")c$(shared.x)",
    ];
    smoke(&seeds, tidegate_plugins::template::fuzz);
}

#[test]
fn any_bytes_of_a_connection_are_read_the_same_however_they_are_split() {
    let seeds: [&[u8]; 4] = [
        b"\x05GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x07POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcdGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x03POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nX-T: 1\r\n\r\n",
        b"\x01GET http://a.test/b HTTP/1.0\r\n\r\n",
    ];
    smoke(&seeds, tidegate_net::fuzz_gate);
}

#[test]
fn the_normal_form_of_any_path_is_normal_and_fits_a_request_line() {
    let seeds: [&[u8]; 5] = [
        b"/a/../b",
        b"/%2e%2e/%41%2f//x/.",
        b"/caf\xc3\xa9 \xff",
        b"/..%2f..",
        b"/%%41B",
    ];
    smoke(&seeds, |bytes| {
        let path = [b"/", bytes].concat();
        let normal = normalize_path(&path).into_owned();
        assert_eq!(normalize_path(&normal), normal, "a normal form is normal");
        let sent = escape_path(&normal).into_owned();
        assert!(
            sent.iter().all(|byte| (0x21..0x7f).contains(byte)),
            "{:?}",
            String::from_utf8_lossy(&sent)
        );
    });
}

#[test]
fn any_header_map_of_a_guest_is_read_or_refused() {
    let pairs = b"\x01\0\0\0\x01\0\0\0\x02\0\0\0a\0bc\0";
    let seeds: [&[u8]; 3] = [b"", b"\0\0\0\0", pairs];
    smoke(&seeds, fuzz::header_map);
}

#[test]
fn any_bytes_are_a_filter_or_refused_with_a_reason() {
    let loader = fuzz::Loader::new().unwrap();
    let least = wat::parse_str(
        "(module (memory (export \"memory\") 1) (func (export \"proxy_abi_version_0_2_1\"))
         (func (export \"proxy_on_log\") (param i32)))",
    );
    let component = wat::parse_str("(component)").unwrap();
    let seeds: [&[u8]; 3] = [&least.unwrap(), &component, b"\0asm\x01\0\0\0"];
    smoke(&seeds, |data| loader.load(data));
}

#[test]
fn no_sequence_of_host_calls_harms_the_host() {
    let guest = wat::parse_str(fuzz::HostCalls::guest()).unwrap();
    let calls = fuzz::HostCalls::new(&guest).unwrap();
    // A header is added, a property asked for, a call begun, shared data written.
    let seeds: [&[u8]; 4] = [
        b"\x0e\0\0\x80\x20\0\x04\x80\x20\0\x04 name value",
        b"\x11\x80\x09\0\x07\0\x10\0\x14request",
        b"\x19\x80\0\0\x04\x80\x30\0\x20\0\0\0\0\0\0\0\0\x03\xe8\0\x40",
        b"\x21\x80\x0b\0\x03\x80\x0b\0\x05\0\0key=value",
    ];
    smoke(&seeds, |program| calls.run(program));
}
