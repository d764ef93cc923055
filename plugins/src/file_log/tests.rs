use super::FileLog;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tidegate_plugin::testing::{Harness, RecordedLines};
use tidegate_telemetry::line_writer::{LineWriter, LineWriterLimits};

fn recorded(config: Value) -> (Harness, Arc<RecordedLines>) {
    let lines = Arc::new(RecordedLines::default());
    let sink = Arc::clone(&lines);
    (Harness::new(FileLog).config(config).lines(sink), lines)
}

fn get(harness: &Harness) {
    let _ = harness
        .request("GET", "/a")
        .run()
        .upstream_response(200, &[], &["ok"]);
}

#[test]
fn each_request_is_one_line_of_json() {
    let (harness, lines) = recorded(json!({ "path": "/tmp/x.log" }));
    get(&harness);
    let taken = lines.taken();
    let (path, line, reopen) = &taken[0];
    assert_eq!((path.as_str(), *reopen, taken.len()), ("/tmp/x.log", false, 1));
    let text = std::str::from_utf8(line).unwrap();
    assert!(text.ends_with("}\n") && text.lines().count() == 1);
    let record: Value = serde_json::from_str(text).unwrap();
    assert_eq!(
        (&record["response"]["status"], &record["source"]),
        (&json!(200), &json!("upstream"))
    );
}

#[test]
fn request_that_was_answered_early_is_logged_too() {
    let (harness, lines) = recorded(json!({ "path": "/tmp/x.log", "reopen": true }));
    let reply = tidegate_plugin::Reply::error(http::StatusCode::UNAUTHORIZED, "Unauthorized");
    let _ = harness.request("GET", "/a").answered_by_gateway(reply);
    let (_, line, reopen) = &lines.taken()[0];
    let record: Value = serde_json::from_slice(line).unwrap();
    assert_eq!(
        (&record["response"]["status"], &record["source"], *reopen),
        (&json!(401), &json!("kong"), true)
    );
}

#[test]
fn members_of_other_plugins_are_in_the_line() {
    let (harness, lines) = recorded(json!({ "path": "/tmp/x.log" }));
    let request = harness
        .request("GET", "/")
        .with(|x| x.log_fields.push(("correlation_id".into(), json!("c-1"))));
    let _ = request.run().upstream_response(200, &[], &[]);
    let record: Value = serde_json::from_slice(&lines.taken()[0].1).unwrap();
    assert_eq!(record["correlation_id"], "c-1");
}

#[test]
fn lines_reach_the_file_through_the_writer_whole_and_in_parallel() {
    let path: PathBuf = std::env::temp_dir().join(format!("file-log-{}", std::process::id()));
    let writer = Arc::new(LineWriter::start(LineWriterLimits::default()).unwrap());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let (writer, path) = (Arc::clone(&writer), path.to_str().unwrap());
            scope.spawn(move || {
                let harness = Harness::new(FileLog)
                    .config(json!({ "path": path }))
                    .lines(writer);
                (0..25).for_each(|_| get(&harness));
            });
        }
    });
    assert!(writer.flush(Duration::from_secs(20)));
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(
        text.lines()
            .filter(|line| serde_json::from_str::<Value>(line).is_ok())
            .count(),
        100
    );
    assert_eq!(text.lines().count(), 100);
}

#[test]
fn missing_folder_loses_the_line_and_nothing_else() {
    let writer = Arc::new(LineWriter::start(LineWriterLimits::default()).unwrap());
    let config = json!({ "path": "/nonexistent/folder/x.log" });
    let harness = Harness::new(FileLog)
        .config(config)
        .lines(Arc::<LineWriter>::clone(&writer));
    get(&harness);
    assert!(writer.flush(Duration::from_secs(20)));
    assert!(!std::fs::exists("/nonexistent").unwrap());
}

#[test]
fn path_must_be_a_valid_filename() {
    let violations = |config| Harness::new(FileLog).config(config).violations();
    for path in [" x", "x ", "a*b", "a&b", "a%b", "a\\b", "a`b", "x"] {
        assert_eq!(
            violations(json!({ "path": path })),
            ["config.path: not a valid filename"],
            "{path:?}"
        );
    }
    for path in ["/dev/stdout", "/dev/stderr", "/var/log/my app.log", "ab"] {
        assert_eq!(
            violations(json!({ "path": path })),
            Vec::<String>::new(),
            "{path:?}"
        );
    }
    assert_eq!(violations(json!({})), ["config.path: required field missing"]);
}

#[test]
fn lua_snippets_are_refused_unless_there_are_none() {
    let violations = |lua: Value| {
        Harness::new(FileLog)
            .config(json!({ "path": "/tmp/x", "custom_fields_by_lua": lua }))
            .violations()
    };
    let found = violations(json!({ "route": "return nil" }));
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("config.custom_fields_by_lua: Lua code is not supported"),
        "{found:?}"
    );
    assert_eq!(violations(json!({})), Vec::<String>::new());
    assert_eq!(violations(Value::Null), Vec::<String>::new());
}
