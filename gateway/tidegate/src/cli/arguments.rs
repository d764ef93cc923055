//! What can be typed after `tidegate`.

use super::file::FileArguments;
use super::filter::FilterArguments;
use super::gateway::GatewayArguments;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// The whole command line. Without a command it means `start`.
#[derive(Debug, Parser)]
#[command(
    name = "tidegate",
    version,
    about = "The Tidegate API gateway",
    args_conflicts_with_subcommands = true
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Option<Command>,

    #[command(flatten)]
    pub(super) start: StartArguments,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the gateway in the foreground (also without any command). `--help` lists all settings
    Start(StartArguments),
    /// Validate a declarative file and print every fault in it
    Check(CheckArguments),
    /// Tell a running gateway to read its declarative file again
    Reload(RunningArguments),
    /// Stop a running gateway; it finishes open requests first
    Stop(RunningArguments),
    /// Run a server that answers with what it was asked, to try routes against
    Echo(EchoArguments),
    /// Show which route a request takes and why, without sending it
    Explain(ExplainArguments),
    /// Print the version
    Version,
    /// Show settings
    Config(ConfigArguments),
    /// Prepare PostgreSQL for the setting `database = postgres`
    Migrations(MigrationsArguments),
    /// Write Wasm filters: a new project, build, inspect, try and measure
    Filter(FilterArguments),
    /// decK's verbs: keep the configuration of a gateway in files
    Gateway(Box<GatewayArguments>),
    /// decK's verbs for files alone: put together, check, tag
    File(FileArguments),
}

#[derive(Debug, Default, Clone, Args)]
pub(super) struct StartArguments {
    #[command(flatten)]
    pub(super) settings: SettingsArguments,
}

/// Sources of settings that the command line names.
#[derive(Debug, Default, Clone, Args)]
pub(super) struct SettingsArguments {
    /// Settings file; else the one named by TIDEGATE_CONF, else /etc/tidegate/tidegate.conf where it exists
    #[arg(long, value_name = "FILE")]
    pub(super) conf: Option<PathBuf>,

    /// Declarative file with services, routes and plugins (the setting `declarative_config`)
    #[arg(short = 'c', long, value_name = "FILE")]
    pub(super) declarative_config: Option<String>,

    /// Set one setting; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = assignment)]
    pub(super) set: Vec<(String, String)>,
}

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// Declarative file, YAML or JSON; `-` reads standard input
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,

    /// Form of the answer
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,

    /// Settings file, for the limits of declarative files
    #[arg(long, value_name = "FILE")]
    pub(super) conf: Option<PathBuf>,

    /// Set one setting; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = assignment)]
    pub(super) set: Vec<(String, String)>,
}

#[derive(Debug, Args)]
pub(super) struct RunningArguments {
    #[command(flatten)]
    pub(super) settings: SettingsArguments,

    /// Working directory of the running gateway (the setting `prefix`)
    #[arg(short = 'p', long, value_name = "FOLDER")]
    pub(super) prefix: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct MigrationsArguments {
    #[command(subcommand)]
    pub(super) command: MigrationsCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum MigrationsCommand {
    /// Make the tables in a database that has none of Tidegate
    Bootstrap(SettingsArguments),
    /// Begin the steps of this release; nodes of the release before go on
    Up(SettingsArguments),
    /// Finish the steps that were begun, once every node runs this release
    Finish(SettingsArguments),
    /// Show which steps are done and which are not; exits with 1 when something is to be done
    List(SettingsArguments),
    /// Delete Tidegate's tables and all entities in them
    Reset(ResetArguments),
}

#[derive(Debug, Args)]
pub(super) struct ResetArguments {
    #[command(flatten)]
    pub(super) settings: SettingsArguments,

    /// Do it without being asked once more
    #[arg(long)]
    pub(super) yes: bool,
}

#[derive(Debug, Args)]
pub(super) struct EchoArguments {
    /// Address to listen on; may be repeated. `ADDRESS require-authorization=VARIABLE` protects this address alone
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9001")]
    pub(super) listen: Vec<String>,

    /// Answer 401 unless the `Authorization` header is exactly the content of this environment variable
    #[arg(long, value_name = "VARIABLE")]
    pub(super) require_authorization: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ExplainArguments {
    /// The request: [METHOD] URL [-H 'name: value' ...], as one argument
    #[arg(value_name = "REQUEST")]
    pub(super) request: String,

    #[command(flatten)]
    pub(super) settings: SettingsArguments,
}

#[derive(Debug, Args)]
pub(super) struct ConfigArguments {
    #[command(subcommand)]
    pub(super) command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print the settings in force and where each came from; secrets are masked
    Show(ShowArguments),
    /// Print a settings file with every setting and its default
    Defaults,
    /// Print the page of the manual about settings
    Docs,
    /// Print the page of the manual about limits
    Limits,
}

#[derive(Debug, Args)]
pub(super) struct ShowArguments {
    #[command(flatten)]
    pub(super) settings: SettingsArguments,

    /// Form of the answer
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,

    /// Leave out settings that have their default
    #[arg(long)]
    pub(super) changed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}
