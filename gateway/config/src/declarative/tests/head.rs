//! Keys that are not entities.

use super::support::{faults, faults_of_file, lines, loaded, options};
use crate::declarative::{Source, content_hash, load};

#[test]
fn a_version_is_required_and_must_be_known_text() {
    let cases: &[(&str, &str)] = &[
        ("services: []\n", "1:1 _format_version: required field missing"),
        (
            "_format_version: '4.0'\n",
            "1:18 _format_version: expected one of: 1.1, 2.1, 3.0",
        ),
        (
            "_format_version: 3.0\n",
            "1:18 _format_version: expected a string",
        ),
        ("_format_version: []\n", "1:18 _format_version: expected a string"),
    ];
    for (text, expected) in cases {
        assert_eq!(
            lines(&faults_of_file("a.yaml", text.as_bytes())),
            [*expected],
            "in {text}"
        );
    }
    let unquoted = faults_of_file("a.yaml", b"_format_version: 3.0\n");
    assert!(
        unquoted.items[0]
            .hint
            .as_deref()
            .is_some_and(|hint| hint.contains("quotes"))
    );
}

#[test]
fn older_versions_mark_paths_that_look_like_regexes() {
    for version in ["1.1", "2.1"] {
        let text = format!(
            "_format_version: '{version}'\nservices:\n- host: h\n  routes:\n  - paths: ['/a/\\d+', /plain]\nroutes:\n- paths: ['/(b)']\n"
        );
        let set = load(
            &Source {
                name: "a.yaml",
                bytes: text.as_bytes(),
            },
            &options(),
        )
        .expect("no faults")
        .entities;
        assert_eq!(
            set.routes[0].paths,
            Some(vec!["~/a/\\d+".to_owned(), "/plain".to_owned()])
        );
        assert_eq!(set.routes[1].paths, Some(vec!["~/(b)".to_owned()]));
    }
    let set = loaded("routes:\n- paths: ['/a/\\d+']\n").entities;
    assert_eq!(
        set.routes[0].paths.as_deref(),
        Some(&["/a/\\d+".to_owned()][..]),
        "3.0 takes paths as they are"
    );
}

#[test]
fn comments_and_ignored_parts_are_allowed_everywhere() {
    let text = "_comment: hello\n_ignore:\n- &p [/a]\n- anything: [1, {x: y}]\nservices:\n- host: h\n  _comment: about s\n  _ignore: [1]\n  routes:\n  - paths: *p\n    _comment: about r\n";
    assert_eq!(
        loaded(text).entities.routes[0].paths.as_ref().map(Vec::len),
        Some(1)
    );
    let found = faults("_comment: 5\n_ignore: x\nservices:\n- host: h\n  _comment: []\n");
    assert_eq!(
        lines(&found),
        [
            "1:11 _comment: expected a string",
            "2:10 _ignore: expected an array",
            "5:13 services[0]._comment: expected a string",
        ]
    );
}

#[test]
fn unknown_keys_are_reported_with_the_nearest_name() {
    let found = faults("servces: []\nfoo: 1\npartials: []\n");
    assert_eq!(
        lines(&found),
        [
            "1:1 servces: unknown field",
            "2:1 foo: unknown field",
            "3:1 partials: unknown field"
        ]
    );
    let hints: Vec<_> = found
        .items
        .iter()
        .map(|item| item.hint.as_deref().unwrap_or_default())
        .collect();
    assert_eq!(hints[0], "did you mean 'services'?");
    assert_eq!(hints[1], "");
    assert!(hints[2].contains("_plugin_configs"));
}

#[test]
fn select_tags_go_to_every_entity_that_lacks_them() {
    let loaded = loaded(
        "_info:\n  select_tags: [team-a, prod]\nservices:\n- host: h\n  tags: [prod, own]\n  routes:\n  - paths: [/a]\nconsumers:\n- username: c\n  keyauth_credentials: [{key: k}]\n",
    );
    let tags = |tags: &Option<Vec<String>>| tags.clone().unwrap_or_default().join(",");
    assert_eq!(tags(&loaded.entities.services[0].tags), "prod,own,team-a");
    assert_eq!(tags(&loaded.entities.routes[0].tags), "team-a,prod");
    assert_eq!(tags(&loaded.entities.keyauth_credentials[0].tags), "team-a,prod");
    assert_eq!(loaded.select_tags, ["team-a", "prod"]);
    let found = faults("_info: {select_tags: [a, b, c, d, e, f]}\n");
    assert_eq!(
        lines(&found),
        ["1:38 _info.select_tags[5]: 'f' is one tag too many: at most 5 select tags"]
    );
}

