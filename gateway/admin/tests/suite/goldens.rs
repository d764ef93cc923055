//! Recorded answers of Kong's Admin API, replayed: the same request, the same answer. What differs on purpose is listed
//! in [`deliberate`], by rule; nothing else may differ.

mod compare;
mod deliberate;

use crate::gateway::Gateway;
use compare::differences;
use deliberate::Rule;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Read;
use tidegate_admin::Mode;

#[tokio::test]
async fn a_gateway_without_a_database_answers_as_recorded() {
    let tally = replay("g4-admin.jsonl.gz", Mode::Declarative).await;
    tally.verdict(
        146,
        &[
            (Rule::Crash, 3),
            (Rule::ConsumerGroups, 1),
            (Rule::AllFaults, 1),
            (Rule::ForeignText, 1),
            (Rule::OwnDescriptions, 6),
        ],
    );
}

#[tokio::test]
async fn a_gateway_with_a_database_answers_as_recorded() {
    let tally = replay("g4db-admin.jsonl.gz", Mode::Database).await;
    tally.verdict(
        266,
        &[(Rule::Crash, 2), (Rule::ForeignText, 4), (Rule::NoPlugin, 1)],
    );
}

#[derive(Default)]
struct Tally {
    same: usize,
    deliberate: BTreeMap<Rule, usize>,
    failures: Vec<String>,
}

impl Tally {
    fn verdict(&self, steps: usize, deliberate: &[(Rule, usize)]) {
        assert!(
            self.failures.is_empty(),
            "{} differences:\n{}",
            self.failures.len(),
            self.failures.join("\n")
        );
        let differing: usize = self.deliberate.values().sum();
        assert_eq!(self.same + differing, steps);
        assert_eq!(self.deliberate, deliberate.iter().copied().collect());
    }
}

async fn replay(file: &str, mode: Mode) -> Tally {
    let mut tally = Tally::default();
    let gateway = Gateway::start(mode);
    for line in lines(file) {
        let case: Value = serde_json::from_str(&line).unwrap();
        let id = case["id"].as_str().unwrap();
        if case["config"].is_object() {
            let mut config = case["config"].clone();
            config["_format_version"] = "3.0".into();
            let loaded = gateway.json("POST", "/config", &config).await;
            assert_eq!(loaded.status, 201, "{id}: {}", loaded.body);
        }
        for (at, step) in case["steps"].as_array().unwrap().iter().enumerate() {
            let seen = gateway.replay(&step["admin"]).await;
            let mode = step["cmp"].as_str().unwrap_or("full");
            let found = differences(&step["expect"], &seen, mode);
            if found.is_empty() {
                tally.same += 1;
            } else if let Some(rule) = deliberate::rule(step, &seen) {
                *tally.deliberate.entry(rule).or_default() += 1;
            } else {
                let (method, target) = (&step["admin"]["method"], &step["admin"]["target"]);
                tally
                    .failures
                    .push(format!("{id} {at} {method} {target}: {}", found.join("; ")));
            }
        }
    }
    tally
}

fn lines(file: &str) -> Vec<String> {
    let path = format!("{}/../../tests/golden/{file}", env!("CARGO_MANIFEST_DIR"));
    let packed = std::fs::File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed)
        .read_to_string(&mut text)
        .unwrap();
    text.lines().map(str::to_owned).collect()
}
