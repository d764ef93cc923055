//! `tidegate reload` and `tidegate stop`: signals to the running gateway.

use super::Surroundings;
use super::arguments::RunningArguments;
use super::pid_file::{is_alive, running};
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::time::{Duration, Instant};

/// Time beyond `shutdown_grace` that a gateway gets to end.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time between two looks at whether it has ended.
const POLL: Duration = Duration::from_millis(20);

/// Sends SIGHUP. Whether the new file is good is written to the log of the gateway.
pub(super) fn reload(arguments: &RunningArguments, surroundings: &mut Surroundings<'_>) -> Result<()> {
    let settings = arguments.load(surroundings)?;
    let pid = running(&settings.pid_file())?;
    send(pid, Signal::HUP)?;
    writeln!(
        surroundings.stdout,
        "asked process {} to reload; its log tells the result",
        pid.as_raw_nonzero()
    )?;
    Ok(())
}

/// Sends SIGTERM and waits until the process is gone.
pub(super) fn stop(arguments: &RunningArguments, surroundings: &mut Surroundings<'_>) -> Result<()> {
    let settings = arguments.load(surroundings)?;
    let pid = running(&settings.pid_file())?;
    send(pid, Signal::TERM)?;
    let patience = settings.process.shutdown_grace + PATIENCE;
    let deadline = Instant::now() + patience;
    while is_alive(pid) {
        if Instant::now() > deadline {
            bail!(
                "process {} still runs after {} seconds",
                pid.as_raw_nonzero(),
                patience.as_secs()
            );
        }
        std::thread::sleep(POLL);
    }
    writeln!(
        surroundings.stdout,
        "process {} has stopped",
        pid.as_raw_nonzero()
    )?;
    Ok(())
}

fn send(pid: Pid, signal: Signal) -> Result<()> {
    kill_process(pid, signal).with_context(|| format!("cannot signal process {}", pid.as_raw_nonzero()))
}
