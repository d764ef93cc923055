//! The cache of whoever writes filters: it spares tests and tools the compilation of what they have seen before.

use super::ArtefactCache;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What is kept, compiled: some ten of the largest.
const MAX_BYTES: u64 = 1 << 30;

impl ArtefactCache {
    /// The one of the user who runs the program, in `$XDG_CACHE_HOME/tidegate/filters` or `~/.cache/tidegate/filters`; what
    /// goes beyond a GiB is removed, the oldest first. `None`: there is no such place, or it cannot be used.
    #[must_use]
    pub fn of_user() -> Option<Self> {
        let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let caches = folder("XDG_CACHE_HOME").map(PathBuf::from);
        let caches = caches.or_else(|| folder("HOME").map(|home| Path::new(&home).join(".cache")))?;
        let cache = Self::open(caches.join("tidegate/filters"))
            .inspect_err(|error| tracing::debug!(%error, "filters are compiled anew each time"))
            .ok()?;
        cache.keep_newest(MAX_BYTES);
        Some(cache)
    }

    /// Removes the oldest entries until the others have no more than so many bytes.
    fn keep_newest(&self, max_bytes: u64) {
        let Ok(entries) = fs::read_dir(&self.directory) else {
            return;
        };
        let mut found: Vec<(SystemTime, u64, PathBuf)> = entries
            .flatten()
            .filter_map(|entry| {
                let path = entry.path();
                let metadata = entry.metadata().ok()?;
                let is_entry = path.extension().is_some_and(|extension| extension == "cwasm");
                is_entry.then_some((metadata.modified().ok()?, metadata.len(), path))
            })
            .collect();
        found.sort_unstable_by(|one, other| other.cmp(one));
        let mut total = 0_u64;
        for (_, length, path) in found {
            total = total.saturating_add(length);
            if total > max_bytes {
                // Another program may have been first.
                let _ = fs::remove_file(&path);
                let _ = fs::remove_file(path.with_extension("cwasm.mac"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_oldest_entries_go_first_with_their_macs() {
        let directory = tempfile::tempdir().expect("a directory");
        let cache = ArtefactCache::open(directory.path().join("cache")).expect("a cache");
        let path = |name: &str| cache.directory.join(name);
        for (age, name) in [(1, "new"), (3, "oldest"), (2, "old")] {
            let modified = SystemTime::now() - Duration::from_secs(age * 60);
            let file = fs::File::create(path(&format!("{name}.cwasm"))).expect("a file");
            file.set_len(10).expect("bytes");
            file.set_modified(modified).expect("a time");
            fs::write(path(&format!("{name}.cwasm.mac")), "").expect("a file");
        }
        cache.keep_newest(20);
        for (name, is_kept) in [("new", true), ("old", true), ("oldest", false)] {
            assert_eq!(path(&format!("{name}.cwasm")).exists(), is_kept, "{name}");
            assert_eq!(path(&format!("{name}.cwasm.mac")).exists(), is_kept, "{name}");
        }
        assert!(path("key").exists());
    }
}
