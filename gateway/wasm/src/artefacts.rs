//! Compiled modules on disk, by content.
//!
//! A compiled module is machine code: who can write one can run anything. Hence the directory must belong to us alone,
//! each entry carries a MAC under a key kept beside it, and an entry that does not check is compiled anew, never loaded.

mod mapped;
mod personal;

use hmac::{Hmac, Mac};
use rustix::fs::Mode;
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use wasmtime::component::Component;
use wasmtime::{Engine, Module};

/// Digest of a module's bytes.
pub type ModuleDigest = [u8; 32];

/// The directory.
pub struct ArtefactCache {
    directory: PathBuf,
    key: [u8; 32],
}

/// Why the directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// It cannot be read or written.
    #[error("cannot use the cache of compiled filters {path}: {source}", path = path.display())]
    Io {
        /// The directory, or the key in it.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others could put code there.
    #[error("the cache of compiled filters {path} must belong to the gateway's user and be writable by nobody else", path = .0.display())]
    NotPrivate(PathBuf),
}

/// Where a compiled module came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was compiled.
    Compiled,
    /// It was in the cache.
    Cached,
}

/// Code that can be kept.
pub(crate) trait Artefact: Sized {
    fn compile(engine: &Engine, wasm: &[u8]) -> Result<Self, String>;
    fn serialize(&self) -> io::Result<Vec<u8>>;
    /// From a file whose MAC was verified through this same open file.
    fn load(engine: &Engine, file: File) -> Result<Self, String>;
}

impl Artefact for Module {
    fn compile(engine: &Engine, wasm: &[u8]) -> Result<Self, String> {
        Self::from_binary(engine, wasm).map_err(|error| format!("{error:#}"))
    }

    fn serialize(&self) -> io::Result<Vec<u8>> {
        self.serialize().map_err(io::Error::other)
    }

    fn load(engine: &Engine, file: File) -> Result<Self, String> {
        mapped::module(engine, file)
    }
}

impl Artefact for Component {
    fn compile(engine: &Engine, wasm: &[u8]) -> Result<Self, String> {
        Self::from_binary(engine, wasm).map_err(|error| format!("{error:#}"))
    }

    fn serialize(&self) -> io::Result<Vec<u8>> {
        self.serialize().map_err(io::Error::other)
    }

    fn load(engine: &Engine, file: File) -> Result<Self, String> {
        mapped::component(engine, file)
    }
}

const KEY_FILE: &str = "key";
const FORMAT: u8 = 1;

impl ArtefactCache {
    /// Opens a directory, made when missing.
    ///
    /// # Errors
    /// When it is not private or not usable.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, CacheError> {
        let directory = directory.into();
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| CacheError::Io { path, source }
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(at(&directory))?;
        let metadata = fs::symlink_metadata(&directory).map_err(at(&directory))?;
        if !metadata.is_dir() || !is_private(&metadata) {
            return Err(CacheError::NotPrivate(directory));
        }
        let path = directory.join(KEY_FILE);
        let key = read_or_make_key(&path).map_err(at(&path))?;
        let key = key.ok_or(CacheError::NotPrivate(path))?;
        Ok(Self { directory, key })
    }

    /// The compiled form of `wasm`, from the cache or compiled now and put there.
    ///
    /// # Errors
    /// When it does not compile. Trouble with the cache is logged and costs a compilation.
    pub(crate) fn artefact<A: Artefact>(
        &self,
        engine: &Engine,
        wasm: &[u8],
        digest: &ModuleDigest,
    ) -> Result<(A, Origin), String> {
        let name = entry_name(engine, digest);
        if let Some(code) = self.load(engine, &name) {
            return Ok((code, Origin::Cached));
        }
        let code = A::compile(engine, wasm)?;
        if let Err(error) = self.store(&name, &code) {
            tracing::warn!(%error, "cannot keep a compiled filter");
        }
        Ok((code, Origin::Compiled))
    }

    fn load<A: Artefact>(&self, engine: &Engine, name: &str) -> Option<A> {
        let mut file = File::open(self.directory.join(name)).ok()?;
        let is_ours = file
            .metadata()
            .is_ok_and(|metadata| metadata.is_file() && is_private(&metadata));
        let checked = is_ours && self.is_authentic(&mut file, name).unwrap_or(false);
        if !checked {
            tracing::warn!(
                entry = name,
                "a compiled filter in the cache is damaged or foreign: compiled anew"
            );
            return None;
        }
        match A::load(engine, file) {
            Ok(code) => Some(code),
            Err(error) => {
                tracing::warn!(entry = name, %error, "a compiled filter in the cache does not load: compiled anew");
                None
            }
        }
    }

    fn is_authentic(&self, file: &mut File, name: &str) -> io::Result<bool> {
        let expected = fs::read(self.directory.join(format!("{name}.mac")))?;
        let mut mac = self.mac(name);
        let mut chunk = vec![0; 1 << 16];
        loop {
            let length = file.read(&mut chunk)?;
            if length == 0 {
                break;
            }
            mac.update(chunk.get(..length).unwrap_or_default());
        }
        Ok(mac.verify_slice(&expected).is_ok())
    }

    fn store(&self, name: &str, code: &impl Artefact) -> io::Result<()> {
        let code = code.serialize()?;
        let mut mac = self.mac(name);
        mac.update(&code);
        // The MAC first: an entry without one is never seen.
        self.write(&format!("{name}.mac"), &mac.finalize().into_bytes())?;
        self.write(name, &code)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let temporary = self.directory.join(format!(".{name}.{:016x}", fastrand::u64(..)));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        let written = file
            .write_all(bytes)
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&temporary, self.directory.join(name)));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    fn mac(&self, name: &str) -> Hmac<Sha256> {
        #[allow(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.key).expect("any key length");
        mac.update(name.as_bytes());
        mac
    }
}

/// The digest that names a module.
#[must_use]
pub fn digest(wasm: &[u8]) -> ModuleDigest {
    Sha256::digest(wasm).into()
}

fn entry_name(engine: &Engine, digest: &ModuleDigest) -> String {
    let mut compatibility = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut compatibility);
    let mut name = Sha256::new();
    name.update([FORMAT]);
    name.update(digest);
    name.update(compatibility.finish().to_le_bytes());
    format!("{}.cwasm", hex::encode(name.finalize()))
}

fn is_private(metadata: &fs::Metadata) -> bool {
    let writable_by_others = (Mode::WGRP | Mode::WOTH).bits();
    metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & writable_by_others == 0
}

/// `None`: the key is readable by others.
fn read_or_make_key(path: &Path) -> io::Result<Option<[u8; 32]>> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Ok(mut file) => {
            let mut key = [0; 32];
            fill_random(&mut key)?;
            file.write_all(&key)?;
            file.sync_all()?;
            Ok(Some(key))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let metadata = fs::symlink_metadata(path)?;
            if !metadata.is_file() || !is_private(&metadata) || metadata.mode() & 0o077 != 0 {
                return Ok(None);
            }
            let bytes = fs::read(path)?;
            let key = bytes
                .try_into()
                .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the key is not 32 bytes long"))?;
            Ok(Some(key))
        }
        Err(error) => Err(error),
    }
}

/// Bytes from the system's generator.
pub(crate) fn fill_random(buffer: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        filled += rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
