//! What `/metrics` tells of Wasm filters.

use crate::filter_library::FilterLibrary;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_telemetry::metrics::{Family, FamilyKind, Metrics};
use tidegate_wasm::{FilterHost, MetricKind, MetricValue, Observed};

/// Adds the families of filters; there are none with filters off.
pub(crate) fn add(metrics: &Metrics, library: &Arc<FilterLibrary>) {
    let host = Arc::clone(library.host());
    metrics.add_source(move |families| {
        add_failures(&host, families);
        add_totals(&host, families);
        families.extend(own(&host.metrics()));
    });
}

#[allow(clippy::cast_precision_loss, reason = "Prometheus has doubles only")]
fn add_failures(host: &FilterHost, families: &mut Vec<Family>) {
    let help = "Callbacks of filters that failed: traps, deadlines, memory, stack.";
    let mut traps = Family::new("tidegate_filter_traps_total", FamilyKind::Counter, help);
    for (filter, kind, count) in host.failure_counts() {
        traps.sample(&[("filter", &filter), ("kind", kind.as_str())], count as f64);
    }
    families.push(traps);
}

#[allow(clippy::cast_precision_loss, reason = "Prometheus has doubles only")]
fn add_totals(host: &FilterHost, families: &mut Vec<Family>) {
    let totals = host.totals();
    let counters = [
        (
            "tidegate_filter_instances_total",
            "Instances of filters that were started.",
            totals.instances_booted.value(),
        ),
        (
            "tidegate_filter_streams_created_total",
            "Stream contexts created in filters.",
            totals.streams_created.value(),
        ),
        (
            "tidegate_filter_streams_ended_total",
            "Stream contexts of filters that ended.",
            totals.streams_ended.value(),
        ),
        (
            "tidegate_filter_memory_denied_total",
            "Growths of a filter's memory that were denied.",
            totals.memory_denied.value(),
        ),
        (
            "tidegate_filter_log_lines_dropped_total",
            "Log lines of filters beyond their cap.",
            totals.log_lines_dropped.value(),
        ),
    ];
    for (name, help, value) in counters {
        families.push(Family::new(name, FamilyKind::Counter, help).with(&[], value as f64));
    }
    let help = "Memory that instances of filters hold.";
    let family = Family::new("tidegate_filter_memory_bytes", FamilyKind::Gauge, help);
    families.push(family.with(&[], host.memory_in_use() as f64));
}

/// Series of one name and kind by their labels.
#[derive(Default)]
struct Series<'m> {
    values: BTreeMap<&'m [(String, String)], i64>,
    observed: BTreeMap<&'m [(String, String)], &'m Observed>,
}

/// Metrics that filters define themselves, under the names that Kong gives them: `pw_FILTER_METRIC`.
#[allow(clippy::cast_precision_loss, reason = "Prometheus has doubles only")]
fn own(metrics: &[MetricValue]) -> Vec<Family> {
    let mut by_name: BTreeMap<String, (MetricKind, Series<'_>)> = BTreeMap::new();
    for metric in metrics {
        let name = exposed(&format!("pw_{}_{}", metric.filter, metric.name));
        let (kind, series) = by_name
            .entry(name)
            .or_insert_with(|| (metric.kind, Series::default()));
        // Names that only differ in what cannot be shown: the first one has it.
        if *kind != metric.kind {
            continue;
        }
        match &metric.observed {
            Some(observed) => drop(series.observed.insert(&metric.labels, observed)),
            None => *series.values.entry(&metric.labels).or_default() += metric.value,
        }
    }
    let families = by_name.into_iter().map(|(name, (kind, series))| {
        let kind = match kind {
            MetricKind::Counter => FamilyKind::Counter,
            MetricKind::Gauge => FamilyKind::Gauge,
            MetricKind::Histogram => FamilyKind::Histogram,
        };
        let mut family = Family::new(name, kind, "Defined by a filter.");
        for (labels, value) in series.values {
            family.sample(&borrowed(&shown(labels)), value as f64);
        }
        for (labels, observed) in series.observed {
            let Observed {
                bounds,
                cumulative,
                sum,
            } = observed;
            family.observed(&borrowed(&shown(labels)), bounds, cumulative, *sum);
        }
        family
    });
    families.collect()
}

fn shown(labels: &[(String, String)]) -> Vec<(String, &str)> {
    let labels = labels.iter().map(|(name, value)| (exposed(name), value.as_str()));
    labels.collect()
}

fn borrowed<'l>(labels: &'l [(String, &'l str)]) -> Vec<(&'l str, &'l str)> {
    labels
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect()
}

/// A name that Prometheus takes.
fn exposed(name: &str) -> String {
    let is_fit = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let mut fit: String = name
        .chars()
        .map(|character| if is_fit(character) { character } else { '_' })
        .collect();
    if fit.starts_with(|first: char| first.is_ascii_digit()) {
        fit.insert(0, '_');
    }
    fit
}
