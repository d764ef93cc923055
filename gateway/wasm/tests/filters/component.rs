//! Components: a guest of the Rust SDK, compiled here, that does in each phase what its configuration names.

mod bodies;
mod capabilities;
mod heavy;
mod hostile;
mod loading;
mod phases;

use crate::support::{World, drive};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use tidegate_wasm::testing::{Drive, Outcome};
use tidegate_wasm::{FilterKind, FilterOptions, Permission, WasmFilter};

/// The compiled guest.
fn guest() -> &'static [u8] {
    static GUEST: OnceLock<Vec<u8>> = OnceLock::new();
    GUEST.get_or_init(|| {
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests/component");
        let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests");
        let built = tidegate_filter_build::build(&package, Some(&output));
        let built: Vec<PathBuf> = built.unwrap_or_else(|error| panic!("{error}"));
        std::fs::read(&built[0]).expect("the component")
    })
}

fn kind(world: &World) -> FilterKind {
    world.kind_of(guest())
}

/// Everything is granted.
fn granted() -> FilterOptions {
    FilterOptions {
        permissions: BTreeSet::from([Permission::Kv, Permission::Outbound]),
        ..FilterOptions::default()
    }
}

fn filter_with(world: &World, plan: &Value, options: FilterOptions) -> Arc<WasmFilter> {
    kind(world)
        .attach_unchecked(plan, options)
        .unwrap_or_else(|error| panic!("{error}"))
}

fn filter(world: &World, plan: &Value) -> Arc<WasmFilter> {
    filter_with(world, plan, granted())
}

/// One exchange of `GET /path?q=1`.
fn run(plan: &Value, change: impl FnOnce(Drive) -> Drive) -> Outcome {
    let world = World::new();
    drive(&filter(&world, plan), change)
}

fn status(outcome: &Outcome) -> Option<u16> {
    outcome.reply.as_ref().map(|reply| reply.status.as_u16())
}

fn upstream_body(outcome: &Outcome) -> Option<&str> {
    let (body, _) = outcome.upstream.as_ref()?;
    std::str::from_utf8(body).ok()
}
