//! Nested and flat entities, references, ids.

use super::support::{faults, lines, loaded, options};
use crate::declarative::{Source, load};
use uuid::{Uuid, uuid};

const EVERYTHING_NESTED: &str = "
services:
- name: s
  url: https://example.test/base
  routes:
  - name: r
    paths: [/a]
    plugins:
    - name: key-auth
  plugins:
  - name: cors
consumers:
- username: alice
  groups:
  - name: gold
  keyauth_credentials:
  - key: k1
  basicauth_credentials:
  - username: alice
    password: secret
  jwt_secrets:
  - key: issuer
    secret: abc
  hmacauth_credentials:
  - username: alice
    secret: abc
  acls:
  - group: staff
  oauth2_credentials:
  - name: app
    client_id: id
    client_secret: abc
  plugins:
  - name: rate-limiting
    config: {minute: 5}
consumer_groups:
- name: gold
  plugins:
  - name: rate-limiting
    config: {minute: 50}
- name: silver
  consumers:
  - username: alice
  plugins:
  - name: rate-limiting
    config: {minute: 20}
upstreams:
- name: u
  targets:
  - target: 10.0.0.1:80
  - target: 10.0.0.2
vaults:
- prefix: my-env
  name: env
  config: {prefix: APP_}
key_sets:
- name: set
  keys:
  - kid: one
    jwk: '{\"kid\":\"one\",\"kty\":\"oct\",\"k\":\"AA\"}'
";

#[test]
fn nested_entities_are_linked_to_their_parents() {
    let set = loaded(EVERYTHING_NESTED).entities;
    let (service, route) = (&set.services[0], &set.routes[0]);
    assert_eq!(route.service.map(|service| service.id), Some(service.id));
    assert_eq!(
        (service.host.as_str(), service.port, service.path.as_deref()),
        ("example.test", 443, Some("/base"))
    );
    let plugin = |name: &str| {
        set.plugins
            .iter()
            .find(|plugin| plugin.name == name)
            .expect("the plugin")
    };
    assert_eq!(plugin("key-auth").route.map(|route| route.id), Some(route.id));
    assert_eq!(plugin("key-auth").service, None, "the route alone is the scope");
    assert_eq!(plugin("cors").service.map(|service| service.id), Some(service.id));
    let alice = set.consumers[0].id;
    assert_eq!(set.keyauth_credentials[0].consumer.id, alice);
    assert_eq!(set.basicauth_credentials[0].consumer.id, alice);
    assert_eq!(set.jwt_secrets[0].consumer.id, alice);
    assert_eq!(set.hmacauth_credentials[0].consumer.id, alice);
    assert_eq!(set.acls[0].consumer.id, alice);
    assert_eq!(set.oauth2_credentials[0].consumer.id, alice);
    assert_eq!(set.targets.len(), 2);
    assert!(
        set.targets
            .iter()
            .all(|target| target.upstream.id == set.upstreams[0].id)
    );
    assert_eq!(set.targets[1].target, "10.0.0.2:8000", "Kong's default port");
    assert_eq!(set.keys[0].set.map(|set| set.id), Some(set.key_sets[0].id));
    assert_eq!(set.vaults[0].prefix, "my-env");
}

#[test]
fn membership_can_be_told_by_the_consumer_and_by_the_group() {
    let set = loaded(EVERYTHING_NESTED).entities;
    let mut groups: Vec<&str> = set
        .consumer_group_members
        .iter()
        .map(|(group, consumer)| {
            assert_eq!(*consumer, set.consumers[0].id);
            set.consumer_groups
                .iter()
                .find(|known| known.id == *group)
                .map_or("", |group| group.name.as_str())
        })
        .collect();
    groups.sort_unstable();
    assert_eq!(groups, ["gold", "silver"]);
    let limits = set
        .plugins
        .iter()
        .filter(|plugin| plugin.consumer_group.is_some())
        .count();
    assert_eq!(limits, 2, "one plugin for each group, with ids of their own");
}

