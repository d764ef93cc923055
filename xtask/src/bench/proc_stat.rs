//! CPU time and memory of a process with its children, from `/proc`.

use anyhow::{Context, Result};
use std::fs;
use std::time::Duration;

/// `USER_HZ`: the ticks that proc(5) counts CPU time in.
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system time of a process and of all below it.
pub(crate) fn cpu_of_tree(pid: u32) -> Result<Duration> {
    let mut ticks = 0;
    for member in tree(pid)? {
        ticks += stat(member).map_or(0, |stat| stat.ticks);
    }
    Ok(time(ticks))
}

/// User and system time of each thread of a process, with the thread's name.
pub(crate) fn cpu_of_threads(pid: u32) -> Result<Vec<(String, Duration)>> {
    let mut threads = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/task"))
        .context("the process is gone")?
        .flatten()
    {
        // A thread may end while the folder is read.
        let Ok(text) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        let stat = parse_stat(&text).context("a thread without a stat line")?;
        threads.push((stat.name, time(stat.ticks)));
    }
    Ok(threads)
}

fn time(ticks: u64) -> Duration {
    Duration::from_secs_f64(ticks as f64 / TICKS_PER_SECOND)
}

/// Resident bytes of a process and of all below it.
pub(crate) fn resident_of_tree(pid: u32) -> Result<u64> {
    tree(pid)?.into_iter().map(resident).sum()
}

fn resident(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the process is gone")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .context("no VmRSS")?;
    let kib: u64 = line
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .context("VmRSS is no number")?;
    Ok(kib * 1_024)
}

struct Stat {
    name: String,
    parent: u32,
    ticks: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(text: &str) -> Option<Stat> {
    let (before, fields) = text.rsplit_once(") ")?;
    let (_, name) = before.split_once('(')?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Stat {
        name: name.to_owned(),
        parent: u32::try_from(number(1)?).ok()?,
        ticks: number(11)? + number(12)?,
    })
}

fn tree(root: u32) -> Result<Vec<u32>> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").context("no /proc")?.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        if let Some(stat) = stat(pid) {
            parents.push((pid, stat.parent));
        }
    }
    let mut members = vec![root];
    let mut next = 0;
    while let Some(&parent) = members.get(next) {
        members.extend(
            parents
                .iter()
                .filter(|(_, known)| *known == parent)
                .map(|(pid, _)| *pid),
        );
        next += 1;
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_its_own_tree_with_memory() {
        assert_eq!(tree(std::process::id()).unwrap()[0], std::process::id());
        assert!(resident_of_tree(std::process::id()).unwrap() > 500_000);
    }

    #[test]
    fn threads_are_known_by_their_names() {
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::Builder::new().name("counted".to_owned());
        let thread = thread.spawn(move || receiver.recv()).unwrap();
        // A thread is named by itself, soon after its start.
        let is_there = || {
            let threads = cpu_of_threads(std::process::id()).unwrap();
            threads.iter().any(|(name, _)| name == "counted")
        };
        assert!(
            std::iter::repeat_with(is_there)
                .take(100_000)
                .any(|is_there| is_there)
        );
        drop(sender);
        thread.join().unwrap().unwrap_err();
    }

    #[test]
    fn user_and_system_ticks_are_added() {
        let stat =
            parse_stat("7 (a) b (c) S 3 7 7 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 5 0 100 1 2").unwrap();
        assert_eq!((stat.name.as_str(), stat.parent, stat.ticks), ("a) b (c", 3, 200));
    }
}
