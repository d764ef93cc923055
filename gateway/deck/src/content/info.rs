//! The head of the files: `_info`, `_konnect`, `_workspace` and the like.

use super::Content;
use crate::error::Error;
use crate::kinds::Kind;
use serde_json::{Map, Value};

/// `_info`.
#[derive(Debug, Default)]
pub(crate) struct Info {
    pub select_tags: Vec<String>,
    pub lookup_tags: LookupTags,
    /// `defaults` by kind.
    defaults: Map<String, Value>,
    pub skips_password_hash: bool,
}

/// Entities with these tags can be referred to, and are left alone.
#[derive(Debug, Default)]
pub(crate) struct LookupTags(Vec<(Kind, Vec<String>)>);

impl LookupTags {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Kind, &[String])> {
        self.0.iter().map(|(kind, tags)| (*kind, tags.as_slice()))
    }

    pub(crate) fn concern(&self, kind: Kind) -> bool {
        self.0.iter().any(|(known, _)| *known == kind)
    }
}

impl Info {
    pub(crate) fn defaults_of(&self, kind: Kind) -> Option<&Map<String, Value>> {
        let name = match kind {
            Kind::Service => "service",
            Kind::Route => "route",
            Kind::Upstream => "upstream",
            Kind::Target => "target",
            _ => return None,
        };
        self.defaults.get(name)?.as_object()
    }
}

pub(super) fn content(mut root: Map<String, Value>) -> Result<Content, Error> {
    let mut content = Content {
        format_version: text(root.shift_remove("_format_version")),
        workspace: text(root.shift_remove("_workspace")),
        ..Content::default()
    };
    if root.shift_remove("_transform") == Some(Value::Bool(false)) {
        return Err(Error::input("_transform: false is not supported"));
    }
    if let Some(Value::Object(konnect)) = root.shift_remove("_konnect") {
        content.control_plane = control_plane(konnect)?;
    }
    if let Some(Value::Object(configs)) = root.shift_remove("_plugin_configs") {
        content.plugin_configs = configs;
    }
    if let Some(Value::Object(info)) = root.shift_remove("_info") {
        content.info = read_info(info)?;
    }
    content.entities = root;
    Ok(content)
}

fn text(value: Option<Value>) -> Option<String> {
    match value {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    }
}

fn control_plane(mut konnect: Map<String, Value>) -> Result<Option<String>, Error> {
    let name = text(konnect.shift_remove("control_plane_name"));
    let old_name = text(konnect.shift_remove("runtime_group_name"));
    if name.is_some() && old_name.is_some() {
        return Err(Error::input(
            "cannot set both runtime_group_name and control_plane_name. Please use only control_plane_name",
        ));
    }
    Ok(name.or(old_name))
}

fn read_info(info: Map<String, Value>) -> Result<Info, Error> {
    let mut read = Info::default();
    for (name, value) in info {
        match (name.as_str(), value) {
            ("select_tags", value) => read.select_tags = texts(&value),
            ("defaults", Value::Object(defaults)) => {
                check_defaults(&defaults)?;
                read.defaults = defaults;
            }
            ("default_lookup_tags", Value::Object(tags)) => read.lookup_tags = lookup_tags(&tags)?,
            ("skip_hash_for_basic_auth", value) => read.skips_password_hash = value == true,
            // What there is to tell about these two, servers without them answer themselves.
            ("consumer_group_policy_overrides" | "include_plugin_definitions", _) | (_, Value::Null) => {}
            (name, _) => return Err(Error::input(format!("_info: unknown field {name}"))),
        }
    }
    Ok(read)
}

fn texts(value: &Value) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for text in value.as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !texts.iter().any(|known| known == text) {
            texts.push(text.to_owned());
        }
    }
    texts
}

fn check_defaults(defaults: &Map<String, Value>) -> Result<(), Error> {
    for (name, fields) in defaults {
        let forbidden: [&str; 2] = match name.as_str() {
            "service" | "route" | "upstream" => ["id", "name"],
            "target" => ["id", "target"],
            "consumer_group" => continue,
            _ => return Err(Error::input(format!("_info.defaults: unknown field {name}"))),
        };
        if let Some(field) = forbidden.iter().find(|field| fields.get(**field).is_some()) {
            return Err(Error::input(format!(
                "_info.defaults: {field} cannot be set as a default for {name}"
            )));
        }
    }
    Ok(())
}

fn lookup_tags(tags: &Map<String, Value>) -> Result<LookupTags, Error> {
    let mut lookup = LookupTags::default();
    for (name, value) in tags {
        let kind = match name.as_str() {
            "consumers" => Kind::Consumer,
            "consumer_groups" => Kind::ConsumerGroup,
            "routes" => Kind::Route,
            "services" => Kind::Service,
            _ => {
                return Err(Error::input(format!(
                    "default_lookup_tags: {name} is not supported"
                )));
            }
        };
        let tags = texts(value);
        if tags.is_empty() {
            let what = name.replace('_', " ");
            return Err(
                Error::input(format!("global {what} specified but no global tags"))
                    .during(format!("error determining lookup selector tags for {what}")),
            );
        }
        lookup.0.push((kind, tags));
    }
    Ok(lookup)
}
