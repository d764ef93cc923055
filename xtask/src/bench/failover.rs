//! One of three backends dies, and another one stops, under a fixed rate of requests: who notices, and for how long.

use super::load::{self, Latencies};
use super::peers::{self, LOAD_CPU, Peer, Workdir, free_port};
use super::reload::away_from_the_proxy;
use super::report::Table;
use crate::shell::Service;
use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Half of them GET, half POST.
const RATE: u32 = 2_000;
/// Connections of each half: enough that those that wait for a stopped backend do not hold the rest up at once.
const CONNECTIONS: u32 = 48;
const SPAN: Duration = Duration::from_secs(6);
/// When in its span something happens.
const AFTER: Duration = Duration::from_secs(1);
/// How often the gateway is asked what it does.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
const GET: &str = "GET /get HTTP/1.1\r\nHost: b\r\n\r\n";
const POST: &str = "POST /post HTTP/1.1\r\nHost: b\r\nContent-Length: 4\r\n\r\nonce";

const SERVICE: &str = "retries: 2, connect_timeout: 1000, read_timeout: 1000";
const CHECKS: &str = "  healthchecks:
    active:
      http_path: /get
      timeout: 0.5
      healthy: {interval: 0.5, successes: 1}
      unhealthy: {interval: 0.5, http_failures: 1, tcp_failures: 1, timeouts: 1}
    passive:
      unhealthy: {tcp_failures: 1, timeouts: 1}
";

pub(crate) fn run(workdir: &Workdir) -> Result<Vec<Table>> {
    away_from_the_proxy(|| Ok(vec![measure(workdir)?]))
}

fn measure(workdir: &Workdir) -> Result<Table> {
    let mut backends = Vec::new();
    for _ in 0..3 {
        backends.push(Backend::start(workdir.binary(), free_port()?)?);
    }
    let targets: Vec<String> = backends.iter().map(|backend| backend.target.clone()).collect();
    let status = free_port()?;
    let environment = [("TIDEGATE_STATUS_LISTEN", &*format!("127.0.0.1:{status}"))];
    let config = peers::pool_config(SERVICE, CHECKS, &targets);
    let peer = Peer::tidegate_with(workdir, workdir.binary(), "tidegate", &config, &environment)?;
    let scene = Scene {
        port: peer.port,
        status,
    };
    let title =
        format!("One of three backends fails, {RATE} requests a second, half GET and half POST, 2 retries");
    let head = [
        "",
        "requests",
        "GET failed",
        "POST failed",
        "p50 us",
        "p99 us",
        "last try at it after ms",
        "first try at it after ms",
    ];
    let mut table = Table::new(&title, &head);
    let [killed, stopped, _] = &mut backends[..] else {
        return Err(anyhow::anyhow!("three backends were started"));
    };
    let nothing = || Ok(());
    scene.span(&mut table, "calm", &killed.target, Shown::Nothing, nothing)?;
    let target = killed.target.clone();
    scene.span(&mut table, "kill -9", &target, Shown::LastTry, || {
        killed.signal(Signal::KILL)
    })?;
    scene.span(&mut table, "started again", &target, Shown::FirstTry, || {
        killed.restart(workdir.binary())
    })?;
    let target = stopped.target.clone();
    scene.span(&mut table, "calm again", &target, Shown::Nothing, nothing)?;
    scene.span(&mut table, "kill -STOP", &target, Shown::LastTry, || {
        stopped.signal(Signal::STOP)
    })?;
    scene.span(&mut table, "kill -CONT", &target, Shown::FirstTry, || {
        stopped.signal(Signal::CONT)
    })?;
    Ok(table)
}

/// What of the tries at a target a span tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Nothing,
    LastTry,
    FirstTry,
}

/// Ports of the gateway under test.
struct Scene {
    port: u16,
    status: u16,
}

