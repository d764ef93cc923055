//! A new store file appears whole or not at all, also when the process dies meanwhile or two begin at once.

use super::{BackendError, failure, io_failure, prepare};
use redb::Builder;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Makes an empty store file where there is none.
pub(super) fn unless_there(path: &Path) -> Result<(), BackendError> {
    let fail = |fault: io::Error| io_failure(&path.display(), &fault);
    if path.try_exists().map_err(fail)? {
        return Ok(());
    }
    let draft = draft(path);
    let made = make(&draft, path);
    // What could not be finished is of no use.
    let _ = fs::remove_file(&draft);
    made
}

fn make(draft: &Path, path: &Path) -> Result<(), BackendError> {
    let fail = |fault: io::Error| io_failure(&path.display(), &fault);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(draft).map_err(fail)?;
    let database = Builder::new().create(draft);
    let database = database.map_err(|fault| failure(path, &fault.into()))?;
    prepare(&database).map_err(|fault| failure(path, &fault))?;
    drop(database);
    put(draft, path).map_err(fail)
}

/// A name of its own for each attempt.
fn draft(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", uuid::Uuid::new_v4().simple()));
    PathBuf::from(name)
}

/// Gives the draft its name, unless another process was faster.
fn put(draft: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(draft, path) {
        Ok(()) => {}
        Err(fault) if fault.kind() == ErrorKind::AlreadyExists => return Ok(()),
        // A file system without links.
        Err(_) => fs::rename(draft, path)?,
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
}
