use crate::run::{Ran, dump, reset, summary, sync};
use crate::server::Server;
use serde_json::{Value, json};
use tidegate_deck::Format;

/// An entity of every kind, in every nesting, without passwords (which are hashed).
fn everything() -> String {
    let own = rcgen::generate_simple_self_signed(["a.test".to_owned()]).expect("a certificate");
    let mut authority = rcgen::CertificateParams::new(Vec::new()).expect("names");
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = authority
        .self_signed(&rcgen::KeyPair::generate().expect("a key"))
        .expect("a certificate");
    let termination = json!({"name": "request-termination", "config": {"status_code": 403}});
    json!({
        "_format_version": "3.0",
        "certificates": [{
            "id": "aaaaaaaa-0000-4000-8000-000000000001",
            "cert": own.cert.pem(), "key": own.signing_key.serialize_pem(), "tags": ["t"],
            "snis": [{"name": "b.test"}, {"name": "a.test"}],
        }],
        "ca_certificates": [{"id": "aaaaaaaa-0000-4000-8000-000000000002", "cert": authority.pem()}],
        "services": [
            {"name": "s2", "url": "https://b.test/base", "client_certificate": "aaaaaaaa-0000-4000-8000-000000000001",
             "ca_certificates": ["aaaaaaaa-0000-4000-8000-000000000002"], "tls_verify": true},
            {"name": "s1", "host": "a.test", "plugins": [termination.clone()], "routes": [
                {"name": "r2", "paths": ["/b", "/a"], "headers": {"x": ["1"]}, "plugins": [{"name": "cors"}]},
                {"paths": ["/unnamed"], "id": "aaaaaaaa-0000-4000-8000-000000000003"},
            ]},
        ],
        "routes": [
            {"name": "free", "hosts": ["free.test"], "protocols": ["grpc"]},
            {"name": "bound", "hosts": ["bound.test"], "service": {"name": "s2"}},
        ],
        "consumer_groups": [{"name": "gold", "plugins": [{"name": "rate-limiting", "config": {"minute": 9, "policy": "local"}}]}, {"name": "silver"}],
        "consumers": [
            {"username": "alice", "custom_id": "7", "groups": [{"name": "silver"}, {"name": "gold"}],
             "keyauth_credentials": [{"key": "alice-key", "tags": ["k"]}], "acls": [{"group": "admins"}],
             "jwt_secrets": [{"key": "j", "secret": "s", "algorithm": "HS256"}],
             "hmacauth_credentials": [{"username": "h", "secret": "s"}],
             "oauth2_credentials": [{"name": "app", "client_id": "c", "client_secret": "s", "redirect_uris": ["https://a.test/"]}],
             "plugins": [termination.clone()]},
            {"custom_id": "nameless"},
        ],
        "upstreams": [{"name": "up", "hash_on": "ip", "healthchecks": {"active": {"healthy": {"interval": 5}}},
                       "targets": [{"target": "10.0.0.2:80", "weight": 5}, {"target": "10.0.0.1"}]}],
        "vaults": [{"name": "env", "prefix": "mine", "config": {"prefix": "x"}}],
        "key_sets": [{"name": "set"}],
        "keys": [{"name": "key", "kid": "k1", "set": {"name": "set"},
                  "jwk": "{\"kty\":\"oct\",\"kid\":\"k1\",\"k\":\"c2VjcmV0\"}"}],
        "plugins": [
            {"name": "cors", "config": {"origins": ["b", "a"]}},
            {"name": "request-termination", "service": "s2", "consumer": "alice", "config": {"message": "no"}},
        ],
    })
    .to_string()
}

async fn filled() -> Server {
    let server = Server::start().await;
    let first = sync(&server, &everything()).await;
    assert_eq!(first.code, 0, "{}{}", first.out, first.err);
    assert!(first.out.contains("Created: 33\n"), "{}", first.out);
    server
}

#[tokio::test]
async fn a_file_with_everything_is_in_sync_after_its_sync() {
    let server = filled().await;
    let second = sync(&server, &everything_again(&server).await).await;
    assert_eq!((second.code, second.out), (0, summary(0, 0, 0)), "{}", second.err);
}

/// The file again, with the certificates that the server has: new ones are made each time.
async fn everything_again(server: &Server) -> String {
    let mut file: Value = serde_json::from_str(&everything()).expect("JSON");
    for (list, path) in [
        (
            "certificates",
            "/certificates/aaaaaaaa-0000-4000-8000-000000000001",
        ),
        (
            "ca_certificates",
            "/ca_certificates/aaaaaaaa-0000-4000-8000-000000000002",
        ),
    ] {
        let stored = server.get(path).await;
        file[list][0]["cert"] = stored["cert"].clone();
        if stored["key"].is_string() {
            file[list][0]["key"] = stored["key"].clone();
        }
    }
    file.to_string()
}

async fn text(server: &Server) -> String {
    let Ran { code, out, err } = dump(server, |_| {}).await;
    assert_eq!(code, 0, "{err}");
    out
}

