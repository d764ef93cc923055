//! Resident memory: at rest, with many routes, and per idle client connection.

use super::helper;
use super::peers::{self, LOAD_CPU, Peer, Workdir};
use super::proc_stat::resident_of_tree;
use super::report::Table;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const ROUTES: [usize; 3] = [1, 5_000, 50_000];
const CONNECTIONS: usize = 2_000;
/// Opened and closed beforehand, so that what is made once does not count.
const WARM_UP_CONNECTIONS: usize = 200;
/// Long enough for the gateway to give back what compiling the configuration took.
const REST: Duration = Duration::from_secs(4);
/// The default on a machine with two CPUs.
const WORKERS: (&str, &str) = ("TIDEGATE_WORKERS", "2");

pub(crate) fn run(workdir: &Workdir) -> Result<Vec<Table>> {
    let mut table = Table::new("Resident memory, two workers", &["", "MiB in all", "KiB each"]);
    let mut nothing = 0.0;
    for count in ROUTES {
        let config = peers::routes_config(0..count);
        let peer = Peer::tidegate_with(workdir, workdir.binary(), "tidegate", &config, &[WORKERS])?;
        std::thread::sleep(REST);
        let resident = resident_of_tree(peer.pid())? as f64;
        let each = if count == 1 {
            nothing = resident;
            "-".to_owned()
        } else {
            kib((resident - nothing) / count as f64)
        };
        let name = if count == 1 {
            "idle".to_owned()
        } else {
            format!("{count} routes")
        };
        table.row(&[name, format!("{:.1}", resident / f64::from(1 << 20)), each]);
    }
    let client = helper("idle-connections")?;
    for kind in ["plain", "tls"] {
        let (resident, each) = connections(workdir, &client, kind)?;
        table.row(&[
            format!("{CONNECTIONS} idle connections, {kind}"),
            format!("{:.1}", resident / f64::from(1 << 20)),
            kib(each),
        ]);
    }
    Ok(vec![table])
}

fn kib(bytes: f64) -> String {
    format!("{:.1}", bytes / 1_024.0)
}

/// Resident bytes with all connections open, and what one of them takes.
fn connections(workdir: &Workdir, client: &Path, kind: &str) -> Result<(f64, f64)> {
    let port = peers::free_port()?;
    let address = format!("127.0.0.1:{port}");
    let flags = if kind == "tls" { " ssl" } else { "" };
    let environment = [WORKERS, ("TIDEGATE_PROXY_LISTEN", &format!("{address}{flags}"))];
    let peer = Peer::spawn(
        workdir,
        workdir.binary(),
        kind,
        &peers::plain_config(),
        port,
        &environment,
    )?;
    drop(Clients::open(client, kind, &address, WARM_UP_CONNECTIONS)?);
    std::thread::sleep(REST);
    let before = resident_of_tree(peer.pid())? as f64;
    let clients = Clients::open(client, kind, &address, CONNECTIONS)?;
    std::thread::sleep(REST);
    let after = resident_of_tree(peer.pid())? as f64;
    drop(clients);
    Ok((after, (after - before) / CONNECTIONS as f64))
}

/// A process that keeps connections open until it is dropped.
struct Clients(Child);

impl Clients {
    fn open(program: &Path, kind: &str, address: &str, count: usize) -> Result<Self> {
        let child = Command::new("taskset")
            .args(["-c", LOAD_CPU])
            .arg(program)
            .args([kind, address, &count.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the clients")?;
        let mut clients = Self(child);
        let stdout = clients.0.stdout.take().context("the clients have no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        if line.trim() != "ready" {
            bail!("the clients could not open their {count} connections");
        }
        Ok(clients)
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
