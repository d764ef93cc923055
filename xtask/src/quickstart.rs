//! `cargo xtask quickstart`: from a fresh clone to a gateway that serves the example file, in one command.

mod check;
mod curl;
mod ports;
mod stack;
mod steps;

use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What was asked for.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// Try everything and end.
    is_check: bool,
    /// Port of the gateway.
    port: Option<u16>,
}

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--check" => options.is_check = true,
                "--port" => {
                    let port = arguments.next().context("--port needs a number")?;
                    options.port = Some(port.parse().with_context(|| format!("{port} is no port"))?);
                }
                other => bail!("unknown option {other}: there are --check and --port N"),
            }
        }
        Ok(options)
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let is_stopped = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&is_stopped)).context("cannot listen for Ctrl-C")?;
    }
    let binary = build()?;
    let filter = build_filter()?;
    let ports = ports::Ports::choose(options.port)?;
    let mut stack = stack::Stack::start(&binary, &filter, &ports)?;
    stack.wait_until_ready(&is_stopped)?;
    let steps = steps::all(&ports);
    introduce(&ports, &steps);
    if options.is_check {
        return check::all(&steps);
    }
    println!("\nEverything runs; Ctrl-C stops it.");
    while !is_stopped.load(Ordering::Relaxed) {
        stack.ensure_running()?;
        std::thread::sleep(Duration::from_millis(200));
    }
    println!("\nstopping");
    Ok(())
}

fn build() -> Result<PathBuf> {
    println!("building the gateway; the first time takes a few minutes");
    let started = Instant::now();
    crate::shell::run(&mut crate::shell::cargo(&[
        "build",
        "--profile",
        "quickstart",
        "-p",
        "tidegate",
    ]))?;
    println!("built in {} s", started.elapsed().as_secs());
    Ok(crate::shell::target_dir().join("quickstart/tidegate"))
}

/// The Wasm filter of the example file.
fn build_filter() -> Result<PathBuf> {
    println!("building the filter examples/filters/redact-json");
    let folder = crate::shell::root().join("examples/filters/redact-json");
    let target = crate::shell::target_dir().join("filters");
    let built = tidegate_filter_build::build(&folder, Some(&target))?;
    built.into_iter().next().context("it builds no module")
}

fn introduce(ports: &ports::Ports, steps: &[steps::Step]) {
    println!("\nThis runs now:");
    println!(
        "  gateway          http://localhost:{} and https://localhost:{}",
        ports.proxy, ports.tls
    );
    println!("  its metrics      http://localhost:{}/metrics", ports.status);
    println!("  open backend     http://127.0.0.1:{}", ports.open_backend);
    println!(
        "  guarded backend  http://127.0.0.1:{} (wants a secret that only the gateway knows)",
        ports.guarded_backend
    );
    println!("  configuration    examples/quickstart/kong.yaml");
    println!("\nTry:");
    for step in steps {
        println!("\n  # {}", step.title);
        println!("  {}", step.curl);
    }
}
