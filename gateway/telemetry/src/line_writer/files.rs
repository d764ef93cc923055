//! The files behind the writer: one descriptor per path, kept open.

use super::Line;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::Arc;

/// Descriptors kept open at a time; beyond it all are closed and opened again as they are needed.
const MAX_OPEN_FILES: usize = 256;
/// Lines of one file are joined up to this many bytes, so that a batch costs few system calls.
const MAX_WRITE_BYTES: usize = 256 << 10;

/// Open files by path.
#[derive(Default)]
pub(super) struct Files {
    open: HashMap<Arc<str>, Slot>,
    buffer: Vec<u8>,
}

#[derive(Default)]
struct Slot {
    target: Option<Target>,
    /// Lines lost since the last success; 0: all is well.
    lost: u64,
}

enum Target {
    File(File),
    Stdout,
    Stderr,
}

impl Files {
    /// Writes lines in their order. Failures are logged, once per episode and path; the lines are lost.
    pub(super) fn write(&mut self, lines: &[Line]) {
        let mut rest = lines;
        while let Some(first) = rest.first() {
            let run = run_length(rest, first);
            let (now, later) = rest.split_at(run);
            self.buffer.clear();
            for line in now {
                self.buffer.extend_from_slice(&line.bytes);
            }
            self.write_run(first, run as u64);
            rest = later;
        }
        // A burst of long lines must not pin its buffer for ever.
        self.buffer.shrink_to(MAX_WRITE_BYTES);
    }

    /// Closes every file; what failed stays known.
    pub(super) fn close(&mut self) {
        for slot in self.open.values_mut() {
            slot.target = None;
        }
    }

    fn write_run(&mut self, first: &Line, lines: u64) {
        if self.open.len() >= MAX_OPEN_FILES && !self.open.contains_key(&first.path) {
            self.open.clear();
        }
        let slot = self.open.entry(Arc::clone(&first.path)).or_default();
        if first.reopen {
            slot.target = None;
        }
        match slot.write(&first.path, &self.buffer) {
            Ok(()) => slot.recovered(&first.path),
            Err(error) => slot.failed(&first.path, &error, lines),
        }
        if first.reopen {
            slot.target = None;
        }
    }
}

/// How many of the leading lines can go out in one write: same file, no reopening between them, not too long.
fn run_length(lines: &[Line], first: &Line) -> usize {
    if first.reopen {
        return 1;
    }
    let mut bytes = 0;
    let fits = |line: &&Line| {
        bytes += line.bytes.len();
        line.path == first.path && !line.reopen && bytes <= MAX_WRITE_BYTES
    };
    lines.iter().take_while(fits).count().max(1)
}

impl Slot {
    fn write(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let target = match &mut self.target {
            Some(target) => target,
            empty => empty.insert(Target::open(path)?),
        };
        let result = target.write(bytes);
        if result.is_err() {
            // The next line tries a fresh descriptor.
            self.target = None;
        }
        result
    }

    fn failed(&mut self, path: &str, error: &io::Error, lines: u64) {
        if self.lost == 0 {
            tracing::error!(path, %error, "failed to open the file: {error}; its lines are lost until it can be written");
        }
        self.lost += lines;
    }

    fn recovered(&mut self, path: &str) {
        if self.lost > 0 {
            tracing::warn!(path, lost = self.lost, "the log file can be written again");
            self.lost = 0;
        }
    }
}

impl Target {
    fn open(path: &str) -> io::Result<Self> {
        Ok(match path {
            // Opening them by name fails when they are sockets, as under a service manager.
            "/dev/stdout" => Self::Stdout,
            "/dev/stderr" => Self::Stderr,
            path => Self::File(create(path)?),
        })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.write_all(bytes),
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(bytes)?;
                stdout.flush()
            }
            Self::Stderr => io::stderr().lock().write_all(bytes),
        }
    }
}

/// Append-only, so that several processes can share a file; mode 0644 where there are modes.
fn create(path: &str) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o644);
    options.open(path)
}
