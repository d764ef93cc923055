//! `cargo xtask check-deps`: the directions in which crates may depend on each other.
//!
//! The table below is the house plan. A crate that is not in it fails, so that a new one is placed on purpose.

use crate::shell;
use anyhow::{Context, Result, bail};
use serde_json::Value;

/// What one crate of ours may see.
struct Rule {
    name: &'static str,
    /// Crates of ours it may depend on.
    ours: &'static [&'static str],
    /// Crates of others that would change what it is.
    never: &'static [&'static str],
}

/// A crate that has these waits, listens or sends.
const IO: &[&str] = &[
    "tokio",
    "hyper",
    "hyper-util",
    "h2",
    "rustls",
    "tokio-rustls",
    "socket2",
];
/// And these would make it wait.
const IO_AND_FUTURES: &[&str] = &[
    "tokio",
    "hyper",
    "hyper-util",
    "h2",
    "rustls",
    "tokio-rustls",
    "socket2",
    "futures-util",
    "http",
];

const RULES: &[Rule] = &[
    Rule {
        name: "tidegate-model",
        ours: &[],
        never: IO_AND_FUTURES,
    },
    Rule {
        name: "tidegate-telemetry",
        ours: &["tidegate-model"],
        never: IO_AND_FUTURES,
    },
    Rule {
        name: "tidegate-config",
        ours: &["tidegate-model"],
        never: IO_AND_FUTURES,
    },
    Rule {
        name: "tidegate-store",
        ours: &["tidegate-model"],
        never: &["hyper", "hyper-util", "h2", "http"],
    },
    Rule {
        name: "tidegate-admin",
        ours: &["tidegate-model", "tidegate-config", "tidegate-store"],
        never: &["hyper", "hyper-util", "h2", "rustls", "tokio-rustls", "socket2"],
    },
    Rule {
        name: "tidegate-router",
        ours: &["tidegate-model"],
        never: IO_AND_FUTURES,
    },
    Rule {
        name: "tidegate-plugin",
        ours: &["tidegate-model", "tidegate-telemetry"],
        never: IO,
    },
    Rule {
        name: "tidegate-upstream",
        ours: &["tidegate-model"],
        never: IO_AND_FUTURES,
    },
    Rule {
        name: "tidegate-plan",
        ours: &[
            "tidegate-model",
            "tidegate-router",
            "tidegate-plugin",
            "tidegate-upstream",
        ],
        never: IO,
    },
    Rule {
        name: "tidegate-net",
        ours: &["tidegate-model", "tidegate-telemetry"],
        never: &[],
    },
    Rule {
        name: "tidegate-proxy",
        ours: &[
            "tidegate-model",
            "tidegate-telemetry",
            "tidegate-router",
            "tidegate-plugin",
            "tidegate-upstream",
            "tidegate-plan",
            "tidegate-net",
        ],
        never: &[],
    },
    // A client of any Admin API: what the gateway does with a configuration is none of its business.
    Rule {
        name: "tidegate-deck",
        ours: &["tidegate-model", "tidegate-config", "tidegate-net"],
        never: &[],
    },
    Rule {
        name: "tidegate-plugins",
        ours: &["tidegate-model", "tidegate-telemetry", "tidegate-plugin"],
        never: IO,
    },
    Rule {
        name: "tidegate-wasm",
        ours: &["tidegate-model", "tidegate-plugin"],
        never: &[],
    },
    // What filter authors build with. The SDK is compiled for guests: nothing of the gateway may be in it.
    Rule {
        name: "tidegate-sdk",
        ours: &[],
        never: IO_AND_FUTURES,
    },
    Rule {
        name: "tidegate-sdk-component",
        ours: &[],
        never: IO_AND_FUTURES,
    },
    Rule {
        name: "tidegate-filter-build",
        ours: &[],
        never: IO_AND_FUTURES,
    },
    Rule {
        name: "tidegate-filter-test",
        ours: &["tidegate-plugin", "tidegate-wasm", "tidegate-filter-build"],
        never: &[],
    },
    // The binary puts everything together, and nothing depends on it.
    Rule {
        name: "tidegate",
        ours: &[
            "tidegate-model",
            "tidegate-telemetry",
            "tidegate-config",
            "tidegate-store",
            "tidegate-admin",
            "tidegate-router",
            "tidegate-plugin",
            "tidegate-upstream",
            "tidegate-plan",
            "tidegate-net",
            "tidegate-proxy",
            "tidegate-deck",
            "tidegate-plugins",
            "tidegate-wasm",
            "tidegate-filter-build",
        ],
        never: &[],
    },
];