#[test]
fn a_flat_child_refers_to_its_parent_by_name_or_id() {
    let id = "3f6c9c0a-7c5e-4c7e-9b5c-0a3f2a6c1d10";
    let by = |reference: &str| {
        let text = format!(
            "services:\n- {{name: s, host: h, id: {id}}}\nroutes:\n- {{name: r, paths: [/], service: {reference}}}\n"
        );
        loaded(&text).entities.routes[0]
            .service
            .map(|service| service.id.0)
    };
    let expected = Some(uuid!("3f6c9c0a-7c5e-4c7e-9b5c-0a3f2a6c1d10"));
    assert_eq!(by("s"), expected);
    assert_eq!(by(id), expected);
    assert_eq!(by("{name: s}"), expected);
    assert_eq!(by(&format!("{{id: {id}}}")), expected);
    assert_eq!(by("null"), None);
}

#[test]
fn a_name_that_looks_like_an_id_is_still_found() {
    let name = "0f6c9c0a-7c5e-4c7e-9b5c-0a3f2a6c1d10";
    let set = loaded(&format!(
        "consumers:\n- username: {name}\nacls:\n- {{group: g, consumer: {name}}}\n"
    ))
    .entities;
    assert_eq!(set.acls[0].consumer.id, set.consumers[0].id);
}

#[test]
fn snis_and_upstreams_find_their_certificate_and_upstream() {
    let found = lines(&faults(
        "snis:\n- {name: a.test, certificate: nope}\ntargets:\n- {target: a:1, upstream: nope}\n",
    ));
    assert_eq!(
        found,
        [
            "2:31 snis[0].certificate: invalid reference 'certificate: nope' (no such entry in 'certificates')",
            "4:27 targets[0].upstream: invalid reference 'upstream: nope' (no such entry in 'upstreams')",
        ]
    );
}

#[test]
fn a_nested_child_must_not_name_its_parent() {
    let found = faults("services:\n- name: s\n  host: h\n  routes:\n  - paths: [/]\n    service: s\n");
    assert_eq!(
        lines(&found),
        ["6:14 services[0].routes[0].service: value must be null"]
    );
    assert!(
        found.items[0]
            .hint
            .as_deref()
            .is_some_and(|hint| hint.contains("leave `service` out"))
    );
}

#[test]
fn dangling_references_are_all_listed_with_the_nearest_name() {
    let found = faults(
        "services:\n- {name: backend, host: h}\nroutes:\n- {name: a, paths: [/a], service: backnd}\n- {name: b, paths: [/b], service: {id: 3f6c9c0a-7c5e-4c7e-9b5c-0a3f2a6c1d10}}\n- {name: c, paths: [/c], service: {}}\n- {name: d, paths: [/d], service: 5}\nconsumers:\n- username: u\n  groups: [{name: nope}, 7]\n",
    );
    assert_eq!(
        lines(&found),
        [
            "4:35 routes[0].service: invalid reference 'service: backnd' (no such entry in 'services')",
            "5:35 routes[1].service: invalid reference 'service: 3f6c9c0a-7c5e-4c7e-9b5c-0a3f2a6c1d10' (no such entry in 'services')",
            "6:35 routes[2].service.id: missing primary key",
            "7:35 routes[3].service: expected a string",
            "10:12 consumers[0].groups[0]: invalid reference 'groups: nope' (no such entry in 'consumer_groups')",
            "10:26 consumers[0].groups[1]: expected a record",
        ]
    );
    assert_eq!(found.items[0].hint.as_deref(), Some("did you mean 'backend'?"));
}

#[test]
fn entities_of_a_running_gateway_are_named_as_the_reason() {
    let found =
        faults("_info: {default_lookup_tags: {services: [x]}}\nroutes:\n- {paths: [/a], service: shared}\n");
    assert!(
        found.items[0]
            .hint
            .as_deref()
            .is_some_and(|hint| hint.contains("default_lookup_tags"))
    );
}

