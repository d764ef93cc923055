//! The Prometheus text format, version 0.0.4: families with their samples, label values escaped.

use super::cell::HistogramTotal;
use std::borrow::Cow;
use std::fmt::Write;

/// What a family measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FamilyKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations in buckets.
    Histogram,
}

/// One family being written; its samples follow.
#[derive(Debug)]
pub struct Family {
    name: Cow<'static, str>,
    kind: FamilyKind,
    text: String,
}

impl Family {
    /// An empty family. `help` is one line.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>, kind: FamilyKind, help: &str) -> Self {
        let name = name.into();
        let kind_name = match kind {
            FamilyKind::Counter => "counter",
            FamilyKind::Gauge => "gauge",
            FamilyKind::Histogram => "histogram",
        };
        Self {
            text: format!("# HELP {name} {help}\n# TYPE {name} {kind_name}\n"),
            name,
            kind,
        }
    }

    /// Writes one sample.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        debug_assert!(self.kind != FamilyKind::Histogram, "a histogram is written whole");
        self.line("", labels, None, value);
    }

    /// Writes one sample and gives the family back, for a family of one.
    #[must_use]
    pub fn with(mut self, labels: &[(&str, &str)], value: f64) -> Self {
        self.sample(labels, value);
        self
    }

    /// Writes one histogram: how many values are at most each of `bounds`, and how many there are at the end.
    pub fn observed(&mut self, labels: &[(&str, &str)], bounds: &[f64], cumulative: &[u64], sum: f64) {
        debug_assert!(self.kind == FamilyKind::Histogram, "only histograms have buckets");
        for (index, count) in cumulative.iter().enumerate() {
            let bound = bounds
                .get(index)
                .map_or_else(|| "+Inf".to_owned(), f64::to_string);
            self.line("_bucket", labels, Some(&bound), *count as f64);
        }
        let count = cumulative.last().copied().unwrap_or_default();
        self.line("_count", labels, None, count as f64);
        self.line("_sum", labels, None, sum);
    }

    pub(super) fn histogram(&mut self, labels: &[(&str, &str)], total: &HistogramTotal) {
        let mut cumulated = 0;
        for (index, count) in total.buckets.iter().enumerate() {
            cumulated += count;
            let bound = total
                .bounds
                .get(index)
                .map_or_else(|| "+Inf".to_owned(), u64::to_string);
            self.line("_bucket", labels, Some(&bound), cumulated as f64);
        }
        self.line("_count", labels, None, cumulated as f64);
        self.line("_sum", labels, None, total.sum_micros as f64 / 1_000.0);
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], bound: Option<&str>, value: f64) {
        self.text.push_str(&self.name);
        self.text.push_str(suffix);
        let labels = labels.iter().copied().chain(bound.map(|bound| ("le", bound)));
        let mut separator = '{';
        for (name, value) in labels {
            self.text.push(separator);
            self.text.push_str(name);
            self.text.push_str("=\"");
            push_escaped(&mut self.text, value);
            self.text.push('"');
            separator = ',';
        }
        if separator == ',' {
            self.text.push('}');
        }
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, " {value}");
    }
}

fn push_escaped(text: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_help_type_and_samples_with_escaped_labels() {
        let family =
            Family::new("x_total", FamilyKind::Counter, "Things.").with(&[("a", "q\"\\\n"), ("b", "")], 3.0);
        assert_eq!(
            family.into_text(),
            "# HELP x_total Things.\n# TYPE x_total counter\nx_total{a=\"q\\\"\\\\\\n\",b=\"\"} 3\n"
        );
    }

    #[test]
    fn a_histogram_cumulates_and_ends_with_infinity_count_and_sum() {
        let total = HistogramTotal {
            bounds: &[1, 5],
            buckets: vec![2, 1, 4],
            sum_micros: 12_500,
        };
        let mut family = Family::new("h", FamilyKind::Histogram, "H.");
        family.histogram(&[("r", "x")], &total);
        let text = family.into_text();
        let samples: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            samples,
            [
                "h_bucket{r=\"x\",le=\"1\"} 2",
                "h_bucket{r=\"x\",le=\"5\"} 3",
                "h_bucket{r=\"x\",le=\"+Inf\"} 7",
                "h_count{r=\"x\"} 7",
                "h_sum{r=\"x\"} 12.5",
            ]
        );
    }

    #[test]
    fn large_counters_are_written_as_whole_numbers() {
        let family = Family::new("x", FamilyKind::Gauge, "X.").with(&[], 12_345_678_901_234.0);
        assert!(family.into_text().ends_with("x 12345678901234\n"));
    }
}
