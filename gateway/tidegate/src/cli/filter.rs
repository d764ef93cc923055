//! `tidegate filter …`: what the author of a filter needs, from a new project to what it costs.

mod bench;
mod http_file;
mod inspect;
mod language;
mod project;
mod run;
mod timed;
mod world;

use super::arguments::Format;
use super::{Outcome, Surroundings};
use anyhow::Result;
use clap::{Args, Subcommand};
use language::Language;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct FilterArguments {
    #[command(subcommand)]
    command: FilterCommand,
}

#[derive(Debug, Subcommand)]
enum FilterCommand {
    /// Make a project with a filter that builds and a test of it
    New(NewArguments),
    /// Compile the filters of a project, in whatever language it is written
    Build(BuildArguments),
    /// Show what a module is, what it asks for and what the gateway grants
    Inspect(InspectArguments),
    /// Send a request through a filter, without any gateway, and show what it did
    Run(RunArguments),
    /// Measure what a filter costs per callback, and its memory
    Bench(BenchArguments),
}

#[derive(Debug, Args)]
struct NewArguments {
    /// Folder of the project; its last part is the name of the filter: small letters, digits and `-`
    #[arg(value_name = "NAME")]
    folder: PathBuf,

    /// Language to write it in
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    lang: Language,

    /// Folder `sdk` of a checkout of Tidegate; by default the nearest above the project or the running program
    #[arg(long, value_name = "FOLDER")]
    sdk: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct BuildArguments {
    /// The project
    #[arg(value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,

    /// Folder that the finished modules are copied to, such as that of the setting `wasm_filters_path`
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct InspectArguments {
    /// The module
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Form of the answer
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// A configured filter.
#[derive(Debug, Args)]
struct FilterSource {
    /// The module; `<name>.meta.json` beside it is taken into account
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Configuration: JSON itself, or the file that holds it
    #[arg(long, value_name = "JSON|FILE")]
    config: Option<String>,
}

#[derive(Debug, Args)]
struct RunArguments {
    #[command(flatten)]
    filter: FilterSource,

    /// The request: its first line, headers, an empty line, the body
    #[arg(value_name = "REQUEST")]
    request: PathBuf,

    /// What the upstream answers, as a file of the same kind (`HTTP/1.1 200 OK`); by default 200 without body
    #[arg(long, value_name = "FILE")]
    response: Option<PathBuf>,

    /// What a call of the filter is answered with; repeated for the next calls. Without it calls fail
    #[arg(long = "answer", value_name = "FILE")]
    answers: Vec<PathBuf>,
}

#[derive(Debug, Args)]
struct BenchArguments {
    #[command(flatten)]
    filter: FilterSource,

    /// The request, as for `run`; by default `GET /` without body
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,

    /// What the upstream answers, as for `run`
    #[arg(long, value_name = "FILE")]
    response: Option<PathBuf>,

    /// Exchanges that are measured, after a tenth as many to warm up
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(10..=10_000_000))]
    exchanges: u32,
}

pub(super) fn run(arguments: &FilterArguments, surroundings: &mut Surroundings<'_>) -> Result<Outcome> {
    let stdout = &mut *surroundings.stdout;
    match &arguments.command {
        FilterCommand::New(new) => {
            project::create(&new.folder, new.lang.template(), new.sdk.as_deref(), stdout)?;
        }
        FilterCommand::Build(build) => project::build(&build.folder, build.out.as_deref(), stdout)?,
        FilterCommand::Inspect(inspect) => inspect::run(inspect, stdout)?,
        FilterCommand::Run(arguments) => return run::run(arguments, stdout),
        FilterCommand::Bench(bench) => bench::run(bench, stdout)?,
    }
    Ok(Outcome::Done)
}
