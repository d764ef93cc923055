//! The store file among crashes, other processes and full disks. Children are this test binary once more.

use super::{FORMAT, META, RedbBackend, failure};
use crate::backend::FaultKind;
use crate::store::tests::{
    assert_same, content, eventually, insert, is_reachable, open, service, suite, wait,
};
use crate::store::{BackendHealth, Store, TransactError};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use uuid::Uuid;

fn file(folder: &tempfile::TempDir) -> std::path::PathBuf {
    folder.path().join("store.redb")
}

fn reopen(path: &Path) -> Store {
    open(RedbBackend::open(path).expect("an open file"))
}

fn refusal(path: &Path) -> (FaultKind, String) {
    let fault = RedbBackend::open(path).err().expect("a refusal");
    (fault.kind, fault.text)
}

#[test]
fn a_file_does_what_all_backends_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let number = std::cell::Cell::new(0);
    suite::all(|| {
        number.set(number.get() + 1);
        let path = folder.path().join(format!("{}.redb", number.get()));
        RedbBackend::open(path).expect("a new file")
    });
}

#[test]
fn a_file_opened_again_holds_everything_under_the_same_version() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = reopen(&file(&folder));
    for number in 1..=20 {
        insert(&store, number, &format!("s{number}")).expect("an insert");
    }
    let gone = wait(store.transact(|t| t.delete("services", Uuid::from_u128(7))));
    let version = gone.expect("a delete").version;
    let before = content(&store);
    drop(store);
    let store = reopen(&file(&folder));
    assert_eq!(store.catalog().version(), version);
    assert!(content(&store) == before);
    assert_eq!(store.changes_since(version).map(|changes| changes.len()), Some(0));
    assert!(
        store.changes_since(version - 1).is_none(),
        "what was before is not told again"
    );
    assert_eq!(insert(&store, 7, "s7"), Ok(version + 1));
    let mode = std::fs::metadata(file(&folder))
        .expect("a file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600, "it holds secrets");
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("a folder").collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn files_that_cannot_be_used_are_refused_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("missing").join("store.redb");
    let (kind, text) = refusal(&path);
    assert_eq!(kind, FaultKind::Refused);
    assert!(text.ends_with("does not exist; create it"), "{text}");

    let path = folder.path().join("text.redb");
    std::fs::write(&path, "_format_version: '3.0'\n".repeat(1_000)).expect("a file");
    assert_eq!(refusal(&path).0, FaultKind::Damaged);

    let path = file(&folder);
    drop(reopen(&path));
    let database = redb::Database::open(&path).expect("a database");
    let writer = database.begin_write().expect("a writer");
    writer
        .open_table(META)
        .expect("a table")
        .insert("format", FORMAT + 1)
        .expect("a write");
    writer.commit().expect("a commit");
    drop(database);
    let (kind, text) = refusal(&path);
    assert_eq!(kind, FaultKind::TooNew);
    assert!(
        text.contains("was written by a newer release (format 2, this one reads up to 1)"),
        "{text}"
    );
}

#[test]
fn of_many_that_create_the_file_at_once_one_has_it() {
    let folder = tempfile::tempdir().expect("a folder");
    for round in 0..20 {
        let path = folder.path().join(format!("{round}.redb"));
        let opened: Vec<_> = std::thread::scope(|scope| {
            let open = || RedbBackend::open(&path);
            let all: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            all.into_iter().map(|one| one.join().expect("a thread")).collect()
        });
        let kinds: Vec<_> = opened
            .iter()
            .filter_map(|one| one.as_ref().err().map(|fault| fault.kind))
            .collect();
        assert_eq!(kinds, [FaultKind::InUse; 3]);
        let owner = opened.into_iter().find_map(Result::ok).expect("one has it");
        insert(&open(owner), 1, "one").expect("an insert");
        assert_eq!(reopen(&path).catalog().len("services"), 1);
    }
    let left = std::fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(left, 20, "drafts are gone");
}

