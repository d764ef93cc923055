use super::*;
use crate::settings::values::{LogLevel, LogTarget, PemSource, RouterFlavor, Secret, Workers};
use std::collections::HashSet;
use std::time::Duration;

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn from_file(text: &str) -> Result<Loaded, SettingsError> {
    Settings::load(&Sources {
        file: Some(("tidegate.conf".to_owned(), text.to_owned())),
        ..Sources::default()
    })
}

fn from_environment(variables: &[(&str, &str)]) -> Result<Loaded, SettingsError> {
    Settings::load(&Sources {
        environment: pairs(variables),
        ..Sources::default()
    })
}

fn only_fault(result: Result<Loaded, SettingsError>) -> String {
    let error = result.expect_err("a fault");
    assert_eq!(error.faults.len(), 1, "{error}");
    error.to_string()
}

#[test]
fn the_defaults_are_legal_and_those_of_the_table() {
    let settings = Settings::with(&[]).expect("defaults");
    assert_eq!(settings.process.workers, Workers::Auto);
    assert_eq!(settings.listeners.proxy_listen.len(), 2);
    assert_eq!(
        settings.listeners.status_listen.to_string(),
        "127.0.0.1:8007 reuseport backlog=16384"
    );
    assert_eq!(settings.limits.client_max_header_count, 1_000);
    assert_eq!(settings.limits.client_max_body_size, 0);
    assert_eq!(settings.limits.client_idle_timeout, Duration::from_secs(75));
    assert_eq!(settings.upstream.upstream_keepalive_pool_size, 512);
    assert_eq!(
        settings.configuration.router_flavor,
        RouterFlavor::TraditionalCompatible
    );
    assert_eq!(settings.logs.log_level, LogLevel::Notice);
    assert_eq!(
        settings.pid_file(),
        PathBuf::from("/usr/local/tidegate/pids/tidegate.pid")
    );
    assert!(settings.replies.headers.request_id && !settings.replies.headers.upstream_status);
}

#[test]
fn every_name_and_alias_of_the_table_is_unique_and_every_default_is_legal() {
    let mut seen = HashSet::new();
    for definition in Settings::definitions() {
        for name in definition.names() {
            assert!(seen.insert(name), "{name} is declared twice");
        }
        let default = definition.spec.default;
        assert_eq!(
            (definition.check)(default, &definition.spec),
            Ok(()),
            "default of {}",
            definition.name
        );
        assert!(
            !definition.summary().is_empty(),
            "{} has no text",
            definition.name
        );
    }
}

#[test]
fn a_flag_wins_over_tidegate_then_kong_then_the_file_then_the_default() {
    let mut sources = Sources {
        file: Some(("t.conf".to_owned(), "log_level = info".to_owned())),
        environment: pairs(&[("KONG_LOG_LEVEL", "warn"), ("TIDEGATE_LOG_LEVEL", "error")]),
        flags: pairs(&[("log_level", "debug")]),
    };
    let level = |sources: &Sources| {
        let loaded = Settings::load(sources).expect("legal");
        let origin = loaded
            .settings
            .origin("log_level")
            .expect("a setting")
            .to_string();
        (loaded.settings.logs.log_level.as_str(), origin)
    };
    assert_eq!(level(&sources), ("debug", "command line".to_owned()));
    sources.flags.clear();
    assert_eq!(
        level(&sources),
        ("error", "environment variable TIDEGATE_LOG_LEVEL".to_owned())
    );
    sources.environment.pop();
    assert_eq!(
        level(&sources),
        ("warn", "environment variable KONG_LOG_LEVEL".to_owned())
    );
    sources.environment.clear();
    assert_eq!(level(&sources), ("info", "t.conf, line 1".to_owned()));
    sources.file = None;
    assert_eq!(level(&sources), ("notice", "default".to_owned()));
}