#[test]
fn ids_are_the_same_on_every_load_and_do_not_depend_on_other_entities() {
    let with = |extra: &str| loaded(&format!("{EVERYTHING_NESTED}{extra}")).entities;
    let (first, second) = (with(""), with("certificates: []\nroutes:\n- {paths: [/other]}\n"));
    assert_eq!(first.services, second.services);
    assert_eq!(first.plugins, second.plugins);
    assert_eq!(first.keyauth_credentials, second.keyauth_credentials);
    assert_eq!(first.routes[0], second.routes[0]);
    assert_eq!(first.services[0].id.0, derived("services", "s"));
}

fn derived(collection: &str, seed: &str) -> Uuid {
    let namespace = uuid!("fd02801f-0957-4a15-a55a-c8d9606f30b5");
    Uuid::new_v5(&Uuid::new_v5(&namespace, collection.as_bytes()), seed.as_bytes())
}

#[test]
fn nameless_entities_of_equal_content_get_ids_of_their_own() {
    let text = "routes:\n- {paths: [/a]}\n- {paths: [/a]}\n- {paths: [/b]}\n";
    let (first, second) = (loaded(text).entities, loaded(text).entities);
    assert_eq!(first, second);
    let ids: std::collections::HashSet<_> = first.routes.iter().map(|route| route.id).collect();
    assert_eq!(ids.len(), 3);
}

#[test]
fn missing_keys_and_secrets_are_made_up() {
    let set =
        loaded("consumers:\n- username: a\n  keyauth_credentials: [{}]\n  jwt_secrets: [{}]\n").entities;
    assert_eq!(set.keyauth_credentials[0].key.len(), 32);
    assert_eq!(set.jwt_secrets[0].key.as_ref().map(String::len), Some(32));
    assert_eq!(set.jwt_secrets[0].secret.as_ref().map(String::len), Some(32));
}

#[test]
fn entities_without_a_time_get_that_of_the_load() {
    let set = loaded("services:\n- {host: a, created_at: 5}\n- {host: b}\nupstreams:\n- {name: u, targets: [{target: t}]}\n").entities;
    assert_eq!(set.services[0].created_at, Some(5));
    assert_eq!(set.services[1].created_at, Some(1_700_000_000));
    assert_eq!(
        set.targets[0].created_at,
        Some(1_700_000_000.123),
        "targets have milliseconds"
    );
    assert_eq!(
        (set.services[0].host.as_str(), set.services[1].host.as_str()),
        ("a", "b"),
        "order of the file"
    );
}

#[test]
fn what_exists_once_is_reported_with_its_place() {
    let found = faults(
        "consumers:\n- {username: a, custom_id: c}\n- {username: b, custom_id: c}\n- {username: a}\nplugins:\n- {name: cors, id: 3f6c9c0a-7c5e-4c7e-9b5c-0a3f2a6c1d10}\n- {name: cors}\nupstreams:\n- name: u\n  targets:\n  - {target: 'a:8000', id: 3f6c9c0a-7c5e-4c7e-9b5c-0a3f2a6c1d11}\n  - {target: a}\n",
    );
    assert_eq!(
        lines(&found),
        [
            "3:28 consumers[1].custom_id: uniqueness violation: 'consumers' entity with custom_id set to 'c' already declared",
            "4:14 consumers[2].username: uniqueness violation: 'consumers' entity with username set to 'a' already declared",
            "7:3 plugins[1]: UNIQUE violation detected on '{consumer=null,name=\"cors\",route=null,service=null}'",
            "12:5 upstreams[0].targets[1]: UNIQUE violation detected on '{target=\"a:8000\",upstream={id=\"597a2b96-28b9-56b9-8745-bb55e59539cc\"}}'",
        ]
    );
}

#[test]
fn json_and_yaml_of_the_same_content_give_the_same_entities() {
    let json = r#"{"_format_version":"3.0","services":[{"name":"s","host":"h","routes":[{"name":"r","paths":["/a"]}]}]}"#;
    let from = |name: &str, text: &str| {
        load(
            &Source {
                name,
                bytes: text.as_bytes(),
            },
            &options(),
        )
        .unwrap_or_else(|faults| panic!("{faults}"))
        .entities
    };
    let yaml = loaded("services:\n- name: s\n  host: h\n  routes:\n  - name: r\n    paths: [/a]\n").entities;
    for name in ["a.json", "a.yaml", "a.yml", "a"] {
        assert_eq!(from(name, json), yaml, "read as {name}");
    }
}

