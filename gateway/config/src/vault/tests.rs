use super::{
    Environment, Reference, Resolved, Secrets, Vaults, resolve, resolve_embedded, resolve_references,
};
use crate::declarative::tests::support::{TestPlugins, loaded};
use tidegate_model::entities::Vault;

fn environment(name: &str) -> Option<String> {
    let value = match name {
        "MY_SECRET" => "s3cret",
        "MY_SECRET_PREVIOUS" => "0ld",
        "APP_TOKEN" => "t0ken",
        "JSON" => "{\"password\": \"pa55\", \"number\": 5, \"nested\": {\"a\": \"b\"}}",
        "EMPTY" => "",
        "A/B" => "slash",
        _ => return None,
    };
    Some(value.to_owned())
}

fn vault(prefix: &str, kind: &str, config: &serde_json::Value) -> Vault {
    let json = serde_json::json!({
        "id": "3f6c9c0a-7c5e-4c7e-9b5c-0a3f2a6c1d10", "prefix": prefix, "name": kind, "config": config,
    });
    serde_json::from_value(json).expect("a vault")
}

fn secret(text: &str) -> Resolved {
    Resolved::Secret(text.to_owned())
}

#[test]
fn references_are_parsed_into_their_parts() {
    let parse = |text: &str| Reference::parse(text).expect("a reference").expect("well formed");
    let full = parse("{vault://my-env/some/path/key?prefix=X_&a=b%20c#2}");
    assert_eq!(
        (full.vault.as_str(), full.resource.as_str(), full.key.as_deref()),
        ("my-env", "some/path", Some("key"))
    );
    assert_eq!(
        (full.option("prefix"), full.option("a"), full.version),
        (Some("X_"), Some("b c"), Some(2))
    );
    let trailing = parse("{vault://env/some/path/}");
    assert_eq!((trailing.resource.as_str(), trailing.key), ("some/path", None));
    assert_eq!(parse("{vault://env/plain}").key, None);
}

#[test]
fn malformed_references_say_why() {
    for text in [
        "{vault://}",
        "{vault://env}",
        "{vault://env/}",
        "{vault:///x}",
        "{vault://env/x#two}",
        "{vault://env/x%2}",
        "{vault://env/x%zz}",
        "{vault://env/%ff}",
        "{vault://env/x%+1}",
    ] {
        let reason = Reference::parse(text).expect("a reference").expect_err(text);
        assert!(
            reason.starts_with(text) && reason.contains("is not a valid reference: "),
            "{reason}"
        );
    }
    for text in [
        "",
        "vault://env/x",
        "{vault:/env/x}",
        "x{vault://env/y}",
        "{vault://env/y",
        "{VAULT://env/y}",
    ] {
        assert_eq!(Reference::parse(text), None, "{text} is plain text");
    }
}

#[test]
fn the_environment_vault_reads_upper_case_variables() {
    let lookup: &Environment<'_> = &environment;
    let vaults = Vaults::environment_only(lookup);
    assert_eq!(resolve("{vault://env/my-secret}", &vaults), secret("s3cret"));
    assert_eq!(resolve("{vault://env/my_secret#1}", &vaults), secret("s3cret"));
    assert_eq!(resolve("{vault://env/my-secret#2}", &vaults), secret("0ld"));
    assert_eq!(
        resolve("{vault://env/token?prefix=APP_}", &vaults),
        secret("t0ken")
    );
    assert_eq!(resolve("{vault://env/json/password}", &vaults), secret("pa55"));
    assert_eq!(resolve("{vault://env/a/b/}", &vaults), secret("slash"));
    assert_eq!(resolve("{vault://env/empty}", &vaults), secret(""));
    assert_eq!(resolve("plain", &vaults), Resolved::Plain);
}

#[test]
fn what_cannot_be_resolved_tells_no_secret() {
    let lookup: &Environment<'_> = &environment;
    let entities = [vault("cloud", "aws", &serde_json::Value::Null)];
    let vaults = Vaults::new(lookup, &entities);
    let cases = [
        ("{vault://env/absent}", "environment variable ABSENT is not set"),
        (
            "{vault://env/json/none}",
            "environment variable JSON is not a JSON object with the text 'none'",
        ),
        (
            "{vault://env/json/number}",
            "environment variable JSON is not a JSON object with the text 'number'",
        ),
        (
            "{vault://env/json/nested}",
            "environment variable JSON is not a JSON object with the text 'nested'",
        ),
        (
            "{vault://env/my-secret/key}",
            "environment variable MY_SECRET is not a JSON object with the text 'key'",
        ),
        ("{vault://nope/x}", "there is no vault 'nope'"),
        ("{vault://cloud/x}", "vaults of type 'aws' are not supported"),
    ];
    for (text, reason) in cases {
        assert_eq!(
            resolve(text, &vaults),
            Resolved::Missing(reason.to_owned()),
            "{text}"
        );
    }
}

#[test]
fn a_vault_entity_adds_its_prefix() {
    let lookup: &Environment<'_> = &environment;
    let entities = [vault("my-env", "env", &serde_json::json!({ "prefix": "APP_" }))];
    let vaults = Vaults::new(lookup, &entities);
    assert_eq!(resolve("{vault://my-env/token}", &vaults), secret("t0ken"));
    assert_eq!(
        resolve("{vault://my-env/secret?prefix=MY_}", &vaults),
        secret("s3cret"),
        "options come first"
    );
}

