//! A PostgreSQL of the test's own: private folder, private socket, as a user without rights.
//!
//! It asks no client library whether the server answers: those who use this test one.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "support for tests: what fails here fails the test that called it"
)]

use rustix::process::{Pid, Signal, geteuid, kill_process};
use std::fs::File;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// PostgreSQL refuses to run as root.
const NOBODY: u32 = 65_534;
/// How long a server may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// A server; ended when dropped.
#[derive(Debug)]
pub struct Server {
    folder: TempDir,
    options: Vec<String>,
    port: u16,
    process: Option<Child>,
}

impl Server {
    /// Name of the user who may do everything; the database is `postgres`.
    pub const USER: &str = "kong";
    /// The password of that user.
    pub const PASSWORD: &str = "secret";
    /// The database that is there.
    pub const DATABASE: &str = "postgres";

    /// A server that listens on a socket in its folder.
    #[must_use]
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// With settings such as `ssl=on`.
    #[must_use]
    pub fn with(options: &[&str]) -> Self {
        let mut server = Self::new(options);
        server.run();
        server
    }

    /// Prepared, not running.
    #[must_use]
    pub fn new(options: &[&str]) -> Self {
        let folder = TempDir::with_prefix("tidegate-pg-").expect("a folder");
        if geteuid().is_root() {
            chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("root may give it away");
        }
        let server = Self {
            folder,
            options: options.iter().map(|&option| option.to_owned()).collect(),
            port: 5_432,
            process: None,
        };
        std::fs::write(server.folder().join("password"), Self::PASSWORD).expect("a file");
        let made = server
            .command("initdb")
            .args([
                "--no-sync",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--pwfile=password",
                "--pgdata=data",
                "--username",
                Self::USER,
            ])
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        server
    }

    /// One for all tests of this process. It outlives every test and ends with the process.
    #[must_use]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<(Server, Child)> = OnceLock::new();
        let (server, _) = SHARED.get_or_init(|| {
            let server = Self::start();
            let guard = server.guard();
            (server, guard)
        });
        server
    }

    /// Starts it, and waits until it answers.
    pub fn run(&mut self) {
        let log = File::create(self.folder().join("log")).expect("a file");
        let mut command = self.command("postgres");
        command.args(["-D", "data", "-k"]).arg(self.folder());
        let own = [
            "listen_addresses=",
            "fsync=off",
            "max_connections=60",
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
        let deadline = Instant::now() + PATIENCE;
        while !self.answers() {
            if Instant::now() > deadline {
                let log = std::fs::read_to_string(self.folder().join("log"));
                panic!("the database does not start: {log:?}");
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            kill_process(Pid::from_child(&process), Signal::QUIT).expect("a signal");
            process.wait().expect("its end");
        }
    }

    /// Where its data and its socket are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The port, which is a part of the socket's name.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Tells the port that the options name.
    pub fn set_port(&mut self, port: u16) {
        self.port = port;
    }

    fn answers(&self) -> bool {
        let asked = self
            .command("pg_isready")
            .args(["--quiet", "--port", &self.port.to_string(), "--host"])
            .arg(self.folder())
            .status();
        asked.expect("pg_isready runs").success()
    }

    /// Ends the server and removes its folder when this process is gone, whatever ended it.
    fn guard(&self) -> Child {
        let process = self.process.as_ref().expect("it runs");
        Command::new("sh")
            .args([
                "-c",
                "read -r _; kill -QUIT \"$0\"; n=0; while kill -0 \"$0\" && [ $((n+=1)) -lt 50 ]; do sleep 0.1; done; rm -rf \"$1\"",
            ])
            .arg(process.id().to_string())
            .arg(self.folder())
            // Nobody writes to it: it ends with this process.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell runs")
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
        command.current_dir(self.folder()).env("HOME", self.folder());
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