#[test]
fn an_unknown_name_in_the_file_is_refused_with_the_nearest_name_and_its_line() {
    let text = only_fault(from_file("\nproxy_listn = 0.0.0.0:80"));
    assert_eq!(
        text,
        "setting `proxy_listn` (tidegate.conf, line 2): there is no such setting; did you mean `proxy_listen`?"
    );
    assert!(
        only_fault(from_file("nginx_http_resolver_timeout = 1s"))
            .ends_with("raw nginx directives are not supported")
    );
    assert!(only_fault(from_file("zzz = 1")).ends_with("there is no such setting"));
}

#[test]
fn an_unknown_variable_is_refused_after_tidegate_and_only_noted_after_kong() {
    assert!(only_fault(from_environment(&[("TIDEGATE_WORKER", "1")])).ends_with("did you mean `workers`?"));
    let loaded =
        from_environment(&[("KONG_WORKER", "1"), ("KONG_VERSION_OF_IMAGE", "3")]).expect("warnings only");
    assert_eq!(
        loaded.warnings,
        vec![
            "environment variable KONG_WORKER names no setting and is ignored; did you mean `workers`?",
            "environment variable KONG_VERSION_OF_IMAGE names no setting and is ignored",
        ]
    );
}

#[test]
fn variables_that_kubernetes_adds_for_a_service_called_tidegate_are_no_settings() {
    let loaded = from_environment(&[
        ("TIDEGATE_PROXY_SERVICE_HOST", "10.0.0.7"),
        ("TIDEGATE_PROXY_PORT", "tcp://10.0.0.7:80"),
        ("TIDEGATE_PROXY_PORT_80_TCP_ADDR", "10.0.0.7"),
        ("TIDEGATE_CONF", "/etc/tidegate.conf"),
    ]);
    assert_eq!(loaded.expect("ignored").warnings, Vec::<String>::new());
}

#[test]
fn every_fault_of_every_group_is_reported_in_one_run() {
    let text = "workers = many\nkeepalive_requests = -1\nlog_level = loud\nssl_session_tickets = maybe\njust words\nx = 1";
    let error = from_file(text).expect_err("faults");
    let lines = error.to_string();
    assert_eq!(error.faults.len(), 6, "{lines}");
    for part in [
        "setting `workers` (tidegate.conf, line 1): expected `auto` or a whole number from 1 to 1024, found `many`",
        "`keepalive_requests`",
        "`log_level`",
        "`ssl_session_tickets`",
        "setting `just words` (tidegate.conf, line 5): expected `name = value`",
        "setting `x`",
    ] {
        assert!(lines.contains(part), "{part} is missing in:\n{lines}");
    }
}

#[test]
fn a_fault_of_a_listener_names_its_setting() {
    let text = only_fault(from_environment(&[("KONG_STATUS_LISTEN", "0.0.0.0 ssl")]));
    assert!(text.starts_with(
        "setting `status_listen` (environment variable KONG_STATUS_LISTEN): `0.0.0.0` has no port"
    ));
}

#[test]
fn names_of_kong_are_aliases_in_the_file_and_in_both_families_of_variables() {
    let loaded = from_environment(&[
        ("KONG_NGINX_HTTP_CLIENT_MAX_BODY_SIZE", "10m"),
        ("TIDEGATE_NGINX_WORKER_PROCESSES", "3"),
    ])
    .expect("legal");
    assert_eq!(loaded.settings.limits.client_max_body_size, 10 << 20);
    assert_eq!(loaded.settings.process.workers.count().get(), 3);
    let loaded = from_file("nginx_worker_processes = 2").expect("legal");
    assert_eq!(loaded.settings.process.workers.count().get(), 2);
}

