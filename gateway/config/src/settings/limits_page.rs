//! The page of the manual about limits: the settings that are marked as such, and the bounds that have no setting.

use super::manual::cell;
use super::spec::bytes;
use super::table::GROUPS;
use std::fmt::Write;

/// A bound that is the same everywhere, because nobody needs another.
#[derive(Debug, Clone, Copy)]
pub struct FixedLimit {
    /// What is bounded.
    pub what: &'static str,
    /// The greatest value that is still taken.
    pub most: u64,
    /// What `most` counts.
    pub unit: Unit,
    /// What happens one past it.
    pub beyond: &'static str,
}

/// What a fixed limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
    /// Things of the kind that the limit names.
    Pieces,
}

const REFUSED: &str = "the configuration is refused";

/// Bounds without a setting, in the order of the page. That they are those of the code is tested by the suite of limits.
pub const FIXED: &[FixedLimit] = &[
    pieces("paths of a route", 10_000, REFUSED),
    sized("memory of a compiled regex of a route", 2 << 20, REFUSED),
    sized("`expression` of a route", 64 << 10, REFUSED),
    pieces("nesting of an `expression`", 64, REFUSED),
    pieces(
        "query arguments of a request that an expression sees",
        100,
        "the rest is not compared",
    ),
    pieces("nesting of a template", 64, REFUSED),
    sized(
        "a string made by a template",
        1 << 20,
        "the request is answered with 500",
    ),
    sized(
        "a JSON body that response-transformer edits",
        16 << 20,
        "the body passes unchanged",
    ),
    pieces(
        "parts of a multipart body in which key-auth looks for a key",
        1_000,
        "there is no key",
    ),
    pieces(
        "counters of rate-limiting with the policy `local`",
        917_504,
        "a new one takes the place of an ended or little used one",
    ),
    pieces(
        "routes with metrics of their own",
        10_000,
        "the others share the label `other`",
    ),
    pieces(
        "files that plugins write to at the same time",
        256,
        "all are closed, and opened again when they are needed",
    ),
    sized(
        "a request body that is kept so that an attempt can be repeated",
        8 << 10,
        "the request is tried once",
    ),
    sized(
        "a PROXY protocol header, version 1",
        107,
        "the connection is closed",
    ),
    sized(
        "what follows the first 16 bytes of a PROXY protocol header, version 2",
        2_048,
        "the connection is closed",
    ),
    FixedLimit {
        what: "time for the head of a request to the status listener",
        most: 10,
        unit: Unit::Seconds,
        beyond: "the connection is closed",
    },
];

const fn pieces(what: &'static str, most: u64, beyond: &'static str) -> FixedLimit {
    FixedLimit {
        what,
        most,
        unit: Unit::Pieces,
        beyond,
    }
}

const fn sized(what: &'static str, most: u64, beyond: &'static str) -> FixedLimit {
    FixedLimit {
        what,
        most,
        unit: Unit::Bytes,
        beyond,
    }
}

/// The page of limits.
#[must_use]
pub fn limits() -> String {
    let mut out = String::from(
        "# Limits\n\n\
         Whatever a client, an upstream or a configuration may send, hold or take has a bound. Those with a setting are \
         changed as [settings](settings.md) are; values in the table are defaults, and \"0 for ...\" turns one off.\n",
    );
    for group in GROUPS {
        let rows: Vec<_> = group.definitions.iter().filter(|row| row.spec.is_limit).collect();
        if rows.is_empty() {
            continue;
        }
        let _ = write!(
            out,
            "\n## {}\n\n| Limit | Default | Value | Meaning |\n|---|---|---|---|\n",
            group.title
        );
        for row in rows {
            let note = row.spec.effect.note();
            let gap = if note.is_empty() { "" } else { " " };
            let _ = writeln!(
                out,
                "| `{}` | `{}` | {} | {}{gap}{note} |",
                row.name,
                cell(row.spec.default),
                cell(&row.spec.expectation()),
                cell(&row.text()),
            );
        }
    }
    out.push_str(PER_ENTITY);
    fixed(&mut out);
    out
}

const PER_ENTITY: &str = "\n## In the configuration\n\n\
    | Limit | Default | Value | Meaning |\n|---|---|---|---|\n\
    | `retries` of a service | `5` | 0 to 32767 | Further attempts after the first. |\n\
    | `connect_timeout` of a service | `60000` | 1 to 2147483646 ms | Time for a connection to the upstream, TLS included. |\n\
    | `write_timeout` of a service | `60000` | 1 to 2147483646 ms | Time between two writes that the upstream accepts. |\n\
    | `read_timeout` of a service | `60000` | 1 to 2147483646 ms | Time between two reads of the answer. |\n";

fn fixed(out: &mut String) {
    out.push_str("\n## Without a setting\n\n| Limit | Value | Beyond it |\n|---|---|---|\n");
    for limit in FIXED {
        let value = match limit.unit {
            Unit::Bytes => bytes(limit.most),
            Unit::Seconds => format!("{} s", limit.most),
            Unit::Pieces => limit.most.to_string(),
        };
        let _ = writeln!(out, "| {} | {value} | {} |", limit.what, limit.beyond);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn every_marked_setting_stands_on_the_page_once() {
        let page = limits();
        let mut marked = 0;
        for definition in Settings::definitions() {
            let row = format!("| `{}` |", definition.name);
            let expected = usize::from(definition.spec.is_limit);
            assert_eq!(page.matches(&row).count(), expected, "{}", definition.name);
            marked += expected;
        }
        assert!(marked >= 40, "{marked}");
        assert_eq!(
            page.matches("\n| ").count(),
            marked + 4 + FIXED.len() + page.matches("\n| Limit").count()
        );
    }

    #[test]
    fn a_limit_has_a_default_and_bounds() {
        for definition in Settings::definitions().filter(|definition| definition.spec.is_limit) {
            assert!(!definition.spec.default.is_empty(), "{}", definition.name);
            let text = definition.spec.expectation();
            assert!(
                text.contains(" from ") && text.contains(" to "),
                "{}: {text}",
                definition.name
            );
        }
    }
}
