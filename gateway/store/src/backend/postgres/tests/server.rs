//! A PostgreSQL of the test's own: private folder, private socket, as a user without rights.

use super::{PostgresBackend, PostgresSettings};
use crate::backend::Migrator;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// PostgreSQL refuses to run as root.
const NOBODY: u32 = 65_534;

pub(super) struct Server {
    pub(super) folder: TempDir,
    options: Vec<String>,
    port: u16,
    process: Option<Child>,
}

impl Server {
    pub(super) fn start() -> Self {
        Self::with(&[])
    }

    /// With settings such as `ssl=on`.
    pub(super) fn with(options: &[&str]) -> Self {
        let mut server = Self::new(options);
        server.run();
        server
    }

    /// Prepared, not running.
    pub(super) fn new(options: &[&str]) -> Self {
        let folder = TempDir::with_prefix("tidegate-pg-").expect("a folder");
        if geteuid().is_root() {
            chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("root may give it away");
        }
        let server = Self {
            folder,
            options: options.iter().map(|&option| option.to_owned()).collect(),
            port: PostgresSettings::default().port,
            process: None,
        };
        std::fs::write(server.folder.path().join("password"), "secret").expect("a file");
        let made = server
            .command("initdb")
            .args([
                "--no-sync",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--username=kong",
            ])
            .arg("--pwfile=password")
            .arg("--pgdata=data")
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        server
    }

    pub(super) fn run(&mut self) {
        let log = std::fs::File::create(self.folder.path().join("log")).expect("a file");
        let mut command = self.command("postgres");
        command.args(["-D", "data", "-k"]).arg(self.folder.path());
        let own = [
            "listen_addresses=",
            "fsync=off",
            "max_connections=40",
            "shared_buffers=16MB",
        ];
        for option in own.iter().copied().chain(self.options.iter().map(String::as_str)) {
            command.args(["-c", option]);
        }
        let process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.process = Some(process.expect("postgres runs"));
        let settings = PostgresSettings {
            database: "postgres".to_owned(),
            tls: None,
            ..self.settings()
        };
        let mut fault = None;
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            match Migrator::connect(settings.clone()) {
                Ok(_) => return,
                Err(reason) => fault = Some(reason),
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        let log = std::fs::read_to_string(self.folder.path().join("log"));
        panic!("the database does not start: {fault:?} {log:?}");
    }

    /// Tells the port that the options name.
    pub(super) fn port(&mut self, port: u16) {
        self.port = port;
    }

    /// Ends it at once, as a crash does.
    pub(super) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let id = Pid::from_child(&process);
            kill_process(id, Signal::QUIT).expect("a signal");
            process.wait().expect("its end");
        }
    }

    pub(super) fn settings(&self) -> PostgresSettings {
        PostgresSettings {
            host: self.folder.path().display().to_string(),
            port: self.port,
            database: "postgres".to_owned(),
            password: Some("secret".to_owned()),
            timeout: Duration::from_secs(4),
            ..PostgresSettings::default()
        }
    }

    /// Settings for a schema that nobody has used, with everything in it.
    pub(super) fn fresh(&self) -> PostgresSettings {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let settings = PostgresSettings {
            schema: Some(format!("Schema \"{}\"", NEXT.fetch_add(1, Ordering::Relaxed))),
            ..self.settings()
        };
        let mut migrator = Migrator::connect(settings.clone()).expect("a connection");
        assert!(!migrator.bootstrap().expect("a bootstrap").is_empty());
        settings
    }

    pub(super) fn backend(&self) -> PostgresBackend {
        PostgresBackend::open(self.fresh()).expect("a backend")
    }

    /// A program of PostgreSQL, run in the folder by somebody who may.
    fn command(&self, program: &str) -> Command {
        let mut command = if geteuid().is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
            command.arg(installed(program));
            command
        } else {
            Command::new(installed(program))
        };
        command
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path());
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Debian keeps servers out of the search path.
fn installed(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let folders = std::env::split_paths(&path).chain(versions.map(|version| version.path().join("bin")));
    let mut found = folders
        .map(|folder| folder.join(program))
        .filter(|path: &PathBuf| Path::is_file(path));
    found
        .next()
        .unwrap_or_else(|| panic!("{program} is missing: install PostgreSQL"))
}
