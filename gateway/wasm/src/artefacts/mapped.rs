//! Maps compiled code into memory. The only place that trusts bytes to be machine code.

#![allow(
    unsafe_code,
    reason = "the engine cannot check machine code; see the proof below"
)]

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::fd::AsRawFd;
use wasmtime::component::Component;
use wasmtime::{Engine, Module};

/// The module in `file`. The caller has verified the MAC of exactly these contents through this same open file.
pub(super) fn module(engine: &Engine, mut file: File) -> Result<Module, String> {
    file.seek(SeekFrom::Start(0)).map_err(|error| error.to_string())?;
    // SAFETY: the contents must come from this engine's own compiler and stay unchanged.
    // - Origin: their HMAC-SHA-256, under a key that only this user can read, was verified over this open file before
    //   the call (`ArtefactCache::load`), and only `ArtefactCache::store` makes such MACs, of what the engine serialized.
    //   wasmtime itself checks version and configuration, and returns an error when they differ.
    // - Unchanged: entries are written to a temporary file and renamed, never written in place; file and directory are
    //   writable by this user alone (`is_private`), so that a replacement is a new inode and leaves this mapping as it is.
    let module = unsafe { Module::deserialize_open_file(engine, file) };
    module.map_err(|error| format!("{error:#}"))
}

/// The component in `file`, under the same conditions.
pub(super) fn component(engine: &Engine, file: File) -> Result<Component, String> {
    // The same open file, under the name that the kernel gives it: the engine maps components by path only.
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    // SAFETY: as above; the path leads to the inode that `file` holds open, whatever happens to its name meanwhile.
    let component = unsafe { Component::deserialize_file(engine, path) };
    drop(file);
    component.map_err(|error| format!("{error:#}"))
}
