//! Lines with their markers, indents and commas.

use super::{ArrayDelta, Delta, Element, go_number, sorted};
use serde_json::{Map, Value};

const SAME: char = ' ';
const ADDED: char = '+';
const DELETED: char = '-';

/// A container that is being written.
struct Level {
    /// Elements after which a comma may stand. A change is written as two lines and counts once.
    left: usize,
    is_array: bool,
}

#[derive(Default)]
pub(super) struct Writer {
    out: String,
    levels: Vec<Level>,
}

impl Writer {
    pub(super) fn finish(self) -> String {
        self.out
    }

    pub(super) fn root(&mut self, old: &Map<String, Value>, deltas: &[(&str, Delta<'_>)]) {
        self.line(SAME, "{");
        self.open(old.len(), false);
        self.object(old, deltas);
        self.levels.pop();
        self.line(SAME, "}");
    }

    fn object(&mut self, old: &Map<String, Value>, deltas: &[(&str, Delta<'_>)]) {
        // Both are sorted, with what is added at the end of the differences.
        let mut pending = deltas.iter().peekable();
        for (name, value) in sorted(old) {
            match pending.next_if(|(changed, delta)| *changed == name && !matches!(delta, Delta::Added(_))) {
                Some((_, delta)) => self.delta(name, value, delta),
                None => self.value(name, value, SAME),
            }
        }
        for (name, delta) in pending {
            if let Delta::Added(value) = delta {
                self.value(name, value, ADDED);
            }
        }
    }

    fn array(&mut self, old: &[Value], deltas: &[ArrayDelta<'_>]) {
        for (index, value) in old.iter().enumerate() {
            let mut is_same = true;
            for delta in deltas.iter().filter(|delta| delta.index == index) {
                is_same = false;
                match &delta.what {
                    // What moved here is not shown, and neither is anything else of this place.
                    Element::Moved => break,
                    Element::Changed(delta) => self.delta("", value, delta),
                }
            }
            if is_same {
                self.value("", value, SAME);
            }
        }
        for delta in deltas.iter().filter(|delta| delta.index >= old.len()) {
            if let Element::Changed(Delta::Added(value)) = delta.what {
                self.value("", value, ADDED);
            }
        }
    }

    fn delta(&mut self, name: &str, old: &Value, delta: &Delta<'_>) {
        match (delta, old) {
            (Delta::Object(deltas), Value::Object(members)) => {
                self.begin(SAME, name, "{");
                self.open(members.len(), false);
                self.object(members, deltas);
                self.close(SAME, "}");
            }
            (Delta::Array(deltas), Value::Array(list)) => {
                self.begin(SAME, name, "[");
                self.open(list.len(), true);
                self.array(list, deltas);
                self.close(SAME, "]");
            }
            (Delta::Added(value), _) => {
                self.value(name, value, ADDED);
                if let Some(level) = self.levels.last_mut() {
                    level.left += 1;
                }
            }
            (Delta::Deleted(value), _) => self.value(name, value, DELETED),
            (Delta::Modified(before, after), _) => {
                let left = self.levels.last().map_or(0, |level| level.left);
                self.value(name, before, DELETED);
                if let Some(level) = self.levels.last_mut() {
                    level.left = left;
                }
                self.value(name, after, ADDED);
            }
            // Lists are paired by likeness, so an old element of another shape than its difference cannot stand here.
            (Delta::Object(_) | Delta::Array(_), _) => {}
        }
    }

    fn value(&mut self, name: &str, value: &Value, marker: char) {
        match value {
            Value::Object(members) => {
                self.begin(marker, name, "{");
                self.open(members.len(), false);
                for (name, value) in sorted(members) {
                    self.value(name, value, marker);
                }
                self.close(marker, "}");
            }
            Value::Array(list) => {
                self.begin(marker, name, "[");
                self.open(list.len(), true);
                for value in list {
                    self.value("", value, marker);
                }
                self.close(marker, "]");
            }
            Value::String(text) => self.scalar(marker, name, &format!("\"{text}\"")),
            Value::Number(number) => {
                let shown = number.as_f64().map_or_else(|| number.to_string(), go_number);
                self.scalar(marker, name, &shown);
            }
            Value::Bool(is_true) => self.scalar(marker, name, &is_true.to_string()),
            // A `null` is written like any other value.
            Value::Null => self.scalar(marker, name, "null"),
        }
    }

    fn scalar(&mut self, marker: char, name: &str, shown: &str) {
        let key = self.key(name);
        let comma = self.comma();
        self.line(marker, &format!("{key}{shown}{comma}"));
    }

    fn begin(&mut self, marker: char, name: &str, bracket: &str) {
        let key = self.key(name);
        self.line(marker, &format!("{key}{bracket}"));
    }

    fn open(&mut self, size: usize, is_array: bool) {
        self.levels.push(Level { left: size, is_array });
    }

    fn close(&mut self, marker: char, bracket: &str) {
        self.levels.pop();
        let comma = self.comma();
        self.line(marker, &format!("{bracket}{comma}"));
    }

    fn key(&self, name: &str) -> String {
        if self.levels.last().is_some_and(|level| level.is_array) {
            String::new()
        } else {
            format!("\"{name}\": ")
        }
    }

    /// Counts an element as written.
    fn comma(&mut self) -> &'static str {
        match self.levels.last_mut() {
            Some(level) => {
                let had = level.left;
                level.left = had.saturating_sub(1);
                if had > 1 { "," } else { "" }
            }
            None => "",
        }
    }

    fn line(&mut self, marker: char, text: &str) {
        self.out.push(marker);
        for _ in &self.levels {
            self.out.push_str("  ");
        }
        self.out.push_str(text);
        self.out.push('\n');
    }
}
