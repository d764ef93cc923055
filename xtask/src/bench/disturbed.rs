//! Latency at a fixed rate while something is done to the gateway twice a second, beside the same without it.

use super::load::{self, Latencies};
use super::peers::Peer;
use super::proc_stat;
use super::report::{Table, median};
use anyhow::{Context, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const RATE: u32 = 2_000;
const CONNECTIONS: u32 = 16;
/// Calm and busy spans take turns, so that what disturbs the machine disturbs both.
const SPANS: usize = 4;
const SPAN: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(500);
/// What was done must show within this time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// How often to look whether it shows.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// What is done again and again.
pub(crate) trait Disturbance: Send {
    /// Does it, and tells after what time it showed.
    fn act(&mut self) -> Result<Duration>;

    /// Goes through the same motions without the gateway noticing, so that the load's CPU has the same work in both
    /// kinds of spans. `took` is the time that the last one needed to show.
    fn rehearse(&mut self, took: Duration) -> Result<()>;
}

/// Everything seen in the spans of one kind.
#[derive(Default)]
struct Seen {
    latencies: Latencies,
    p99: Vec<f64>,
    resident: u64,
    live_after: Vec<Duration>,
}

pub(crate) fn beside_calm(
    title: &str,
    peer: &Peer,
    path: &str,
    disturbance: &mut dyn Disturbance,
) -> Result<Table> {
    let mut took = disturbance.act()?;
    let (mut calm, mut busy) = (Seen::default(), Seen::default());
    for span in 0..2 * SPANS {
        let is_busy = span % 2 == 1;
        let is_done = AtomicBool::new(false);
        let (latencies, times) = std::thread::scope(|scope| -> Result<_> {
            let disturbing = scope.spawn(|| disturb_until(&is_done, disturbance, (!is_busy).then_some(took)));
            let latencies = load::open_loop(peer.port, path, RATE, CONNECTIONS, SPAN);
            is_done.store(true, Ordering::Relaxed);
            let times = disturbing
                .join()
                .ok()
                .context("the disturbing thread panicked")??;
            Ok((latencies?, times))
        })?;
        took = times.last().copied().unwrap_or(took);
        let seen = if is_busy { &mut busy } else { &mut calm };
        seen.p99.push(latencies.quantile(0.99) as f64);
        seen.latencies.add(latencies);
        seen.resident = proc_stat::resident_of_tree(peer.pid())?;
        seen.live_after.extend(times);
    }
    Ok(table(title, &calm, &busy))
}

/// Gives the times after which each act showed; none of `rehearsed` ones.
fn disturb_until(
    is_done: &AtomicBool,
    disturbance: &mut dyn Disturbance,
    rehearsed: Option<Duration>,
) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    while !is_done.load(Ordering::Relaxed) {
        let start = Instant::now();
        match rehearsed {
            Some(took) => disturbance.rehearse(took)?,
            None => times.push(disturbance.act()?),
        }
        std::thread::sleep(PAUSE.saturating_sub(start.elapsed()));
    }
    Ok(times)
}

fn table(title: &str, calm: &Seen, busy: &Seen) -> Table {
    let title = format!(
        "{title}, {RATE} requests a second, every {} ms",
        PAUSE.as_millis()
    );
    let head = [
        "",
        "requests",
        "failed",
        "p50 us",
        "p99 us",
        "p99 x calm",
        "RSS MiB",
        "live after ms",
    ];
    let mut table = Table::new(&title, &head);
    let ratio = median(busy.p99.iter().zip(&calm.p99).map(|(busy, calm)| busy / calm));
    let live = median(busy.live_after.iter().map(|time| time.as_secs_f64() * 1e3));
    let times = format!("{} times", busy.live_after.len());
    for (name, seen, ratio, live) in [("calm", calm, 1.0, None), (&times, busy, ratio, Some(live))] {
        table.row(&[
            name.to_owned(),
            seen.latencies.micros.len().to_string(),
            seen.latencies.failed.to_string(),
            seen.latencies.quantile(0.5).to_string(),
            seen.latencies.quantile(0.99).to_string(),
            format!("{ratio:.2}"),
            format!("{:.1}", seen.resident as f64 / f64::from(1 << 20)),
            live.map_or_else(|| "-".to_owned(), |live| format!("{live:.1}")),
        ]);
    }
    table
}
