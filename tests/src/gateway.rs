//! The real binary on free ports, with a folder of its own.

use crate::admin::Admin;
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
    yaml: Option<String>,
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
        let [proxy, tls, status, admin] = [(); 4].map(|()| ports::free_address());
        let declarative = folder.path().join("kong.yaml");
        for (name, text) in &self.files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let mut settings = BTreeMap::from([
            (
                "proxy_listen".to_owned(),
                "{proxy} http2, {tls} ssl http2".to_owned(),
            ),
            ("status_listen".to_owned(), status.to_string()),
            ("prefix".to_owned(), folder.path().display().to_string()),
            ("log_level".to_owned(), "info".to_owned()),
            ("workers".to_owned(), "1".to_owned()),
        ]);
        if let Some(yaml) = &self.yaml {
            std::fs::write(&declarative, yaml).unwrap();
            settings.insert("admin_listen".to_owned(), "off".to_owned());
            settings.insert("declarative_config".to_owned(), declarative.display().to_string());
        } else {
            settings.insert("admin_listen".to_owned(), "{admin}".to_owned());
            settings.insert("database".to_owned(), "embedded".to_owned());
        }
        settings.extend(self.settings);
        let has_admin = settings["admin_listen"].contains("{admin}");
        let mut environment = self.environment;
        for (name, value) in &settings {
            let value = value
                .replace("{folder}", &folder.path().display().to_string())
                .replace("{proxy}", &proxy.to_string())
                .replace("{tls}", &tls.to_string())
                .replace("{status}", &status.to_string())
                .replace("{admin}", &admin.to_string())
                .replace("{proxy_port}", &proxy.port().to_string());
            environment.insert(format!("TIDEGATE_{}", name.to_uppercase()), value);
        }
        let log = Arc::default();
        let mut gateway = Gateway {
            child: launch(&environment, &log),
            environment,
            folder,
            declarative,
            proxy,
            tls,
            status,
            admin: has_admin.then_some(admin),
            log,
        };
        match gateway.wait_until_ready().await {
            None => Ok(gateway),
            Some(end) => Err((end, gateway.last_words().await)),
        }
    }
}

/// A running gateway; killed when dropped.
#[derive(Debug)]
pub struct Gateway {
    child: Child,
    environment: BTreeMap<String, String>,
    folder: TempDir,
    declarative: PathBuf,
    proxy: SocketAddr,
    tls: SocketAddr,
    status: SocketAddr,
    admin: Option<SocketAddr>,
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
        Builder {
            yaml: Some(with_version(yaml.into())),
            ..Self::managed()
        }
    }

    /// A gateway without a declarative configuration, to be configured through its Admin API; its entities live in the
    /// embedded store.
    #[must_use]
    pub fn managed() -> Builder {
        Builder {
            yaml: None,
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

    /// Its Admin API.
    #[must_use]
    pub fn admin(&self) -> Admin {
        Admin::at(self.admin.expect("the setting `admin_listen` is on"))
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

    /// Waits until it logged a text: its lines come over a pipe, some time after what they tell of.
    pub async fn logs(&self, text: &str) {
        eventually(&format!("the log to say `{text}`"), PATIENCE, async || {
            self.log.lock().contains(text).then_some(())
        })
        .await;
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

    /// Ends it as a crash does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, waits for its end and starts it again.
    pub async fn restart(&mut self) {
        self.signal("TERM");
        let end = self.ended().await;
        assert!(end.success(), "it ended with {end}:\n{}", self.log());
        self.start_again().await;
    }

    /// Starts it again, after its end, at the same addresses with the same settings; waits until it takes connections.
    pub async fn start_again(&mut self) {
        if let Err((end, log)) = self.try_start_again().await {
            panic!("the gateway ended with {end} instead of starting again:\n{log}");
        }
    }

    /// Starts it again, after its end, and ends it as a crash does after that time, whatever it is doing.
    pub async fn crash_while_starting(&mut self, after: Duration) {
        self.child = launch(&self.environment, &self.log);
        tokio::time::sleep(after).await;
        self.kill();
    }

    /// The same as [`Self::start_again`]; gives its end and its log when it refuses.
    ///
    /// # Errors
    /// It ended before it took a connection.
    pub async fn try_start_again(&mut self) -> Result<(), (ExitStatus, String)> {
        self.child = launch(&self.environment, &self.log);
        match self.wait_until_ready().await {
            None => Ok(()),
            Some(end) => Err((end, self.last_words().await)),
        }
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
        let addresses: Vec<SocketAddr> = [self.proxy, self.status].into_iter().chain(self.admin).collect();
        eventually("the gateway takes connections", PATIENCE, async || {
            if let Some(end) = self.child.try_wait().unwrap() {
                return Some(Some(end));
            }
            for address in &addresses {
                TcpStream::connect(address).await.ok()?;
            }
            Some(None)
        })
        .await
    }

    /// The log of a process that ended; its last lines arrive after the end.
    async fn last_words(&self) -> String {
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.log()
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

fn launch(environment: &BTreeMap<String, String>, log: &Arc<Mutex<String>>) -> Child {
    let mut command = Command::new(binary::path());
    let command = command.arg("start").env_clear().envs(environment);
    let command = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    collect(&mut child, log);
    child
}

/// Collects standard error on a thread, so that a full pipe never stops the gateway.
fn collect(child: &mut Child, log: &Arc<Mutex<String>>) {
    let (lines, writer) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(log));
    std::thread::spawn(move || {
        for line in lines.lines().map_while(Result::ok) {
            let mut log = writer.lock();
            log.push_str(&line);
            log.push('\n');
        }
    });
}
