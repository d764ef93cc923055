//! What is printed: event lines, differences, the summary; or one JSON object of it all.

use crate::diff_text::diff_text;
use crate::error::Error;
use crate::event::{Event, Op};
use crate::masking::Masking;
use crate::state::Entity;
use serde::Serialize as _;
use serde_json::{Map, Value, json};
use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// Where a command prints to.
pub struct Terminal<'o> {
    out: RefCell<&'o mut dyn Write>,
    err: RefCell<&'o mut dyn Write>,
    /// Event lines and the summary are coloured.
    pub has_colours: bool,
    /// How far things are is shown on standard error.
    pub shows_progress: bool,
}

const GREEN: &str = "\u{1b}[32m";
const YELLOW: &str = "\u{1b}[33m";
const RED: &str = "\u{1b}[31m";
const BOLD_GREEN: &str = "\u{1b}[32;1m";
const PLAIN: &str = "\u{1b}[0m";

impl<'o> Terminal<'o> {
    /// Without colours and without progress.
    pub fn new(out: &'o mut dyn Write, err: &'o mut dyn Write) -> Self {
        Self {
            out: RefCell::new(out),
            err: RefCell::new(err),
            has_colours: false,
            shows_progress: false,
        }
    }

    pub(crate) fn line(&self, line: impl Display) -> Result<(), Error> {
        Ok(writeln!(self.out.borrow_mut(), "{line}")?)
    }

    pub(crate) fn text(&self, text: &str) -> Result<(), Error> {
        let mut out = self.out.borrow_mut();
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }

    /// For people, beside the output. Nobody may be reading it.
    pub(crate) fn note(&self, line: impl Display) {
        let mut err = self.err.borrow_mut();
        let _: io::Result<()> = writeln!(err, "{line}").and_then(|()| err.flush());
    }

    fn coloured(&self, colour: &str, line: &str) -> Result<(), Error> {
        if self.has_colours {
            self.line(format_args!("{colour}{line}{PLAIN}"))
        } else {
            self.line(line)
        }
    }

    fn progress(&self, text: &str) {
        let mut err = self.err.borrow_mut();
        let _: io::Result<()> = write!(err, "\r\u{1b}[K{text}").and_then(|()| err.flush());
    }
}

/// How many events were carried out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub created: u32,
    pub updated: u32,
    pub deleted: u32,
}

impl Totals {
    pub(crate) const fn sum(self) -> u32 {
        self.created + self.updated + self.deleted
    }

    pub(crate) const fn count(&mut self, op: Op) {
        match op {
            Op::Create => self.created += 1,
            Op::Update => self.updated += 1,
            Op::Delete => self.deleted += 1,
        }
    }
}

/// Collects for the JSON object what would else be printed.
#[derive(Default)]
struct Collected {
    created: Vec<Value>,
    updated: Vec<Value>,
    deleted: Vec<Value>,
    dropped_creations: Vec<Value>,
    dropped_updates: Vec<Value>,
    dropped_deletions: Vec<Value>,
}

/// The report of one run.
pub(crate) struct Report<'r, 'o> {
    terminal: &'r Terminal<'o>,
    masking: Option<Masking>,
    collected: Option<RefCell<Collected>>,
    is_silent: bool,
    shown: Cell<Option<Instant>>,
}

/// Runs with fewer events are over before anybody asks.
const LARGE: usize = 500;
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

impl<'r, 'o> Report<'r, 'o> {
    pub(crate) fn new(
        terminal: &'r Terminal<'o>,
        masking: Option<Masking>,
        as_json: bool,
        is_silent: bool,
    ) -> Self {
        Self {
            terminal,
            masking,
            collected: as_json.then(RefCell::default),
            is_silent,
            shown: Cell::new(None),
        }
    }

    pub(crate) const fn is_json(&self) -> bool {
        self.collected.is_some()
    }

    /// An event that is about to be carried out.
    pub(crate) fn begin(&self, event: &Event) -> Result<(), Error> {
        if let Some(collected) = &self.collected {
            let mut collected = collected.borrow_mut();
            let list = match event.op {
                Op::Create => &mut collected.created,
                Op::Update => &mut collected.updated,
                Op::Delete => &mut collected.deleted,
            };
            list.push(item(event));
            return Ok(());
        }
        if self.is_silent {
            return Ok(());
        }
        let mut line = line(event.op.verb(), event);
        if let Some(change) = &event.change {
            let shown = diff_text(&change.old, &change.new);
            let shown = self
                .masking
                .as_ref()
                .map_or_else(|| shown.clone(), |masking| masking.mask(&shown));
            // It begins with a space of its own and ends in a line break.
            line = format!("{line} {shown}");
        }
        self.terminal.coloured(colour(event.op), &line)
    }

