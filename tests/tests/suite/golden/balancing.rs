//! Recorded distributions over targets: how many requests of a run each target got, and which statuses came back.
//!
//! The ring of consistent hashing depends on the ports, which here are others than in the recordings: that a run goes
//! to one target is checked here, to which one in the unit tests of the ring.

use super::case::{self, Ask, Case, Echo, Observation};
use super::lane::Lane;
use regex::Regex;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// A configuration, and runs of requests with it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Runs {
    id: String,
    config: Value,
    steps: Vec<Run>,
    #[serde(rename = "note")]
    _note: Option<String>,
    #[serde(rename = "set")]
    _set: String,
}

/// The same request several times, a single one, a pause, or a question to the Admin API.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    req: Option<Ask>,
    dist: Option<usize>,
    expect: Option<Value>,
    /// How far a count may be from the recorded one.
    tol: Option<u64>,
    cmp: Option<String>,
    /// `same`: all requests go to one target.
    stable: Option<String>,
    #[serde(default)]
    echo_ports: HashMap<String, Echo>,
    sleep: Option<f64>,
    admin: Option<Value>,
}

/// Counts by status or target.
type Counts = BTreeMap<String, u64>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Distribution {
    status_counts: Counts,
    target_counts: Counts,
    #[serde(rename = "seq")]
    _sequence: Option<Vec<String>>,
}

/// What was compared, what has no counterpart yet, and what differs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    cases: usize,
    runs: usize,
    /// Questions to an Admin API.
    skipped: usize,
    differences: Vec<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn targets_are_chosen_as_recorded() {
    let lane = Lane::open().await;
    let mut outcome = Outcome::default();
    for line in case::lines("g6-balancing.jsonl.gz") {
        let runs: Runs = lane.read(&line);
        outcome.cases += 1;
        replay(&lane, &runs, &mut outcome).await;
    }
    assert_eq!(outcome.differences, [] as [String; 0]);
    assert_eq!((outcome.cases, outcome.runs, outcome.skipped), (8, 16, 1));
}

async fn replay(lane: &Lane, runs: &Runs, outcome: &mut Outcome) {
    let case = json!({ "set": "G6", "id": runs.id, "config": runs.config, "steps": [] });
    let case: Case = serde_json::from_value(case).unwrap();
    if let Err(refused) = lane.load(&case).await {
        outcome.differences.push(refused);
        return;
    }
    for (number, run) in runs.steps.iter().enumerate() {
        if let Some(seconds) = run.sleep {
            tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
        }
        if run.admin.is_some() {
            outcome.skipped += 1;
        }
        let (Some(ask), Some(expected)) = (&run.req, &run.expect) else {
            continue;
        };
        let by_port = run.echo_ports.iter();
        let by_port = by_port.map(|(port, echo)| (port.parse().unwrap(), echo.clone()));
        lane.answer_with(Echo::default(), by_port.collect());
        let differing = match run.dist {
            Some(count) => distribution(lane, run, ask, count, expected).await,
            None => single(lane, ask, expected).await,
        };
        outcome.runs += 1;
        let place = format!("{} step {number}", runs.id);
        outcome
            .differences
            .extend(differing.map(|text| format!("{place}: {text}")));
    }
}

async fn distribution(lane: &Lane, run: &Run, ask: &Ask, count: usize, expected: &Value) -> Option<String> {
    let expected: Distribution = serde_json::from_value(expected.clone()).unwrap();
    let (mut statuses, mut targets) = (Counts::new(), Counts::new());
    for _ in 0..count {
        lane.take();
        let status = lane.send(ask).await.map_or(0, |response| response.status);
        *statuses.entry(status.to_string()).or_default() += 1;
        let seen = lane.take();
        let target = seen
            .last()
            .map_or_else(|| "-".to_owned(), |request| request.local.to_string());
        *targets.entry(target).or_default() += 1;
    }
    let tolerance = run.tol.unwrap_or(0);
    let is_stable = run.stable.is_some() || run.cmp.as_deref() == Some("stable");
    let fits = if is_stable {
        targets.len() == 1
    } else {
        are_near(&targets, &expected.target_counts, tolerance)
    };
    let is_same = fits && are_near(&statuses, &expected.status_counts, tolerance);
    (!is_same).then(|| format!("{statuses:?} {targets:?}, recorded: {expected:?}"))
}

fn are_near(seen: &Counts, expected: &Counts, tolerance: u64) -> bool {
    let count = |counts: &Counts, key: &String| counts.get(key).copied().unwrap_or(0);
    let mut keys = seen.keys().chain(expected.keys());
    keys.all(|key| count(seen, key).abs_diff(count(expected, key)) <= tolerance)
}

/// Status, and the cookie that is set, but for its generated value.
async fn single(lane: &Lane, ask: &Ask, expected: &Value) -> Option<String> {
    let expected: Observation = serde_json::from_value(expected.clone()).unwrap();
    let response = lane.send(ask).await.unwrap();
    let generated =
        Regex::new("=[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12};").unwrap();
    let masked = |cookie: &str| generated.replace(cookie, "=<uuid>;").into_owned();
    let cookies: Vec<String> = response
        .headers
        .all("set-cookie")
        .iter()
        .map(|cookie| masked(cookie))
        .collect();
    let recorded = expected.headers.get("set-cookie").into_iter().flatten();
    let recorded: Vec<String> = recorded.map(|cookie| masked(cookie)).collect();
    let is_same = Some(response.status) == expected.status && cookies == recorded;
    (!is_same).then(|| {
        format!(
            "{} {cookies:?}, recorded: {:?} {recorded:?}",
            response.status, expected.status
        )
    })
}