/// Not part of the product: they may see anything.
const TOOLS: &[&str] = &[
    "tidegate-tests",
    "tidegate-test-postgres",
    "tidegate-benches",
    "xtask",
];

pub(crate) fn run() -> Result<()> {
    let metadata = shell::output(&mut shell::cargo(&[
        "metadata",
        "--format-version",
        "1",
        "--no-deps",
    ]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata is no JSON")?;
    let crates = crates(&metadata).context("cargo metadata has another shape")?;
    let faults = faults(&crates);
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    println!("{} crates keep their directions", crates.len());
    Ok(())
}

/// A crate and what it depends on outside of tests.
type Crate = (String, Vec<String>);

fn crates(metadata: &Value) -> Option<Vec<Crate>> {
    metadata
        .get("packages")?
        .as_array()?
        .iter()
        .map(|package| {
            let name = package.get("name")?.as_str()?.to_owned();
            let dependencies = package.get("dependencies")?.as_array()?.iter();
            let dependencies =
                dependencies.filter(|dependency| dependency.get("kind").is_none_or(Value::is_null));
            let names =
                dependencies.filter_map(|dependency| Some(dependency.get("name")?.as_str()?.to_owned()));
            Some((name, names.collect()))
        })
        .collect()
}

fn faults(crates: &[Crate]) -> Vec<String> {
    let is_ours = |name: &str| crates.iter().any(|(known, _)| known == name);
    let mut faults = Vec::new();
    for (name, dependencies) in crates {
        if TOOLS.contains(&name.as_str()) {
            continue;
        }
        let Some(rule) = RULES.iter().find(|rule| rule.name == name) else {
            faults.push(format!(
                "{name} has no place in the house plan: give it a rule in xtask/src/check_deps.rs"
            ));
            continue;
        };
        for dependency in dependencies {
            if is_ours(dependency) && !rule.ours.contains(&dependency.as_str()) {
                faults.push(format!("{name} must not depend on {dependency}"));
            }
            if rule.never.contains(&dependency.as_str()) {
                faults.push(format!(
                    "{name} must not depend on {dependency}: it would no longer be free of I/O"
                ));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crates_with(name: &str, dependency: &str) -> Vec<Crate> {
        let mut all: Vec<Crate> = RULES
            .iter()
            .map(|rule| (rule.name.to_owned(), Vec::new()))
            .collect();
        match all.iter_mut().find(|(known, _)| known == name) {
            Some((_, dependencies)) => dependencies.push(dependency.to_owned()),
            None => all.push((name.to_owned(), vec![dependency.to_owned()])),
        }
        all
    }

    #[test]
    fn forbidden_directions_are_named() {
        for (name, dependency) in [
            ("tidegate-model", "tidegate-plugin"),
            ("tidegate-plugin", "tidegate-net"),
            ("tidegate-plugin", "tidegate-proxy"),
            ("tidegate-proxy", "tidegate-plugins"),
            ("tidegate-proxy", "tidegate-config"),
            ("tidegate-net", "tidegate"),
            ("tidegate-router", "tokio"),
        ] {
            let faults = faults(&crates_with(name, dependency));
            assert_eq!(faults.len(), 1, "{name} → {dependency}");
            assert!(
                faults[0].contains(name) && faults[0].contains(dependency),
                "{}",
                faults[0]
            );
        }
    }

    #[test]
    fn a_crate_without_a_rule_is_a_fault() {
        assert_eq!(faults(&crates_with("tidegate-new", "serde")).len(), 1);
    }

    #[test]
    fn allowed_directions_pass_and_tools_may_see_anything() {
        assert_eq!(
            faults(&crates_with("tidegate-proxy", "tidegate-plan")),
            Vec::<String>::new()
        );
        assert_eq!(
            faults(&crates_with("tidegate-tests", "tidegate")),
            Vec::<String>::new()
        );
    }

    #[test]
    fn dependencies_of_tests_do_not_count() {
        let metadata = serde_json::json!({"packages": [{"name": "tidegate-model", "dependencies": [
            {"name": "serde", "kind": null}, {"name": "tokio", "kind": "dev"},
        ]}]});
        assert_eq!(
            crates(&metadata),
            Some(vec![("tidegate-model".to_owned(), vec!["serde".to_owned()])])
        );
    }
}
