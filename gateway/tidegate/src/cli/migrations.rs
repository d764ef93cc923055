//! `tidegate migrations`: the tables in PostgreSQL.

use super::arguments::{MigrationsCommand, SettingsArguments};
use super::{Outcome, Surroundings};
use crate::entity_store::postgres_settings;
use anyhow::{Context, Result, bail};
use tidegate_store::{MigrationState, Migrator};

pub(super) fn run(command: &MigrationsCommand, surroundings: &mut Surroundings<'_>) -> Result<Outcome> {
    match command {
        MigrationsCommand::Bootstrap(settings) => {
            let done = connect(settings, surroundings)?.bootstrap()?;
            tell(
                surroundings,
                &done,
                "the database is prepared",
                "the database was prepared before",
            )?;
        }
        MigrationsCommand::Up(settings) => {
            let done = connect(settings, surroundings)?.up()?;
            let text = "begun; run `tidegate migrations finish` once every node runs this release";
            tell(surroundings, &done, text, "the database is up to date")?;
        }
        MigrationsCommand::Finish(settings) => {
            let done = connect(settings, surroundings)?.finish()?;
            tell(surroundings, &done, "finished", "nothing is pending")?;
        }
        MigrationsCommand::List(settings) => {
            let state = connect(settings, surroundings)?.state()?;
            return list(&state, surroundings);
        }
        MigrationsCommand::Reset(reset) => {
            if !reset.yes {
                bail!("this deletes all entities in the database; say `--yes` if that is meant");
            }
            let was_there = connect(&reset.settings, surroundings)?.reset()?;
            let text = if was_there {
                "deleted"
            } else {
                "there was nothing to delete"
            };
            writeln!(surroundings.stdout, "{text}")?;
        }
    }
    Ok(Outcome::Done)
}

fn connect(settings: &SettingsArguments, surroundings: &mut Surroundings<'_>) -> Result<Migrator> {
    let settings = settings.load(surroundings)?;
    let postgres = postgres_settings(&settings)?;
    Migrator::connect(postgres).context("cannot reach the database; see the settings `pg_host` to `pg_ssl`")
}

fn tell(surroundings: &mut Surroundings<'_>, done: &[&str], text: &str, nothing: &str) -> Result<()> {
    for step in done {
        writeln!(surroundings.stdout, "  {step}")?;
    }
    let text = if done.is_empty() { nothing } else { text };
    writeln!(surroundings.stdout, "{text}")?;
    Ok(())
}

fn list(state: &MigrationState, surroundings: &mut Surroundings<'_>) -> Result<Outcome> {
    if !state.is_bootstrapped {
        writeln!(
            surroundings.stdout,
            "the database is not prepared: run `tidegate migrations bootstrap`"
        )?;
        return Ok(Outcome::FoundFaults);
    }
    let groups = [
        ("done", &state.executed),
        ("pending, to be finished", &state.pending),
        ("new, to be begun", &state.new),
        ("of a newer release", &state.unknown),
    ];
    for (title, steps) in groups.iter().filter(|(_, steps)| !steps.is_empty()) {
        writeln!(surroundings.stdout, "{title}:")?;
        for step in *steps {
            writeln!(surroundings.stdout, "  {step}")?;
        }
    }
    let is_done = state.pending.is_empty() && state.new.is_empty();
    Ok(if is_done {
        Outcome::Done
    } else {
        Outcome::FoundFaults
    })
}
