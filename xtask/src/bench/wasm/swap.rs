//! A module of 1.5 MB is replaced by another version of itself while requests pass; both were compiled before.

use super::super::disturbed::{self, Disturbance, LOOK_AGAIN, PATIENCE};
use super::super::load;
use super::super::peers::{Peer, Workdir};
use super::super::report::Table;
use super::{Folder, LEAST};
use anyhow::{Context, Result, bail};
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Functions that nobody calls: they make the module as large as it is to be.
const FILLERS: usize = 15_000;

pub(super) fn run(workdir: &Workdir, folder: &Folder) -> Result<Table> {
    let modules = [module(1)?, module(2)?];
    let size = modules[0].len();
    let next = workdir.folder("next")?.join("swapped.wasm");
    let file = folder.0.join("swapped.wasm");
    fs::write(&file, &modules[0])?;
    let peer = folder.peer(workdir, "swap", &["swapped"])?;
    let mut swaps = Swaps {
        peer: &peer,
        modules,
        version: 1,
        next,
        file,
    };
    // The second version is compiled now.
    swaps.act()?;
    let title = format!("A compiled module of {:.1} MB replaced", size as f64 / 1e6);
    disturbed::beside_calm(&title, &peer, "/", &mut swaps)
}

/// The least filter with its version as the value of its response header, and much code beside it.
fn module(version: usize) -> Result<Vec<u8>> {
    let mut fillers = String::new();
    for number in 0..FILLERS {
        write!(fillers, "(func (param i32 i64) (result i64) (local i64)")?;
        for step in 0..8 {
            let constant = 0x5bd1_e995_u64.wrapping_mul(number as u64 + step + 1) & 0x7fff_ffff;
            write!(
                fillers,
                "(local.set 2 (i64.xor (i64.mul (local.get 1) (i64.const {constant})) (local.get 2)))"
            )?;
        }
        fillers.push_str("(local.get 2))\n");
    }
    let text = LEAST
        .replace("x-wasm-res1", &format!("x-wasm-res{version}"))
        .replace(";; More", &fillers);
    wat::parse_str(text).context("the text format")
}

struct Swaps<'p> {
    peer: &'p Peer,
    modules: [Vec<u8>; 2],
    version: usize,
    next: PathBuf,
    file: PathBuf,
}

impl Swaps<'_> {
    fn write(&self) -> Result<()> {
        let module = self.modules.get(self.version - 1).context("two versions")?;
        Ok(fs::write(&self.next, module)?)
    }

    fn serves(&self) -> Result<bool> {
        let version = load::header(self.peer.port, "/", "x-wasm-res")?;
        Ok(version == self.version.to_string())
    }
}

impl Disturbance for Swaps<'_> {
    fn act(&mut self) -> Result<Duration> {
        self.version = 3 - self.version;
        self.write()?;
        fs::rename(&self.next, &self.file)?;
        let start = Instant::now();
        self.peer.reload()?;
        while !self.serves()? {
            if start.elapsed() > PATIENCE {
                bail!("version {} is not in service after {PATIENCE:?}", self.version);
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(start.elapsed())
    }

    fn rehearse(&mut self, took: Duration) -> Result<()> {
        self.write()?;
        let start = Instant::now();
        while start.elapsed() < took {
            self.serves()?;
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }
}
