//! `reset`.

use super::opening::{open, workspaces};
use super::syncing::finish;
use super::{Outcome, SyncOptions};
use crate::carry_out::{Pace, carry_out};
use crate::client::Connection;
use crate::defaults::Schemas;
use crate::error::Error;
use crate::fetch::{self, Scope};
use crate::plan::{Sides, plan};
use crate::report::{Report, Terminal};
use crate::state::State;
use std::io::BufRead;
use std::time::Duration;

/// Options of `reset`.
#[derive(Debug, Clone, Default)]
pub struct ResetOptions {
    /// Nobody is asked.
    pub is_forced: bool,
    /// One workspace.
    pub workspace: Option<String>,
    /// All workspaces, one after the other.
    pub all_workspaces: bool,
    /// Entities without all of these stay.
    pub select_tags: Vec<String>,
    /// Consumers, their groups and all that hangs on them stay.
    pub skips_consumers: bool,
    /// CA certificates stay.
    pub skips_ca_certificates: bool,
    /// One JSON object is printed in place of lines.
    pub json_output: bool,
}

/// Deletes all entities, or those with the tags given.
///
/// # Errors
/// What the Admin API refused.
pub async fn reset(
    connection: &Connection,
    options: &ResetOptions,
    stdin: &mut dyn BufRead,
    terminal: &Terminal<'_>,
) -> Result<Outcome, Error> {
    if options.all_workspaces && options.workspace.is_some() {
        return Err(Error::input(
            "workspace cannot be specified with --all-workspace flag",
        ));
    }
    let question = "This will delete all configuration from Kong's database.\n> Are you sure? ";
    if !options.is_forced && !confirmed(question, stdin, terminal)? {
        return Ok(Outcome::Done);
    }
    let log = |text: &str| terminal.note(text);
    let names = if options.all_workspaces {
        workspaces(connection, &log)
            .await?
            .into_iter()
            .map(Some)
            .collect()
    } else {
        vec![options.workspace.clone()]
    };
    for workspace in names {
        let opened = open(connection, workspace.as_deref(), &log).await?;
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
        let current = fetch::current(&opened.client, scope).await?;
        let stages = plan(&Sides {
            current: &current,
            target: &State::default(),
            lookups: &State::default(),
            schemas: &Schemas::default(),
            keeps_others: false,
        });
        let pace = Pace {
            parallelism: SyncOptions::PARALLELISM,
            is_dry: false,
            delay: Duration::ZERO,
            retry_after: SyncOptions::RETRY_AFTER,
            skips_password_hash: false,
        };
        let report = Report::new(terminal, None, options.json_output, false);
        let carried = carry_out(&opened.client, stages, pace, &report).await;
        finish(carried, &report, false)?;
    }
    Ok(Outcome::Done)
}

/// Asks until there is an answer; no answer is a no.
pub(super) fn confirmed(
    question: &str,
    stdin: &mut dyn BufRead,
    terminal: &Terminal<'_>,
) -> Result<bool, Error> {
    const TRIES: usize = 5;
    for _ in 0..TRIES {
        terminal.text(question)?;
        let mut answer = String::new();
        if stdin.read_line(&mut answer)? == 0 {
            return Ok(false);
        }
        match answer.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => return Ok(true),
            "n" | "no" => return Ok(false),
            _ => {}
        }
    }
    Ok(false)
}
