//! `cargo xtask bench`: CPU time per request beside nginx, in one run.
//!
//! The proxy under test has one worker on the first CPU; load generator and backend share the second. Rounds visit
//! the peers in turn, so that what disturbs the machine disturbs all of them; figures are medians over the rounds.
//! Compare ratios within one run, never figures of two runs.

mod allocations;
mod disturbed;
mod failover;
mod load;
mod memory;
mod peers;
mod probes;
mod proc_stat;
mod reload;
mod report;
mod start;
mod wasm;

use crate::shell::{self, cargo, install, target_dir};
use anyhow::{Context, Result, bail};
use load::Ask;
use peers::{Backend, Peer, Workdir};
use report::{Row, Table};
use std::path::PathBuf;
use std::time::Duration;

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(3);
const WARM_UP: Duration = Duration::from_secs(1);
const MANY_ROUTES: usize = 10_000;

type Scenario = fn(&Workdir) -> Result<Vec<Table>>;

/// What can be measured.
const SCENARIOS: [(&str, Scenario); 12] = [
    ("plain", plain),
    ("plugins", plugins),
    ("routes", routes),
    ("allocations", allocations::run),
    ("memory", memory::run),
    ("start", start::run),
    ("reload", reload::run),
    ("upstreams", upstreams),
    ("failover", failover::run),
    ("probes", probes::run),
    ("wasm", wasm::run),
    ("wasm-languages", wasm::languages::run),
];

pub(crate) fn run(names: &[String]) -> Result<()> {
    if let Some(unknown) = names
        .iter()
        .find(|name| !SCENARIOS.iter().any(|(known, _)| known == name))
    {
        let known: Vec<&str> = SCENARIOS.iter().map(|(name, _)| *name).collect();
        bail!("unknown scenario {unknown}: there are {}", known.join(", "));
    }
    if std::thread::available_parallelism()?.get() < 2 {
        bail!("two CPUs are needed: one for the proxy, one for load and backend");
    }
    install(&[
        ("nginx", "nginx-light"),
        ("wrk", "wrk"),
        ("taskset", "util-linux"),
    ])?;
    let workdir = Workdir::new(binary()?)?;
    let _backend = Backend::start(&workdir)?;
    let mut page = report::header()?;
    for (name, scenario) in SCENARIOS {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            for table in scenario(&workdir)? {
                let table = table.to_markdown();
                println!("\n{table}");
                page.push('\n');
                page.push_str(&table);
            }
        }
    }
    let file = target_dir().join("bench.md");
    std::fs::write(&file, page).with_context(|| format!("cannot write {}", file.display()))?;
    println!("\nwritten to {}", file.display());
    Ok(())
}

/// A helper program of the benchmarks, built now with the release profile.
fn helper(name: &str) -> Result<PathBuf> {
    shell::run(&mut cargo(&[
        "build",
        "--release",
        "-p",
        "tidegate-benches",
        "--bin",
        name,
    ]))?;
    Ok(target_dir().join("release").join(name))
}

/// The gateway to measure: the one that the environment names, else one built now.
fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("GATEWAY_BENCH_BINARY") {
        return Ok(path.into());
    }
    println!("building the gateway with the release profile");
    shell::run(&mut cargo(&["build", "--release", "-p", "tidegate"]))?;
    Ok(target_dir().join("release/tidegate"))
}

fn plain(workdir: &Workdir) -> Result<Vec<Table>> {
    let peers = [
        Peer::nginx(workdir)?,
        Peer::tidegate(workdir, "tidegate", &peers::plain_config())?,
    ];
    side_by_side(
        "Plain HTTP/1.1, 64 keep-alive connections, 100-byte answer",
        "nginx",
        &peers,
        &Ask::default(),
    )
}

fn plugins(workdir: &Workdir) -> Result<Vec<Table>> {
    let peers = [
        Peer::tidegate(workdir, "plain", &peers::plain_config())?,
        Peer::tidegate(
            workdir,
            "rate-limiting + key-auth + request-transformer",
            &peers::plugins_config(),
        )?,
    ];
    side_by_side(
        "Three plugins on the route against none",
        "plain",
        &peers,
        &Ask {
            headers: &[("apikey", peers::KEY)],
            ..Ask::default()
        },
    )
}

fn upstreams(workdir: &Workdir) -> Result<Vec<Table>> {
    let mut peers = vec![Peer::tidegate(workdir, "an address", &peers::plain_config())?];
    for algorithm in [
        "round-robin",
        "least-connections",
        "consistent-hashing",
        "latency",
    ] {
        peers.push(Peer::tidegate(
            workdir,
            algorithm,
            &peers::upstream_config(algorithm),
        )?);
    }
    let title = "An Upstream with ten targets against an address";
    side_by_side(title, "an address", &peers, &Ask::default())
}

/// Both ask for the route in the middle of the larger set; the smaller one has that route alone.
fn routes(workdir: &Workdir) -> Result<Vec<Table>> {
    let middle = MANY_ROUTES / 2;
    let peers = [
        Peer::tidegate(workdir, "1 route", &peers::routes_config(middle..middle + 1))?,
        Peer::tidegate(
            workdir,
            &format!("{MANY_ROUTES} routes"),
            &peers::routes_config(0..MANY_ROUTES),
        )?,
    ];
    let path = format!("/svc{middle}/");
    let ask = Ask {
        path: &path,
        ..Ask::default()
    };
    side_by_side("Many routes against one", "1 route", &peers, &ask)
}

/// Measures the peers in turn; ratios are against the peer called `reference`.
fn side_by_side(title: &str, reference: &str, peers: &[Peer], ask: &Ask<'_>) -> Result<Vec<Table>> {
    let rounds = rounds(peers, ask)?;
    let names = peers.iter().map(|peer| peer.name.as_str()).collect::<Vec<_>>();
    Ok(vec![report::medians(title, &names, reference, &rounds)])
}

/// Measures the peers in turn, after a warm-up of each.
fn rounds(peers: &[Peer], ask: &Ask<'_>) -> Result<Vec<Vec<Row>>> {
    for peer in peers {
        load::wrk(peer.port, WARM_UP, ask)?;
    }
    (0..ROUNDS)
        .map(|_| peers.iter().map(|peer| measure(peer, ask)).collect())
        .collect()
}

fn measure(peer: &Peer, ask: &Ask<'_>) -> Result<Row> {
    let before = proc_stat::cpu_of_tree(peer.pid())?;
    let load = load::wrk(peer.port, ROUND, ask)?;
    let cpu = proc_stat::cpu_of_tree(peer.pid())? - before;
    if load.errors > 0 {
        bail!(
            "{}: {} of {} requests failed",
            peer.name,
            load.errors,
            load.requests
        );
    }
    Ok(Row {
        cpu_micros: cpu.as_secs_f64() * 1e6 / load.requests as f64,
        requests_per_second: load.requests as f64 / load.seconds,
        p99_micros: load.p99_micros,
        resident_mib: proc_stat::resident_of_tree(peer.pid())? as f64 / f64::from(1 << 20),
    })
}
