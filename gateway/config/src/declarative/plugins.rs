//! Plugin entries: is there such a plugin, does it take this scope, and is its configuration right?

use super::assemble::{Assembler, Broken};
use super::flatten::{Drafts, nearest};
use super::report::{Fault, key};
use serde_json::{Map, Value};
use tidegate_model::schema::{PathSegment, RecordSchema};

mod names;

/// What the loader asks about plugin kinds.
pub trait PluginSchemas: Sync {
    /// The kind of that name, if this build has it and it is enabled.
    fn get(&self, name: &str) -> Option<PluginSchema>;
    /// What an entry of a filter is held against that is not there and need not be (`tidegate.failure_policy: open`).
    fn absent_filter(&self) -> Option<PluginSchema> {
        None
    }
    /// All names, for hints.
    fn names(&self) -> Vec<&str>;
}

/// One plugin kind, as far as its configuration goes.
#[derive(Debug, Clone, Copy)]
pub struct PluginSchema {
    /// Table of `config`.
    pub config: &'static RecordSchema,
    /// `config` may be anything, and the table is empty.
    pub takes_any_config: bool,
    /// Scopes that an entry may set.
    pub scopes: PluginScopes,
    /// What `protocols` may hold.
    pub protocols: &'static [&'static str],
    /// What `protocols` is when it is left out.
    pub default_protocols: &'static [&'static str],
}

/// Which scopes a plugin kind accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each field says whether that scope is accepted"
)]
pub struct PluginScopes {
    /// `service` may be set.
    pub service: bool,
    /// `route` may be set.
    pub route: bool,
    /// `consumer` may be set.
    pub consumer: bool,
    /// `consumer_group` may be set.
    pub consumer_group: bool,
}

impl PluginScopes {
    /// Every scope.
    pub const ALL: Self = Self {
        service: true,
        route: true,
        consumer: true,
        consumer_group: true,
    };

    /// Names of the scopes that it does not accept.
    pub fn refused(self) -> impl Iterator<Item = &'static str> {
        let all = [
            ("service", self.service),
            ("route", self.route),
            ("consumer", self.consumer),
            ("consumer_group", self.consumer_group),
        ];
        all.into_iter()
            .filter(|(_, accepted)| !accepted)
            .map(|(name, _)| name)
    }
}

/// Checks one entry: the entity by its own table, `config` by that of its kind.
pub(super) fn check(
    cx: &mut Assembler<'_>,
    drafts: &Drafts,
    at: usize,
    mut input: Map<String, Value>,
) -> Option<Map<String, Value>> {
    let has_config_source = share_config(cx, drafts, at, &mut input);
    let Some(schema) = schema_of_entry(cx.options.plugins, &input) else {
        if let Some(name) = input.get("name").and_then(Value::as_str).map(str::to_owned) {
            report_unknown(cx, drafts, at, &name);
        }
        let entity = drafts.list.get(at)?.entity;
        cx.check(drafts, at, entity.schema(), input);
        return None;
    };
    let mut is_right = has_config_source;
    for scope in schema.scopes.refused() {
        if input.get(scope).is_some_and(|value| !value.is_null()) {
            let fault = Fault::new(drafts.field_path(at, scope), "value must be null").of(drafts.place(at));
            let name = input.get("name").and_then(Value::as_str).unwrap_or_default();
            cx.report.fault(fault.hint(format!(
                "'{name}' cannot be attached to a {}",
                scope.replace('_', " ")
            )));
            is_right = false;
        }
    }
    if input.get("protocols").is_none_or(Value::is_null) {
        input.insert("protocols".to_owned(), schema.default_protocols.to_vec().into());
    } else {
        is_right &= check_protocols(cx, drafts, at, &input, schema.protocols);
    }
    let config = match input.shift_remove("config") {
        None | Some(Value::Null) => Some(Map::new()),
        Some(Value::Object(config)) if !schema.takes_any_config => Some(config),
        Some(config) if schema.takes_any_config => {
            let entity = drafts.list.get(at)?.entity;
            let mut record = cx.check(drafts, at, entity.schema(), input)?;
            record.insert("config".to_owned(), config);
            return is_right.then_some(record);
        }
        Some(_) => {
            cx.report
                .fault(Fault::new(drafts.field_path(at, "config"), "expected a record").of(drafts.place(at)));
            None
        }
    };
    let config = config.and_then(|config| check_config(cx, drafts, at, &schema, config));
    let entity = drafts.list.get(at)?.entity;
    let mut record = cx.check(drafts, at, entity.schema(), input)?;
    record.insert("config".to_owned(), Value::Object(config?));
    is_right.then_some(record)
}

