//! The proxies side by side and the backend behind them.

use crate::shell::Service;
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// CPU of the proxy under test.
pub(crate) const PROXY_CPU: &str = "0";
/// CPU of load and backend.
pub(crate) const LOAD_CPU: &str = "1";
/// Key of the consumer in [`plugins_config`].
pub(crate) const KEY: &str = "bench-key";
/// Bytes of the large answer.
pub(crate) const LARGE: usize = 64 << 10;
/// Port of the backend, chosen by [`Workdir::new`], stands for itself in configurations.
const BACKEND: &str = "@BACKEND@";
/// Its port alone.
const BACKEND_PORT: &str = "@BACKEND_PORT@";
/// Addresses at which the backend listens, from 127.0.0.1 on: targets of [`upstream_config`].
const BACKEND_ADDRESSES: u8 = 10;

/// Files of one run, and what all peers share.
#[derive(Debug)]
pub(crate) struct Workdir {
    binary: PathBuf,
    path: PathBuf,
    backend_port: u16,
}

impl Workdir {
    pub(crate) fn new(binary: PathBuf) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("tidegate-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self {
            binary,
            path,
            backend_port: free_port()?,
        })
    }

    /// The gateway under test.
    pub(crate) fn binary(&self) -> &Path {
        &self.binary
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let file = self.path.join(name);
        let text = text
            .replace(BACKEND, &format!("127.0.0.1:{}", self.backend_port))
            .replace(BACKEND_PORT, &self.backend_port.to_string());
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(file)
    }

    /// A folder in this one.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.path.join(name);
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(folder)
    }

    /// Writes a file anew in one step, and as it is.
    pub(crate) fn replace(&self, name: &str, text: &str) -> Result<()> {
        let (next, file) = (self.path.join(format!("{name}.next")), self.path.join(name));
        std::fs::write(&next, text).with_context(|| format!("cannot write {}", next.display()))?;
        std::fs::rename(&next, &file).with_context(|| format!("cannot replace {}", file.display()))
    }
}

impl Drop for Workdir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// nginx with a fixed answer of 100 bytes, and `/large` with [`LARGE`].
pub(crate) struct Backend(#[allow(dead_code, reason = "held for its end")] Service);

impl Backend {
    pub(crate) fn start(workdir: &Workdir) -> Result<Self> {
        let large = workdir.path.join("backend/large");
        std::fs::create_dir_all(workdir.path.join("backend"))?;
        std::fs::write(&large, "x".repeat(LARGE))
            .with_context(|| format!("cannot write {}", large.display()))?;
        let others: String = (2..=BACKEND_ADDRESSES)
            .map(|last| format!("listen 127.0.0.{last}:{BACKEND_PORT} backlog=16384; "))
            .collect();
        let server = format!(
            "{others}location / {{ return 200 '{}'; }} location = /large {{ root {}; }}",
            "x".repeat(100),
            workdir.path.join("backend").display()
        );
        let service = nginx(workdir, "backend", LOAD_CPU, workdir.backend_port, "", &server)?;
        Ok(Self(service))
    }
}

/// A proxy that is measured.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) port: u16,
    service: Service,
}

impl Peer {
    pub(crate) fn nginx(workdir: &Workdir) -> Result<Self> {
        let port = free_port()?;
        let upstream = format!("upstream b {{ server {BACKEND}; keepalive 128; }}");
        let server =
            "location / { proxy_pass http://b; proxy_http_version 1.1; proxy_set_header Connection ''; }";
        let service = nginx(workdir, "nginx", PROXY_CPU, port, &upstream, server)?;
        Ok(Self {
            name: "nginx".to_owned(),
            port,
            service,
        })
    }

    pub(crate) fn tidegate(workdir: &Workdir, name: &str, config: &str) -> Result<Self> {
        Self::tidegate_with(workdir, &workdir.binary, name, config, &[])
    }

    /// Another program than the gateway itself, or other settings, which are given as environment.
    pub(crate) fn tidegate_with(
        workdir: &Workdir,
        binary: &Path,
        name: &str,
        config: &str,
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        Self::spawn(workdir, binary, name, config, free_port()?, environment)
    }

    /// At a port of the caller's choice, which `TIDEGATE_PROXY_LISTEN` may name with flags.
    pub(crate) fn spawn(
        workdir: &Workdir,
        binary: &Path,
        name: &str,
        config: &str,
        port: u16,
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let file = workdir.write(&format!("{port}.yaml"), config)?;
        let prefix = workdir.path.join(port.to_string());
        std::fs::create_dir_all(&prefix)?;
        let mut command = Command::new("taskset");
        command.args(["-c", PROXY_CPU]).arg(binary).arg("start");
        command.stdout(Stdio::null()).envs([
            ("TIDEGATE_DECLARATIVE_CONFIG", file.display().to_string()),
            ("TIDEGATE_PROXY_LISTEN", format!("127.0.0.1:{port}")),
            ("TIDEGATE_STATUS_LISTEN", "off".to_owned()),
            ("TIDEGATE_ADMIN_LISTEN", "off".to_owned()),
            ("TIDEGATE_PROXY_ACCESS_LOG", "off".to_owned()),
            ("TIDEGATE_WORKERS", "1".to_owned()),
            ("TIDEGATE_LOG_LEVEL", "error".to_owned()),
            ("TIDEGATE_PREFIX", prefix.display().to_string()),
        ]);
        command.envs(environment.iter().copied());
        let mut service = Service::start("gateway", &mut command)?;
        wait_until_ready(&mut service, port)?;
        Ok(Self {
            name: name.to_owned(),
            port,
            service,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.service.pid()
    }

    /// Makes the gateway read its files again.
    pub(crate) fn reload(&self) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.pid())?).context("no process")?;
        Ok(rustix::process::kill_process(pid, Signal::HUP)?)
    }

    /// The declarative file that [`Peer::tidegate`] wrote for this peer.
    pub(crate) fn config_name(&self) -> String {
        format!("{}.yaml", self.port)
    }
}

