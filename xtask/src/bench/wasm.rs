//! What Wasm filters cost: per request and filter, by isolation and language, and while a module is replaced.

pub(crate) mod languages;
mod swap;

use super::load::Ask;
use super::peers::{self, Peer, Workdir};
use super::reload;
use super::report::{Row, Table, median};
use super::rounds;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The least filter that adds a header each way, in the text format.
const LEAST: &str = include_str!("wasm/add_header.wat");
/// Filters on the route that has most.
const MANY: usize = 20;

pub(crate) fn run(workdir: &Workdir) -> Result<Vec<Table>> {
    let folder = Folder::new(workdir)?;
    Ok(vec![
        chains(workdir, &folder)?,
        isolations(workdir, &folder)?,
        large_bodies(workdir, &folder)?,
        reload::away_from_the_proxy(|| swap::run(workdir, &folder))?,
    ])
}

/// The modules that are measured, by name.
struct Folder(PathBuf);

impl Folder {
    /// A filter whose name ends in `_fresh` has an instance for each request.
    fn new(workdir: &Workdir) -> Result<Self> {
        let path = workdir.folder("filters")?;
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../benches/filters");
        println!("building the filters");
        for module in tidegate_filter_build::build(&sources, None)? {
            let name = module
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            fs::copy(&module, path.join(format!("{name}.wasm")))?;
            fs::copy(&module, path.join(format!("{name}_fresh.wasm")))?;
        }
        let least = wat::parse_str(LEAST).context("the text format")?;
        for name in ["least", "least_fresh"] {
            fs::write(path.join(format!("{name}.wasm")), &least)?;
        }
        for entry in fs::read_dir(&path)? {
            let file = entry?.path();
            if file.to_string_lossy().ends_with("_fresh.wasm") {
                let meta = file.with_extension("meta.json");
                fs::write(meta, r#"{"tidegate": {"isolation": "request"}}"#)?;
            }
        }
        Ok(Self(path))
    }

    fn peer(&self, workdir: &Workdir, name: &str, filters: &[&str]) -> Result<Peer> {
        let path = self.0.display().to_string();
        let environment = [
            ("TIDEGATE_WASM", "on"),
            ("TIDEGATE_WASM_FILTERS_PATH", path.as_str()),
        ];
        let config = if filters.is_empty() {
            peers::plain_config()
        } else {
            peers::filters_config(filters)
        };
        Peer::tidegate_with(workdir, workdir.binary(), name, &config, &environment)
    }
}

fn chains(workdir: &Workdir, folder: &Folder) -> Result<Table> {
    let many = ["least"; MANY];
    let peers = [
        folder.peer(workdir, "none", &[])?,
        folder.peer(workdir, "1 filter", &many[..1])?,
        folder.peer(workdir, "5 filters", &many[..5])?,
        folder.peer(workdir, "20 filters", &many)?,
        Peer::tidegate(workdir, "two plugins that do the same", &peers::headers_config())?,
    ];
    added(
        "A filter that adds a header to the request and one to the response, pooled",
        &peers,
        &[0, 1, 5, MANY, 1],
        &Ask::default(),
    )
}

fn isolations(workdir: &Workdir, folder: &Folder) -> Result<Table> {
    let peers = [
        folder.peer(workdir, "none", &[])?,
        folder.peer(workdir, "our SDK, pooled", &["header"])?,
        folder.peer(workdir, "proxy-wasm crate, pooled", &["header_proxy_wasm"])?,
        folder.peer(workdir, "least module, per request", &["least_fresh"])?,
        folder.peer(workdir, "our SDK, per request", &["header_fresh"])?,
        folder.peer(
            workdir,
            "proxy-wasm crate, per request",
            &["header_proxy_wasm_fresh"],
        )?,
    ];
    added(
        "The same filter by toolkit and isolation",
        &peers,
        &[0, 1, 1, 1, 1, 1],
        &Ask::default(),
    )
}

fn large_bodies(workdir: &Workdir, folder: &Folder) -> Result<Table> {
    let peers = [
        folder.peer(workdir, "none", &[])?,
        folder.peer(workdir, "heads only", &["header"])?,
        folder.peer(workdir, "gathered and replaced", &["rewrite"])?,
    ];
    let ask = Ask {
        path: "/large",
        ..Ask::default()
    };
    let title = format!("A response of {} KiB", peers::LARGE >> 10);
    added(&title, &peers, &[0, 1, 1], &ask)
}

/// CPU that each filter adds to the first peer's; `counts` says how many filters a peer has.
fn added(title: &str, peers: &[Peer], counts: &[usize], ask: &Ask<'_>) -> Result<Table> {
    let rounds = rounds(peers, ask)?;
    let head = [
        "filters",
        "CPU us/request",
        "added per filter us",
        "of the minima us",
        "RSS MiB",
    ];
    let mut table = Table::new(title, &head);
    for (place, (peer, count)) in peers.iter().zip(counts).enumerate() {
        let column = |place: usize| rounds.iter().filter_map(move |round| round.get(place));
        let cpu = |place: usize| column(place).map(|row: &Row| row.cpu_micros);
        let share = 1.0 / (*count).max(1) as f64;
        let added = median(
            cpu(place)
                .zip(cpu(0))
                .map(|(with, without)| (with - without) * share),
        );
        let least = |place| cpu(place).fold(f64::INFINITY, f64::min);
        table.row(&[
            peer.name.clone(),
            format!("{:.2}", median(cpu(place))),
            format!("{added:.2}"),
            format!("{:.2}", (least(place) - least(0)) * share),
            format!("{:.1}", median(column(place).map(|row| row.resident_mib))),
        ]);
    }
    Ok(table)
}
