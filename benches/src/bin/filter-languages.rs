//! What an exchange costs in filters that set, read and remove twenty headers of the request, beside a native one.
//!
//! `filter-languages MODULE...`; prints a line for each, the native one first: name, microseconds of an exchange, KiB of
//! memory of an instance. Rounds visit all in turn, and figures are medians over the rounds.

#![allow(clippy::expect_used, reason = "a benchmark stops at the first surprise")]
#![allow(clippy::print_stdout, reason = "the benchmark reads the figures")]

use http::{HeaderName, HeaderValue};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate_plugin::services::Services;
use tidegate_plugin::{Direction, Exchange, Filter, Flow};
use tidegate_wasm::testing::exchange;
use tidegate_wasm::{
    ArtefactCache, EngineSettings, FilterEngine, FilterHost, FilterKind, FilterMeta, FilterModule,
    FilterOptions, HostLimits, ModuleLimits, WasmFilter,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HEADERS: usize = 20;
const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_millis(200);

struct Measured {
    name: String,
    /// `None`: the native one.
    filter: Option<(Arc<WasmFilter>, Arc<FilterHost>)>,
    micros: Vec<f64>,
}

fn main() {
    let modules = std::env::args().skip(1);
    let mut all = vec![Measured {
        name: "native".to_owned(),
        filter: None,
        micros: Vec::new(),
    }];
    all.extend(modules.map(|module| load(Path::new(&module))));
    for round in 0..=ROUNDS {
        for measured in &mut all {
            let micros = micros(measured);
            // The first warms up.
            if round > 0 {
                measured.micros.push(micros);
            }
        }
    }
    for Measured {
        name,
        filter,
        mut micros,
    } in all
    {
        micros.sort_unstable_by(f64::total_cmp);
        let middle = micros.get(ROUNDS / 2).expect("as many rounds");
        let kib = filter.map_or(0, |(_, host)| host.memory_in_use() / 1_024);
        println!("{name} {middle:.2} {kib}");
    }
}

fn load(file: &Path) -> Measured {
    let wasm = std::fs::read(file).expect("a module");
    let engine = FilterEngine::new(EngineSettings {
        max_instances: 10,
        ..EngineSettings::default()
    });
    let services = Arc::new(Services::detached());
    let host = FilterHost::new(engine.expect("an engine"), services, HostLimits::default()).expect("a host");
    let cache = ArtefactCache::of_user();
    let module = FilterModule::load(host.engine(), cache.as_ref(), &wasm, ModuleLimits::default());
    let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
    let kind = FilterKind::new(
        &host,
        &name,
        module.expect("a filter"),
        FilterMeta::default(),
        FilterOptions::default(),
    );
    let filter = kind.attach_unchecked(&Value::Null, FilterOptions::default());
    Measured {
        name,
        filter: Some((filter.expect("a filter"), host)),
        micros: Vec::new(),
    }
}

/// Of an exchange, in the mean over a round.
fn micros(measured: &Measured) -> f64 {
    let mut x = exchange("GET", "/");
    for name in ["host", "user-agent", "accept", "accept-encoding"] {
        let name = HeaderName::from_static(name);
        x.request.headers.insert(name, HeaderValue::from_static("value"));
    }
    let start = Instant::now();
    let mut count = 0_u32;
    while start.elapsed() < ROUND {
        for _ in 0..10 {
            match &measured.filter {
                Some((filter, _)) => serve(filter, &mut x),
                None => edit(&mut x),
            }
        }
        count += 10;
    }
    start.elapsed().as_secs_f64() * 1e6 / f64::from(count)
}

fn serve(filter: &WasmFilter, x: &mut Exchange) {
    let mut run = filter.start(x).expect("it is started").expect("a run");
    let flow = run.head(x, Direction::Request, true);
    assert!(matches!(flow, Flow::Continue), "the filter lets it pass");
    let _ = run.head(x, Direction::Response, true);
    run.finish(x);
}

/// Names are made and read each time, as the filters do.
fn edit(x: &mut Exchange) {
    let headers = &mut x.request.headers;
    for number in 0..HEADERS {
        let name = format!("x-loop-{number}");
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        headers.insert(name.clone(), HeaderValue::from_bytes(b"value").expect("a value"));
        let is_there = headers.get(&name).is_some_and(|value| value == "value");
        assert!(is_there, "the header is as it was set");
        headers.remove(&name);
    }
}
