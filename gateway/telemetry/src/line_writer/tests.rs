use super::{LineWriter, LineWriterLimits};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// A folder of one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "line-writer-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn writer() -> LineWriter {
    LineWriter::start(LineWriterLimits::default()).unwrap()
}

#[test]
fn lines_arrive_in_the_order_in_which_they_were_appended() {
    let folder = Folder::new();
    let (a, b) = (folder.file("a"), folder.file("b"));
    let writer = writer();
    for number in 0..1_000 {
        writer.append(
            if number % 3 == 0 { &b } else { &a },
            format!("{number}\n").into_bytes(),
            number % 7 == 0,
        );
    }
    assert!(writer.flush(PATIENCE));
    for (path, belongs) in [(&a, [1, 2].as_slice()), (&b, [0].as_slice())] {
        let wanted: Vec<i32> = (0..1_000)
            .filter(|number| belongs.contains(&(number % 3)))
            .collect();
        let found: Vec<i32> = fs::read_to_string(path)
            .unwrap()
            .lines()
            .map(|line| line.parse().unwrap())
            .collect();
        assert_eq!(found, wanted);
    }
}

#[test]
fn lines_of_many_threads_are_whole_and_none_is_missing() {
    let folder = Folder::new();
    let path = folder.file("log");
    let writer = writer();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (writer, path) = (&writer, &path);
            scope.spawn(move || {
                for number in 0..500 {
                    writer.append(
                        path,
                        format!("{thread}:{number}:{}\n", "x".repeat(200)).into_bytes(),
                        false,
                    );
                }
            });
        }
    });
    assert!(writer.flush(PATIENCE));
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 2_000);
    assert!(
        text.lines()
            .all(|line| line.ends_with(&"x".repeat(200)) && line.matches(':').count() == 2)
    );
    assert_eq!(writer.dropped(), 0);
}

#[test]
fn queue_holds_its_limit_of_lines_and_the_next_one_is_dropped_and_counted() {
    let folder = Folder::new();
    let path = folder.file("log");
    let writer = LineWriter::without_thread(LineWriterLimits {
        max_lines: 3,
        max_bytes: 1 << 20,
    });
    for number in 0..3 {
        writer.append(&path, format!("{number}\n").into_bytes(), false);
    }
    assert_eq!((writer.queued(), writer.dropped()), (3, 0));
    writer.append(&path, b"3\n".to_vec(), false);
    assert_eq!((writer.queued(), writer.dropped()), (3, 1));
    writer.shared.queue.lock().closed = true;
    writer.shared.run();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "0\n1\n2\n",
        "the oldest lines are kept"
    );
}

#[test]
fn line_longer_than_the_byte_limit_is_dropped_and_one_at_the_limit_is_kept() {
    let folder = Folder::new();
    let path = folder.file("log");
    let writer = LineWriter::start(LineWriterLimits {
        max_lines: 10,
        max_bytes: 8,
    })
    .unwrap();
    writer.append(&path, b"12345678\n".to_vec(), false);
    assert_eq!(writer.dropped(), 1);
    writer.append(&path, b"1234567\n".to_vec(), false);
    assert!(writer.flush(PATIENCE));
    assert_eq!(
        (writer.dropped(), fs::read_to_string(&path).unwrap().as_str()),
        (1, "1234567\n")
    );
}

#[test]
fn removed_file_is_created_again_only_when_the_line_asks_for_it() {
    let folder = Folder::new();
    let (kept, reopened) = (folder.file("kept"), folder.file("reopened"));
    let writer = writer();
    for round in 0..2 {
        writer.append(&kept, b"line\n".to_vec(), false);
        writer.append(&reopened, b"line\n".to_vec(), true);
        assert!(writer.flush(PATIENCE));
        if round == 0 {
            fs::remove_file(&kept).unwrap();
            fs::remove_file(&reopened).unwrap();
        }
    }
    assert!(!fs::exists(&kept).unwrap(), "data went on to the old file");
    assert_eq!(fs::read_to_string(&reopened).unwrap(), "line\n");
    writer.reopen();
    writer.append(&kept, b"after rotation\n".to_vec(), false);
    assert!(writer.flush(PATIENCE));
    assert_eq!(fs::read_to_string(&kept).unwrap(), "after rotation\n");
}

#[test]
fn file_that_cannot_be_opened_loses_its_lines_and_recovers_later() {
    let folder = Folder::new();
    let missing = folder.file("missing/log");
    let directory = folder.file("directory");
    fs::create_dir(&directory).unwrap();
    let writer = writer();
    writer.append(&missing, b"lost\n".to_vec(), false);
    writer.append(&directory, b"lost\n".to_vec(), false);
    assert!(writer.flush(PATIENCE));
    assert!(!fs::exists(&missing).unwrap(), "parent folders are not created");
    fs::create_dir(folder.file("missing")).unwrap();
    writer.append(&missing, b"found\n".to_vec(), false);
    assert!(writer.flush(PATIENCE));
    assert_eq!(fs::read_to_string(&missing).unwrap(), "found\n");
}

#[test]
fn shutdown_writes_what_is_queued_and_drops_what_comes_later() {
    let folder = Folder::new();
    let path = folder.file("log");
    let writer = writer();
    for _ in 0..100 {
        writer.append(&path, b"line\n".to_vec(), false);
    }
    writer.shutdown();
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 100);
    writer.append(&path, b"late\n".to_vec(), false);
    assert_eq!(writer.dropped(), 1);
    assert!(writer.flush(PATIENCE), "nothing is under way after shutdown");
}

#[test]
fn more_paths_than_open_files_all_get_their_lines() {
    let folder = Folder::new();
    let writer = writer();
    for round in 0..2 {
        for number in 0..300 {
            writer.append(
                &folder.file(&number.to_string()),
                format!("{round}\n").into_bytes(),
                false,
            );
        }
    }
    assert!(writer.flush(PATIENCE));
    for number in 0..300 {
        assert_eq!(
            fs::read_to_string(folder.file(&number.to_string())).unwrap(),
            "0\n1\n"
        );
    }
}
