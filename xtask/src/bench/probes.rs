//! What health checks cost: a thousand upstreams of ten targets each, probed every five seconds.

use super::peers::{Peer, Workdir, free_port};
use super::proc_stat;
use super::reload::away_from_the_proxy;
use super::report::Table;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const UPSTREAMS: u32 = 1_000;
const TARGETS: u32 = 10;
const INTERVAL_SECONDS: u32 = 5;
/// All targets were probed once, and the configuration was compiled.
const WARM_UP: Duration = Duration::from_secs(8);
const SPAN: Duration = Duration::from_secs(30);
/// Threads that answer; each has one probe at a time.
const ANSWERING: usize = 4;

pub(crate) fn run(workdir: &Workdir) -> Result<Vec<Table>> {
    away_from_the_proxy(|| Ok(vec![measure(workdir)?]))
}

fn measure(workdir: &Workdir) -> Result<Table> {
    let backends = Backends::start()?;
    let title = format!(
        "Health checks of {UPSTREAMS} upstreams with {TARGETS} targets every {INTERVAL_SECONDS} s, over {} s without traffic",
        SPAN.as_secs()
    );
    let head = [
        "",
        "probes/s",
        "CPU, % of a core",
        "busiest thread",
        "its CPU, % of a core",
        "us per probe",
    ];
    let mut table = Table::new(&title, &head);
    for (name, interval) in [("without checks", 0), ("with checks", INTERVAL_SECONDS)] {
        let peer = Peer::tidegate(workdir, name, &config(backends.port, interval))?;
        std::thread::sleep(WARM_UP);
        let (before, answered, start) = (threads(&peer)?, backends.answered(), Instant::now());
        std::thread::sleep(SPAN);
        let (after, took) = (threads(&peer)?, start.elapsed().as_secs_f64());
        let probes = backends.answered() - answered;
        let spent = |name: &str, now: &Duration| {
            let then = before.get(name).copied().unwrap_or_default();
            now.saturating_sub(then).as_secs_f64()
        };
        let by_thread = || after.iter().map(|(name, now)| (name, spent(name, now)));
        let all: f64 = by_thread().map(|(_, time)| time).sum();
        let busiest = by_thread().max_by(|one, other| one.1.total_cmp(&other.1));
        let (thread, its) = busiest.context("a process without threads")?;
        let share = |time: f64| format!("{:.1}", time / took * 100.0);
        table.row(&[
            name.to_owned(),
            format!("{:.0}", probes as f64 / took),
            share(all),
            if its > 0.0 { thread.clone() } else { "-".to_owned() },
            share(its),
            match probes {
                0 => "-".to_owned(),
                _ => format!("{:.0}", all * 1e6 / probes as f64),
            },
        ]);
    }
    Ok(table)
}

/// CPU time so far by the names of threads.
fn threads(peer: &Peer) -> Result<BTreeMap<String, Duration>> {
    let mut times = BTreeMap::new();
    for (name, time) in proc_stat::cpu_of_threads(peer.pid())? {
        *times.entry(name).or_default() += time;
    }
    Ok(times)
}

/// Every target has an address of its own, and all have one port.
fn config(port: u16, interval: u32) -> String {
    let mut text = "_format_version: \"3.0\"
services:
- {name: s, host: u0, routes: [{name: r, paths: [/]}]}
upstreams:
"
    .to_owned();
    for upstream in 0..UPSTREAMS {
        let _ = writeln!(
            text,
            "- name: u{upstream}
  healthchecks:
    active:
      healthy: {{interval: {interval}, successes: 1}}
      unhealthy: {{interval: {interval}, http_failures: 1, tcp_failures: 1, timeouts: 1}}
  targets:"
        );
        for target in 0..TARGETS {
            let address = Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + upstream * TARGETS + target);
            let _ = writeln!(text, "  - {{target: \"{address}:{port}\"}}");
        }
    }
    text
}

/// One listener on all addresses of this machine, which says 200 to everybody.
struct Backends {
    port: u16,
    answered: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Backends {
    fn start() -> Result<Self> {
        let port = free_port()?;
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).context("cannot listen")?;
        let (answered, is_over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let mut threads = Vec::new();
        for _ in 0..ANSWERING {
            let listener = listener.try_clone()?;
            let (answered, is_over) = (Arc::clone(&answered), Arc::clone(&is_over));
            threads.push(std::thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    if let Ok((stream, _)) = listener.accept()
                        && answer(stream).is_some()
                    {
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }));
        }
        Ok(Self {
            port,
            answered,
            is_over,
            threads,
        })
    }

    fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }
}

impl Drop for Backends {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Each thread waits for one more connection.
        for thread in self.threads.drain(..) {
            while !thread.is_finished() {
                drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

/// Reads a request without a body and answers it; `None` when it does not come.
fn answer(mut stream: TcpStream) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    let (mut bytes, mut length) = ([0; 1_024], 0);
    while !bytes.get(..length)?.ends_with(b"\r\n\r\n") {
        let count = stream.read(bytes.get_mut(length..)?).ok()?;
        if count == 0 {
            return None;
        }
        length += count;
    }
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .ok()
}
