//! What a change of the configuration costs: reading the file, planning it anew, planning one edit.
//!
//! `cargo bench -p tidegate-benches --bench configuration`. All sets have 10,000 routes.

#![allow(missing_docs, reason = "functions of a benchmark are named in its table")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark stops at the first surprise"
)]

use divan::Bencher;
use std::fmt::Write as _;
use std::sync::Arc;
use tidegate::configuration::RegistrySchemas;
use tidegate_config::declarative::{self, LoadOptions, Source};
use tidegate_config::settings::Settings;
use tidegate_model::entities::EntitySet;
use tidegate_plan::{PlanInput, Snapshot, plan};
use tidegate_plugin::Registry;
use tidegate_plugin::services::Services;
use tidegate_router::Flavor;

#[global_allocator]
static ALLOCATOR: divan::AllocProfiler<mimalloc::MiMalloc> = divan::AllocProfiler::new(mimalloc::MiMalloc);

const ROUTES: usize = 10_000;

fn main() {
    divan::main();
}

/// A family of configurations.
#[derive(Clone, Copy, Debug)]
enum Family {
    /// One service, plain paths.
    Prefix,
    /// One service, regexes.
    Regex,
    /// One service, one path, one header value each.
    Header,
    /// A service and a plugin for each route.
    Full,
    /// One service, and 10,000 consumers with a key each.
    Consumers,
}

const FAMILIES: [Family; 5] = [
    Family::Prefix,
    Family::Regex,
    Family::Header,
    Family::Full,
    Family::Consumers,
];

/// The text of a file; `edition` changes the route in the middle.
fn file(family: Family, edition: usize) -> String {
    let mut text = "_format_version: \"3.0\"\nservices:\n".to_owned();
    if !matches!(family, Family::Full) {
        text.push_str("- name: s\n  url: http://127.0.0.1:9000\n  routes:\n");
    }
    for number in 0..ROUTES {
        let changed = if number == ROUTES / 2 { edition } else { 0 };
        let fields = match family {
            Family::Prefix | Family::Consumers | Family::Full => {
                format!("paths: [/api/service-{number}/{changed}]")
            }
            Family::Regex => format!("paths: ['~/api/v\\d+/service-{number}/{changed}/(?<id>[0-9]+)$']"),
            Family::Header => format!("paths: [/api], headers: {{x-tenant: [tenant-{number}-{changed}]}}"),
        };
        let _ = if matches!(family, Family::Full) {
            writeln!(
                text,
                "- {{name: s{number}, url: 'http://127.0.0.1:9000', routes: [{{name: r{number}, {fields}, plugins: \
                 [{{name: rate-limiting, config: {{minute: 5, policy: local}}}}]}}]}}"
            )
        } else {
            writeln!(text, "  - {{name: r{number}, {fields}}}")
        };
    }
    if matches!(family, Family::Consumers) {
        text.push_str("consumers:\n");
        for number in 0..ROUTES {
            let _ = writeln!(
                text,
                "- {{username: user-{number}, keyauth_credentials: [{{key: key-{number}}}]}}"
            );
        }
    }
    text
}

fn load(registry: &Registry, text: &str) -> EntitySet {
    let settings = Settings::with(&[]).expect("the defaults are good");
    let schemas = RegistrySchemas::new(registry, &settings);
    let mut options = LoadOptions::new(&schemas);
    options.now = Some(1_700_000_000.0);
    let source = Source {
        name: "bench.yaml",
        bytes: text.as_bytes(),
    };
    declarative::load(&source, &options)
        .expect("a good file")
        .entities
}

struct Set {
    registry: Registry,
    services: Arc<Services>,
    before: EntitySet,
    after: EntitySet,
}

impl Set {
    fn new(family: Family) -> Self {
        let registry = tidegate_plugins::registry();
        Self {
            services: Arc::new(Services::detached()),
            before: load(&registry, &file(family, 0)),
            after: load(&registry, &file(family, 1)),
            registry,
        }
    }

    fn plan(&self, entities: &EntitySet, previous: Option<&Snapshot>) -> Snapshot {
        let (snapshot, faults) = plan(&PlanInput {
            entities,
            registry: &self.registry,
            services: &self.services,
            flavor: Flavor::TraditionalCompatible,
            previous,
        });
        assert!(faults.is_empty(), "{faults:?}");
        snapshot
    }
}

#[divan::bench(args = FAMILIES, sample_count = 10)]
fn read_a_file(bencher: Bencher<'_, '_>, family: Family) {
    let registry = tidegate_plugins::registry();
    let text = file(family, 0);
    bencher.bench(|| load(&registry, &text));
}

#[divan::bench(args = FAMILIES, sample_count = 10)]
fn plan_anew(bencher: Bencher<'_, '_>, family: Family) {
    let set = Set::new(family);
    bencher.bench(|| set.plan(&set.before, None));
}

#[divan::bench(args = FAMILIES, sample_count = 20)]
fn plan_one_edit(bencher: Bencher<'_, '_>, family: Family) {
    let set = Set::new(family);
    let previous = set.plan(&set.before, None);
    bencher.bench(|| set.plan(&set.after, Some(&previous)));
}

#[divan::bench(args = FAMILIES, sample_count = 20)]
fn drop_the_old_snapshot(bencher: Bencher<'_, '_>, family: Family) {
    let set = Set::new(family);
    let previous = set.plan(&set.before, None);
    bencher
        .with_inputs(|| set.plan(&set.after, Some(&previous)))
        .bench_refs(|snapshot| drop(std::mem::replace(snapshot, set.plan(&EntitySet::default(), None))));
}