    /// An event that will not be carried out.
    pub(crate) fn drop(&self, event: &Event) -> Result<(), Error> {
        if let Some(collected) = &self.collected {
            let mut collected = collected.borrow_mut();
            let list = match event.op {
                Op::Create => &mut collected.dropped_creations,
                Op::Update => &mut collected.dropped_updates,
                Op::Delete => &mut collected.dropped_deletions,
            };
            list.push(item(event));
            return Ok(());
        }
        if self.is_silent {
            return Ok(());
        }
        self.terminal
            .coloured(colour(event.op), &line(event.op.dropped(), event))
    }

    pub(crate) fn workspace(&self, name: &str) -> Result<(), Error> {
        if let Some(collected) = &self.collected {
            let item = json!({"name": name, "kind": "workspace", "body": null});
            collected.borrow_mut().created.push(item);
            return Ok(());
        }
        self.terminal
            .coloured(GREEN, &format!("Creating workspace {name}"))
    }

    /// How far a large run is.
    pub(crate) fn progress(&self, done: usize, of: usize) {
        if !self.terminal.shows_progress || of < LARGE {
            return;
        }
        if done == of {
            return self.terminal.progress("");
        }
        let is_due = self
            .shown
            .get()
            .is_none_or(|shown| shown.elapsed() >= PROGRESS_EVERY);
        if is_due {
            self.shown.set(Some(Instant::now()));
            self.terminal.progress(&format!("{done} of {of} changes"));
        }
    }

    /// The end of a run; errors are printed here only as part of the JSON object.
    pub(crate) fn finish(&self, totals: Totals, errors: &[Error]) -> Result<(), Error> {
        let Some(collected) = &self.collected else {
            let Totals {
                created,
                updated,
                deleted,
            } = totals;
            for line in [
                "Summary:".to_owned(),
                format!("  Created: {created}"),
                format!("  Updated: {updated}"),
                format!("  Deleted: {deleted}"),
            ] {
                self.terminal.coloured(BOLD_GREEN, &line)?;
            }
            return Ok(());
        };
        let collected = collected.take();
        let mut changes = Map::from_iter([
            ("creating".to_owned(), Value::Array(collected.created)),
            ("updating".to_owned(), Value::Array(collected.updated)),
            ("deleting".to_owned(), Value::Array(collected.deleted)),
        ]);
        for (name, list) in [
            ("dropped_creations", collected.dropped_creations),
            ("dropped_updates", collected.dropped_updates),
            ("dropped_deletions", collected.dropped_deletions),
        ] {
            if !list.is_empty() {
                changes.insert(name.to_owned(), Value::Array(list));
            }
        }
        let object = json!({
            "changes": changes,
            "summary": {
                "creating": totals.created,
                "updating": totals.updated,
                "deleting": totals.deleted,
                "total": totals.sum(),
            },
            "warnings": [],
            "errors": errors.iter().map(ToString::to_string).collect::<Vec<_>>(),
        });
        let text = tabbed(&object)?;
        let text = self
            .masking
            .as_ref()
            .map_or_else(|| text.clone(), |masking| masking.mask(&text));
        self.terminal.text(&format!("{text}\n\n"))
    }
}

const fn colour(op: Op) -> &'static str {
    match op {
        Op::Create => GREEN,
        Op::Update => YELLOW,
        Op::Delete => RED,
    }
}

fn line(verb: &str, event: &Event) -> String {
    format!("{verb} {} {}", event.kind().row().label, event.label)
}

fn item(event: &Event) -> Value {
    let sorted = |members: &Map<String, Value>| {
        let mut members = members.clone();
        members.sort_keys();
        Value::Object(members)
    };
    let body = |entity: &Entity| sorted(&entity.body);
    let (new, old) = match &event.change {
        Some(change) => (sorted(&change.new), sorted(&change.old)),
        None => (body(&event.entity), Value::Null),
    };
    json!({"name": event.label, "kind": event.kind().row().label, "body": {"new": new, "old": old}})
}

fn tabbed(object: &Value) -> Result<String, Error> {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    object
        .serialize(&mut serializer)
        .map_err(|error| Error::Output(io::Error::other(error)))?;
    String::from_utf8(bytes).map_err(|error| Error::Output(io::Error::other(error)))
}