/// What an entry of `plugins` is held against, or none when there is no such plugin.
pub fn schema_of_entry(plugins: &dyn PluginSchemas, entry: &Map<String, Value>) -> Option<PluginSchema> {
    let name = entry.get("name").and_then(Value::as_str);
    name.and_then(|name| plugins.get(name))
        .filter(|_| !names_module(entry))
        .or_else(|| {
            let absent = plugins.absent_filter();
            absent.filter(|_| may_be_absent(entry) || names_module(entry))
        })
}

/// Whether an entry names the module of its filter: what is installed under its name says nothing of its configuration.
fn names_module(input: &Map<String, Value>) -> bool {
    let options = input.get("tidegate").and_then(Value::as_object);
    options.is_some_and(|options| options.contains_key("module"))
}

/// Whether an entry says that requests go on without its filter.
fn may_be_absent(input: &Map<String, Value>) -> bool {
    let options = input.get("tidegate").and_then(Value::as_object);
    options.and_then(|options| options.get("failure_policy")) == Some(&Value::from("open"))
}

/// Merges the configuration that `_config` names; what the entry says itself comes first. Whether all went well.
fn share_config(cx: &mut Assembler<'_>, drafts: &Drafts, at: usize, input: &mut Map<String, Value>) -> bool {
    let Some(name) = input.shift_remove("_config") else {
        return true;
    };
    let shared = match &name {
        Value::Null => return true,
        Value::String(name) => cx.header.plugin_configs.get(name),
        _ => {
            cx.report.fault(
                Fault::new(drafts.field_path(at, "_config"), "expected a string").of(drafts.place(at)),
            );
            return false;
        }
    };
    let Some(Value::Object(shared)) = shared else {
        let name = name.as_str().unwrap_or_default();
        let text = format!("invalid reference '_config: {name}' (no such entry in '_plugin_configs')");
        let hint = nearest(name, cx.header.plugin_configs.keys().map(String::as_str));
        cx.report.fault(
            Fault::new(drafts.field_path(at, "_config"), text)
                .maybe_hint(hint)
                .of(drafts.place(at)),
        );
        return false;
    };
    let own = input.entry("config").or_insert(Value::Null);
    if own.is_null() {
        *own = Value::Object(Map::new());
    }
    if let Value::Object(own) = own {
        for (name, value) in shared {
            if !own.contains_key(name) {
                own.insert(name.clone(), value.clone());
            }
        }
    }
    true
}

fn report_unknown(cx: &mut Assembler<'_>, drafts: &Drafts, at: usize, name: &str) {
    let text = format!("plugin '{name}' not enabled; add it to the 'plugins' configuration property");
    let hint = names::hint(name).or_else(|| nearest(name, cx.options.plugins.names()));
    let fault = Fault::new(drafts.field_path(at, "name"), text)
        .maybe_hint(hint)
        .of(drafts.place(at));
    cx.report.fault(fault);
}

fn check_protocols(
    cx: &mut Assembler<'_>,
    drafts: &Drafts,
    at: usize,
    input: &Map<String, Value>,
    allowed: &[&str],
) -> bool {
    let refused = refused_protocols(input, allowed);
    for (index, text) in &refused {
        let mut path = drafts.field_path(at, "protocols");
        path.push(PathSegment::Index(*index));
        cx.report
            .fault(Fault::new(path, text.clone()).of(drafts.place(at)));
    }
    refused.is_empty()
}

