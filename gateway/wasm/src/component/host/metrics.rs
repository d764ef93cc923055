//! Metrics that a filter defines. Each combination of label values is a metric of its own, `name{label="value"}`.

use crate::component::bindings::metrics::{HostCounter, HostGauge, HostHistogram};
use crate::component::handles::{Counter, Family, Gauge, Histogram};
use crate::component::state::State;
use crate::host::metrics::{DefineError, Metric, MetricKind};
use std::fmt::Write;
use std::sync::Arc;
use wasmtime::component::Resource;
use wasmtime::{Error, Result};

const MAX_NAME: usize = 256;

impl State {
    fn family(&self, name: String, labels: Vec<String>) -> Result<Family> {
        let is_name =
            !name.is_empty() && labels.iter().map(String::len).sum::<usize>() + name.len() <= MAX_NAME;
        if !is_name {
            return Err(Error::msg("a metric's name is empty or too long"));
        }
        Ok(Family {
            name,
            labels,
            last: None,
        })
    }
}

/// The metric behind label values; the one used last is at hand.
fn metric(
    generation: &crate::generation::Generation,
    family: &mut Family,
    kind: MetricKind,
    values: Vec<String>,
) -> Result<Arc<Metric>> {
    if let Some((known, metric)) = &family.last
        && *known == values
    {
        return Ok(Arc::clone(metric));
    }
    if values.len() != family.labels.len() {
        return Err(Error::msg(format!(
            "the metric `{}` has {} labels",
            family.name,
            family.labels.len()
        )));
    }
    let mut name = family.name.clone();
    for (index, (label, value)) in family.labels.iter().zip(&values).enumerate() {
        let separator = if index == 0 { '{' } else { ',' };
        // Writing to a string does not fail.
        let _ = write!(name, "{separator}{label}={value:?}");
    }
    if !values.is_empty() {
        name.push('}');
    }
    let defined =
        generation
            .host
            .metrics
            .define(&generation.name, &name, kind, generation.options.max_metrics);
    let metric = defined.map_err(|error| {
        Error::msg(match error {
            DefineError::OtherKind => format!("the metric `{name}` is of another kind"),
            DefineError::TooMany => format!("the metric `{name}` is one too many"),
        })
    })?;
    family.last = Some((values, Arc::clone(&metric)));
    Ok(metric)
}

fn clamped(value: f64) -> i64 {
    #[allow(clippy::cast_possible_truncation, reason = "a cast of a float saturates")]
    {
        value.round() as i64
    }
}

impl HostCounter for State {
    fn new(&mut self, name: String, labels: Vec<String>) -> Result<Resource<Counter>> {
        let family = self.family(name, labels)?;
        Ok(self.table.push(Counter(family))?)
    }

    fn add(&mut self, counter: Resource<Counter>, by: u64, values: Vec<String>) -> Result<()> {
        let family = &mut self.table.get_mut(&counter)?.0;
        let metric = metric(&self.generation, family, MetricKind::Counter, values)?;
        metric.add(i64::try_from(by).unwrap_or(i64::MAX));
        Ok(())
    }

    fn drop(&mut self, counter: Resource<Counter>) -> Result<()> {
        self.table.delete(counter)?;
        Ok(())
    }
}

impl HostGauge for State {
    fn new(&mut self, name: String, labels: Vec<String>) -> Result<Resource<Gauge>> {
        let family = self.family(name, labels)?;
        Ok(self.table.push(Gauge(family))?)
    }

    fn set(&mut self, gauge: Resource<Gauge>, to: i64, values: Vec<String>) -> Result<()> {
        let family = &mut self.table.get_mut(&gauge)?.0;
        metric(&self.generation, family, MetricKind::Gauge, values)?.record(to);
        Ok(())
    }

    fn add(&mut self, gauge: Resource<Gauge>, by: i64, values: Vec<String>) -> Result<()> {
        let family = &mut self.table.get_mut(&gauge)?.0;
        metric(&self.generation, family, MetricKind::Gauge, values)?.add(by);
        Ok(())
    }

    fn drop(&mut self, gauge: Resource<Gauge>) -> Result<()> {
        self.table.delete(gauge)?;
        Ok(())
    }
}

impl HostHistogram for State {
    /// Buckets are powers of two, whatever the filter asks for.
    fn new(&mut self, name: String, _: Vec<f64>, labels: Vec<String>) -> Result<Resource<Histogram>> {
        let family = self.family(name, labels)?;
        Ok(self.table.push(Histogram(family))?)
    }

    fn observe(&mut self, histogram: Resource<Histogram>, value: f64, values: Vec<String>) -> Result<()> {
        let family = &mut self.table.get_mut(&histogram)?.0;
        metric(&self.generation, family, MetricKind::Histogram, values)?.record(clamped(value));
        Ok(())
    }

    fn drop(&mut self, histogram: Resource<Histogram>) -> Result<()> {
        self.table.delete(histogram)?;
        Ok(())
    }
}
