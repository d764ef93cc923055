//! Which files there are, and their text.

use crate::error::Error;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A file, read.
#[derive(Debug)]
pub(super) struct File {
    /// Its path, or `STDIN`.
    pub(super) name: String,
    pub(super) text: String,
}

/// Bytes of all files together, at most.
const MAX_BYTES: u64 = 1 << 30;
/// Folders within folders, at most.
const MAX_DEPTH: usize = 64;

/// Every named file and all state files of every named folder, in the order of their paths.
pub(super) fn read_all(paths: &[String], stdin: &mut dyn Read) -> Result<Vec<File>, Error> {
    let mut files = Vec::new();
    let mut left = MAX_BYTES;
    for path in paths {
        if path == "-" {
            let text = text(stdin, &mut left).map_err(|error| reading("STDIN", &error))?;
            files.push(File {
                name: "STDIN".to_owned(),
                text,
            });
            continue;
        }
        let about = fs::metadata(path).map_err(|error| reading(path, &error))?;
        let mut found = Vec::new();
        if about.is_dir() {
            walk(Path::new(path), MAX_DEPTH, &mut found).map_err(|error| {
                Error::input(format!("{path}: {error}")).during("getting files from directory")
            })?;
            found.sort();
        } else {
            found.push(PathBuf::from(path));
        }
        for file in found {
            let name = file.display().to_string();
            let opened = fs::File::open(&file);
            let text = opened.and_then(|mut opened| text(&mut opened, &mut left));
            files.push(File {
                text: text.map_err(|error| reading(&name, &error))?,
                name,
            });
        }
    }
    Ok(files)
}

fn reading(name: &str, error: &io::Error) -> Error {
    Error::input(format!("{name}: {error}")).during("reading state file")
}

fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> io::Result<()> {
    if depth == 0 {
        return Err(io::Error::other("folders are nested too deeply"));
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if fs::metadata(&path)?.is_dir() {
            walk(&path, depth - 1, found)?;
        } else if is_state_file(&path) {
            found.push(path);
        }
    }
    Ok(())
}

fn is_state_file(path: &Path) -> bool {
    let ending = path
        .extension()
        .and_then(|ending| ending.to_str())
        .unwrap_or_default();
    ["yaml", "yml", "json"]
        .iter()
        .any(|known| ending.eq_ignore_ascii_case(known))
}

fn text(from: &mut dyn Read, left: &mut u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    from.take(*left + 1).read_to_end(&mut bytes)?;
    *left = left
        .checked_sub(bytes.len() as u64)
        .ok_or_else(|| io::Error::other("the files are larger than 1 GiB together"))?;
    String::from_utf8(bytes).map_err(|_| io::Error::other("the text is not UTF-8"))
}
