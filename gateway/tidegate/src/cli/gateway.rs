//! `tidegate gateway …`: decK's verbs against the Admin API of any Kong-compatible gateway.

mod arguments;
mod layers;

pub(super) use arguments::GatewayArguments;

use super::{Outcome, Surroundings};
use anyhow::Result;
use arguments::{
    DumpArguments, GatewayCommand, PingArguments, ResetArguments, SyncArguments, ValidateArguments,
};
use layers::Layers;
use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal};
use std::time::Duration;
use tidegate_deck::{
    Connection, DumpOptions, Error, Format, ResetOptions, SyncOptions, Terminal, ValidateOptions, Verb,
};

/// Runs the command. Errors are printed as decK prints them.
pub(super) fn run(arguments: &GatewayArguments, surroundings: &mut Surroundings<'_>) -> Result<Outcome> {
    let environment: BTreeMap<String, String> = surroundings.environment.iter().cloned().collect();
    let result = {
        let mut terminal = Terminal::new(&mut *surroundings.stdout, &mut *surroundings.stderr);
        carry_out(arguments, environment, &mut terminal)
    };
    match result {
        Ok(tidegate_deck::Outcome::Done) => Ok(Outcome::Done),
        Ok(tidegate_deck::Outcome::Differs) => Ok(Outcome::FoundDifferences),
        Err(error) if error.is_broken_pipe() => Ok(Outcome::Done),
        Err(error) => {
            writeln!(surroundings.stderr, "Error: {}", error.to_string().trim_end())?;
            Ok(Outcome::FoundFaults)
        }
    }
}

fn carry_out(
    arguments: &GatewayArguments,
    environment: BTreeMap<String, String>,
    terminal: &mut Terminal<'_>,
) -> Result<tidegate_deck::Outcome, Error> {
    let layers = Layers::new(&arguments.connection, environment)?;
    let connection = layers.connection()?;
    terminal.has_colours = !layers.is_on("no-color")? && std::io::stdout().is_terminal();
    // Lines and a progress bar on one terminal would run into each other.
    terminal.shows_progress = std::io::stderr().is_terminal() && !std::io::stdout().is_terminal();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut stdin = std::io::stdin().lock();
    runtime.block_on(dispatch(
        &arguments.command,
        &connection,
        &layers,
        &mut stdin,
        terminal,
    ))
}

async fn dispatch(
    command: &GatewayCommand,
    connection: &Connection,
    layers: &Layers<'_>,
    mut stdin: &mut dyn BufRead,
    terminal: &Terminal<'_>,
) -> Result<tidegate_deck::Outcome, Error> {
    let environment = layers.environment();
    match command {
        GatewayCommand::Ping(PingArguments { workspace }) => {
            tidegate_deck::ping(connection, workspace.as_deref(), terminal).await?;
            Ok(tidegate_deck::Outcome::Done)
        }
        GatewayCommand::Sync(sync) => {
            let options = sync_options(Verb::Sync, sync)?;
            tidegate_deck::sync(connection, &options, environment, &mut stdin, terminal).await
        }
        GatewayCommand::Diff(diff) => {
            let mut options = sync_options(Verb::Diff, &diff.sync)?;
            options.non_zero_exit_code = diff.non_zero_exit_code;
            tidegate_deck::sync(connection, &options, environment, &mut stdin, terminal).await
        }
        GatewayCommand::Apply(apply) => {
            let options = sync_options(Verb::Apply, apply)?;
            tidegate_deck::sync(connection, &options, environment, &mut stdin, terminal).await
        }
        GatewayCommand::Dump(dump) => {
            let options = dump_options(dump, layers)?;
            tidegate_deck::dump(connection, &options, stdin, terminal).await
        }
        GatewayCommand::Reset(reset) => {
            let options = reset_options(reset)?;
            tidegate_deck::reset(connection, &options, stdin, terminal).await
        }
        GatewayCommand::Validate(validate) => {
            let options = validate_options(validate)?;
            tidegate_deck::validate(connection, &options, environment, &mut stdin, terminal).await
        }
    }
}

/// Roles of Kong's Enterprise edition are nothing that this client keeps.
fn refuse_roles(only_roles: bool) -> Result<(), Error> {
    if only_roles {
        return Err(Error::Input("--rbac-resources-only is not supported".to_owned()));
    }
    Ok(())
}

fn sync_options(verb: Verb, sync: &SyncArguments) -> Result<SyncOptions, Error> {
    refuse_roles(sync.rbac_resources_only)?;
    if verb == Verb::Apply && !sync.select_tag.is_empty() {
        return Err(Error::Input(
            "apply takes no --select-tag: tags of the files' _info are honoured".to_owned(),
        ));
    }
    Ok(SyncOptions {
        workspace: sync.workspace.clone(),
        select_tags: sync.select_tag.clone(),
        parallelism: sync.parallelism,
        skips_consumers: sync.skip_consumers,
        skips_memberships: sync.skip_consumers_with_consumer_groups,
        skips_ca_certificates: sync.skip_ca_certificates,
        delay: Duration::from_secs(sync.db_update_propagation_delay),
        json_output: sync.json_output,
        silences_events: sync.silence_events,
        shows_variables: sync.no_mask_deck_env_vars_value,
        skips_password_hash: sync.skip_hash_for_basic_auth,
        ..SyncOptions::new(verb, files(&sync.files))
    })
}

/// Standard input, unless files are named.
fn files(named: &[String]) -> Vec<String> {
    if named.is_empty() {
        vec!["-".to_owned()]
    } else {
        named.to_vec()
    }
}

fn dump_options(dump: &DumpArguments, layers: &Layers<'_>) -> Result<DumpOptions, Error> {
    refuse_roles(dump.rbac_resources_only)?;
    if dump.sanitize {
        return Err(Error::Input("--sanitize is not supported".to_owned()));
    }
    Ok(DumpOptions {
        output: dump.output_file.clone(),
        format: format(layers.format(dump.format.as_deref()).as_deref())?,
        with_ids: dump.with_id,
        workspace: dump.workspace.clone(),
        all_workspaces: dump.all_workspaces,
        select_tags: dump.select_tag.clone(),
        skips_consumers: dump.skip_consumers,
        skips_ca_certificates: dump.skip_ca_certificates,
        skips_defaults: dump.skip_defaults,
        assumes_yes: dump.yes,
    })
}

/// YAML, unless something else is named.
pub(super) fn format(name: Option<&str>) -> Result<Format, Error> {
    match name.unwrap_or("yaml").to_ascii_lowercase().as_str() {
        "yaml" => Ok(Format::Yaml),
        "json" => Ok(Format::Json),
        other => Err(Error::Input(format!("unknown file format: {other}"))),
    }
}

fn reset_options(reset: &ResetArguments) -> Result<ResetOptions, Error> {
    refuse_roles(reset.rbac_resources_only)?;
    Ok(ResetOptions {
        is_forced: reset.force,
        workspace: reset.workspace.clone(),
        all_workspaces: reset.all_workspaces,
        select_tags: reset.select_tag.clone(),
        skips_consumers: reset.skip_consumers,
        skips_ca_certificates: reset.skip_ca_certificates,
        json_output: reset.json_output,
    })
}

fn validate_options(validate: &ValidateArguments) -> Result<ValidateOptions, Error> {
    refuse_roles(validate.rbac_resources_only)?;
    Ok(ValidateOptions {
        files: files(&validate.files),
        workspace: validate.workspace.clone(),
        collections: validate.online_entities_list.clone(),
        parallelism: validate.parallelism,
    })
}

#[cfg(test)]
mod tests;
