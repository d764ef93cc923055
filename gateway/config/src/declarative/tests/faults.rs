//! All faults at once, each with its place.

use super::support::{faults, faults_of_file, lines, options};
use crate::declarative::{Limits, LoadOptions, Source, load};

#[test]
fn all_faults_of_a_file_are_listed_in_its_order() {
    let found = faults(
        "services:\n- name: a b\n  host: h:80\n  prot: 1\n  routes:\n  - paths: ['~/(x']\n    methods: [get]\n- 5\nroutes: text\nconsumers:\n- {}\nupstreams:\n- name: 1.2.3.4\n  slots: 5\nsnis:\n- a.test\n",
    );
    let found = lines(&found);
    let expect: &[(&str, &str)] = &[
        ("2:9 services[0].name: ", "invalid value 'a b'"),
        ("3:9 services[0].host: ", "must not have a port"),
        ("4:3 services[0].prot: ", "unknown field"),
        ("6:13 services[0].routes[0].paths[0]: ", "invalid regex"),
        ("7:15 services[0].routes[0].methods[0]: ", "invalid value: get"),
        ("8:3 services[1]: ", "expected a record"),
        ("9:9 routes: ", "expected an array"),
        (
            "11:3 consumers[0]: ",
            "at least one of these fields must be non-empty",
        ),
        ("13:9 upstreams[0].name: ", "no ip addresses allowed"),
        (
            "14:10 upstreams[0].slots: ",
            "value should be between 10 and 65536",
        ),
        ("16:3 snis[0]: ", "expected a record"),
    ];
    assert_eq!(found.len(), expect.len(), "{found:#?}");
    for (line, (place, text)) in found.iter().zip(expect) {
        assert!(
            line.starts_with(place) && line.contains(text),
            "{line} is not {place}..{text}"
        );
    }
}

#[test]
fn a_fault_shows_its_line_with_a_caret_and_its_hint() {
    let found = faults_of_file(
        "kong.yaml",
        "_format_version: '3.0'\nservices:\n- {name: é, hst: h}\n".as_bytes(),
    );
    assert_eq!(
        found.to_string(),
        "kong.yaml:3:3: services[0].host: required field missing\n  3 | - {name: é, hst: h}\n    |   ^\n\
         kong.yaml:3:13: services[0].hst: unknown field\n  3 | - {name: é, hst: h}\n    |             ^\n  hint: did you mean 'host'?\n"
    );
    let json = found.to_json();
    assert_eq!(json["faults"][1]["column"], 13);
    assert_eq!(json["faults"][1]["path"], "services[0].hst");
    assert_eq!(json["file"], "kong.yaml");
}

#[test]
fn positions_in_json_are_exact() {
    let text = "{\n  \"_format_version\": \"3.0\",\n  \"services\": [\n    {\"host\": \"h\"},\n\t{\"host\": \"h\", \"port\": \"\\u0041\"}\n  ]\n}\n";
    assert_eq!(
        lines(&faults_of_file("a.json", text.as_bytes())),
        ["5:24 services[1].port: expected an integer"]
    );
}

#[test]
fn a_syntax_error_has_a_position() {
    let cases: &[(&str, &str, &str)] = &[
        ("a.json", "{\"a\": 1,}", "1:9 "),
        ("a.json", "{\"a\": 01}", "1:7 "),
        ("a.json", "[1, 2", "1:6 "),
        ("a.json", "{\"a\" 1}", "1:6 "),
        ("a.json", "{} x", "1:4 "),
        ("a.json", "{\"a\": \"\\x\"}", "1:7 "),
        ("a.json", "", "1:1 "),
        ("a.json", "{\"a\": nul}", "1:7 "),
        ("a.json", "{\"a\": \"x\ny\"}", "1:9 "),
        ("a.yaml", "a: b: c\n", "1:"),
        ("a.yaml", "a:\n\t- b\n", "2:"),
        ("a.yaml", "a: *nope\n", "1:4 "),
        ("a.yaml", "a: 'open\n", "2:1 "),
        ("a.yaml", "- a\nb: c\n", "2:"),
        ("a.yaml", "a: &x [*x]\n", "1:8 "),
        ("a.yaml", "{[a]: b}\n", "1:2 "),
        ("a.yaml", "a: .inf\n", "1:4 "),
        ("a.yaml", "a: 1\n---\nb: 2\n", "2:1 "),
        ("a.yaml", "<<: 5\n", "1:5 "),
    ];
    for (name, text, place) in cases {
        let found = lines(&faults_of_file(name, text.as_bytes()));
        assert_eq!(found.len(), 1, "{text:?}: {found:?}");
        assert!(found[0].starts_with(place), "{text:?}: {}", found[0]);
        assert!(
            found[0].contains("failed parsing declarative configuration: "),
            "{}",
            found[0]
        );
    }
}

#[test]
fn a_document_that_is_no_object_is_told_so() {
    for text in ["[]", "5", "text", "", "~", "# nothing\n"] {
        let found = lines(&faults_of_file("a.yaml", text.as_bytes()));
        assert_eq!(found.len(), 1);
        assert!(
            found[0].ends_with("failed parsing declarative configuration: expected an object"),
            "{text:?}: {found:?}"
        );
    }
}

#[test]
fn faults_beyond_the_limit_are_counted() {
    let text = format!("_format_version: '3.0'\nservices:\n{}", "- {}\n".repeat(12));
    let options = LoadOptions {
        limits: Limits {
            max_faults: 10,
            ..Limits::default()
        },
        ..options()
    };
    let found = load(
        &Source {
            name: "a.yaml",
            bytes: text.as_bytes(),
        },
        &options,
    )
    .expect_err("faults");
    assert_eq!((found.items.len(), found.omitted, found.count()), (10, 2, 12));
    assert!(found.to_string().ends_with("... and 2 more\n"));
}

#[test]
fn certificates_must_be_pem() {
    let found = faults(
        "certificates:\n- {cert: x, key: y}\n- {cert: '{vault://env/c}', key: '{vault://env/k}'}\nca_certificates:\n- {cert: z}\n",
    );
    let found = lines(&found);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(
        found[0].starts_with("2:10 certificates[0].cert: invalid certificate: "),
        "{}",
        found[0]
    );
    assert!(
        found[1].starts_with("2:18 certificates[0].key: invalid key: "),
        "{}",
        found[1]
    );
    assert!(
        found[2].starts_with("5:10 ca_certificates[0].cert: "),
        "{}",
        found[2]
    );
}