/// Starts one of the tests below, which do nothing unless a child is asked for.
fn child(test: &str, path: &Path, limit: Option<u64>) -> Child {
    let program = std::env::current_exe().expect("this program");
    let blocks = limit.map_or_else(|| "unlimited".to_owned(), |bytes| (bytes / 1_024).to_string());
    // A limit on the size of files stands for a disk that is full.
    let mut command = Command::new("bash");
    command
        .arg("-c")
        .arg("trap '' XFSZ; ulimit -f \"$0\"; exec \"$@\"")
        .arg(blocks)
        .arg(program)
        .args([test, "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env("STORE_FILE_OF_CHILD", path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command.spawn().expect("a child")
}

fn path_of_child() -> std::path::PathBuf {
    std::env::var_os("STORE_FILE_OF_CHILD")
        .expect("started by another test")
        .into()
}

#[test]
fn a_second_process_is_refused_while_the_first_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut holder = child("backend::redb::tests::child_that_holds", &file(&folder), None);
    let mut lines = BufReader::new(holder.stdout.take().expect("its output")).lines();
    let held = lines
        .by_ref()
        .map_while(Result::ok)
        .any(|line| line.ends_with("held"));
    assert!(held);
    let (kind, text) = refusal(&file(&folder));
    assert_eq!(kind, FaultKind::InUse);
    assert!(
        text.ends_with("is in use by another process; stop that one, or give this one a file of its own"),
        "{text}"
    );
    drop(holder.stdin.take());
    assert!(holder.wait().expect("its end").success());
    insert(&reopen(&file(&folder)), 2, "two").expect("an insert");
}

#[test]
#[ignore = "a child of another test"]
fn child_that_holds() {
    let store = reopen(&path_of_child());
    insert(&store, 1, "one").expect("an insert");
    println!("\nheld");
    let _ = std::io::read_to_string(std::io::stdin());
    insert(&store, 3, "three").expect("an insert, though another process tried");
}

#[test]
fn a_process_killed_at_any_point_loses_nothing_acknowledged_and_leaves_nothing_half() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut known: u128 = 0;
    for round in 0..12 {
        let mut writer = child("backend::redb::tests::child_that_writes", &file(&folder), None);
        let lines = BufReader::new(writer.stdout.take().expect("its output")).lines();
        let mut acknowledged = Vec::new();
        let enough = fastrand::usize(0..60);
        for line in lines.map_while(Result::ok) {
            acknowledged.extend(
                line.strip_prefix("done ")
                    .and_then(|number| number.parse::<u128>().ok()),
            );
            if acknowledged.len() == enough {
                std::thread::park_timeout(Duration::from_micros(fastrand::u64(0..4_000)));
                writer.kill().expect("a kill");
            }
        }
        let _ = writer.wait();
        let store = reopen(&file(&folder));
        for number in acknowledged {
            let name = format!("s{number}");
            let row = store.read(|catalog| catalog.find("services", "name", &name).cloned());
            assert!(row.is_some(), "round {round}: {number} was acknowledged");
        }
        store.read(|catalog| {
            let pairs = catalog.len("services");
            assert!(pairs as u128 >= known, "round {round}: nothing older is lost");
            known = pairs as u128;
            assert_eq!(
                catalog.len("routes"),
                pairs,
                "round {round}: both or none of a pair"
            );
            for route in catalog.rows("routes") {
                let service = route.value()["service"]["id"]
                    .as_str()
                    .and_then(|id| Uuid::try_parse(id).ok());
                assert!(catalog.get("services", service.expect("an id")).is_some());
            }
        });
    }
    assert!(known > 50, "{known} pairs were written");
}

#[test]
#[ignore = "a child of another test"]
fn child_that_writes() {
    let store = reopen(&path_of_child());
    let first =
        store.read(|catalog| catalog.len("services")) as u128 + fastrand::u128(0..1_000_000) * 1_000_000;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let writers: Vec<_> = (0..4_u128)
            .map(|writer| tokio::spawn(write_pairs(store.clone(), first + writer)))
            .collect();
        for writer in writers {
            let _ = writer.await;
        }
    });
}

/// A service and its route per transaction, until killed.
async fn write_pairs(store: Store, first: u128) {
    for number in (first..).step_by(4) {
        let done = store.transact(move |t| {
            let service = service(number, &format!("s{number}"));
            let route: Value =
                serde_json::json!({"id": Uuid::from_u128(number), "service": {"id": service["id"]}});
            t.insert("services", &service)?;
            t.insert("routes", route.as_object().expect("an object"))
                .map(|_| ())
        });
        done.await.expect("a commit");
        // One write, so that a line is whole or not there.
        let line = format!("\ndone {number}\n");
        std::io::stdout().write_all(line.as_bytes()).expect("a reader");
    }
}

