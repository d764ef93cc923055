//! Components that take their compilers half a minute, kept from one run of the tests to the next.

use super::super::guest_target;
use super::{build, root};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

/// The folder with the component of a project, built if anything that it is made from has changed.
pub(super) fn built(project: &Path) -> PathBuf {
    let name = project.file_name().unwrap().to_str().unwrap();
    let kept = guest_target().join("kept").join(name);
    let digest = hex::encode(inputs(project).finalize());
    let noted = kept.join("inputs");
    if fs::read_to_string(&noted).is_ok_and(|before| before == digest) {
        return kept;
    }
    // What is broken off has not been noted.
    let _ = fs::remove_file(&noted);
    build(project, &kept);
    fs::write(noted, digest).unwrap();
    kept
}

/// The project's own files, which name the compiler's version; the package; what runs the compiler.
fn inputs(project: &Path) -> Sha256 {
    let mut digest = Sha256::new();
    for folder in [project, &root().join("wit"), &root().join("sdk/build/src")] {
        let entries = fs::read_dir(folder).unwrap();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files.into_iter().filter(|file| file.is_file()) {
            let text = fs::read(&file).unwrap();
            digest.update(file.file_name().unwrap().as_encoded_bytes());
            digest.update(text.len().to_le_bytes());
            digest.update(text);
        }
    }
    digest
}
