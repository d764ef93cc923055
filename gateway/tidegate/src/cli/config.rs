//! `tidegate config`: the settings in force, their defaults, their manual.

use super::Surroundings;
use super::arguments::{ConfigArguments, ConfigCommand, Format, ShowArguments};
use anyhow::Result;
use serde_json::json;
use tidegate_config::settings::{Effective, Origin, Settings, conf_default, limits, markdown};

pub(super) fn run(arguments: &ConfigArguments, surroundings: &mut Surroundings<'_>) -> Result<()> {
    match &arguments.command {
        ConfigCommand::Show(show) => {
            let settings = show.settings.load(surroundings)?;
            let text = shown(show, &settings);
            surroundings.stdout.write_all(text.as_bytes())?;
        }
        ConfigCommand::Defaults => surroundings.stdout.write_all(conf_default().as_bytes())?,
        ConfigCommand::Docs => surroundings.stdout.write_all(markdown().as_bytes())?,
        ConfigCommand::Limits => surroundings.stdout.write_all(limits().as_bytes())?,
    }
    Ok(())
}

fn shown(arguments: &ShowArguments, settings: &Settings) -> String {
    let is_wanted = |entry: &&Effective| !arguments.changed || entry.origin != Origin::Default;
    let entries: Vec<&Effective> = settings.effective().iter().filter(is_wanted).collect();
    match arguments.format {
        Format::Text => entries.iter().map(|entry| line(entry)).collect(),
        Format::Json => {
            let items: Vec<_> = entries
                .iter()
                .map(|entry| {
                    json!({
                        "name": entry.definition.name,
                        "value": entry.shown(),
                        "origin": origin(&entry.origin),
                        "group": entry.definition.group,
                    })
                })
                .collect();
            format!("{:#}\n", json!(items))
        }
    }
}

/// A line that is legal in a settings file: the origin is a comment.
fn line(entry: &Effective) -> String {
    let value = entry.shown().replace('#', "\\#").replace('\n', " ");
    format!("{} = {value}  # {}\n", entry.definition.name, entry.origin)
}

fn origin(origin: &Origin) -> serde_json::Value {
    match origin {
        Origin::Default => json!({ "source": "default" }),
        Origin::File { name, line } => json!({ "source": "file", "file": name, "line": line }),
        Origin::Environment { variable } => json!({ "source": "environment", "variable": variable }),
        Origin::Flag => json!({ "source": "command line" }),
    }
}
