use super::*;
use crate::engine::{EngineSettings, FilterEngine};
use std::os::unix::fs::PermissionsExt;

struct Bench {
    engine: FilterEngine,
    directory: tempfile::TempDir,
    wasm: Vec<u8>,
}

impl Bench {
    fn new() -> Self {
        let settings = EngineSettings {
            pooling: false,
            ..EngineSettings::default()
        };
        Self {
            engine: FilterEngine::new(settings).expect("an engine"),
            directory: tempfile::tempdir().expect("a directory"),
            wasm: wat::parse_str(r#"(module (func (export "f") (result i32) i32.const 7))"#)
                .expect("a module"),
        }
    }

    fn cache(&self) -> ArtefactCache {
        ArtefactCache::open(self.path()).expect("a cache")
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("cache")
    }

    fn origin(&self) -> Origin {
        let (module, origin) = self
            .cache()
            .artefact::<Module>(&self.engine.engine, &self.wasm, &digest(&self.wasm))
            .expect("a module");
        assert!(
            module.get_export("f").is_some(),
            "the module is the one asked for"
        );
        origin
    }

    fn entry(&self, suffix: &str) -> PathBuf {
        fs::read_dir(self.path())
            .expect("a directory")
            .map(|entry| entry.expect("an entry").path())
            .find(|path| path.to_string_lossy().ends_with(suffix))
            .expect("an entry of that kind")
    }
}

#[test]
fn a_module_is_compiled_once_and_then_mapped() {
    let bench = Bench::new();
    assert_eq!(bench.origin(), Origin::Compiled);
    assert_eq!(bench.origin(), Origin::Cached);
}

#[test]
fn a_damaged_entry_is_compiled_anew_and_replaced() {
    let bench = Bench::new();
    for damage in [".cwasm", ".cwasm.mac"] {
        bench.origin();
        let entry = bench.entry(damage);
        let mut bytes = fs::read(&entry).expect("an entry");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&entry, bytes).expect("written");
        assert_eq!(bench.origin(), Origin::Compiled, "{damage} is not trusted");
        assert_eq!(bench.origin(), Origin::Cached, "{damage} was replaced");
    }
}

#[test]
fn a_truncated_or_foreign_entry_is_never_loaded() {
    let bench = Bench::new();
    bench.origin();
    let entry = bench.entry(".cwasm");
    fs::write(&entry, b"\x7fELF").expect("written");
    assert_eq!(bench.origin(), Origin::Compiled);
    // An entry of another cache, with its own valid MAC, under another key.
    let other = Bench::new();
    other.origin();
    for suffix in [".cwasm", ".cwasm.mac"] {
        fs::copy(other.entry(suffix), bench.entry(suffix)).expect("copied");
    }
    assert_eq!(bench.origin(), Origin::Compiled);
}

#[test]
fn an_entry_that_others_may_write_is_not_trusted() {
    let bench = Bench::new();
    bench.origin();
    fs::set_permissions(bench.entry(".cwasm"), fs::Permissions::from_mode(0o666)).expect("permissions");
    assert_eq!(bench.origin(), Origin::Compiled);
}

#[test]
fn a_directory_or_key_that_is_not_private_is_refused() {
    let bench = Bench::new();
    drop(bench.cache());
    fs::set_permissions(bench.path().join(KEY_FILE), fs::Permissions::from_mode(0o640)).expect("permissions");
    assert!(matches!(
        ArtefactCache::open(bench.path()),
        Err(CacheError::NotPrivate(_))
    ));
    fs::set_permissions(bench.path().join(KEY_FILE), fs::Permissions::from_mode(0o600)).expect("permissions");
    assert!(ArtefactCache::open(bench.path()).is_ok());
    fs::set_permissions(bench.path(), fs::Permissions::from_mode(0o770)).expect("permissions");
    assert!(matches!(
        ArtefactCache::open(bench.path()),
        Err(CacheError::NotPrivate(_))
    ));
}
