//! Developer commands, as plain Rust: `cargo xtask <command>`.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool talks to its terminal"
)]

mod bench;
mod check_deps;
mod ci;
mod quickstart;
mod shell;
mod test;

use anyhow::{Result, bail};
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <command>

  quickstart [--check] [--port N]   build, start two echo backends and the gateway, print what to try;
                                    --check tries it all and ends with 0 or 1
  test [filter]                     build the binary and run every test once
  ci                                what must be green before a merge
  bench [scenario...]               CPU per request beside nginx: plain, plugins, reload
  check-deps                        the directions in which crates may depend on each other
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let Some((command, rest)) = arguments.split_first() else {
        bail!("no command given\n\n{USAGE}");
    };
    match command.as_str() {
        "quickstart" => quickstart::run(&quickstart::Options::parse(rest)?),
        "test" => test::run(rest),
        "ci" => ci::run(),
        "bench" => bench::run(rest),
        "check-deps" => check_deps::run(),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        other => bail!("unknown command {other}\n\n{USAGE}"),
    }
}
