//! A loader with a few plugin kinds, and short ways to look at what it says.

use crate::declarative::{LoadOptions, Loaded, PluginSchema, PluginSchemas, PluginScopes, Source, load};
use crate::diagnostics::{Diagnostic, Diagnostics};
use std::collections::BTreeMap;
use tidegate_model::record;
use tidegate_model::schema::{Declared, EntityCheck, array, boolean, integer, map, record, string};

record! {
    /// Limits of the test plugin `rate-limiting`.
    pub struct RateLimiting {
        /// Requests in a second.
        pub second: Option<u32> = integer().gt(0.0),
        /// Requests in a minute.
        pub minute: Option<u32> = integer().gt(0.0),
        /// Where counters live.
        pub policy: String = string().one_of(["local", "redis"]).default("local"),
        /// Counts nothing when true.
        pub fault_tolerant: bool = boolean().required().default(true),
    }
    checks [ EntityCheck::AtLeastOneOf(&["config.second", "config.minute"]) ]
}

record! {
    /// Header edits of the test plugin `request-transformer`.
    pub struct Headers {
        /// `name:value` entries.
        pub headers: Vec<String> = array(string().referenceable()).required().default(Vec::<String>::new()),
    }
}

record! {
    /// Configuration of the test plugin `request-transformer`.
    pub struct RequestTransformer {
        /// What is added.
        pub add: Headers = record::<Headers>(),
        /// What is appended.
        pub append: Headers = record::<Headers>(),
    }
}

record! {
    /// Configuration of the test plugin `file-log`.
    pub struct FileLog {
        /// Target.
        pub path: String = string().required(),
        /// Lua by field.
        pub custom_fields_by_lua: Option<BTreeMap<String, String>> = map(string(), string()),
        /// A key to the log.
        pub token: Option<String> = string().secret().referenceable(),
    }
}

record! {
    /// Configuration without fields.
    pub struct Nothing {}
}

/// The kinds that the tests know.
pub(crate) struct TestPlugins;

const HTTP: &[&str] = &["grpc", "grpcs", "http", "https"];

impl PluginSchemas for TestPlugins {
    fn get(&self, name: &str) -> Option<PluginSchema> {
        let no_consumer = PluginScopes {
            consumer: false,
            consumer_group: false,
            ..PluginScopes::ALL
        };
        let (config, scopes) = match name {
            "rate-limiting" => (RateLimiting::schema(), PluginScopes::ALL),
            "request-transformer" => (RequestTransformer::schema(), PluginScopes::ALL),
            "file-log" => (FileLog::schema(), PluginScopes::ALL),
            "cors" => (
                Nothing::schema(),
                PluginScopes {
                    consumer: false,
                    ..PluginScopes::ALL
                },
            ),
            "key-auth" => (Nothing::schema(), no_consumer),
            _ => return None,
        };
        Some(PluginSchema {
            config,
            scopes,
            protocols: HTTP,
            takes_any_config: false,
            default_protocols: HTTP,
        })
    }

    fn names(&self) -> Vec<&str> {
        vec![
            "rate-limiting",
            "request-transformer",
            "file-log",
            "cors",
            "key-auth",
        ]
    }
}

/// Default options with a fixed clock.
pub(crate) fn options() -> LoadOptions<'static> {
    LoadOptions {
        now: Some(1_700_000_000.123),
        ..LoadOptions::new(&TestPlugins)
    }
}

/// The entities of a text under format 3.0, which must be faultless.
pub(crate) fn loaded(text: &str) -> Loaded {
    let text = format!("_format_version: \"3.0\"\n{text}");
    load(
        &Source {
            name: "test.yaml",
            bytes: text.as_bytes(),
        },
        &options(),
    )
    .unwrap_or_else(|faults| panic!("{faults}"))
}

/// The faults of a text under format 3.0. The line of the format version is line 0 here: `text` starts on line 1.
pub(crate) fn faults(text: &str) -> Diagnostics {
    let text = format!("_format_version: \"3.0\"\n{text}");
    let mut faults = load(
        &Source {
            name: "test.yaml",
            bytes: text.as_bytes(),
        },
        &options(),
    )
    .expect_err("faults");
    faults.items.iter_mut().for_each(|item| item.line -= 1);
    faults
}

/// The faults of a whole file.
pub(crate) fn faults_of_file(name: &str, bytes: &[u8]) -> Diagnostics {
    load(&Source { name, bytes }, &options()).expect_err("faults")
}

/// `line:column path: message`
pub(crate) fn line(item: &Diagnostic) -> String {
    format!("{}:{} {}: {}", item.line, item.column, item.path, item.message)
}

/// All faults, a line each.
pub(crate) fn lines(faults: &Diagnostics) -> Vec<String> {
    faults.items.iter().map(line).collect()
}