#[test]
fn defaults_stand_between_the_entity_and_the_schema() {
    let set = loaded(
        "_info:\n  defaults:\n    service: {retries: 2, port: 8080, connect_timeout: 1000}\n    route: {strip_path: false}\n    upstream: {healthchecks: {active: {concurrency: 3}}}\n    target: {weight: 7}\nservices:\n- {host: h, port: 90, connect_timeout: null}\nroutes:\n- paths: [/a]\nupstreams:\n- name: u\n  healthchecks: {active: {timeout: 4}}\n  targets: [{target: a}]\n",
    )
    .entities;
    let service = &set.services[0];
    assert_eq!(
        (
            service.retries,
            service.port,
            service.connect_timeout,
            service.read_timeout
        ),
        (2, 90, 1000, 60_000)
    );
    assert!(!set.routes[0].strip_path);
    let active = &set.upstreams[0].healthchecks.active;
    assert_eq!(
        (active.concurrency, active.timeout),
        (3, 4.0),
        "records merge member by member"
    );
    assert_eq!(set.targets[0].weight, 7);
    let found = faults("_info: {defaults: {service: {name: x}, rout: {}, route: 5}, zzz: 1}\n");
    assert_eq!(
        lines(&found),
        [
            "1:30 _info.defaults.service.name: 'name' cannot have a default",
            "1:40 _info.defaults.rout: unknown field",
            "1:57 _info.defaults.route: expected a record",
            "1:61 _info.zzz: unknown field",
        ]
    );
}

#[test]
fn keys_of_deck_are_accepted() {
    let text = "_workspace: default\n_konnect: {control_plane_name: cp}\n_info: {skip_hash_for_basic_auth: true, default_lookup_tags: {}}\n";
    assert!(loaded(text).warnings.is_empty());
    assert_eq!(
        lines(&faults("_konnect: {zzz: 1}\n_workspace: 5\n")),
        [
            "1:12 _konnect.zzz: unknown field",
            "2:13 _workspace: expected a string",
        ]
    );
    let warned = loaded("_workspace: other\nlicenses: []\n").warnings;
    assert_eq!(warned.items.len(), 2, "{warned}");
}

#[test]
fn basic_auth_passwords_are_hashed_unless_the_file_says_that_they_are() {
    let consumer = "consumers:\n- username: a\n  id: 11111111-1111-4111-8111-111111111111\n  basicauth_credentials: [{username: a, password: secret}]\n";
    let password = |head: &str| {
        loaded(&format!("{head}{consumer}"))
            .entities
            .basicauth_credentials[0]
            .password
            .clone()
    };
    let hashed = "daaa0c42d6ef59eea2e255212f12ec4db9f6c0c6";
    assert_eq!(password(""), hashed);
    assert_eq!(password("_transform: true\n"), hashed);
    assert_eq!(password("_transform: false\n"), "secret");
    assert_eq!(password("_info: {skip_hash_for_basic_auth: true}\n"), "secret");
    let reference = consumer.replace("secret", "'{vault://env/pw}'");
    assert_eq!(
        loaded(&reference).entities.basicauth_credentials[0].password,
        "{vault://env/pw}"
    );
    assert_eq!(
        lines(&faults("_transform: maybe\n")),
        ["1:13 _transform: expected a boolean"]
    );
}

#[test]
fn the_content_hash_is_the_md5_of_the_text() {
    assert_eq!(content_hash(b""), "d41d8cd98f00b204e9800998ecf8427e");
    let loaded = load(
        &Source {
            name: "a.yaml",
            bytes: b"_format_version: '3.0'\n",
        },
        &options(),
    )
    .expect("no faults");
    assert_eq!(loaded.content_hash, content_hash(b"_format_version: '3.0'\n"));
    assert_eq!(loaded.format_version, "3.0");
}

#[test]
fn variables_of_deck_are_warned_of() {
    assert!(loaded("consumers:\n- username: ${ env }\n").warnings.is_empty());
    let warned = loaded("consumers:\n- username: ${{ env \"DECK_NAME\" }}\n").warnings;
    assert!(
        warned.items[0]
            .hint
            .as_deref()
            .is_some_and(|hint| hint.contains("deck file render")),
        "{warned}"
    );
}

#[test]
fn secrets_that_are_not_there_are_warned_of_when_an_environment_is_given() {
    let environment = |name: &str| (name == "PRESENT").then(|| "s3cret".to_owned());
    let options = crate::declarative::LoadOptions {
        secrets: Some(crate::vault::Secrets::of(&environment)),
        ..options()
    };
    let text = "_format_version: '3.0'\nconsumers:\n- username: a\n  keyauth_credentials:\n  - key: '{vault://env/present}'\n  - key: '{vault://env/absent}'\n";
    let loaded = load(
        &Source {
            name: "a.yaml",
            bytes: text.as_bytes(),
        },
        &options,
    )
    .expect("no faults");
    assert_eq!(
        lines(&loaded.warnings),
        ["6:10 consumers[0].keyauth_credentials[1].key: environment variable ABSENT is not set",]
    );
    assert_eq!(
        loaded.entities.keyauth_credentials[0].key, "{vault://env/present}",
        "references stay as written"
    );
}