fn nginx(
    workdir: &Workdir,
    name: &'static str,
    cpu: &str,
    port: u16,
    http: &str,
    server: &str,
) -> Result<Service> {
    let prefix = workdir.path.join(name);
    std::fs::create_dir_all(prefix.join("logs"))?;
    let text = format!(
        "daemon off; worker_processes 1; pid nginx.pid; error_log stderr error;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 100000000; keepalive_timeout 300s; {http}
server {{ listen 127.0.0.1:{port} backlog=16384; {server} }} }}\n"
    );
    let config = workdir.write(&format!("{name}.conf"), &text)?;
    let mut command = Command::new("taskset");
    command
        .args(["-c", cpu, "nginx", "-p"])
        .arg(&prefix)
        .arg("-c")
        .arg(config)
        .stderr(Stdio::null());
    let mut service = Service::start(name, &mut command)?;
    wait_until_ready(&mut service, port)?;
    Ok(service)
}

pub(crate) fn wait_until_ready(service: &mut Service, port: u16) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        service.ensure_running()?;
        if Instant::now() > deadline {
            bail!("the {} does not listen on port {port}", service.name);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .context("no free port")?
        .local_addr()?
        .port())
}

/// One service, one route.
pub(crate) fn plain_config() -> String {
    format!(
        "_format_version: \"3.0\"
services:
- {{name: s, url: \"http://{BACKEND}\", routes: [{{name: r, paths: [/]}}]}}
"
    )
}

/// The same behind an Upstream with ten targets, which are one backend at ten addresses.
pub(crate) fn upstream_config(algorithm: &str) -> String {
    let targets: String = (1..=BACKEND_ADDRESSES)
        .map(|last| format!("  - {{target: \"127.0.0.{last}:{BACKEND_PORT}\"}}\n"))
        .collect();
    format!(
        "_format_version: \"3.0\"
upstreams:
- name: ten
  algorithm: {algorithm}
  hash_on: {}
  targets:
{targets}services:
- {{name: s, host: ten, routes: [{{name: r, paths: [/]}}]}}
",
        if algorithm == "consistent-hashing" {
            "path"
        } else {
            "none"
        }
    )
}

/// A service at an Upstream `pool`, with fields of the service and members of the upstream as YAML lines.
pub(crate) fn pool_config(service: &str, upstream: &str, targets: &[String]) -> String {
    let targets: String = targets
        .iter()
        .map(|target| format!("  - {{target: \"{target}\"}}\n"))
        .collect();
    format!(
        "_format_version: \"3.0\"
services:
- {{name: s, host: pool, {service}, routes: [{{name: r, paths: [/], strip_path: false}}]}}
upstreams:
- name: pool
{upstream}  targets:
{targets}"
    )
}

/// The same with three plugins on the route.
pub(crate) fn plugins_config() -> String {
    format!(
        "_format_version: \"3.0\"
services:
- name: s
  url: http://{BACKEND}
  routes:
  - name: r
    paths: [/]
    plugins:
    - {{name: rate-limiting, config: {{hour: 100000000, policy: local}}}}
    - {{name: key-auth}}
    - {{name: request-transformer, config: {{remove: {{headers: [x-gone]}}, add: {{headers: [\"x-added:1\"]}}}}}}
consumers:
- {{username: c, keyauth_credentials: [{{key: {KEY}}}]}}
"
    )
}

/// One route with filters on its service, by name.
pub(crate) fn filters_config(filters: &[&str]) -> String {
    let filters: Vec<String> = filters.iter().map(|name| format!("{{name: {name}}}")).collect();
    format!(
        "{}filter_chains:\n- {{name: f, service: s, filters: [{}]}}\n",
        plain_config(),
        filters.join(", ")
    )
}

/// A header added each way by plugins.
pub(crate) fn headers_config() -> String {
    format!(
        "{}plugins:\n- {{name: request-transformer, config: {{add: {{headers: [\"x-wasm-req:1\"]}}}}}}\n\
         - {{name: response-transformer, config: {{add: {{headers: [\"x-wasm-res:1\"]}}}}}}\n",
        plain_config()
    )
}

/// One plain route, and another one with plugins that nobody asks for.
pub(crate) fn idle_plugins_config() -> String {
    plain_config().replace(
        "routes: [",
        "routes: [{name: idle, paths: [/idle], plugins: [{name: rate-limiting, config: {hour: 5, policy: local}}, \
         {name: key-auth}, {name: request-transformer, config: {add: {headers: [\"x-added:1\"]}}}]}, ",
    )
}

/// Routes `/svc<number>/` over one service.
pub(crate) fn routes_config(numbers: Range<usize>) -> String {
    let mut text =
        format!("_format_version: \"3.0\"\nservices:\n- name: s\n  url: http://{BACKEND}\n  routes:\n");
    for number in numbers {
        text.push_str(&format!("  - {{name: r{number}, paths: [/svc{number}/]}}\n"));
    }
    text
}

/// One more route for the end of [`routes_config`].
pub(crate) fn edited_route(edition: usize) -> String {
    format!("  - {{name: edited, paths: [/edition{edition}/]}}\n")
}