/// Positions in `protocols` of those that a plugin cannot serve, with the text. Unknown ones are left to the table.
#[must_use]
pub fn refused_protocols(entry: &Map<String, Value>, allowed: &[&str]) -> Vec<(usize, String)> {
    let protocols = entry.get("protocols").and_then(Value::as_array);
    let protocols = protocols.into_iter().flatten().enumerate();
    protocols
        .filter(|(_, protocol)| {
            let known = &tidegate_model::entities::Protocol::ALL;
            known.iter().any(|known| protocol == known) && !allowed.iter().any(|allowed| protocol == allowed)
        })
        .map(|(index, _)| (index, format!("expected one of: {}", allowed.join(", "))))
        .collect()
}

fn check_config(
    cx: &mut Assembler<'_>,
    drafts: &Drafts,
    at: usize,
    schema: &PluginSchema,
    mut config: Map<String, Value>,
) -> Option<Map<String, Value>> {
    let has_lua = refuse_lua_fields(cx, drafts, at, &config);
    let mut processed = schema.config.process_config(&config, &cx.options.context);
    if cx.document.has_legacy_booleans() && !processed.violations.is_empty() {
        let mut wrapped = Map::from_iter([("config".to_owned(), Value::Object(std::mem::take(&mut config)))]);
        let changed = cx.mend_booleans(&drafts.path(at), &mut wrapped, &processed);
        if let Some(Value::Object(mended)) = wrapped.shift_remove("config") {
            config = mended;
        }
        if changed {
            processed = schema.config.process_config(&config, &cx.options.context);
        }
    }
    let mut is_right = !has_lua;
    for violation in processed.violations {
        let is_lua =
            matches!(violation.path.as_slice(), [_, PathSegment::Key(field), ..] if field == LUA_FIELD);
        if is_lua && has_lua {
            continue;
        }
        is_right = false;
        config_violation(cx, drafts, at, schema.config, &config, violation);
    }
    is_right.then_some(processed.value)
}

/// Reports with hints from the table of the configuration, whose paths lack the leading `config`.
fn config_violation(
    cx: &mut Assembler<'_>,
    drafts: &Drafts,
    at: usize,
    schema: &RecordSchema,
    config: &Map<String, Value>,
    mut violation: tidegate_model::schema::Violation,
) {
    let is_in_config = matches!(violation.path.first(), Some(PathSegment::Key(first)) if first == "config");
    if !is_in_config {
        return cx.violation(drafts, at, schema, config, violation);
    }
    violation.path.remove(0);
    let record = Broken {
        base: drafts.field_path(at, "config"),
        schema,
        input: config,
    };
    cx.report_violation(drafts, at, &record, violation);
}

/// The field of a configuration that holds Lua.
pub const LUA_FIELD: &str = "custom_fields_by_lua";

/// Whether a configuration counts on Lua.
#[must_use]
pub fn has_lua_fields(config: &Map<String, Value>) -> bool {
    match config.get(LUA_FIELD) {
        Some(Value::Object(fields)) => !fields.is_empty(),
        _ => false,
    }
}

/// Lua is not run here; silence would lose log fields that somebody counts on.
fn refuse_lua_fields(
    cx: &mut Assembler<'_>,
    drafts: &Drafts,
    at: usize,
    config: &Map<String, Value>,
) -> bool {
    let has_lua = has_lua_fields(config);
    if has_lua {
        let mut path = drafts.field_path(at, "config");
        path.push(key(LUA_FIELD));
        let fault = Fault::new(path, "Lua code is not supported")
            .at_key()
            .of(drafts.place(at));
        cx.report
            .fault(fault.hint("remove the field; a Wasm filter can add fields to the log record"));
    }
    has_lua
}
