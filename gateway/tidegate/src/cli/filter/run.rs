//! One request through a filter, and everything that became of it.

use super::RunArguments;
use super::http_file::{RequestFile, ResponseFile};
use super::timed::{Timed, Times};
use super::world::{World, attach, read};
use crate::cli::Outcome as Ended;
use anyhow::{Context, Result};
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tidegate_wasm::testing::Outcome;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

pub(super) fn run(arguments: &RunArguments, stdout: &mut dyn Write) -> Result<Ended> {
    let request = parse(&arguments.request, RequestFile::parse)?;
    let response = match &arguments.response {
        Some(file) => parse(file, ResponseFile::parse)?,
        None => ResponseFile::default(),
    };
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("tidegate=trace"))
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .with_writer(log.clone())
        .finish();
    let (outcome, times) = tracing::subscriber::with_default(subscriber, || {
        let world = World::new()?;
        for file in &arguments.answers {
            let answer = parse(file, ResponseFile::parse)?;
            world.outbound.answer(Some(Ok(answer.into_outbound())));
        }
        let outcome = drive(&world, arguments, &request, &response);
        outcome.inspect_err(|_| log.copy_to_stderr())
    })?;
    write(&outcome, stdout)?;
    section("log", stdout)?;
    stdout.write_all(&log.0.lock())?;
    section("time", stdout)?;
    for (callback, took) in times.lock().iter() {
        writeln!(stdout, "{:>9.1} µs  {callback}", took.as_secs_f64() * 1e6)?;
    }
    Ok(if outcome.fault.is_some() {
        Ended::FoundFaults
    } else {
        Ended::Done
    })
}

pub(super) fn parse<T>(file: &Path, parse: impl FnOnce(&[u8]) -> Result<T>) -> Result<T> {
    parse(&read(file)?).with_context(|| file.display().to_string())
}

fn drive(
    world: &World,
    arguments: &RunArguments,
    request: &RequestFile,
    response: &ResponseFile,
) -> Result<(Outcome, Times)> {
    let times = Times::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let outcome = runtime.block_on(async {
        let kind = world.kind(&arguments.filter.file)?;
        let start = Instant::now();
        let filter = attach(&kind, &arguments.filter)?;
        times.lock().push(("configure", start.elapsed()));
        let mut drive = request.drive(response);
        drive.filters.push(Arc::new(Timed {
            filter,
            times: Arc::clone(&times),
        }));
        anyhow::Ok(drive.run().await)
    })?;
    Ok((outcome, times))
}

fn write(outcome: &Outcome, stdout: &mut dyn Write) -> io::Result<()> {
    let request = &outcome.x.request;
    match &outcome.upstream {
        Some((body, _)) => {
            section("to the upstream", stdout)?;
            writeln!(stdout, "{} {}", request.method, request.target)?;
            message(&outcome.upstream_headers, body, stdout)?;
        }
        None => section("nothing went upstream", stdout)?,
    }
    for call in wasm_choice(outcome) {
        writeln!(stdout, "{call}")?;
    }
    section("to the client", stdout)?;
    match &outcome.fault {
        Some(fault) => {
            status(fault.status, stdout)?;
            writeln!(stdout, "the filter failed: {fault}")
        }
        None if outcome.is_reset => writeln!(stdout, "the connection is reset"),
        None => {
            status(outcome.x.response.status, stdout)?;
            message(&outcome.x.response.headers, &outcome.body, stdout)
        }
    }
}

/// Where the filter sent the request in the place of the route's service.
fn wasm_choice(outcome: &Outcome) -> Vec<String> {
    let choice = tidegate_wasm::upstream_choice(&outcome.x);
    let named = [
        ("upstream", choice.upstream),
        ("target", choice.target),
        ("scheme", choice.scheme),
    ];
    let chosen = named.iter().filter_map(|(name, value)| Some((name, (*value)?)));
    chosen
        .map(|(name, value)| format!("chosen {name}: {value}"))
        .collect()
}

fn status(status: StatusCode, stdout: &mut dyn Write) -> io::Result<()> {
    writeln!(stdout, "{status}")
}

fn message(headers: &HeaderMap, body: &[u8], stdout: &mut dyn Write) -> io::Result<()> {
    for (name, value) in headers {
        writeln!(stdout, "{name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
    }
    if !body.is_empty() {
        writeln!(stdout)?;
        stdout.write_all(body)?;
        if !body.ends_with(b"\n") {
            writeln!(stdout)?;
        }
    }
    Ok(())
}

fn section(name: &str, stdout: &mut dyn Write) -> io::Result<()> {
    writeln!(stdout, "--- {name}")
}

/// Lines that the filter and its host log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// What a filter logs while it refuses its configuration is the reason.
    fn copy_to_stderr(&self) {
        // Nobody reads standard error when this fails; the exit code still tells.
        let _ = io::stderr().write_all(&self.0.lock());
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
