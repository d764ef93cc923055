//! What a filter costs, callback by callback.

use super::BenchArguments;
use super::http_file::{RequestFile, ResponseFile};
use super::run::parse;
use super::timed::{Timed, Times};
use super::world::{World, attach};
use anyhow::{Result, bail};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;
use tidegate_plugin::Filter;

/// Times of one callback, in the order in which the first of each came.
struct Callback {
    name: &'static str,
    times: Vec<Duration>,
}

pub(super) fn run(arguments: &BenchArguments, stdout: &mut dyn Write) -> Result<()> {
    let request = match &arguments.request {
        Some(file) => parse(file, RequestFile::parse)?,
        None => RequestFile::default(),
    };
    let response = match &arguments.response {
        Some(file) => parse(file, ResponseFile::parse)?,
        None => ResponseFile::default(),
    };
    let world = World::new()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let (callbacks, memory) = runtime.block_on(measure(&world, arguments, &request, &response))?;
    writeln!(
        stdout,
        "{:<20} {:>9} {:>9} {:>9}",
        "callback, in µs", "p50", "p99", "max"
    )?;
    for mut callback in callbacks {
        callback.times.sort_unstable();
        let [p50, p99, max] = [50, 99, 100].map(|percent| micros(&callback.times, percent));
        writeln!(stdout, "{:<20} {p50:>9.2} {p99:>9.2} {max:>9.2}", callback.name)?;
    }
    let instances = world.host.totals().instances_booted.value();
    writeln!(
        stdout,
        "{} exchanges, {instances} instances, {} KiB of memory in use",
        arguments.exchanges,
        memory / 1_024
    )?;
    Ok(())
}

async fn measure(
    world: &World,
    arguments: &BenchArguments,
    request: &RequestFile,
    response: &ResponseFile,
) -> Result<(Vec<Callback>, usize)> {
    let times = Times::default();
    let filter: Arc<dyn Filter> = Arc::new(Timed {
        filter: attach(&world.kind(&arguments.filter.file)?, &arguments.filter)?,
        times: Arc::clone(&times),
    });
    let mut callbacks: Vec<Callback> = Vec::new();
    let warm_up = arguments.exchanges / 10;
    for number in 0..arguments.exchanges.saturating_add(warm_up) {
        let mut drive = request.drive(response);
        drive.filters.push(Arc::clone(&filter));
        let outcome = drive.run().await;
        if let Some(fault) = outcome.fault {
            bail!("exchange {number} failed: {fault}");
        }
        let taken = std::mem::take(&mut *times.lock());
        if number < warm_up {
            continue;
        }
        for (name, took) in taken {
            match callbacks.iter_mut().find(|callback| callback.name == name) {
                Some(callback) => callback.times.push(took),
                None => callbacks.push(Callback {
                    name,
                    times: vec![took],
                }),
            }
        }
    }
    // Now: the instances go with the filter.
    Ok((callbacks, world.host.memory_in_use()))
}

/// The time that `percent` of all do not exceed, by the nearest rank. `sorted` is in ascending order.
fn micros(sorted: &[Duration], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(rank).map_or(0.0, |time| time.as_secs_f64() * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_micros).collect();
        assert!((micros(&times, 50) - 100.0).abs() < 1e-6);
        assert!((micros(&times, 99) - 198.0).abs() < 1e-6);
        assert!((micros(&times, 100) - 200.0).abs() < 1e-6);
        assert!(micros(&[], 50).abs() < 1e-6);
    }
}