#[test]
fn on_a_full_disk_writes_say_so_reads_go_on_and_room_heals_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut full = child(
        "backend::redb::tests::child_without_room",
        &file(&folder),
        Some(3 << 20),
    );
    let output = BufReader::new(full.stdout.take().expect("its output"));
    let lines: Vec<String> = output.lines().map_while(Result::ok).collect();
    assert!(full.wait().expect("its end").success(), "{lines:?}");
    let kept = lines
        .iter()
        .find_map(|line| line.strip_prefix("kept "))
        .expect("a count");
    let store = reopen(&file(&folder));
    let count = store.read(|catalog| catalog.len("services"));
    assert_eq!(
        count.to_string(),
        kept,
        "what was told to have failed is not there"
    );
    insert(&store, 1 << 64, "with room").expect("an insert");
}

#[test]
#[ignore = "a child of another test"]
fn child_without_room() {
    let store = reopen(&path_of_child());
    let mut kept = 0_u128;
    let fault = loop {
        let mut record = service(kept, &format!("s{kept}"));
        record.insert("path".to_owned(), Value::from(format!("/{}", "x".repeat(20_000))));
        match wait(store.transact(move |t| t.insert("services", &record).map(|_| ()))) {
            Ok(_) => kept += 1,
            Err(TransactError::Unavailable(fault)) => break fault,
            Err(other) => panic!("{other:?}"),
        }
    };
    assert_eq!(fault.kind, FaultKind::Full, "{fault}");
    assert!(kept > 10);
    assert!(matches!(store.health(), BackendHealth::Unreachable { reason, .. } if reason == fault.text));
    assert_eq!(store.read(|catalog| catalog.len("services")) as u128, kept);
    // Deleting makes room within the file, or needs no more of it.
    eventually("a delete goes through", || {
        wait(store.transact(|t| t.delete("services", Uuid::from_u128(0)))).is_ok()
    });
    eventually("the store is well", || is_reachable(&store));
    println!("\nkept {}", kept - 1);
}

#[test]
fn a_write_that_went_in_before_the_fault_counts_and_one_in_doubt_is_told_later() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = reopen(&file(&folder));
    insert(&store, 1, "one").expect("an insert");
    let path = folder.path().join("copy.redb");
    drop(store);
    std::fs::copy(file(&folder), &path).expect("a copy");
    let ahead = reopen(&path);
    insert(&ahead, 2, "two").expect("an insert");
    drop(ahead);

    // The file is a commit ahead of what the store knows, as after a fault that hid its success.
    let mut backend = RedbBackend::open(&path).expect("an open file");
    backend.is_suspect = true;
    backend.database = None;
    let known = Store::open(Box::new(Hidden(backend)), crate::Options::default()).expect("an open store");
    assert_eq!(known.catalog().version(), 1);
    eventually("the store takes over what the file has", || {
        known.catalog().version() == 2
    });
    drop(known);
    let fresh = reopen(&path);
    let again = reopen(&file(&folder));
    insert(&again, 2, "two").expect("an insert");
    assert_same(&fresh, &again);
}

/// Tells an older version at first.
struct Hidden(RedbBackend);

impl crate::Backend for Hidden {
    fn load(
        &mut self,
        each: &mut dyn FnMut(crate::StoredRow<'_>) -> Result<(), crate::BackendError>,
    ) -> Result<u64, crate::BackendError> {
        let is_first = self.0.is_suspect;
        let version = self
            .0
            .load(&mut |row| match is_first && row.id == Uuid::from_u128(2) {
                true => Ok(()),
                false => each(row),
            })?;
        Ok(if is_first { version - 1 } else { version })
    }

    fn commit(
        &mut self,
        base: u64,
        changes: &[crate::RowChange],
    ) -> Result<crate::Outcome, crate::BackendError> {
        self.0.commit(base, changes)
    }

    fn poll(&mut self, base: u64) -> Result<crate::News, crate::BackendError> {
        self.0.poll(base)
    }

    fn poll_interval(&self) -> Option<Duration> {
        self.0.poll_interval()
    }
}

#[test]
fn faults_of_the_disk_have_their_kind() {
    for (fault, kind) in [
        (std::io::ErrorKind::StorageFull, FaultKind::Full),
        (std::io::ErrorKind::PermissionDenied, FaultKind::Refused),
        (std::io::ErrorKind::TimedOut, FaultKind::Unreachable),
    ] {
        let fault = redb::Error::Io(fault.into());
        assert_eq!(failure(Path::new("/x"), &fault).kind, kind, "{fault}");
    }
}
