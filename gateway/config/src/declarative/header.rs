//! The keys of a file that are not entities: `_format_version`, `_transform`, `_info` and the like (kong-core B.1).

use super::report::{Fault, Report, key};
use serde_json::{Map, Value};
use tidegate_model::schema::PathSegment;

/// Versions of the format that can be read.
const FORMAT_VERSIONS: [&str; 3] = ["1.1", "2.1", "3.0"];
/// decK filters by at most this many tags.
const MAX_SELECT_TAGS: usize = 5;

/// What the head of the file says about the rest.
#[derive(Debug, Default)]
pub(super) struct Header {
    pub(super) format_version: String,
    /// Passwords are in clear and get hashed, digests are computed.
    pub(super) transforms: bool,
    /// Basic-auth passwords are hashes already (decK's `skip_hash_for_basic_auth`).
    pub(super) skips_password_hash: bool,
    /// Added to every entity.
    pub(super) select_tags: Vec<String>,
    pub(super) defaults: Defaults,
    /// Shared plugin configurations by name.
    pub(super) plugin_configs: Map<String, Value>,
    /// The file counts on entities that only a running gateway has.
    pub(super) looks_up_entities: bool,
}

/// `_info.defaults`.
#[derive(Debug, Default)]
pub(super) struct Defaults {
    service: Map<String, Value>,
    route: Map<String, Value>,
    upstream: Map<String, Value>,
    target: Map<String, Value>,
}

impl Defaults {
    pub(super) fn of(&self, collection: &str) -> Option<&Map<String, Value>> {
        let defaults = match collection {
            "services" => &self.service,
            "routes" => &self.route,
            "upstreams" => &self.upstream,
            "targets" => &self.target,
            _ => return None,
        };
        (!defaults.is_empty()).then_some(defaults)
    }
}

impl Header {
    /// Before format 3.0 a path was a regex when it looked like one.
    pub(super) fn marks_regex_paths(&self) -> bool {
        matches!(self.format_version.as_str(), "1.1" | "2.1")
    }
}

/// Takes the head out of the root; what is left is entities and unknown keys.
pub(super) fn take(root: &mut Map<String, Value>, report: &mut Report) -> Header {
    let mut header = Header {
        transforms: true,
        ..Header::default()
    };
    header.format_version = format_version(root.shift_remove("_format_version"), report);
    match root.shift_remove("_transform") {
        None | Some(Value::Null) => {}
        Some(Value::Bool(transforms)) => header.transforms = transforms,
        Some(_) => report.fault(Fault::new(vec![key("_transform")], "expected a boolean")),
    }
    take_notes(root, &[], report);
    if let Some(workspace) = root.shift_remove("_workspace") {
        expect_text(&workspace, vec![key("_workspace")], report);
        if workspace.as_str().is_some_and(|name| name != "default") {
            let warning = Fault::new(
                vec![key("_workspace")],
                "workspaces are not separated here: all entities share one space",
            );
            report.warn(warning.at_key());
        }
    }
    konnect(root.shift_remove("_konnect"), report);
    if let Some(configs) = root.shift_remove("_plugin_configs") {
        header.plugin_configs = plugin_configs(configs, report);
    }
    if let Some(info) = root.shift_remove("_info") {
        take_info(info, &mut header, report);
    }
    header
}

/// Removes `_comment` and `_ignore`, which are allowed everywhere.
pub(super) fn take_notes(members: &mut Map<String, Value>, path: &[PathSegment], report: &mut Report) {
    let under = |name: &str| path.iter().cloned().chain([key(name)]).collect::<Vec<_>>();
    if let Some(comment) = members.shift_remove("_comment") {
        expect_text(&comment, under("_comment"), report);
    }
    if let Some(ignored) = members.shift_remove("_ignore")
        && !matches!(ignored, Value::Array(_) | Value::Null)
    {
        report.fault(Fault::new(under("_ignore"), "expected an array"));
    }
}

fn expect_text(value: &Value, path: Vec<PathSegment>, report: &mut Report) {
    if !matches!(value, Value::String(_) | Value::Null) {
        report.fault(Fault::new(path, "expected a string"));
    }
}

fn format_version(value: Option<Value>, report: &mut Report) -> String {
    let path = vec![key("_format_version")];
    match value {
        None | Some(Value::Null) => {
            let fault = Fault::new(path, "required field missing");
            report.fault(fault.hint("start the file with `_format_version: \"3.0\"`"));
        }
        Some(Value::String(version)) if FORMAT_VERSIONS.contains(&version.as_str()) => return version,
        Some(Value::String(_)) => {
            report.fault(Fault::new(
                path,
                format!("expected one of: {}", FORMAT_VERSIONS.join(", ")),
            ));
        }
        Some(Value::Number(_)) => {
            report.fault(
                Fault::new(path, "expected a string")
                    .hint("put the version in quotes: `_format_version: \"3.0\"`"),
            );
        }
        Some(_) => report.fault(Fault::new(path, "expected a string")),
    }
    "3.0".to_owned()
}