/// A self-signed authority for `a.test`, made for this test; its key is worth nothing.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\n\
MIIBeTCCAR+gAwIBAgIUZ++b1Ncv3myGUtmid4NCgLssEnwwCgYIKoZIzj0EAwIw\n\
ETEPMA0GA1UEAwwGYS50ZXN0MCAXDTI2MTEyMjEyMDcwNFoYDzIxMjYxMDI5MTIw\n\
NzA0WjARMQ8wDQYDVQQDDAZhLnRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC\n\
AAQaozYVQTP3kzUHHGXaSMu8LGSxeyUJVouXBX7lP+ikFp3kEC+IaPgmwbOhQ0pm\n\
wdajdNQcGd/9SnCwBAPXCPqmo1MwUTAdBgNVHQ4EFgQUwoGxNAn06ajlIjmeLiU3\n\
rw/RCDEwHwYDVR0jBBgwFoAUwoGxNAn06ajlIjmeLiU3rw/RCDEwDwYDVR0TAQH/\n\
BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiBNA09hYXuKpmAsB8QwuDucdidtOpob\n\
kTkITTuGqf2FrQIhAKmDYlWcoFft6rm7HLNhfpopQDx4YdU3KCN1W0K4EhDv\n\
-----END CERTIFICATE-----\n\
";
const KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgLzYDFhJwGeFp2GxM\n\
aXxPMOsNKLI39B4gpVQEG6lES9OhRANCAAQaozYVQTP3kzUHHGXaSMu8LGSxeyUJ\n\
VouXBX7lP+ikFp3kEC+IaPgmwbOhQ0pmwdajdNQcGd/9SnCwBAPXCPqm\n\
-----END PRIVATE KEY-----\n\
";

#[test]
fn certificates_carry_their_snis_and_authorities_their_digest() {
    let block = |pem: &str| format!("|\n    {}", pem.trim_end().replace('\n', "\n    "));
    let text = format!(
        "certificates:\n- id: 3f6c9c0a-7c5e-4c7e-9b5c-0a3f2a6c1d10\n  cert: {}\n  key: {}\n  snis:\n  - name: a.test\n  - name: '*.b.test'\nca_certificates:\n- cert: {}\nsnis:\n- {{name: c.test, certificate: 3f6c9c0a-7c5e-4c7e-9b5c-0a3f2a6c1d10}}\n",
        block(CERTIFICATE),
        block(KEY),
        block(CERTIFICATE),
    );
    let set = loaded(&text).entities;
    assert_eq!(set.certificates[0].cert, CERTIFICATE);
    let names: Vec<&str> = set.snis.iter().map(|sni| sni.name.as_str()).collect();
    assert_eq!(names, ["a.test", "*.b.test", "c.test"]);
    assert!(
        set.snis
            .iter()
            .all(|sni| sni.certificate.id == set.certificates[0].id)
    );
    let digest = set.ca_certificates[0].cert_digest.as_deref();
    assert_eq!(
        digest,
        Some("b7e2d7687e728ba615c8d54f8655e93375d10472d9e03590890bf2063aeacff4")
    );
    let again = load(
        &Source {
            name: "dump.yaml",
            bytes: crate::declarative::dump(&set).as_bytes(),
        },
        &options(),
    );
    assert_eq!(again.map(|again| again.entities).ok(), Some(set));
}

#[test]
fn a_service_or_route_has_at_most_one_filter_chain() {
    let found = faults(
        "services:\n- name: s\n  host: h\n  filter_chains:\n  - {name: a, filters: [{name: f}]}\n  - {name: b, filters: [{name: f}], id: 3f6c9c0a-7c5e-4c7e-9b5c-0a3f2a6c1d10}\n",
    );
    let found = lines(&found);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("6:5 services[0].filter_chains[1]: UNIQUE violation detected on '{service={id="),
        "{}",
        found[0]
    );
}
