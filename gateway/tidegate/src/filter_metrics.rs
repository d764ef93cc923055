//! What `/metrics` tells of Wasm filters.

use crate::filter_library::FilterLibrary;
use std::sync::Arc;
use tidegate_telemetry::metrics::{Family, FamilyKind, Metrics};
use tidegate_wasm::{FilterHost, MetricKind};

/// Adds the families of filters; there are none with filters off.
pub(crate) fn add(metrics: &Metrics, library: &Arc<FilterLibrary>) {
    let host = Arc::clone(library.host());
    metrics.add_source(move |families| {
        add_totals(&host, families);
        add_own(&host, families);
    });
}

#[allow(clippy::cast_precision_loss, reason = "Prometheus has doubles only")]
fn add_totals(host: &FilterHost, families: &mut Vec<Family>) {
    let totals = host.totals();
    let counters = [
        (
            "tidegate_filter_traps_total",
            "Callbacks of filters that failed: traps, deadlines, memory, stack.",
            totals.traps.value(),
        ),
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

/// Metrics that filters define themselves.
#[allow(clippy::cast_precision_loss, reason = "Prometheus has doubles only")]
fn add_own(host: &FilterHost, families: &mut Vec<Family>) {
    let help = "Counters that filters define.";
    let mut counters = Family::new("tidegate_filter_counter_total", FamilyKind::Counter, help);
    let help = "Gauges that filters define, and the sums of their histograms.";
    let mut gauges = Family::new("tidegate_filter_gauge", FamilyKind::Gauge, help);
    let mut has_any = false;
    for metric in host.metrics() {
        has_any = true;
        let family = match metric.kind {
            MetricKind::Counter => &mut counters,
            MetricKind::Gauge | MetricKind::Histogram => &mut gauges,
        };
        family.sample(
            &[("filter", &metric.filter), ("metric", &metric.name)],
            metric.value as f64,
        );
    }
    if has_any {
        families.extend([counters, gauges]);
    }
}
