//! Reloads under load: a file of 10,000 routes changes twice a second while requests go through; and memory over a
//! thousand reloads.

use super::MANY_ROUTES;
use super::disturbed::{self, Disturbance, LOOK_AGAIN, PATIENCE};
use super::load::{self, Ask};
use super::peers::{self, LOAD_CPU, Peer, Workdir};
use super::proc_stat;
use super::report::Table;
use crate::shell;
use anyhow::{Result, bail};
use std::process::Command;
use std::time::{Duration, Instant};

const MANY_RELOADS: usize = 1_000;
/// Small enough for a thousand reloads within a minute or two.
const FEW_ROUTES: usize = 1_000;

pub(crate) fn run(workdir: &Workdir) -> Result<Vec<Table>> {
    away_from_the_proxy(|| Ok(vec![under_load(workdir)?, many_reloads(workdir)?]))
}

/// Clients and editors are threads of this process: for as long as `measure` runs it leaves the CPU of the proxy alone.
pub(crate) fn away_from_the_proxy<T>(measure: impl FnOnce() -> Result<T>) -> Result<T> {
    shell::run(&mut pin(LOAD_CPU))?;
    let measured = measure();
    let last = std::thread::available_parallelism()?.get() - 1;
    shell::run(&mut pin(&format!("0-{last}")))?;
    measured
}

fn pin(cpus: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-cp", cpus, &std::process::id().to_string()]);
    command.stdout(std::process::Stdio::null());
    command
}

fn under_load(workdir: &Workdir) -> Result<Table> {
    let peer = Peer::tidegate(workdir, "tidegate", &peers::routes_config(0..MANY_ROUTES))?;
    let mut editor = Editor::new(workdir, &peer, MANY_ROUTES)?;
    let title = format!("A reload of {MANY_ROUTES} routes");
    disturbed::beside_calm(&title, &peer, &format!("/svc{}/", MANY_ROUTES / 2), &mut editor)
}

fn many_reloads(workdir: &Workdir) -> Result<Table> {
    let peer = Peer::tidegate(workdir, "tidegate", &peers::routes_config(0..FEW_ROUTES))?;
    let mut editor = Editor::new(workdir, &peer, FEW_ROUTES)?;
    let title = format!("Memory over {MANY_RELOADS} reloads of {FEW_ROUTES} routes, one after the other");
    let mut table = Table::new(&title, &["reloads", "RSS MiB"]);
    for number in 0..=MANY_RELOADS {
        if number > 0 {
            editor.act()?;
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
}

impl<'p> Editor<'p> {
    fn new(workdir: &'p Workdir, peer: &'p Peer, routes: usize) -> Result<Self> {
        let file = workdir.write("edited.yaml", &peers::routes_config(0..routes))?;
        Ok(Self {
            workdir,
            peer,
            text: std::fs::read_to_string(file)?,
            edition: 0,
        })
    }

    /// The next edition, in one step: half a file must not be seen.
    fn write(&mut self, name: &str) -> Result<()> {
        self.edition += 1;
        let length = self.text.len();
        self.text.push_str(&peers::edited_route(self.edition));
        self.workdir.replace(name, &self.text)?;
        self.text.truncate(length);
        Ok(())
    }

    fn answers(&self, edition: usize) -> bool {
        let path = format!("/edition{edition}/");
        let ask = Ask {
            path: &path,
            ..Ask::default()
        };
        load::in_turn(self.peer.port, &ask, 1).is_ok()
    }
}

impl Disturbance for Editor<'_> {
    fn act(&mut self) -> Result<Duration> {
        self.write(&self.peer.config_name())?;
        let start = Instant::now();
        self.peer.reload()?;
        while !self.answers(self.edition) {
            if start.elapsed() > PATIENCE {
                bail!("edition {} is not in service after {PATIENCE:?}", self.edition);
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(start.elapsed())
    }

    fn rehearse(&mut self, took: Duration) -> Result<()> {
        self.write("rehearsed.yaml")?;
        let start = Instant::now();
        while start.elapsed() < took {
            self.answers(self.edition);
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }
}
