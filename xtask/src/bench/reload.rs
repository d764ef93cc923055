//! Reloads under load: a file of 10,000 routes changes twice a second while 2,000 requests a second go through; and
//! memory over a thousand reloads.

use super::MANY_ROUTES;
use super::load::{self, Ask, Latencies};
use super::peers::{self, LOAD_CPU, Peer, Workdir};
use super::proc_stat;
use super::report::{Table, median};
use crate::shell;
use anyhow::{Context, Result, bail};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const RATE: u32 = 2_000;
const CONNECTIONS: u32 = 16;
/// Calm and busy spans take turns, so that what disturbs the machine disturbs both.
const SPANS: usize = 4;
const SPAN: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(500);
/// A new configuration must serve within this time.
const PATIENCE: Duration = Duration::from_secs(20);

const MANY_RELOADS: usize = 1_000;
/// Small enough for a thousand reloads within a minute or two.
const FEW_ROUTES: usize = 1_000;

pub(crate) fn run(workdir: &Workdir) -> Result<Vec<Table>> {
    // Clients and editor are threads of this process: away from the CPU of the proxy.
    shell::run(&mut pin(LOAD_CPU))?;
    let tables = under_load(workdir).and_then(|first| Ok(vec![first, many_reloads(workdir)?]));
    shell::run(&mut pin(&format!(
        "0-{}",
        std::thread::available_parallelism()?.get() - 1
    )))?;
    tables
}

fn pin(cpus: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-cp", cpus, &std::process::id().to_string()]);
    command.stdout(std::process::Stdio::null());
    command
}

/// Everything seen in the spans of one kind.
#[derive(Default)]
struct Seen {
    latencies: Latencies,
    p99: Vec<f64>,
    resident: u64,
}

impl Seen {
    fn add(&mut self, latencies: Latencies, resident: u64) {
        self.p99.push(latencies.quantile(0.99) as f64);
        self.latencies.add(latencies);
        self.resident = resident;
    }
}

fn under_load(workdir: &Workdir) -> Result<Table> {
    let peer = Peer::tidegate(workdir, "tidegate", &peers::routes_config(0..MANY_ROUTES))?;
    let path = format!("/svc{}/", MANY_ROUTES / 2);
    let ask = || load::open_loop(peer.port, &path, RATE, CONNECTIONS, SPAN);
    let (mut calm, mut busy) = (Seen::default(), Seen::default());
    let mut editor = Editor::new(workdir, &peer, MANY_ROUTES)?;
    for _ in 0..SPANS {
        calm.add(ask()?, proc_stat::resident_of_tree(peer.pid())?);
        let is_done = AtomicBool::new(false);
        let latencies = std::thread::scope(|scope| -> Result<Latencies> {
            let reloading = scope.spawn(|| editor.publish_until(&is_done));
            let latencies = ask();
            is_done.store(true, Ordering::Relaxed);
            reloading.join().ok().context("the reloading thread panicked")??;
            latencies
        })?;
        busy.add(latencies, proc_stat::resident_of_tree(peer.pid())?);
    }
    let ratio = median(busy.p99.iter().zip(&calm.p99).map(|(busy, calm)| busy / calm));
    let live = median(editor.live_after.iter().map(|time| time.as_secs_f64() * 1e3));
    let title = format!(
        "{MANY_ROUTES} routes, {RATE} requests a second, a reload every {} ms",
        PAUSE.as_millis()
    );
    let head = [
        "",
        "requests",
        "failed",
        "p50 us",
        "p99 us",
        "p99 x calm",
        "RSS MiB",
        "live after ms",
    ];
    let mut table = Table::new(&title, &head);
    let reloads = format!("{} reloads", editor.live_after.len());
    for (name, seen, ratio, live) in [("calm", &calm, 1.0, None), (&reloads, &busy, ratio, Some(live))] {
        table.row(&[
            name.to_owned(),
            seen.latencies.micros.len().to_string(),
            seen.latencies.failed.to_string(),
            seen.latencies.quantile(0.5).to_string(),
            seen.latencies.quantile(0.99).to_string(),
            format!("{ratio:.2}"),
            mib(seen.resident),
            live.map_or_else(|| "-".to_owned(), |live| format!("{live:.0}")),
        ]);
    }
    Ok(table)
}

fn many_reloads(workdir: &Workdir) -> Result<Table> {
    let peer = Peer::tidegate(workdir, "tidegate", &peers::routes_config(0..FEW_ROUTES))?;
    let mut editor = Editor::new(workdir, &peer, FEW_ROUTES)?;
    let title = format!("Memory over {MANY_RELOADS} reloads of {FEW_ROUTES} routes, one after the other");
    let mut table = Table::new(&title, &["reloads", "RSS MiB"]);
    for number in 0..=MANY_RELOADS {
        if number > 0 {
            editor.publish()?;
        }
        if [0, 100, 250, 500, 750, MANY_RELOADS].contains(&number) {
            table.row(&[number.to_string(), mib(proc_stat::resident_of_tree(peer.pid())?)]);
        }
    }
    Ok(table)
}

fn mib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}

/// Publishes one edition of the file after the other.
struct Editor<'p> {
    workdir: &'p Workdir,
    peer: &'p Peer,
    /// The file up to the line that changes.
    text: String,
    edition: usize,
    /// From the signal until the new route answers.
    live_after: Vec<Duration>,
}

impl<'p> Editor<'p> {
    fn new(workdir: &'p Workdir, peer: &'p Peer, routes: usize) -> Result<Self> {
        let file = workdir.write("edited.yaml", &peers::routes_config(0..routes))?;
        Ok(Self {
            workdir,
            peer,
            text: std::fs::read_to_string(file)?,
            edition: 0,
            live_after: Vec::new(),
        })
    }

    fn publish_until(&mut self, is_done: &AtomicBool) -> Result<()> {
        while !is_done.load(Ordering::Relaxed) {
            let start = Instant::now();
            self.publish()?;
            std::thread::sleep(PAUSE.saturating_sub(start.elapsed()));
        }
        Ok(())
    }

    /// Returns when the new edition serves.
    fn publish(&mut self) -> Result<()> {
        self.edition += 1;
        let length = self.text.len();
        self.text.push_str(&peers::edited_route(self.edition));
        // In one step: half a file must not be seen.
        self.workdir.replace(&self.peer.config_name(), &self.text)?;
        self.text.truncate(length);
        let start = Instant::now();
        shell::run(Command::new("kill").args(["-HUP", &self.peer.pid().to_string()]))?;
        let path = format!("/edition{}/", self.edition);
        let ask = Ask {
            path: &path,
            ..Ask::default()
        };
        while load::in_turn(self.peer.port, &ask, 1).is_err() {
            if start.elapsed() > PATIENCE {
                bail!("edition {} is not in service after {PATIENCE:?}", self.edition);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.live_after.push(start.elapsed());
        Ok(())
    }
}
