use super::layers::Layers;
use crate::cli::arguments::{Arguments, Command};
use crate::cli::tests::{Answer, tidegate_with};
use clap::Parser;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;
use tidegate_deck::Connection;

fn connection(environment: &[(&str, &str)], flags: &[&str]) -> Result<Connection, String> {
    let line = ["tidegate", "gateway"].iter().chain(flags).chain(&["ping"]);
    let arguments = Arguments::try_parse_from(line).map_err(|error| error.to_string())?;
    let Some(Command::Gateway(gateway)) = arguments.command else {
        panic!("another command");
    };
    let environment: BTreeMap<String, String> = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let layers = Layers::new(&gateway.connection, environment).map_err(|error| error.to_string())?;
    layers.connection().map_err(|error| error.to_string())
}

#[test]
fn a_flag_comes_before_a_variable_and_that_before_the_file() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = "kong-addr: http://file:1\ntimeout: 3\nheaders: [a:1, b:2]\ntls-skip-verify: true\n";
    std::fs::write(home.path().join(".deck.yaml"), settings).expect("a file");
    let folder = home.path().display().to_string();
    let from_file = connection(&[("HOME", &folder)], &[]).expect("settings");
    assert_eq!(from_file.address, "http://file:1");
    assert_eq!(
        (from_file.timeout, from_file.headers.len()),
        (Duration::from_secs(3), 2)
    );
    assert!(from_file.tls.skips_verification);
    let variables = [
        ("HOME", folder.as_str()),
        ("DECK_KONG_ADDR", "http://variable:1"),
        ("DECK_HEADERS", "c:3"),
        ("DECK_TLS_SKIP_VERIFY", "false"),
    ];
    let from_variable = connection(&variables, &[]).expect("settings");
    assert_eq!(from_variable.address, "http://variable:1");
    assert_eq!(from_variable.headers, ["c:3"]);
    assert!(!from_variable.tls.skips_verification);
    let flags = [
        "--kong-addr",
        "http://flag:1",
        "--headers",
        "d:4,e:5",
        "--tls-skip-verify",
    ];
    let from_flag = connection(&variables, &flags).expect("settings");
    assert_eq!(from_flag.address, "http://flag:1");
    assert_eq!(from_flag.headers, ["d:4", "e:5"]);
    assert!(from_flag.tls.skips_verification);
}

#[test]
fn a_token_leads_to_the_hosted_api_unless_a_gateway_is_named() {
    let plain = connection(&[], &[]).expect("settings");
    assert_eq!(
        (plain.address.as_str(), plain.konnect.is_none()),
        ("http://localhost:8001", true)
    );
    let hosted = connection(
        &[("DECK_KONNECT_TOKEN", "pat")],
        &["--konnect-control-plane-name", "cp"],
    );
    let hosted = hosted.expect("settings");
    let konnect = hosted.konnect.expect("a control plane");
    assert_eq!(hosted.address, "https://us.api.konghq.com");
    assert_eq!(
        (konnect.token.as_str(), konnect.control_plane.as_deref()),
        ("pat", Some("cp"))
    );
    let own = connection(&[], &["--konnect-token", "pat", "--kong-addr", "http://own:8001"]);
    assert!(own.expect("settings").konnect.is_none());
}

#[test]
fn settings_that_make_no_sense_are_named() {
    for (flags, expected) in [
        (
            &["--timeout", "soon"][..],
            "'soon' is no value for timeout: a number",
        ),
        (&["--timeout", "0"], "'0' is no value for timeout"),
        (
            &["--tls-client-cert", "x"],
            "tls-client-cert and tls-client-key must be used together",
        ),
        (&["--ca-cert-file", "/nonexistent"], "cannot read /nonexistent: "),
        (&["--config", "/nonexistent"], "cannot read /nonexistent: "),
        (
            &["--no-color=perhaps", "--tls-skip-verify=x"],
            "'x' is no value for tls-skip-verify",
        ),
    ] {
        let fault = connection(&[], flags).expect_err("nonsense");
        assert!(fault.contains(expected), "{fault}");
    }
}

/// Answers one request with a body.
fn one_answer(body: &'static str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("a head");
            head.extend(byte);
        }
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("an answer");
        String::from_utf8(head).expect("UTF-8")
    });
    (address, serving)
}

#[test]
fn ping_asks_the_gateway_with_the_token() {
    let (address, serving) = one_answer("{\"version\":\"3.9.1\"}");
    let environment = [("DECK_KONG_ADMIN_TOKEN", "secret")];
    let Answer { code, stdout, stderr } =
        tidegate_with(&environment, &["gateway", "ping", "--kong-addr", &address]);
    let expected = "Successfully connected to Kong!\nKong version:  3.9.1\n";
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, expected, ""));
    let head = serving.join().expect("a request");
    assert!(head.starts_with("GET / HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("kong-admin-token: secret\r\n"), "{head}");
}

#[test]
fn errors_read_as_decks_and_exit_with_1() {
    let line = [
        "gateway",
        "sync",
        "/nonexistent.yaml",
        "--kong-addr",
        "http://127.0.0.1:9",
    ];
    let Answer { code, stdout, stderr } = tidegate_with(&[], &line);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(
        stderr.starts_with("Error: reading state file: /nonexistent.yaml: "),
        "{stderr}"
    );
    for (flags, expected) in [
        (
            &["gateway", "dump", "--format", "xml"][..],
            "Error: unknown file format: xml\n",
        ),
        (
            &["gateway", "dump", "--sanitize"],
            "Error: --sanitize is not supported\n",
        ),
        (
            &["gateway", "sync", "--rbac-resources-only"],
            "Error: --rbac-resources-only is not supported\n",
        ),
        (
            &["gateway", "apply", "--select-tag", "a"],
            "Error: apply takes no --select-tag",
        ),
    ] {
        let answer = tidegate_with(&[], flags);
        assert_eq!(answer.code, 1, "{flags:?}");
        assert!(answer.stderr.starts_with(expected), "{}", answer.stderr);
    }
}
