//! The real binary on free ports, with a folder of its own.

use crate::client::{RawClient, Request};
use crate::http1::Response;
use crate::wait::{PATIENCE, eventually};
use crate::{binary, ports};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpStream;

/// A gateway to be started.
#[derive(Debug)]
pub struct Builder {
    yaml: String,
    settings: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    files: Vec<(String, String)>,
}

impl Builder {
    /// Sets a setting by its name in the settings file, such as `trusted_ips`.
    #[must_use]
    pub fn setting(mut self, name: &str, value: impl Into<String>) -> Self {
        self.settings.insert(name.to_owned(), value.into());
        self
    }

    /// Sets a variable of the gateway's environment.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Puts a file into the gateway's folder before it starts; `{folder}` in settings names that folder.
    #[must_use]
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Starts the gateway and waits until it takes connections; panics with its log when it does not.
    pub async fn start(self) -> Gateway {
        match self.try_start().await {
            Ok(gateway) => gateway,
            Err((status, log)) => panic!("the gateway ended with {status} instead of starting:\n{log}"),
        }
    }

    /// Starts the gateway; gives its end and its log when it refuses.
    ///
    /// # Errors
    /// It ended before it took a connection.
    pub async fn try_start(self) -> Result<Gateway, (ExitStatus, String)> {
        let folder = tempfile::tempdir().unwrap();
        let (proxy, tls, status) = (
            ports::free_address(),
            ports::free_address(),
            ports::free_address(),
        );
        let declarative = folder.path().join("kong.yaml");
        std::fs::write(&declarative, &self.yaml).unwrap();
        for (name, text) in &self.files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let mut settings = BTreeMap::from([
            (
                "proxy_listen".to_owned(),
                "{proxy} http2, {tls} ssl http2".to_owned(),
            ),
            ("status_listen".to_owned(), status.to_string()),
            ("admin_listen".to_owned(), "off".to_owned()),
            ("declarative_config".to_owned(), declarative.display().to_string()),
            ("prefix".to_owned(), folder.path().display().to_string()),
            ("log_level".to_owned(), "info".to_owned()),
            ("workers".to_owned(), "1".to_owned()),
        ]);
        settings.extend(self.settings);
        let mut command = Command::new(binary::path());
        command
            .arg("start")
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        for (name, value) in &settings {
            let value = value
                .replace("{folder}", &folder.path().display().to_string())
                .replace("{proxy}", &proxy.to_string())
                .replace("{tls}", &tls.to_string())
                .replace("{status}", &status.to_string())
                .replace("{proxy_port}", &proxy.port().to_string());
            command.env(format!("TIDEGATE_{}", name.to_uppercase()), value);
        }
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = collect(&mut child);
        let mut gateway = Gateway {
            child,
            folder,
            declarative,
            proxy,
            tls,
            status,
            log,
        };
        match gateway.wait_until_ready().await {
            None => Ok(gateway),
            // The last lines arrive after the end.
            Some(end) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Err((end, gateway.log()))
            }
        }
    }
}

/// A running gateway; killed when dropped.
#[derive(Debug)]
pub struct Gateway {
    child: Child,
    folder: TempDir,
    declarative: PathBuf,
    proxy: SocketAddr,
    tls: SocketAddr,
    status: SocketAddr,
    log: Arc<Mutex<String>>,
}

/// What came of a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// The new configuration serves.
    Accepted,
    /// The old one serves on.
    Refused,
}

impl Gateway {
    /// A gateway with a declarative configuration; `_format_version` is put in front when it is missing.
    #[must_use]
    pub fn with(yaml: impl Into<String>) -> Builder {
        let yaml = with_version(yaml.into());
        Builder {
            yaml,
            settings: BTreeMap::new(),
            environment: BTreeMap::new(),
            files: Vec::new(),
        }
    }

    /// Starts a gateway with a declarative configuration and no other settings.
    pub async fn start(yaml: impl Into<String>) -> Self {
        Self::with(yaml).start().await
    }

    /// The plain proxy listener.
    #[must_use]
    pub fn proxy(&self) -> SocketAddr {
        self.proxy
    }

    /// The TLS proxy listener.
    #[must_use]
    pub fn tls(&self) -> SocketAddr {
        self.tls
    }

    /// The status listener.
    #[must_use]
    pub fn status(&self) -> SocketAddr {
        self.status
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().clone()
    }

    /// Sends a request on a new connection to the plain listener.
    pub async fn call(&self, request: &Request) -> Response {
        RawClient::connect(self.proxy).await.call(request).await
    }