#[test]
fn the_own_name_wins_over_an_alias_of_the_same_source_with_a_warning_when_they_differ() {
    for order in [
        [
            ("TIDEGATE_WORKERS", "1"),
            ("TIDEGATE_NGINX_WORKER_PROCESSES", "2"),
        ],
        [
            ("TIDEGATE_NGINX_WORKER_PROCESSES", "2"),
            ("TIDEGATE_WORKERS", "1"),
        ],
    ] {
        let loaded = from_environment(&order).expect("legal");
        assert_eq!(loaded.settings.process.workers.count().get(), 1);
        assert_eq!(
            loaded.warnings,
            vec![
                "`workers` is given twice: environment variable TIDEGATE_WORKERS wins over environment variable \
                 TIDEGATE_NGINX_WORKER_PROCESSES"
            ]
        );
    }
    let same = from_environment(&[
        ("TIDEGATE_WORKERS", "1"),
        ("TIDEGATE_NGINX_WORKER_PROCESSES", "1"),
    ])
    .expect("legal");
    assert!(same.warnings.is_empty());
}

#[test]
fn the_buffers_of_nginx_become_the_bounds_of_a_request_head() {
    let loaded =
        from_environment(&[("KONG_NGINX_HTTP_LARGE_CLIENT_HEADER_BUFFERS", "8 16k")]).expect("legal");
    let limits = &loaded.settings.limits;
    assert_eq!(limits.client_max_request_line, 16_384);
    assert_eq!(limits.client_max_header_line, 16_384);
    assert_eq!(limits.client_max_header_bytes, 131_072);
    assert!(only_fault(from_file("nginx_http_large_client_header_buffers = 8k")).contains("such as `4 8k`"));
}

#[test]
fn an_empty_value_counts_as_not_given() {
    let loaded = from_environment(&[("TIDEGATE_LOG_LEVEL", ""), ("KONG_LOG_LEVEL", "warn")]).expect("legal");
    assert_eq!(loaded.settings.logs.log_level, LogLevel::Warn);
    assert_eq!(
        from_file("workers =").expect("legal").settings.process.workers,
        Workers::Auto
    );
}

#[test]
fn a_reference_is_followed_but_shown_as_written() {
    let loaded = from_environment(&[
        ("KONG_PG_PASSWORD", "{vault://env/pg-secret}"),
        ("PG_SECRET", "hunter2"),
        ("TIDEGATE_LOG_LEVEL", "{vault://env/lvl}"),
        ("LVL", "error"),
    ])
    .expect("legal");
    assert_eq!(
        loaded.settings.store.pg_password.as_ref().map(Secret::expose),
        Some("hunter2")
    );
    assert!(
        !format!("{:?}", loaded.settings).contains("hunter2"),
        "debug output shows no secret"
    );
    assert_eq!(loaded.settings.logs.log_level, LogLevel::Error);
    let shown = |name: &str| {
        let found = loaded
            .settings
            .effective()
            .iter()
            .find(|e| e.definition.name == name);
        found.expect("a setting").shown().to_owned()
    };
    assert_eq!(shown("pg_password"), "{vault://env/pg-secret}");
    assert!(
        only_fault(from_file("log_level = {vault://env/absent}"))
            .contains("environment variable ABSENT is not set")
    );
}

