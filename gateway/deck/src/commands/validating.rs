//! `validate`: every entity of the files, put to the server's own checks.

use super::Outcome;
use super::opening::open;
use super::syncing::{check_format, lookups, schemas_for, with_control_plane};
use crate::client::{Client, Connection};
use crate::content::{self, Variables};
use crate::error::Error;
use crate::kinds::Kind;
use crate::label::own_name;
use crate::report::Terminal;
use crate::state::{Entity, State};
use crate::target::{self, Surroundings};
use futures_util::{StreamExt, stream};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Read;

/// Options of `validate`.
#[derive(Debug, Clone)]
pub struct ValidateOptions {
    /// Files and folders; `-` is standard input.
    pub files: Vec<String>,
    /// In place of the one that the files name.
    pub workspace: Option<String>,
    /// Lists that are checked; empty: all.
    pub collections: Vec<String>,
    /// Requests at a time, at least 1.
    pub parallelism: usize,
}

/// Checks files against a server without writing anything.
///
/// # Errors
/// Every entity that the server would refuse.
pub async fn validate(
    connection: &Connection,
    options: &ValidateOptions,
    environment: &BTreeMap<String, String>,
    stdin: &mut dyn Read,
    terminal: &Terminal<'_>,
) -> Result<Outcome, Error> {
    let mut content = content::read(&options.files, stdin, Variables::Filled(environment))?;
    let connection = with_control_plane(connection, &content, terminal)?;
    let workspace = options.workspace.clone().or_else(|| content.workspace.clone());
    let log = |text: &str| terminal.note(text);
    let opened = open(&connection, workspace.as_deref(), &log).await?;
    check_format(opened.version.as_deref(), content.format_version.as_deref())?;
    let lookups = lookups(&opened.client, &content).await?;
    let drafts = target::drafts(&mut content)?;
    let schemas = schemas_for(&opened.client, &drafts).await?;
    let target = target::build(
        drafts,
        &Surroundings {
            current: &State::default(),
            lookups: &[&lookups],
            schemas: &schemas,
            info: &content.info,
            tags: &content.info.select_tags,
        },
    )?;
    let plain = |name: &str| name.replace(['-', '_'], "").to_ascii_lowercase();
    let chosen = |kind: &Kind| {
        let own = plain(kind.row().collection);
        let is_named =
            options.collections.is_empty() || options.collections.iter().any(|name| plain(name) == own);
        // Who may be in a group is not a matter of fields.
        *kind != Kind::Membership && is_named
    };
    let entities = Kind::ALL
        .into_iter()
        .filter(chosen)
        .flat_map(|kind| target.rows(kind));
    let checks = stream::iter(entities).map(|entity| check(&opened.client, entity));
    let answers = checks
        .buffered(options.parallelism.max(1))
        .collect::<Vec<_>>()
        .await;
    let faults: Vec<Error> = answers.into_iter().filter_map(Result::err).collect();
    if faults.is_empty() {
        Ok(Outcome::Done)
    } else {
        Err(Error::Several(faults))
    }
}

async fn check(client: &Client<'_>, entity: &Entity) -> Result<(), Error> {
    let collection = entity.kind.row().collection;
    let body = Value::Object(entity.body.clone());
    match client
        .post(&format!("/schemas/{collection}/validate"), &body)
        .await
    {
        // The server has no such kind to check.
        Err(error) if error.status() == Some(404) => Ok(()),
        checked => checked
            .map_err(|error| error.during(format!("validate entity '{collection} ({})'", own_name(entity)))),
    }
}