    /// Asks for a path on a new connection.
    pub async fn get(&self, target: &str) -> Response {
        self.call(&Request::get(target)).await
    }

    /// Sends raw bytes on a new connection; gives the connection.
    pub async fn send(&self, bytes: impl AsRef<[u8]>) -> RawClient {
        let mut client = RawClient::connect(self.proxy).await;
        client.send(bytes).await;
        client
    }

    /// Asks the status listener.
    pub async fn status_page(&self, target: &str) -> Response {
        RawClient::connect(self.status)
            .await
            .call(&Request::get(target).header("Connection", "close"))
            .await
    }

    /// The value of a sample of `/metrics`, given with its labels as printed, or the sum over all labels when it is given
    /// without; 0 when there is none.
    pub async fn metric(&self, sample: &str) -> f64 {
        let page = self.status_page("/metrics").await.text();
        let values = page.lines().filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            let labels = name.strip_prefix(sample)?;
            let is_it = labels.is_empty() || (labels.starts_with('{') && !sample.contains('{'));
            is_it.then(|| value.parse::<f64>().expect("a number"))
        });
        values.sum()
    }

    /// Writes a new declarative file and asks for a reload; waits until it is accepted or refused.
    pub async fn reload(&self, yaml: impl Into<String>) -> Reload {
        let before = self.reloads().await;
        self.write_declarative(yaml);
        self.signal("HUP");
        self.outcome_since(before).await
    }

    /// Waits until the counts of reloads differ from `before`.
    pub async fn outcome_since(&self, before: (f64, f64)) -> Reload {
        eventually("the reload ends", PATIENCE, async || {
            let now = self.reloads().await;
            if now.1 > before.1 {
                return Some(Reload::Refused);
            }
            (now.0 > before.0).then_some(Reload::Accepted)
        })
        .await
    }

    /// Reloads so far: accepted, refused.
    pub async fn reloads(&self) -> (f64, f64) {
        let page = self.status_page("/metrics").await.text();
        let count = |result: &str| -> f64 {
            let sample = format!("tidegate_snapshot_reloads_total{{result=\"{result}\"}} ");
            page.lines()
                .find_map(|line| line.strip_prefix(&sample)?.parse().ok())
                .unwrap_or(0.0)
        };
        (count("accepted"), count("refused"))
    }

    /// Replaces the declarative file in one step, without telling the gateway.
    pub fn write_declarative(&self, yaml: impl Into<String>) {
        let temporary = self.folder.path().join("next.yaml");
        std::fs::write(&temporary, with_version(yaml.into())).unwrap();
        std::fs::rename(&temporary, &self.declarative).unwrap();
    }

    /// Sends a signal by its short name.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.pid().to_string())
            .status()
            .unwrap();
        assert!(status.success(), "kill -{name}");
    }

    /// Waits for the process to end.
    pub async fn ended(&mut self) -> ExitStatus {
        eventually("the gateway ends", PATIENCE, async || {
            self.child.try_wait().unwrap()
        })
        .await
    }

    /// Resident memory in bytes.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
    }

    /// Sockets that it has open, listeners among them.
    #[must_use]
    pub fn open_sockets(&self) -> usize {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap();
        let targets = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
        targets
            .filter(|target| target.to_string_lossy().starts_with("socket:"))
            .count()
    }

    async fn wait_until_ready(&mut self) -> Option<ExitStatus> {
        let (proxy, status) = (self.proxy, self.status);
        eventually("the gateway takes connections", PATIENCE, async || {
            if let Some(end) = self.child.try_wait().unwrap() {
                return Some(Some(end));
            }
            let is_listening =
                TcpStream::connect(proxy).await.is_ok() && TcpStream::connect(status).await.is_ok();
            is_listening.then_some(None)
        })
        .await
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            // Captured by the test harness, unlike a write to standard error.
            #[allow(clippy::print_stderr, reason = "shown only with the failure that it explains")]
            {
                eprintln!("--- log of the gateway\n{}---", self.log());
            }
        }
    }
}

fn with_version(yaml: String) -> String {
    if yaml.contains("_format_version") {
        yaml
    } else {
        format!("_format_version: \"3.0\"\n{yaml}")
    }
}

/// Collects standard error on a thread, so that a full pipe never stops the gateway.
fn collect(child: &mut Child) -> Arc<Mutex<String>> {
    let log = Arc::new(Mutex::new(String::new()));
    let (lines, writer) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&log));
    std::thread::spawn(move || {
        for line in lines.lines().map_while(Result::ok) {
            let mut log = writer.lock();
            log.push_str(&line);
            log.push('\n');
        }
    });
    log
}