fn konnect(value: Option<Value>, report: &mut Report) {
    match value {
        None | Some(Value::Null) => {}
        Some(Value::Object(members)) => {
            for (name, value) in &members {
                let path = vec![key("_konnect"), key(name)];
                match name.as_str() {
                    "control_plane_name" | "runtime_group_name" => expect_text(value, path, report),
                    _ => report.fault(Fault::new(path, "unknown field").at_key()),
                }
            }
        }
        Some(_) => report.fault(Fault::new(vec![key("_konnect")], "expected a record")),
    }
}

fn plugin_configs(value: Value, report: &mut Report) -> Map<String, Value> {
    match value {
        Value::Object(configs) => {
            for (name, _) in configs.iter().filter(|(_, config)| !config.is_object()) {
                report.fault(Fault::new(
                    vec![key("_plugin_configs"), key(name)],
                    "expected a record",
                ));
            }
            configs
        }
        Value::Null => Map::new(),
        _ => {
            report.fault(Fault::new(vec![key("_plugin_configs")], "expected a map"));
            Map::new()
        }
    }
}

fn take_info(info: Value, header: &mut Header, report: &mut Report) {
    let info = match info {
        Value::Object(info) => info,
        Value::Null => return,
        _ => return report.fault(Fault::new(vec![key("_info")], "expected a record")),
    };
    for (name, value) in info {
        let path = vec![key("_info"), key(&name)];
        match name.as_str() {
            "select_tags" => header.select_tags = select_tags(&value, &path, report),
            "defaults" => header.defaults = defaults(value, &path, report),
            "default_lookup_tags" => {
                header.looks_up_entities = value.as_object().is_some_and(|tags| !tags.is_empty());
                if !matches!(value, Value::Object(_) | Value::Null) {
                    report.fault(Fault::new(path, "expected a record"));
                }
            }
            "skip_hash_for_basic_auth" | "consumer_group_policy_overrides" | "include_plugin_definitions" => {
                match value {
                    Value::Bool(on) if name == "skip_hash_for_basic_auth" => header.skips_password_hash = on,
                    Value::Bool(_) | Value::Null => {}
                    _ => report.fault(Fault::new(path, "expected a boolean")),
                }
            }
            _ => report.fault(Fault::new(path, "unknown field").at_key()),
        }
    }
}

fn select_tags(value: &Value, path: &[PathSegment], report: &mut Report) -> Vec<String> {
    let at = |index: usize| {
        path.iter()
            .cloned()
            .chain([PathSegment::Index(index)])
            .collect::<Vec<_>>()
    };
    let list = match value {
        Value::Array(list) => list.as_slice(),
        Value::Null => &[],
        _ => {
            report.fault(Fault::new(path.to_vec(), "expected an array"));
            &[]
        }
    };
    let mut tags: Vec<String> = Vec::with_capacity(list.len());
    for (index, tag) in list.iter().enumerate() {
        match tag {
            Value::String(tag) if index >= MAX_SELECT_TAGS => {
                report.fault(Fault::new(
                    at(index),
                    format!("'{tag}' is one tag too many: at most {MAX_SELECT_TAGS} select tags"),
                ));
            }
            Value::String(tag) if !tags.contains(tag) => tags.push(tag.clone()),
            Value::String(_) => {}
            _ => report.fault(Fault::new(at(index), "expected a string")),
        }
    }
    tags
}

fn defaults(value: Value, path: &[PathSegment], report: &mut Report) -> Defaults {
    let mut defaults = Defaults::default();
    let members = match value {
        Value::Object(members) => members,
        Value::Null => return defaults,
        _ => {
            report.fault(Fault::new(path.to_vec(), "expected a record"));
            return defaults;
        }
    };
    for (name, value) in members {
        let path: Vec<PathSegment> = path.iter().cloned().chain([key(&name)]).collect();
        let (slot, forbidden): (_, &[&str]) = match name.as_str() {
            "service" => (&mut defaults.service, &["id", "name"]),
            "route" => (&mut defaults.route, &["id", "name"]),
            "upstream" => (&mut defaults.upstream, &["id", "name"]),
            "target" => (&mut defaults.target, &["id", "target"]),
            // decK accepts it; groups have no field that could have a default.
            "consumer_group" => continue,
            _ => {
                report.fault(Fault::new(path, "unknown field").at_key());
                continue;
            }
        };
        let Value::Object(mut fields) = value else {
            if !value.is_null() {
                report.fault(Fault::new(path, "expected a record"));
            }
            continue;
        };
        for field in forbidden {
            if fields.shift_remove(*field).is_some() {
                let path = path.iter().cloned().chain([key(field)]).collect();
                report.fault(Fault::new(path, format!("'{field}' cannot have a default")).at_key());
            }
        }
        *slot = fields;
    }
    defaults
}