#[test]
fn references_inside_a_text_are_replaced_one_by_one() {
    let lookup: &Environment<'_> = &environment;
    let vaults = Vaults::environment_only(lookup);
    let (text, reasons) =
        resolve_embedded("a {vault://env/my-secret}{vault://env/absent} b", &vaults).expect("references");
    assert_eq!(text, "a s3cret b");
    assert_eq!(reasons, ["environment variable ABSENT is not set"]);
    assert_eq!(resolve_embedded("nothing {here}", &vaults), None);
    assert_eq!(resolve_embedded("open {vault://env/x", &vaults), None);
}

const FILE: &str = "
vaults:
- {prefix: my-env, name: env, config: {prefix: APP_}}
consumers:
- username: alice
  id: 11111111-1111-4111-8111-111111111111
  keyauth_credentials:
  - key: '{vault://env/my-secret}'
  - key: '{vault://env/absent}'
  - key: 'a {vault://env/my-secret}'
  basicauth_credentials:
  - {username: alice, password: '{vault://env/json/password}'}
  - {username: bob, password: '{vault://env/absent}'}
  - {username: carl, password: clear}
certificates:
- {cert: '{vault://env/my-secret}', key: '{vault://my-env/token}'}
plugins:
- name: request-transformer
  config:
    add:
      headers:
      - 'Authorization:Bearer {vault://env/my-secret}'
      - 'X-Token:{vault://my-env/token}'
      - 'X-Both:{vault://env/my-secret}-{vault://env/absent}'
      - '{vault://env/my-secret}'
      - 'X-Plain:{value}'
- name: file-log
  config: {path: '{vault://env/my-secret}', token: '{vault://env/my-secret}'}
";

#[test]
fn references_of_a_configuration_are_resolved_where_its_tables_allow_it() {
    let mut set = loaded(FILE).entities;
    let before = set.clone();
    let warnings = resolve_references(&mut set, &TestPlugins, &Secrets::of(&environment));
    let keys: Vec<&str> = set
        .keyauth_credentials
        .iter()
        .map(|credential| credential.key.as_str())
        .collect();
    assert_eq!(
        keys,
        ["s3cret", "", "a {vault://env/my-secret}"],
        "a single value counts only as a whole"
    );
    let hash = |text: &str| crate::declarative::password_hash(text, "11111111-1111-4111-8111-111111111111");
    let passwords: Vec<&str> = set
        .basicauth_credentials
        .iter()
        .map(|credential| credential.password.as_str())
        .collect();
    assert_eq!(passwords, [hash("pa55").as_str(), "", hash("clear").as_str()]);
    assert_eq!(
        (
            set.certificates[0].cert.as_str(),
            set.certificates[0].key.as_str()
        ),
        ("s3cret", "t0ken")
    );
    assert_eq!(
        set.plugins[0].config["add"]["headers"],
        serde_json::json!([
            "Authorization:Bearer s3cret",
            "X-Token:t0ken",
            "X-Both:s3cret-",
            "s3cret",
            "X-Plain:{value}"
        ])
    );
    assert_eq!(
        set.plugins[1].config["path"], "{vault://env/my-secret}",
        "not a referenceable field"
    );
    assert_eq!(set.plugins[1].config["token"], "s3cret");
    assert_eq!(
        (&set.services, &set.routes, &set.consumers),
        (&before.services, &before.routes, &before.consumers)
    );

    let mut told: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    told.sort();
    let ids = (
        set.basicauth_credentials[1].id,
        set.keyauth_credentials[1].id,
        set.plugins[0].id,
    );
    assert_eq!(
        told,
        [
            format!(
                "basicauth_credentials {}: password: environment variable ABSENT is not set",
                ids.0
            ),
            format!(
                "keyauth_credentials {}: key: environment variable ABSENT is not set",
                ids.1
            ),
            format!(
                "plugins {}: config.add.headers[2]: environment variable ABSENT is not set",
                ids.2
            ),
        ]
    );
    assert!(!told.concat().contains("s3cret"));
}

#[test]
fn the_prefix_of_the_setting_holds_for_the_vault_env_and_not_for_entities() {
    let text = "
vaults:
- {prefix: my-env, name: env, config: {prefix: MY_}}
consumers:
- username: alice
  keyauth_credentials:
  - key: '{vault://env/token}'
  - key: '{vault://my-env/secret}'
  - key: '{vault://env/token?prefix=APP_&ttl=60}'
";
    let mut set = loaded(text).entities;
    let secrets = Secrets {
        env_prefix: "app-",
        ..Secrets::of(&environment)
    };
    assert_eq!(resolve_references(&mut set, &TestPlugins, &secrets), []);
    let keys: Vec<&str> = set
        .keyauth_credentials
        .iter()
        .map(|credential| credential.key.as_str())
        .collect();
    assert_eq!(keys, ["t0ken", "s3cret", "t0ken"]);
}

#[test]
fn a_vault_that_is_not_enabled_gives_nothing() {
    let mut set = loaded(FILE).entities;
    let secrets = Secrets {
        is_enabled: false,
        ..Secrets::of(&environment)
    };
    let warnings = resolve_references(&mut set, &TestPlugins, &secrets);
    assert_eq!(set.certificates[0].cert, "");
    assert!(
        warnings
            .iter()
            .all(|warning| warning.reason.contains("the vault 'env' is not enabled")),
        "{warnings:?}"
    );
}