#[test]
fn variables_of_references_may_have_a_prefix_and_hold_json() {
    let loaded = from_environment(&[
        ("KONG_VAULT_ENV_PREFIX", "app-"),
        ("KONG_LOG_LEVEL", "{vault://env/log/level}"),
        ("APP_LOG", r#"{"level":"warn"}"#),
    ]);
    assert_eq!(loaded.expect("legal").settings.logs.log_level, LogLevel::Warn);
}

#[test]
fn secrets_are_masked_and_paths_of_keys_are_not() {
    let pem = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----";
    let settings = Settings::with(&[
        ("pg_password", "hunter2"),
        ("ssl_cert", "/c.pem, /d.pem"),
        ("ssl_cert_key", &format!("/k.pem, {pem}")),
        ("client_ssl_cert_key", "/k.pem"),
    ])
    .expect("legal");
    let shown = |name: &str| {
        settings
            .effective()
            .iter()
            .find(|e| e.definition.name == name)
            .map(Effective::shown)
            .expect("a setting")
    };
    assert_eq!(shown("pg_password"), "******");
    assert_eq!(shown("ssl_cert_key"), "******");
    assert_eq!(shown("client_ssl_cert_key"), "/k.pem");
    assert_eq!(
        shown("pg_ro_password"),
        "",
        "nothing is masked where nothing is set"
    );
    assert_eq!(
        settings.tls.ssl_cert_key[0],
        PemSource::File(PathBuf::from("/k.pem"))
    );
}

#[test]
fn a_fault_of_a_secret_does_not_show_it() {
    let text = only_fault(from_file("cluster_cert_key = LS0tLS1CRUdJTiSecret!"));
    assert!(
        text.contains("cannot be decoded") && !text.contains("Secret"),
        "{text}"
    );
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    for (values, part) in [
        (vec![("ssl_cert", "/a.pem")], "0 keys for 1 certificates"),
        (
            vec![("client_ssl", "on")],
            "needs `client_ssl_cert` and `client_ssl_cert_key`",
        ),
        (
            vec![("client_max_header_line", "64k")],
            "65536 bytes is more than `client_max_header_bytes` (32768)",
        ),
    ] {
        let error = Settings::with(&values).expect_err("a contradiction").to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_value_that_asks_for_a_later_version_is_noted_and_off_asks_for_nothing() {
    let loaded = from_environment(&[
        ("KONG_DATABASE", "off"),
        ("KONG_ADMIN_LISTEN", "off"),
        ("KONG_ANONYMOUS_REPORTS", "on"),
        ("KONG_TRACING_INSTRUMENTATIONS", "all"),
        ("KONG_CLUSTER_OCSP", "on"),
    ])
    .expect("legal");
    assert_eq!(
        loaded.warnings,
        vec![
            "`cluster_ocsp` (environment variable KONG_CLUSTER_OCSP) is accepted, but has no effect in this version",
            "`tracing_instrumentations` (environment variable KONG_TRACING_INSTRUMENTATIONS) is accepted, but has no effect in this version",
        ]
    );
}

#[test]
fn logs_and_the_process_id_live_below_the_prefix() {
    let settings =
        Settings::with(&[("prefix", "/srv/t"), ("proxy_access_log", "logs/a.log")]).expect("legal");
    let LogTarget::File(path) = &settings.logs.proxy_access_log else {
        panic!("a file")
    };
    assert_eq!(settings.in_prefix(path), PathBuf::from("/srv/t/logs/a.log"));
    assert_eq!(
        settings.in_prefix(Path::new("/var/a.log")),
        PathBuf::from("/var/a.log")
    );
    assert_eq!(settings.pid_file(), PathBuf::from("/srv/t/pids/tidegate.pid"));
}

#[test]
fn the_default_file_reads_back_as_the_defaults_once_its_values_are_uncommented() {
    let text = conf_default();
    let mut uncommented = String::new();
    for line in text.lines() {
        let value = line
            .strip_prefix('#')
            .filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()));
        uncommented.push_str(value.unwrap_or(line));
        uncommented.push('\n');
    }
    let loaded = from_file(&uncommented).expect("legal");
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let given = loaded
        .settings
        .effective()
        .iter()
        .filter(|e| e.origin != Origin::Default)
        .count();
    let with_default = Settings::definitions()
        .filter(|d| !d.spec.default.is_empty())
        .count();
    assert_eq!(
        given, with_default,
        "every setting with a default stands in the file"
    );
    assert!(
        text.lines().all(|line| line.is_empty() || line.starts_with('#')),
        "nothing is set in the default file"
    );
}

#[test]
fn the_manual_lists_every_setting_and_the_help_those_with_an_effect() {
    let (page, help) = (markdown(), help());
    for definition in Settings::definitions() {
        assert!(
            page.contains(&format!("| `{}` |", definition.name)),
            "{}",
            definition.name
        );
        let has_effect = definition.spec.effect == Effect::Now;
        let is_in_help = help
            .lines()
            .any(|line| line.trim().split(' ').next() == Some(definition.name));
        assert_eq!(is_in_help, has_effect, "{}", definition.name);
    }
    assert!(
        page.lines()
            .filter(|line| line.starts_with("| `"))
            .all(|line| line.replace("\\|", "").matches('|').count() == 5)
    );
}
