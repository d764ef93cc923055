//! Memory, files and CPU time of this process, read from `/proc` when somebody scrapes.

use std::fs;

/// What the kernel says about this process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ProcessFacts {
    pub(super) resident_bytes: u64,
    pub(super) open_files: u64,
    pub(super) cpu_seconds: f64,
}

impl ProcessFacts {
    /// Reads the facts; `None` where there is no `/proc` of Linux.
    pub(super) fn read() -> Option<Self> {
        Some(Self {
            resident_bytes: resident_bytes(&fs::read_to_string("/proc/self/status").ok()?)?,
            open_files: fs::read_dir("/proc/self/fd").ok()?.count() as u64,
            cpu_seconds: cpu_seconds(&fs::read_to_string("/proc/self/stat").ok()?)?,
        })
    }
}

/// `VmRSS` of proc(5), which stands in KiB.
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1_024)
}

/// User and system time of all threads, which proc(5) gives in ticks of `USER_HZ`.
fn cpu_seconds(stat: &str) -> Option<f64> {
    const TICKS_PER_SECOND: f64 = 100.0;
    // The second field is a program name in parentheses and may hold anything: count from its end.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) as f64 / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 5 0 100 1 2";
        assert_eq!(cpu_seconds(stat), Some(2.0));
    }

    #[test]
    fn resident_memory_is_given_in_bytes() {
        assert_eq!(
            resident_bytes("Name:\tx\nVmRSS:\t   2048 kB\nThreads:\t1\n"),
            Some(2_097_152)
        );
        assert_eq!(resident_bytes("Name:\tx\n"), None);
    }

    #[test]
    fn this_process_has_memory_and_open_files() {
        let facts = ProcessFacts::read().expect("tests run on Linux");
        assert!(
            facts.resident_bytes > 100_000 && facts.open_files >= 3,
            "{facts:?}"
        );
    }
}
