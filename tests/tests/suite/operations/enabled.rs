//! The settings `plugins`, `vaults` and `vault_env_prefix` (kong-core B.5 and H.2).

use super::start::run;
use crate::ask::service;
use tidegate_tests::{Gateway, Request, Upstream};

const WITH_KEY_AUTH: &str = "_format_version: \"3.0\"\nplugins:\n- name: key-auth\n";

fn told(arguments: &[&str], yaml: &str) -> (bool, String) {
    let (output, _folder) = run(arguments, yaml);
    let told = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(told).unwrap())
}

#[test]
fn a_plugin_that_is_not_enabled_is_refused_in_kongs_words() {
    let text = "plugin 'key-auth' not enabled; add it to the 'plugins' configuration property";
    for (plugins, is_fine) in [
        ("bundled", true),
        ("key-auth, cors", true),
        ("bundled,cors", true),
        ("cors", false),
        ("off", false),
    ] {
        let (success, told) = told(
            &["check", "FILE", "--set", &format!("plugins={plugins}")],
            WITH_KEY_AUTH,
        );
        assert_eq!(success, is_fine, "plugins = {plugins}: {told}");
        assert_eq!(told.contains(text), !is_fine, "plugins = {plugins}: {told}");
    }
}

#[tokio::test]
async fn names_that_do_not_exist_stop_the_start() {
    for (name, value, text) in [
        (
            "plugins",
            "bundled, no-such-plugin",
            "there is no plugin `no-such-plugin` in this build",
        ),
        (
            "plugins",
            "off, cors",
            "expected `bundled`, `off` or names of plugins",
        ),
        ("vaults", "hcv", "there is no vault of type `hcv` in this build"),
    ] {
        let started = Gateway::with("services: []\n")
            .setting(name, value)
            .try_start()
            .await;
        let (status, log) = started.unwrap_err();
        assert!(!status.success() && log.contains(text), "{log}");
    }
}

#[tokio::test]
async fn secrets_have_the_prefix_of_the_setting_and_vaults_their_own() {
    let upstream = Upstream::ok().await;
    let plugin = "plugins:
- name: request-transformer
  config:
    add:
      headers:
      - 'X-One:{vault://env/one}'
      - 'X-Two:{vault://mine/two}'
      - 'X-Three:{vault://env/json/three?ttl=60}'
      - 'X-Four:{vault://env/absent}'
vaults:
- {prefix: mine, name: env, config: {prefix: OWN_}}
";
    let gateway = Gateway::with(format!("{}{plugin}", service(&upstream, "- {paths: [/]}")))
        .setting("vault_env_prefix", "app_")
        .environment("APP_ONE", "1")
        .environment("ONE", "wrong")
        .environment("OWN_TWO", "2")
        .environment("APP_JSON", "{\"three\": \"3\"}")
        .start()
        .await;
    assert_eq!(gateway.call(&Request::get("/")).await.status, 200);
    let seen = upstream.last();
    assert_eq!(
        (
            seen.header("X-One"),
            seen.header("X-Two"),
            seen.header("X-Three"),
            seen.header("X-Four")
        ),
        ("1", "2", "3", "")
    );
    assert!(
        gateway
            .log()
            .contains("environment variable APP_ABSENT is not set"),
        "{}",
        gateway.log()
    );
}

#[test]
fn without_vaults_nothing_is_read_from_the_environment() {
    let yaml = "_format_version: \"3.0\"\nvaults:\n- {prefix: mine, name: env}\n";
    let (success, text) = told(&["check", "FILE", "--set", "vaults=off"], yaml);
    assert!(
        !success && text.contains("vault 'env' is not installed"),
        "{text}"
    );
    let yaml = "_format_version: \"3.0\"\nconsumers:\n- username: a\n  keyauth_credentials:\n  - key: '{vault://env/k}'\n";
    let (success, text) = told(&["check", "FILE", "--set", "vaults=off"], yaml);
    assert!(
        success && text.contains("the vault 'env' is not enabled"),
        "{text}"
    );
}
