//! `dump`.

use super::Outcome;
use super::opening::{open, workspaces};
use super::resetting::confirmed;
use super::syncing::SyncOptions;
use crate::client::{Client, Connection};
use crate::defaults::Schemas;
use crate::dump::{Style, content};
use crate::error::Error;
use crate::fetch::{self, Scope};
use crate::file_verbs::text_of;
use crate::kinds::Kind;
use crate::report::Terminal;
use crate::state::State;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::io::BufRead;
use std::path::{Path, PathBuf};

/// The form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// YAML.
    Yaml,
    /// JSON.
    Json,
}

/// Options of `dump`.
#[derive(Debug, Clone)]
pub struct DumpOptions {
    /// The file; `-` is standard output. The ending of the format is added where there is none.
    pub output: String,
    /// Its form.
    pub format: Format,
    /// Every entity keeps its id.
    pub with_ids: bool,
    /// One workspace.
    pub workspace: Option<String>,
    /// All workspaces, each in a file of its name.
    pub all_workspaces: bool,
    /// Entities without all of these are left out.
    pub select_tags: Vec<String>,
    /// Consumers, their groups and all that hangs on them are left out.
    pub skips_consumers: bool,
    /// CA certificates are left out.
    pub skips_ca_certificates: bool,
    /// Fields are left out that are as the server would fill them in.
    pub skips_defaults: bool,
    /// An existing file is overwritten without asking.
    pub assumes_yes: bool,
}

/// Writes the configuration of a gateway to a file.
///
/// # Errors
/// The Admin API does not answer, or the file cannot be written.
pub async fn dump(
    connection: &Connection,
    options: &DumpOptions,
    stdin: &mut dyn BufRead,
    terminal: &Terminal<'_>,
) -> Result<Outcome, Error> {
    let log = |text: &str| terminal.note(text);
    if !options.all_workspaces {
        let file = file(&options.output, options.format);
        if let Some(file) = file
            .as_deref()
            .filter(|file| file.exists() && !options.assumes_yes)
        {
            let question = format!(
                "File '{}' already exists. Do you want to overwrite it? ",
                file.display()
            );
            if !confirmed(&question, stdin, terminal)? {
                return Ok(Outcome::Done);
            }
        }
        let text = text(connection, options, options.workspace.as_deref(), terminal).await?;
        write(file.as_deref(), &text, terminal)?;
        return Ok(Outcome::Done);
    }
    for workspace in workspaces(connection, &log).await? {
        let text = text(connection, options, Some(&workspace), terminal).await?;
        write(file(&workspace, options.format).as_deref(), &text, terminal)?;
    }
    Ok(Outcome::Done)
}

async fn text(
    connection: &Connection,
    options: &DumpOptions,
    workspace: Option<&str>,
    terminal: &Terminal<'_>,
) -> Result<String, Error> {
    let log = |text: &str| terminal.note(text);
    let opened = open(connection, workspace, &log).await?;
    if opened.lacks_workspace {
        let name = workspace.unwrap_or_default();
        return Err(Error::input(format!("workspace '{name}' does not exist in Kong")));
    }
    let scope = Scope {
        tags: &options.select_tags,
        skips_consumers: options.skips_consumers,
        skips_ca_certificates: options.skips_ca_certificates,
        skips_memberships: false,
        parallelism: SyncOptions::PARALLELISM,
    };
    let state = fetch::current(&opened.client, scope).await?;
    if !state.rows(Kind::BasicAuth).is_empty() {
        terminal.note("Warning: basic-auth credentials detected, IDs will be exported");
    }
    let schemas = if options.skips_defaults {
        Some(schemas_of(&opened.client, &state).await?)
    } else {
        None
    };
    let style = Style {
        with_ids: options.with_ids,
        without: schemas.as_ref(),
    };
    let mut root = head(connection, options, workspace, opened.version.as_deref());
    let mut entities = content(&state, style);
    entities.sort_keys();
    root.extend(entities);
    Ok(text_of(root, options.format == Format::Json))
}

fn head(
    connection: &Connection,
    options: &DumpOptions,
    workspace: Option<&str>,
    version: Option<&str>,
) -> Map<String, Value> {
    let mut head = Map::new();
    let is_old = version.is_some_and(|version| version.starts_with(['0', '1', '2']));
    let format = if is_old { "1.1" } else { "3.0" };
    head.insert("_format_version".to_owned(), Value::from(format));
    let mut info = Map::new();
    if connection.konnect.is_some() {
        info.insert("defaults".to_owned(), json!({}));
    }
    if !options.select_tags.is_empty() {
        info.insert("select_tags".to_owned(), json!(options.select_tags));
    }
    if !info.is_empty() {
        head.insert("_info".to_owned(), Value::Object(info));
    }
    if let Some(konnect) = &connection.konnect {
        let name = konnect.control_plane();
        head.insert("_konnect".to_owned(), json!({ "control_plane_name": name }));
    }
    if let Some(workspace) = workspace {
        head.insert("_workspace".to_owned(), Value::from(workspace));
    }
    head
}

async fn schemas_of(client: &Client<'_>, state: &State) -> Result<Schemas, Error> {
    let kinds: BTreeSet<Kind> = Kind::ALL
        .into_iter()
        .filter(|kind| !state.rows(*kind).is_empty())
        .collect();
    let plugins: BTreeSet<String> = state
        .rows(Kind::Plugin)
        .iter()
        .filter_map(|plugin| plugin.text("name").map(str::to_owned))
        .collect();
    Schemas::fetch(client, &kinds, &plugins).await
}

/// None: standard output.
fn file(name: &str, format: Format) -> Option<PathBuf> {
    if name == "-" {
        return None;
    }
    let ending = match format {
        Format::Yaml => "yaml",
        Format::Json => "json",
    };
    let path = Path::new(name);
    Some(if path.extension().is_some() {
        path.to_owned()
    } else {
        path.with_extension(ending)
    })
}

fn write(file: Option<&Path>, text: &str, terminal: &Terminal<'_>) -> Result<(), Error> {
    let Some(file) = file else {
        return terminal.text(text);
    };
    write_private(file, text)
        .map_err(|error| Error::input(format!("{}: {error}", file.display())).during("writing file"))
}

/// Secrets stand in it.
#[cfg(unix)]
fn write_private(file: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = fs::OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    options.open(file)?.write_all(text.as_bytes())
}

#[cfg(not(unix))]
fn write_private(file: &Path, text: &str) -> std::io::Result<()> {
    fs::write(file, text)
}