impl Scene {
    /// Traffic for a while, during which something happens to the backend of a target.
    fn span(
        &self,
        table: &mut Table,
        name: &str,
        target: &str,
        shown: Shown,
        happens: impl FnOnce() -> Result<()> + Send,
    ) -> Result<()> {
        let is_over = AtomicBool::new(false);
        let (gets, posts, happened, tries) = std::thread::scope(|scope| -> Result<_> {
            let get = scope.spawn(|| load::open_loop_of(self.port, GET, RATE / 2, CONNECTIONS, SPAN));
            let post = scope.spawn(|| load::open_loop_of(self.port, POST, RATE / 2, CONNECTIONS, SPAN));
            let watch = scope.spawn(|| self.tries_at(target, &is_over));
            std::thread::sleep(AFTER);
            let happened = happens().map(|()| Instant::now());
            let joined = "a load thread panicked";
            let gets = get.join().ok().context(joined)?;
            let posts = post.join().ok().context(joined)?;
            is_over.store(true, Ordering::Relaxed);
            let tries = watch.join().ok().context("the watching thread panicked")?;
            Ok((gets?, posts?, happened?, tries?))
        })?;
        let millis = |moment: Option<Instant>| {
            let since = moment.map(|moment| moment.saturating_duration_since(happened));
            since.map_or_else(
                || "never".to_owned(),
                |time| format!("{:.0}", time.as_secs_f64() * 1e3),
            )
        };
        let dash = || "-".to_owned();
        let (last, first) = match shown {
            Shown::Nothing => (dash(), dash()),
            Shown::LastTry => (millis(tries.last().copied()), dash()),
            Shown::FirstTry => (
                dash(),
                millis(tries.iter().find(|moment| **moment > happened).copied()),
            ),
        };
        let (failed_gets, failed_posts) = (gets.failed, posts.failed);
        let mut all = Latencies::default();
        all.add(gets);
        all.add(posts);
        table.row(&[
            name.to_owned(),
            (all.micros.len() + all.failed).to_string(),
            failed_gets.to_string(),
            failed_posts.to_string(),
            all.quantile(0.5).to_string(),
            all.quantile(0.99).to_string(),
            last,
            first,
        ]);
        Ok(())
    }

    /// The moments at which the gateway was seen to have tried a target once more.
    fn tries_at(&self, target: &str, is_over: &AtomicBool) -> Result<Vec<Instant>> {
        let mut moments = Vec::new();
        let mut before = self.tries(target)?;
        while !is_over.load(Ordering::Relaxed) {
            let now = self.tries(target)?;
            if now > before {
                moments.push(Instant::now());
                before = now;
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(moments)
    }

    fn tries(&self, target: &str) -> Result<u64> {
        let page: Value = serde_json::from_str(&load::body(self.status, "/status/upstreams/pool")?)?;
        let targets = page.get("targets").and_then(Value::as_array);
        let found = targets
            .into_iter()
            .flatten()
            .find(|shown| shown.get("target").and_then(Value::as_str) == Some(target));
        let tries = found.and_then(|shown| shown.pointer("/addresses/0/chosen")?.as_u64());
        tries.context("the gateway does not know the target")
    }
}

/// An echo server as a process of its own.
struct Backend {
    service: Service,
    port: u16,
    target: String,
}

impl Backend {
    fn start(binary: &Path, port: u16) -> Result<Self> {
        let target = format!("127.0.0.1:{port}");
        let mut command = Command::new("taskset");
        command
            .args(["-c", LOAD_CPU])
            .arg(binary)
            .args(["echo", "--listen", &target])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut service = Service::start("backend", &mut command)?;
        peers::wait_until_ready(&mut service, port)?;
        Ok(Self {
            service,
            port,
            target,
        })
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.service.pid())?).context("no process")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Another process in its place.
    fn restart(&mut self, binary: &Path) -> Result<()> {
        ensure!(self.service.ensure_running().is_err(), "it was not killed");
        *self = Self::start(binary, self.port)?;
        Ok(())
    }
}
