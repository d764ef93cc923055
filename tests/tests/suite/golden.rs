//! Recorded behaviour of Kong, replayed: the same configuration, the same bytes, the same answer and the same request
//! at the upstream. What differs on purpose is listed in [`deliberate`], by rule; nothing else may differ.

#[path = "golden/balancing.rs"]
mod balancing;
#[path = "golden/case.rs"]
mod case;
#[path = "golden/compare.rs"]
mod compare;
#[path = "golden/deliberate.rs"]
mod deliberate;
#[path = "golden/lane.rs"]
mod lane;
#[path = "golden/observe.rs"]
mod observe;

use case::{Ask, Case, Observation, Step};
use compare::{Manner, differences};
use deliberate::{Instead, Rule};
use lane::Lane;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Gateways that share the cases of a set.
const LANES: usize = 2;
/// Failures that are shown in full.
const SHOWN: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn routes_are_found_and_requests_forwarded_as_recorded() {
    let tally = replay("g1-router.jsonl.gz", true).await;
    tally.verdict(
        2_781,
        &[
            (Rule::UpperCaseHost, 84),
            (Rule::BytesAboveAscii, 19),
            (Rule::DocumentedOrder, 16),
        ],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plugins_answer_and_change_messages_as_recorded() {
    let tally = replay("g2-plugins.jsonl.gz", false).await;
    tally.verdict(691, &[(Rule::Status499, 4)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plugins_run_for_the_recorded_scopes() {
    replay("g3-scoping.jsonl.gz", false).await.verdict(454, &[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_look_as_recorded() {
    let tally = replay("g5-errors.jsonl.gz", false).await;
    tally.verdict(59, &[(Rule::Fragment, 1)]);
}

/// What came of a set.
#[derive(Debug, Default)]
struct Tally {
    same: usize,
    /// As the flavour `traditional` has it.
    alternative: usize,
    deliberate: BTreeMap<Rule, usize>,
    /// Steps that need a plugin which is not built in, by its name.
    skipped: BTreeMap<String, usize>,
    failures: Vec<String>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.same += other.same;
        self.alternative += other.alternative;
        self.failures.extend(other.failures);
        for (rule, count) in other.deliberate {
            *self.deliberate.entry(rule).or_default() += count;
        }
        for (plugin, count) in other.skipped {
            *self.skipped.entry(plugin).or_default() += count;
        }
    }

    /// Fails unless all `steps` were seen and exactly `deliberate` of them differ.
    fn verdict(&self, steps: usize, deliberate: &[(Rule, usize)]) {
        self.print();
        assert!(
            self.failures.is_empty(),
            "{} differences:\n{}",
            self.failures.len(),
            self.failures[..self.failures.len().min(SHOWN)].join("\n")
        );
        let differing: usize = self.deliberate.values().sum();
        let skipped: usize = self.skipped.values().sum();
        assert_eq!(self.same + self.alternative + differing + skipped, steps);
        assert_eq!(self.deliberate, deliberate.iter().copied().collect());
    }

    #[allow(
        clippy::print_stdout,
        reason = "captured by the test harness; shown with --nocapture"
    )]
    fn print(&self) {
        let mut text = format!("{} as recorded, {} as `traditional`", self.same, self.alternative);
        for (rule, count) in &self.deliberate {
            let _ = write!(text, "\n  {count} on purpose: {rule}");
        }
        for (plugin, count) in &self.skipped {
            let _ = write!(text, "\n  {count} skipped: no plugin {plugin}");
        }
        println!("{text}\n  {} differ", self.failures.len());
    }
}

/// Sends all cases of a file through a few gateways.
async fn replay(file: &str, exact_uri: bool) -> Tally {
    let lines = case::lines(file);
    let next = AtomicUsize::new(0);
    let work = || async {
        let lane = Lane::open().await;
        let mut tally = Tally::default();
        while let Some(line) = lines.get(next.fetch_add(1, Relaxed)) {
            tally.add(run(&lane, &lane.read::<Case>(line), exact_uri).await);
        }
        tally
    };
    let mut tally = Tally::default();
    for part in futures_util::future::join_all((0..LANES).map(|_| work())).await {
        tally.add(part);
    }
    tally
}

async fn run(lane: &Lane, case: &Case, exact_uri: bool) -> Tally {
    let mut tally = Tally::default();
    let registry = tidegate_plugins::registry();
    if let Some(missing) = case
        .plugins()
        .into_iter()
        .find(|name| registry.get(name).is_none())
    {
        tally.skipped.insert(missing.to_owned(), case.compared());
        return tally;
    }
    loop {
        let begun = minute();
        let attempt = attempt(lane, case, exact_uri).await;
        // Counters of a minute start anew when the minute ends: once more, from the start.
        if case.align.is_none() || begun == minute() {
            return attempt;
        }
    }
}

fn minute() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs() / 60
}

async fn attempt(lane: &Lane, case: &Case, exact_uri: bool) -> Tally {
    let mut tally = Tally::default();
    if let Err(refused) = lane.load(case).await {
        tally.failures.push(refused);
        return tally;
    }
    for (index, step) in case.steps.iter().enumerate() {
        if let Some(seconds) = step.sleep {
            tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
        }
        let Some(ask) = &step.req else { continue };
        let got = lane.perform(step, ask).await;
        let manner = Manner {
            mode: step.cmp.as_deref().unwrap_or("full"),
            exact_uri,
        };
        let Some(want) = &step.expect else { continue };
        let found = differences(want, &got, manner);
        let alternative = step.alt.as_ref().map(|alt| differences(alt, &got, manner));
        if found.is_empty() {
            tally.same += 1;
        } else if alternative.is_some_and(|found| found.is_empty()) {
            tally.alternative += 1;
        } else {
            match on_purpose(lane, case, index, (step, ask), (want, &got), manner).await {
                Ok(rule) => *tally.deliberate.entry(rule).or_default() += 1,
                Err(more) => tally
                    .failures
                    .push(failure(case, index, ask, &[found, more].concat())),
            }
        }
    }
    tally
}

/// The rule by which a step differs; otherwise what is wrong with it under the rule that covers it.
async fn on_purpose(
    lane: &Lane,
    case: &Case,
    index: usize,
    (step, ask): (&Step, &Ask),
    (want, got): (&Observation, &Observation),
    manner: Manner<'_>,
) -> Result<Rule, Vec<String>> {
    let (rule, instead) = deliberate::covers(&case.id, index, ask, want).ok_or_else(Vec::new)?;
    let differing = match instead {
        Instead::AnswerTo(other) => {
            let other = lane.perform(step, &other).await;
            differences(&with_lower_host(&other), &with_lower_host(got), manner)
        }
        Instead::ServedBy(address) => {
            let asked = got.upstream.iter().flatten().map(|request| &request.addr);
            let asked: Vec<_> = asked.collect();
            if asked == [address] {
                Vec::new()
            } else {
                vec![format!("asked {asked:?}, not {address}")]
            }
        }
        Instead::Status(status) if got.status == Some(status) => Vec::new(),
        Instead::Status(status) => vec![format!("not {status}")],
    };
    if differing.is_empty() {
        return Ok(rule);
    }
    Err(differing
        .into_iter()
        .map(|line| format!("by the rule that {rule}: {line}"))
        .collect())
}

/// With `preserve_host` the host is forwarded as it was written.
fn with_lower_host(seen: &Observation) -> Observation {
    let mut seen = seen.clone();
    for request in seen.upstream.iter_mut().flatten() {
        for host in request.headers.get_mut("host").into_iter().flatten() {
            host.make_ascii_lowercase();
        }
    }
    seen
}

fn failure(case: &Case, index: usize, ask: &Ask, differences: &[String]) -> String {
    let request = ask
        .raw
        .clone()
        .unwrap_or_else(|| format!("{} {} {:?}", ask.method, ask.target, ask.headers));
    format!(
        "{} step {index}: {request}\n    {}",
        case.id,
        differences.join("\n    ")
    )
}