#[tokio::test]
async fn what_is_dumped_is_in_sync_and_brings_everything_back() {
    let server = filled().await;
    let dumped = text(&server).await;
    assert_eq!(sync(&server, &dumped).await.out, summary(0, 0, 0), "{dumped}");
    let emptied = reset(&server, |options| options.is_forced = true, "").await;
    assert!(
        emptied.out.ends_with(&summary(0, 0, 33)),
        "{}{}",
        emptied.out,
        emptied.err
    );
    let back = sync(&server, &dumped).await;
    assert!(back.out.ends_with(&summary(33, 0, 0)), "{}{}", back.out, back.err);
    assert_eq!(text(&server).await, dumped);
}

#[tokio::test]
async fn a_dump_without_defaults_is_shorter_and_in_sync_too() {
    let server = filled().await;
    let short = dump(&server, |options| options.skips_defaults = true).await.out;
    assert!(short.len() < text(&server).await.len() * 2 / 3, "{short}");
    assert!(!short.contains("connect_timeout"), "{short}");
    assert_eq!(sync(&server, &short).await.out, summary(0, 0, 0), "{short}");
}

#[tokio::test]
async fn json_and_ids_can_be_had() {
    let server = filled().await;
    let json = dump(&server, |options| {
        options.format = Format::Json;
        options.with_ids = true;
    })
    .await
    .out;
    let object: Value = serde_json::from_str(&json).expect("JSON");
    assert!(object["services"][0]["id"].is_string());
    assert_eq!(sync(&server, &json).await.out, summary(0, 0, 0));
}

#[tokio::test]
async fn a_dump_is_nested_sorted_and_free_of_ids_and_times() {
    let server = Server::start().await;
    let file = "_format_version: \"3.0\"\nservices:\n- {name: b, host: h, retries: 1}\n- name: a\n  host: h\n  tags: [t]\n  \
                routes:\n  - {name: r, paths: [/r]}\nconsumers:\n- username: alice\n  groups: [{name: gold}]\n\
                consumer_groups: [{name: gold}]\nplugins: [{name: request-termination, route: r, consumer: alice}]\n";
    sync(&server, file).await;
    let short = dump(&server, |options| options.skips_defaults = true).await.out;
    let expected = "_format_version: \"3.0\"\nconsumer_groups:\n- name: gold\nconsumers:\n- groups:\n  - name: gold\n  \
                    username: alice\nplugins:\n- consumer: alice\n  name: request-termination\n  route: r\nservices:\n\
                    - host: h\n  name: a\n  routes:\n  - name: r\n    paths:\n    - /r\n  tags:\n  - t\n- host: h\n  name: b\n  \
                    retries: 1\n";
    assert_eq!(short, expected);
    let tagged = dump(&server, |options| {
        options.skips_defaults = true;
        options.select_tags = vec!["t".to_owned()];
    })
    .await
    .out;
    let expected = "_format_version: \"3.0\"\n_info:\n  select_tags:\n  - t\nservices:\n- host: h\n  name: a\n  tags:\n  - t\n";
    assert_eq!(tagged, expected);
}

#[tokio::test]
async fn passwords_are_dumped_as_hashes_with_ids_and_are_in_sync() {
    let server = Server::start().await;
    let file = "_format_version: \"3.0\"\nconsumers:\n- username: a\n  basicauth_credentials: [{username: u, password: secret}]\n";
    assert_eq!(sync(&server, file).await.code, 0);
    assert_eq!(sync(&server, file).await.out, summary(0, 0, 0));
    let dumped = dump(&server, |_| {}).await;
    assert_eq!(
        dumped.err,
        "Warning: basic-auth credentials detected, IDs will be exported\n"
    );
    assert!(
        !dumped.out.contains("secret") && dumped.out.contains("id: "),
        "{}",
        dumped.out
    );
    assert_eq!(sync(&server, &dumped.out).await.out, summary(0, 0, 0));
}

#[tokio::test]
async fn a_file_gets_its_ending_and_is_overwritten_only_when_told_so() {
    let server = Server::start().await;
    sync(
        &server,
        "_format_version: \"3.0\"\nservices: [{name: s, host: h}]\n",
    )
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    let output = folder.path().join("kong").display().to_string();
    dump(&server, |options| options.output.clone_from(&output)).await;
    let file = folder.path().join("kong.yaml");
    let written = std::fs::read_to_string(&file).expect("a file");
    assert!(written.contains("name: s\n"), "{written}");
    std::fs::write(&file, "mine").expect("a file");
    let asked = dump(&server, |options| options.output.clone_from(&output)).await;
    assert!(
        asked
            .out
            .ends_with("already exists. Do you want to overwrite it? "),
        "{}",
        asked.out
    );
    assert_eq!(std::fs::read_to_string(&file).expect("a file"), "mine");
    dump(&server, |options| {
        options.output.clone_from(&output);
        options.assumes_yes = true;
    })
    .await;
    assert_eq!(std::fs::read_to_string(&file).expect("a file"), written);
}
