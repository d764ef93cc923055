//! Metrics that a filter defines. Each combination of label values is a series of its own.

use crate::component::bindings::metrics::{HostCounter, HostGauge, HostHistogram};
use crate::component::handles::{Counter, Family, Gauge, Histogram};
use crate::component::state::State;
use crate::host::metrics::{DefineError, Metric, MetricKind};
use std::sync::Arc;
use wasmtime::component::Resource;
use wasmtime::{Error, Result};

const MAX_NAME: usize = 256;
const MAX_BUCKETS: usize = 64;

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
            bounds: Vec::new(),
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
    let labels = family
        .labels
        .iter()
        .cloned()
        .zip(values.iter().cloned())
        .collect();
    let name = family.name.as_str();
    let defined = generation.host.metrics.define_labelled(
        &generation.name,
        (name, labels),
        (kind, &family.bounds),
        generation.options.max_metrics,
    );
    let metric = defined.map_err(|error| {
        Error::msg(match error {
            DefineError::OtherKind => format!("the metric `{name}` is of another kind"),
            DefineError::TooMany => format!("the metric `{name}` is one too many"),
        })
    })?;
    family.last = Some((values, Arc::clone(&metric)));
    Ok(metric)
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
    /// Without buckets they are powers of two.
    fn new(&mut self, name: String, buckets: Vec<f64>, labels: Vec<String>) -> Result<Resource<Histogram>> {
        let mut family = self.family(name, labels)?;
        let are_bounds = buckets.len() <= MAX_BUCKETS
            && buckets.iter().all(|bound| bound.is_finite())
            && buckets.is_sorted_by(|one, next| one < next);
        if !are_bounds {
            return Err(Error::msg(format!(
                "the buckets of `{}` are not at most {MAX_BUCKETS} ascending numbers",
                family.name
            )));
        }
        family.bounds = buckets;
        Ok(self.table.push(Histogram(family))?)
    }

    fn observe(&mut self, histogram: Resource<Histogram>, value: f64, values: Vec<String>) -> Result<()> {
        let family = &mut self.table.get_mut(&histogram)?.0;
        metric(&self.generation, family, MetricKind::Histogram, values)?.observe(value);
        Ok(())
    }

    fn drop(&mut self, histogram: Resource<Histogram>) -> Result<()> {
        self.table.delete(histogram)?;
        Ok(())
    }
}
