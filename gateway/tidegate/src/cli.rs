//! The command line: arguments to a command, its answer to standard output, its faults to standard error.
//!
//! Exit codes: 0 done, 1 faults (each was named), 2 the command line itself makes no sense, or there are differences and
//! the command was asked to tell so.

mod arguments;
mod check;
mod config;
mod echo;
pub mod explain;
pub mod fault;
mod file;
mod filter;
mod gateway;
mod migrations;
pub mod pid_file;
mod settings;
mod signal;

#[cfg(test)]
mod tests;

use arguments::{Arguments, Command};
use clap::{CommandFactory, FromArgMatches};
use fault::is_broken_pipe;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

/// Exit code of a command that found faults.
const FAULTS: u8 = 1;
/// Exit code of a command line that makes no sense.
const USAGE: u8 = 2;
/// Exit code of a command that found differences, as decK has it.
const DIFFERENCES: u8 = 2;

/// What a command works with: the process's own, or those of a test.
struct Surroundings<'a> {
    environment: Vec<(String, String)>,
    stdout: &'a mut dyn Write,
    stderr: &'a mut dyn Write,
}

/// How a command that did not fail for a named reason ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Nothing is wrong.
    Done,
    /// Its answer is that something is wrong.
    FoundFaults,
    /// Its answer is that something differs, and it was asked to tell by its exit code.
    FoundDifferences,
}

/// Runs the command that the arguments of the process ask for.
#[must_use]
pub fn main() -> ExitCode {
    let mut stdout = std::io::stdout();
    let mut stderr = std::io::stderr();
    let mut surroundings = Surroundings {
        environment: process_environment(),
        stdout: &mut stdout,
        stderr: &mut stderr,
    };
    ExitCode::from(run(std::env::args_os(), &mut surroundings))
}

/// Values that are not UTF-8 cannot be settings; they are passed on as well as they can be shown.
fn process_environment() -> Vec<(String, String)> {
    let lossy = |text: OsString| text.to_string_lossy().into_owned();
    std::env::vars_os()
        .map(|(name, value)| (lossy(name), lossy(value)))
        .collect()
}

fn run(arguments: impl IntoIterator<Item = OsString>, surroundings: &mut Surroundings<'_>) -> u8 {
    let command = Arguments::command().mut_subcommand("start", |start| {
        start.after_long_help(tidegate_config::settings::help())
    });
    let matches = command.try_get_matches_from(arguments);
    let arguments = match matches.and_then(|matches| Arguments::from_arg_matches(&matches)) {
        Ok(arguments) => arguments,
        Err(error) => return answer_usage(&error, surroundings),
    };
    match dispatch(arguments, surroundings) {
        Ok(Outcome::Done) => 0,
        Ok(Outcome::FoundFaults) => FAULTS,
        Ok(Outcome::FoundDifferences) => DIFFERENCES,
        Err(error) if is_broken_pipe(&error) => 0,
        Err(error) => {
            for line in format!("{error:#}").lines() {
                // Nobody reads standard error when this fails; the exit code still tells.
                let _ = writeln!(surroundings.stderr, "tidegate: {line}");
            }
            FAULTS
        }
    }
}

/// Help and version are answers; everything else that clap refuses is a wrong command line.
fn answer_usage(error: &clap::Error, surroundings: &mut Surroundings<'_>) -> u8 {
    let text = error.render();
    if error.use_stderr() {
        let _ = write!(surroundings.stderr, "{text}");
        USAGE
    } else {
        let _ = write!(surroundings.stdout, "{text}");
        0
    }
}

fn dispatch(arguments: Arguments, surroundings: &mut Surroundings<'_>) -> anyhow::Result<Outcome> {
    match arguments.command.unwrap_or(Command::Start(arguments.start)) {
        Command::Start(start) => {
            let settings = start.settings.load(surroundings)?;
            crate::start::run(settings)?;
        }
        Command::Check(check) => return check::run(&check, surroundings),
        Command::Reload(running) => signal::reload(&running, surroundings)?,
        Command::Stop(running) => signal::stop(&running, surroundings)?,
        Command::Echo(echo) => echo::run(&echo, surroundings)?,
        Command::Explain(explain) => {
            let request = explain::ExplainRequest::parse(&explain.request)?;
            let settings = explain.settings.load(surroundings)?;
            let text = crate::explain::run(&request, &settings)?;
            surroundings.stdout.write_all(text.as_bytes())?;
        }
        Command::Version => writeln!(surroundings.stdout, "tidegate {}", env!("CARGO_PKG_VERSION"))?,
        Command::Config(config) => config::run(&config, surroundings)?,
        Command::Migrations(migrations) => return migrations::run(&migrations.command, surroundings),
        Command::Filter(filter) => return filter::run(&filter, surroundings),
        Command::File(file) => return file::run(&file, surroundings),
        Command::Gateway(gateway) => return gateway::run(&gateway, surroundings),
    }
    Ok(Outcome::Done)
}
