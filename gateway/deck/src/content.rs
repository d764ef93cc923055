//! State files: found, filled in, read, checked and merged into one content.

mod check;
mod files;
mod info;

pub(crate) use info::Info;

use crate::error::Error;
use crate::template;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::io::Read;
use tidegate_config::declarative::{self, Limits};

/// What stands for variables in files.
#[derive(Debug, Clone, Copy)]
pub enum Variables<'e> {
    /// Their values in an environment.
    Filled(&'e BTreeMap<String, String>),
    /// Their names, for checks where there are no values.
    Named,
    /// They stay as they are.
    Kept,
}

/// The merged content of all files.
#[derive(Debug, Default)]
pub(crate) struct Content {
    /// Lists of entities by collection, as they were written.
    pub entities: Map<String, Value>,
    pub info: Info,
    pub workspace: Option<String>,
    pub control_plane: Option<String>,
    pub format_version: Option<String>,
    /// Shared plugin configurations by name.
    pub plugin_configs: Map<String, Value>,
}

/// Reads files and folders; `-` is standard input.
///
/// # Errors
/// Everything that is wrong with any of them.
pub(crate) fn read(
    paths: &[String],
    stdin: &mut dyn Read,
    variables: Variables<'_>,
) -> Result<Content, Error> {
    let root = read_root(paths, stdin, variables)?;
    info::content(root)
}

/// Reads and merges files without looking at what their head says.
pub(crate) fn read_root(
    paths: &[String],
    stdin: &mut dyn Read,
    variables: Variables<'_>,
) -> Result<Map<String, Value>, Error> {
    let mut merged = Map::new();
    let mut faults = Vec::new();
    let mut scopes = Scopes::default();
    for file in files::read_all(paths, stdin)? {
        match one(&file, variables) {
            Ok(root) => {
                scopes.note(&root);
                merge(&mut merged, root);
            }
            Err(fault) => faults.push(fault.during(format!("reading file {}", file.name))),
        }
    }
    if !faults.is_empty() {
        return Err(Error::Several(faults));
    }
    scopes.check()?;
    if merged.is_empty() {
        return Err(Error::input(EMPTY));
    }
    Ok(merged)
}

const EMPTY: &str = "it seems like you are trying to sync an empty configuration file or directory. That would lead to \
                     the removal of the default workspace. Please make sure that the file or directory you are trying \
                     to sync references a workspace";

fn one(file: &files::File, variables: Variables<'_>) -> Result<Map<String, Value>, Error> {
    let text = match variables {
        Variables::Filled(environment) => {
            template::render(&file.text, template::Source::Environment(environment))
        }
        Variables::Named => template::render(&file.text, template::Source::Names),
        Variables::Kept => Ok(file.text.clone()),
    };
    let text = text.map_err(|fault| Error::input(fault).during("parsing file"))?;
    if text.starts_with(' ') {
        return Err(Error::input("file must not begin with a whitespace"));
    }
    let source = declarative::Source {
        name: &file.name,
        bytes: text.as_bytes(),
    };
    let unmarshaling = "validating file content: unmarshaling file content";
    let value = declarative::parse(&source, &Limits::default())
        .map_err(|faults| Error::input(faults.to_string().trim_end()).during(unmarshaling))?;
    let mut root = match value {
        Value::Object(root) => root,
        Value::Null => Map::new(),
        _ => return Err(Error::input("expected an object").during(unmarshaling)),
    };
    let faults = check::faults(&mut root);
    if faults.is_empty() {
        Ok(root)
    } else {
        Err(Error::Several(faults).during("validating file content"))
    }
}

/// Workspaces and control planes that files name: there may be one of each.
#[derive(Default)]
struct Scopes {
    workspaces: Vec<String>,
    control_planes: Vec<String>,
}

impl Scopes {
    fn note(&mut self, root: &Map<String, Value>) {
        let mut add = |list: fn(&mut Self) -> &mut Vec<String>, name: Option<&Value>| {
            let name = name.and_then(Value::as_str).unwrap_or_default();
            let list = list(self);
            if !name.is_empty() && !list.iter().any(|known| known == name) {
                list.push(name.to_owned());
            }
        };
        add(|scopes| &mut scopes.workspaces, root.get("_workspace"));
        let konnect = root.get("_konnect");
        for key in ["control_plane_name", "runtime_group_name"] {
            add(
                |scopes| &mut scopes.control_planes,
                konnect.and_then(|konnect| konnect.get(key)),
            );
        }
    }

    fn check(&self) -> Result<(), Error> {
        let several = |what: &str, names: &[String]| {
            Error::input(format!(
                "it seems like you are trying to sync multiple {what} at the same time ([{}]).\nThis is not supported, \
                 please sync one at a time",
                names.join(" ")
            ))
        };
        if self.workspaces.len() > 1 {
            return Err(several("workspaces", &self.workspaces));
        }
        if self.control_planes.len() > 1 {
            return Err(several("Konnect control planes", &self.control_planes));
        }
        Ok(())
    }
}

/// Lists are appended, objects merged; of two single values the first stays.
pub(crate) fn merge(into: &mut Map<String, Value>, from: Map<String, Value>) {
    for (name, value) in from {
        match (into.get_mut(&name), value) {
            (Some(Value::Array(list)), Value::Array(more)) => list.extend(more),
            (Some(Value::Object(members)), Value::Object(more)) => merge(members, more),
            (None | Some(Value::Null), value) => {
                into.insert(name, value);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
