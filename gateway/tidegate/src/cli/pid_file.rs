//! The file with the process id of the running gateway.

use super::fault::explain_io_error;
use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, test_kill_process};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The file, held by the running gateway; dropping it removes the file.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
}

impl PidFile {
    /// Writes the id of this process to `path` and makes the folders above it.
    ///
    /// # Errors
    /// Another gateway runs with this file, or the file cannot be written.
    pub fn create(path: &Path) -> Result<Self> {
        if let Ok(pid) = running(path)
            && pid.as_raw_nonzero().get().unsigned_abs() != std::process::id()
        {
            bail!(
                "a gateway with the process id file {} runs already ({pid})",
                path.display(),
                pid = pid.as_raw_nonzero()
            );
        }
        let what = format!("cannot write the process id file {}", path.display());
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| anyhow!(explain_io_error(&what, &error)))?;
        }
        fs::write(path, format!("{}\n", std::process::id()))
            .map_err(|error| anyhow!(explain_io_error(&what, &error)))?;
        Ok(Self {
            path: path.to_owned(),
        })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // A gateway that took over meanwhile has written its own id: that file stays.
        let is_ours =
            read(&self.path).is_ok_and(|pid| pid.as_raw_nonzero().get().unsigned_abs() == std::process::id());
        if is_ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The process that `path` names, when it lives and is a gateway.
pub(super) fn running(path: &Path) -> Result<Pid> {
    let pid = read(path)?;
    let number = pid.as_raw_nonzero();
    if !is_alive(pid) {
        bail!(
            "tidegate is not running: there is no process {number}, which {} names",
            path.display()
        );
    }
    // The id may have gone to another process since; signalling that one would do harm.
    if let Some(name) = name_of(number.get())
        && !name.starts_with("tidegate")
        && Some(&name) != name_of(std::process::id().cast_signed()).as_ref()
    {
        bail!(
            "tidegate is not running: {} names process {number}, which is `{name}`",
            path.display()
        );
    }
    Ok(pid)
}

/// Whether the process exists; one of another user exists too.
pub(super) fn is_alive(pid: Pid) -> bool {
    match test_kill_process(pid) {
        Ok(()) => true,
        Err(errno) => errno == rustix::io::Errno::PERM,
    }
}

fn read(path: &Path) -> Result<Pid> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!(
                "tidegate is not running: there is no file {}; does it run with another `prefix`?",
                path.display()
            )
        }
        Err(error) => bail!(explain_io_error(
            &format!("cannot read {}", path.display()),
            &error
        )),
    };
    let number = text.trim().parse::<i32>().ok().filter(|number| *number > 0);
    number
        .and_then(Pid::from_raw)
        .with_context(|| format!("{} holds no process id", path.display()))
}

/// The name of a process, where the system tells.
fn name_of(pid: i32) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_holds_our_id_while_we_run_and_is_gone_afterwards() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pids/tidegate.pid");
        let held = PidFile::create(&path).expect("written");
        assert_eq!(
            fs::read_to_string(&path).expect("the file"),
            format!("{}\n", std::process::id())
        );
        assert!(running(&path).is_ok());
        drop(held);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_a_successor_wrote_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tidegate.pid");
        let held = PidFile::create(&path).expect("written");
        fs::write(&path, "1\n").expect("written by a successor");
        drop(held);
        assert!(path.exists());
    }

    #[test]
    fn a_stale_or_broken_file_does_not_stop_a_start_but_is_not_running() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tidegate.pid");
        for (content, part) in [
            ("999999999\n", "no process 999999999"),
            ("x", "holds no process id"),
            ("-1", "holds no process id"),
        ] {
            fs::write(&path, content).expect("written");
            let text = running(&path).expect_err("not running").to_string();
            assert!(text.contains(part), "{text}");
            drop(PidFile::create(&path).expect("a stale file is replaced"));
        }
        let text = running(&path).expect_err("no file").to_string();
        assert!(text.contains("there is no file"), "{text}");
    }
}
