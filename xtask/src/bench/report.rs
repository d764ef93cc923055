//! Markdown tables of what was measured.

use anyhow::Result;
use std::fmt::Write;

/// One peer in one round.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) cpu_micros: f64,
    pub(crate) requests_per_second: f64,
    pub(crate) p99_micros: f64,
    pub(crate) resident_mib: f64,
}

/// A table with a title.
#[derive(Debug)]
pub(crate) struct Table {
    title: String,
    columns: usize,
    lines: Vec<String>,
}

impl Table {
    pub(crate) fn new(title: &str, head: &[&str]) -> Self {
        let mut table = Self {
            title: title.to_owned(),
            columns: head.len(),
            lines: Vec::new(),
        };
        table.row(&head.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>());
        table
            .lines
            .push(format!("|---|{}", "---:|".repeat(head.len().saturating_sub(1))));
        table
    }

    pub(crate) fn row(&mut self, cells: &[String]) {
        debug_assert_eq!(cells.len(), self.columns);
        self.lines.push(format!("| {} |", cells.join(" | ")));
    }

    pub(crate) fn to_markdown(&self) -> String {
        format!("### {}\n\n{}\n", self.title, self.lines.join("\n"))
    }
}

/// Medians over the rounds; `x` columns are medians of the ratios within each round.
pub(crate) fn medians(title: &str, names: &[&str], reference: &str, rounds: &[Vec<Row>]) -> Table {
    let ratio_head = format!("x {reference}");
    let head = [
        "peer",
        "CPU us/request",
        &ratio_head,
        "requests/s",
        "p99 us",
        "RSS MiB",
    ];
    let mut table = Table::new(title, &head);
    let reference = names.iter().position(|name| *name == reference);
    for (place, name) in names.iter().enumerate() {
        let of = |read: fn(&Row) -> f64| median(rounds.iter().filter_map(|round| round.get(place)).map(read));
        let ratios = rounds.iter().filter_map(|round| {
            let against = round.get(reference?)?;
            Some(round.get(place)?.cpu_micros / against.cpu_micros)
        });
        table.row(&[
            (*name).to_owned(),
            format!("{:.2}", of(|row| row.cpu_micros)),
            format!("{:.2}", median(ratios)),
            format!("{:.0}", of(|row| row.requests_per_second)),
            format!("{:.0}", of(|row| row.p99_micros)),
            format!("{:.1}", of(|row| row.resident_mib)),
        ]);
    }
    table
}

/// The middle value, or the mean of the two in the middle.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), values.len() % 2) {
        (Some(upper), 0) => values
            .get(middle.saturating_sub(1))
            .map_or(*upper, |lower| (lower + upper) / 2.0),
        (Some(value), _) => *value,
        (None, _) => f64::NAN,
    }
}

/// What machine the figures come from.
pub(crate) fn header() -> Result<String> {
    let mut page = String::from("## Measured\n\n");
    let cpu = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or("")
        .trim_matches([' ', '\t', ':']);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let cores = std::thread::available_parallelism()?;
    writeln!(
        page,
        "{cores} CPUs, {model}, Linux {}; medians, one worker on CPU 0.",
        kernel.trim()
    )?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cpu_micros: f64) -> Row {
        Row {
            cpu_micros,
            requests_per_second: 1.0,
            p99_micros: 1.0,
            resident_mib: 1.0,
        }
    }

    #[test]
    fn ratios_are_taken_within_a_round_and_then_the_median() {
        let rounds = [[10.0, 11.0], [20.0, 24.0], [10.0, 13.0]].map(|[a, b]| vec![row(a), row(b)]);
        let text = medians("T", &["a", "b"], "a", &rounds).to_markdown();
        assert!(
            text.contains("| a | 10.00 | 1.00 |") && text.contains("| b | 13.00 | 1.20 |"),
            "{text}"
        );
    }
}
