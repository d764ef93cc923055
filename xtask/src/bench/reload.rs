//! Reloads under load: a file of 10,000 routes changes twice a second while 2,000 requests a second go through.

use super::load::{self, Latencies};
use super::peers::{self, Peer, Workdir};
use super::proc_stat;
use super::report::Table;
use anyhow::{Context, Result};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const ROUTES: usize = 10_000;
const RATE: u32 = 2_000;
const CONNECTIONS: u32 = 16;
const DURATION: Duration = Duration::from_secs(12);
const PAUSE: Duration = Duration::from_millis(500);

pub(crate) fn run(workdir: &Workdir) -> Result<Table> {
    let peer = Peer::tidegate(workdir, "tidegate", &peers::many_routes_config(ROUTES, 0))?;
    let path = format!("/svc{}/", ROUTES / 2);
    let ask = || load::open_loop(peer.port, &path, RATE, CONNECTIONS, DURATION);
    let calm = ask()?;
    let resident_before = proc_stat::resident_of_tree(peer.pid())?;
    let is_done = AtomicBool::new(false);
    let (reloads, busy) = std::thread::scope(|scope| -> Result<(usize, Latencies)> {
        let reloader = scope.spawn(|| reload_until(workdir, &peer, &is_done));
        let busy = ask();
        is_done.store(true, Ordering::Relaxed);
        let reloads = reloader.join().ok().context("the reloading thread panicked")??;
        Ok((reloads, busy?))
    })?;
    let resident_after = proc_stat::resident_of_tree(peer.pid())?;

    let title = format!(
        "{ROUTES} routes, {RATE} requests a second, a reload every {} ms",
        PAUSE.as_millis()
    );
    let mut table = Table::new(
        &title,
        &[
            "",
            "requests",
            "failed",
            "p50 us",
            "p99 us",
            "p99 x calm",
            "RSS MiB",
        ],
    );
    let reloading = format!("{reloads} reloads");
    for (name, found, resident) in [
        ("calm", &calm, resident_before),
        (&reloading, &busy, resident_after),
    ] {
        table.row(&[
            name.to_owned(),
            found.micros.len().to_string(),
            found.failed.to_string(),
            found.quantile(0.5).to_string(),
            found.quantile(0.99).to_string(),
            format!(
                "{:.2}",
                found.quantile(0.99) as f64 / calm.quantile(0.99).max(1) as f64
            ),
            format!("{:.1}", resident as f64 / f64::from(1 << 20)),
        ]);
    }
    Ok(table)
}

fn reload_until(workdir: &Workdir, peer: &Peer, is_done: &AtomicBool) -> Result<usize> {
    let mut edition = 0;
    while !is_done.load(Ordering::Relaxed) {
        edition += 1;
        workdir.write(&peer.config_name(), &peers::many_routes_config(ROUTES, edition))?;
        let pid = peer.pid().to_string();
        crate::shell::run(Command::new("kill").args(["-HUP", &pid]))?;
        std::thread::sleep(PAUSE);
    }
    Ok(edition)
}
