use super::*;
use clap::Parser;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::time::{Duration, Instant};

/// What a command answered.
pub(super) struct Answer {
    pub(super) code: u8,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

pub(super) fn tidegate_with(environment: &[(&str, &str)], arguments: &[&str]) -> Answer {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let mut surroundings = Surroundings {
        environment,
        stdout: &mut stdout,
        stderr: &mut stderr,
    };
    let arguments = std::iter::once("tidegate")
        .chain(arguments.iter().copied())
        .map(OsString::from);
    let code = run(arguments, &mut surroundings);
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Answer {
        code,
        stdout: text(stdout),
        stderr: text(stderr),
    }
}

fn tidegate(arguments: &[&str]) -> Answer {
    tidegate_with(&[], arguments)
}

#[test]
fn no_command_means_start_and_takes_its_flags() {
    let bare = Arguments::try_parse_from(["tidegate"]).expect("legal");
    assert!(bare.command.is_none());
    let flags =
        Arguments::try_parse_from(["tidegate", "-c", "kong.yaml", "--set", "workers = 3"]).expect("legal");
    assert!(flags.command.is_none());
    assert_eq!(
        flags.start.settings.declarative_config.as_deref(),
        Some("kong.yaml")
    );
    assert_eq!(
        flags.start.settings.set,
        vec![("workers".to_owned(), "3".to_owned())]
    );
    let start = Arguments::try_parse_from(["tidegate", "start", "--conf", "t.conf"]).expect("legal");
    assert!(
        matches!(start.command, Some(Command::Start(start)) if start.settings.conf == Some(PathBuf::from("t.conf")))
    );
}

#[test]
fn a_start_with_wrong_settings_names_all_faults_and_exits_with_1() {
    let answer = tidegate_with(
        &[("TIDEGATE_WORKERS", "many"), ("TIDEGATE_PROXY_LISTN", "x")],
        &[],
    );
    assert_eq!(answer.code, 1);
    assert_eq!(answer.stdout, "");
    let lines: Vec<&str> = answer.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{}", answer.stderr);
    assert!(
        lines.iter().all(|line| line.starts_with("tidegate: setting `")),
        "{}",
        answer.stderr
    );
    assert!(answer.stderr.contains("did you mean `proxy_listen`?"));
}

#[test]
fn help_and_version_are_answers_and_a_wrong_command_line_exits_with_2() {
    for arguments in [&["version"][..], &["--version"]] {
        let answer = tidegate(arguments);
        assert_eq!((answer.code, answer.stderr.as_str()), (0, ""));
        assert_eq!(answer.stdout, format!("tidegate {}\n", env!("CARGO_PKG_VERSION")));
    }
    let help = tidegate(&["start", "--help"]);
    assert_eq!(help.code, 0);
    assert!(
        help.stdout.contains("client_max_header_count [1000]"),
        "the help of start lists the settings"
    );
    for arguments in [&["sart"][..], &["--set", "workers"], &["check"], &["stop", "now"]] {
        let answer = tidegate(arguments);
        assert_eq!((answer.code, answer.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(
            answer.stderr.contains("Usage:") || answer.stderr.contains("error:"),
            "{}",
            answer.stderr
        );
    }
}

#[test]
fn a_settings_file_that_is_missing_is_named() {
    let by_flag = tidegate(&["config", "show", "--conf", "/nonexistent/t.conf"]);
    let by_variable = tidegate_with(&[("TIDEGATE_CONF", "/nonexistent/t.conf")], &["config", "show"]);
    for answer in [by_flag, by_variable] {
        assert_eq!(answer.code, 1);
        assert_eq!(
            answer.stderr,
            "tidegate: cannot read the settings file /nonexistent/t.conf: there is no such file or folder\n"
        );
    }
}

#[test]
fn config_show_tells_where_each_value_came_from() {
    let folder = tempfile::tempdir().expect("a folder");
    let conf = folder.path().join("t.conf");
    std::fs::write(&conf, "log_level = warn\n").expect("written");
    let conf = conf.to_str().expect("UTF-8");
    let environment = [
        ("TIDEGATE_CONF", conf),
        ("KONG_PROXY_LISTEN", "off"),
        ("TIDEGATE_PG_PASSWORD", "hunter2"),
    ];
    let answer = tidegate_with(
        &environment,
        &["config", "show", "--changed", "--set", "workers=2"],
    );
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let expected = [
        "workers = 2  # command line".to_owned(),
        "pg_password = ******  # environment variable TIDEGATE_PG_PASSWORD".to_owned(),
        "proxy_listen = off  # environment variable KONG_PROXY_LISTEN".to_owned(),
        format!("log_level = warn  # {conf}, line 1"),
    ];
    assert_eq!(answer.stdout.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn config_show_as_json_lists_every_setting() {
    let answer = tidegate(&["config", "show", "--format", "json", "--set", "prefix=/srv/t"]);
    let items: Vec<serde_json::Value> = serde_json::from_str(&answer.stdout).expect("JSON");
    assert_eq!(
        items.len(),
        tidegate_config::settings::Settings::definitions().count()
    );
    assert_eq!(
        items[0],
        serde_json::json!({ "name": "prefix", "value": "/srv/t", "origin": { "source": "command line" }, "group": "Process" })
    );
    assert_eq!(items[1]["origin"], serde_json::json!({ "source": "default" }));
}

#[test]
fn warnings_go_to_standard_error_unless_the_log_level_leaves_them_out() {
    let environment = [("KONG_WORKERZ", "1")];
    let answer = tidegate_with(&environment, &["config", "show"]);
    assert_eq!(answer.code, 0);
    assert!(
        answer
            .stderr
            .starts_with("tidegate: warning: environment variable KONG_WORKERZ names no setting")
    );
    assert_eq!(
        tidegate_with(&environment, &["config", "show", "--set", "log_level=error"]).stderr,
        ""
    );
}

#[test]
fn check_prints_every_fault_and_exits_with_1() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("kong.yaml");
    let text = "_format_version: '3.0'\nservices:\n- name: a\n  port: high\n- nme: b\n  host: b\n";
    std::fs::write(&file, text).expect("written");
    let name = file.to_str().expect("UTF-8");
    let answer = tidegate(&["check", name]);
    assert_eq!(
        (answer.code, answer.stderr.as_str()),
        (1, ""),
        "{}",
        answer.stdout
    );
    assert!(answer.stdout.contains(&format!("{name}:4:")), "{}", answer.stdout);
    assert!(
        answer.stdout.contains("services[0].port") && answer.stdout.contains("services[1].nme"),
        "{}",
        answer.stdout
    );
    let answer = tidegate(&["check", name, "--format", "json"]);
    assert_eq!(answer.code, 1);
    let report: serde_json::Value = serde_json::from_str(&answer.stdout).expect("JSON");
    assert_eq!(report["file"], name);
    assert!(
        report["faults"]
            .as_array()
            .is_some_and(|faults| faults.len() >= 2),
        "{report:#}"
    );
}

#[test]
fn check_sums_up_a_faultless_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("kong.yaml");
    let text =
        "_format_version: '3.0'\nservices:\n- name: a\n  url: http://a.test\n  routes:\n  - paths: [/a]\n";
    std::fs::write(&file, text).expect("written");
    let name = file.to_str().expect("UTF-8");
    let answer = tidegate(&["check", name]);
    assert_eq!(
        (answer.code, answer.stdout),
        (0, format!("{name}: no faults; 1 service, 1 route\n"))
    );
    let answer = tidegate(&["check", "--format", "json", name]);
    let report: serde_json::Value = serde_json::from_str(&answer.stdout).expect("JSON");
    assert_eq!(
        report,
        serde_json::json!({ "file": name, "faults": [], "omitted": 0, "warnings": [] })
    );
}

#[test]
fn check_of_a_missing_file_says_so() {
    let answer = tidegate(&["check", "/nonexistent/kong.yaml"]);
    assert_eq!(answer.code, 1);
    assert_eq!(
        answer.stderr,
        "tidegate: cannot read /nonexistent/kong.yaml: there is no such file or folder\n"
    );
}

#[test]
fn explain_refuses_a_text_that_is_no_request() {
    let answer = tidegate(&["explain", "GET /path"]);
    assert_eq!(answer.code, 1);
    assert!(
        answer.stderr.contains("`/path` makes no sense here"),
        "{}",
        answer.stderr
    );
}

/// A process that waits, under a name of our choice, with its id in the file of the prefix.
fn waiting_process(prefix: &Path, name: &str) -> Child {
    let program = prefix.join(name);
    std::os::unix::fs::symlink("/bin/sleep", &program).expect("a link to sleep");
    let child = Process::new(program)
        .arg("60")
        .stdin(Stdio::null())
        .spawn()
        .expect("a process");
    // The kernel renames the new process a moment after it lets us go on.
    let comm = format!("/proc/{}/comm", child.id());
    let deadline = Instant::now() + Duration::from_secs(20);
    while std::fs::read_to_string(&comm).expect("a name").trim() != name {
        assert!(Instant::now() < deadline, "the process never became {name}");
        std::thread::yield_now();
    }
    std::fs::create_dir_all(prefix.join("pids")).expect("a folder");
    std::fs::write(prefix.join("pids/tidegate.pid"), format!("{}\n", child.id())).expect("written");
    child
}

#[test]
fn stop_and_reload_say_when_nothing_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let prefix = folder.path().to_str().expect("UTF-8");
    for command in ["stop", "reload"] {
        let answer = tidegate(&[command, "-p", prefix]);
        assert_eq!((answer.code, answer.stdout.as_str()), (1, ""));
        assert_eq!(
            answer.stderr,
            format!(
                "tidegate: tidegate is not running: there is no file {prefix}/pids/tidegate.pid; does it run with another `prefix`?\n"
            )
        );
    }
}

#[test]
fn stop_ends_the_process_that_the_file_names_and_waits_for_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = waiting_process(folder.path(), "tidegate");
    let id = child.id();
    // Somebody must collect the process, or it would exist for ever.
    let collector = std::thread::spawn(move || child.wait().expect("an end"));
    let answer = tidegate(&["stop", "--prefix", folder.path().to_str().expect("UTF-8")]);
    assert_eq!(
        (answer.code, answer.stdout),
        (0, format!("process {id} has stopped\n")),
        "{}",
        answer.stderr
    );
    assert!(
        !collector.join().expect("collected").success(),
        "it was ended by a signal"
    );
}

#[test]
fn reload_sends_a_hangup() {
    use std::os::unix::process::ExitStatusExt;
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = waiting_process(folder.path(), "tidegate");
    let answer = tidegate(&["reload", "--prefix", folder.path().to_str().expect("UTF-8")]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(
        answer
            .stdout
            .starts_with(&format!("asked process {} to reload", child.id()))
    );
    assert_eq!(child.wait().expect("an end").signal(), Some(1));
}

#[test]
fn a_process_that_is_no_gateway_is_never_signalled() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = waiting_process(folder.path(), "database");
    let answer = tidegate(&["stop", "--prefix", folder.path().to_str().expect("UTF-8")]);
    assert_eq!(answer.code, 1);
    assert!(answer.stderr.contains("which is `database`"), "{}", answer.stderr);
    assert_eq!(child.try_wait().expect("a state"), None, "it lives");
    child.kill().expect("ended");
    child.wait().expect("collected");
}

#[test]
fn echo_says_which_port_is_taken() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("its address").to_string();
    let answer = tidegate(&["echo", "--listen", &address]);
    assert_eq!(answer.code, 1);
    assert!(
        answer.stderr.contains(&format!(
            "cannot open listener {address}: another process listens there"
        )),
        "{}",
        answer.stderr
    );
    let answer = tidegate(&["echo", "--listen", "127.0.0.1:0 require-authorization=ABSENT"]);
    assert_eq!(
        (answer.code, answer.stderr.as_str()),
        (1, "tidegate: the environment variable `ABSENT` is not set\n")
    );
}

#[test]
fn the_manual_and_the_default_file_are_those_of_the_settings_table() {
    let hint = "run `tidegate config docs > docs/settings.md`, `tidegate config limits > docs/limits.md` and \
                `tidegate config defaults > tidegate.conf.default`";
    let limits = tidegate(&["config", "limits"]);
    assert!(
        limits.stdout == include_str!("../../../../docs/limits.md"),
        "{hint}"
    );
    assert!(
        tidegate_config::settings::markdown() == include_str!("../../../../docs/settings.md"),
        "{hint}"
    );
    assert!(
        tidegate_config::settings::conf_default() == include_str!("../../../../tidegate.conf.default"),
        "{hint}"
    );
}
