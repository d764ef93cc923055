//! One declarative document: text to a JSON value, and back from a path to a line and column.

mod builder;
mod events;
mod json;
mod positions;
mod scalar;
mod shape;
mod yaml;

use builder::{Builder, Built};
pub(super) use events::ParseFault;
use positions::Found;
use positions::Positions;
use serde_json::Value;
use std::cell::OnceCell;
use tidegate_model::schema::PathSegment;

/// Bounds on what a document may ask for. A value at its bound is accepted, one more is a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of text.
    pub max_bytes: usize,
    /// Levels of nested lists and maps.
    pub max_depth: usize,
    /// Values in all, copies made by aliases included.
    pub max_nodes: usize,
    /// Values copied for anchors and aliases.
    pub max_alias_nodes: usize,
    /// Faults that are reported one by one; the rest is only counted.
    pub max_faults: usize,
}

impl Limits {
    /// Default of [`Self::max_bytes`]: 64 MiB, several 100,000 routes.
    pub const MAX_BYTES: usize = 64 << 20;
    /// Default of [`Self::max_depth`].
    pub const MAX_DEPTH: usize = 100;
    /// Default of [`Self::max_nodes`].
    pub const MAX_NODES: usize = 8_000_000;
    /// Default of [`Self::max_alias_nodes`].
    pub const MAX_ALIAS_NODES: usize = 1_000_000;
    /// Default of [`Self::max_faults`].
    pub const MAX_FAULTS: usize = 1_000;
    /// Recursive walks over a document must not meet a deeper one, whatever is asked for.
    const DEPTH_CEILING: usize = 250;
    /// Offsets are kept in 31 bits.
    const BYTES_CEILING: usize = 1 << 30;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: Self::MAX_BYTES,
            max_depth: Self::MAX_DEPTH,
            max_nodes: Self::MAX_NODES,
            max_alias_nodes: Self::MAX_ALIAS_NODES,
            max_faults: Self::MAX_FAULTS,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Yaml,
}

/// A document that was read.
#[derive(Debug)]
pub(super) struct Document<'s> {
    text: &'s str,
    format: Format,
    limits: Limits,
    /// The whole tree, until [`Self::take_value`].
    value: Value,
    has_legacy_booleans: bool,
    located: OnceCell<Located>,
}

/// The tree with the position of everything in it.
#[derive(Debug)]
struct Located {
    value: Value,
    positions: Positions,
}

/// A text that could not be read as a document.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub(super) faults: Vec<ParseFault>,
    /// Further ones, only counted.
    pub(super) omitted: usize,
}

impl From<ParseFault> for Unreadable {
    fn from(fault: ParseFault) -> Self {
        Self {
            faults: vec![fault],
            omitted: 0,
        }
    }
}

impl<'s> Document<'s> {
    /// Reads text in the format that its name tells (`.json`, `.yaml`, `.yml`); otherwise JSON is tried, then YAML.
    pub(super) fn parse(name: &str, bytes: &'s [u8], limits: &Limits) -> Result<Self, Unreadable> {
        let mut limits = limits.clone();
        limits.max_depth = limits.max_depth.min(Limits::DEPTH_CEILING);
        limits.max_bytes = limits.max_bytes.min(Limits::BYTES_CEILING);
        let text = decode(bytes, &limits).map_err(Unreadable::from)?;
        let lower = name.to_ascii_lowercase();
        let is_yaml = lower.ends_with(".yaml") || lower.ends_with(".yml");
        if lower.ends_with(".json") {
            return Self::read(text, Format::Json, limits);
        }
        if !is_yaml
            && text.trim_start().starts_with(['{', '['])
            && let Ok(document) = Self::read(text, Format::Json, limits.clone())
        {
            return Ok(document);
        }
        Self::read(text, Format::Yaml, limits)
    }

    fn read(text: &'s str, format: Format, limits: Limits) -> Result<Self, Unreadable> {
        let built = build(text, format, &limits, false)?;
        if built.faults.is_empty() {
            let Built {
                value,
                has_legacy_booleans,
                ..
            } = built;
            return Ok(Self {
                text,
                format,
                limits,
                value,
                has_legacy_booleans,
                located: OnceCell::new(),
            });
        }
        // Read again with positions: a repeated key is reported with the place of its first occurrence.
        Err(match build(text, format, &limits, true) {
            Ok(Built { faults, omitted, .. }) => Unreadable { faults, omitted },
            Err(fault) => fault.into(),
        })
    }

    pub(super) const fn text(&self) -> &'s str {
        self.text
    }

    /// The tree, to be taken apart. Positions stay available.
    pub(super) fn take_value(&mut self) -> Value {
        std::mem::take(&mut self.value)
    }

    /// Whether some unquoted `yes`, `off` and the like may have been meant as a boolean.
    pub(super) const fn has_legacy_booleans(&self) -> bool {
        self.has_legacy_booleans
    }

    /// Turns every unquoted `yes`, `no`, `on` and `off` of the tree into the boolean that it is by YAML 1.1.
    pub(super) fn mend_booleans(&self, value: &mut Value) {
        let mut candidates = Vec::new();
        boolean_candidates(value, &mut Vec::new(), &mut candidates);
        for path in candidates {
            let place = path.iter().try_fold(&mut *value, |value, segment| match segment {
                PathSegment::Key(name) | PathSegment::Entry(name) => value.get_mut(name),
                PathSegment::Index(index) => value.get_mut(index),
            });
            if let Some(place) = place
                && let Some(meant) = place.as_str().and_then(|text| self.legacy_boolean(&path, text))
            {
                *place = Value::Bool(meant);
            }
        }
    }

    /// Where the value at a path stands, or its nearest existing ancestor.
    pub(super) fn locate(&self, path: &[PathSegment]) -> Found {
        let located = self.located();
        located.positions.locate(&located.value, path)
    }

    /// The value at a path, as it was written.
    pub(super) fn value_at(&self, path: &[PathSegment]) -> Option<&Value> {
        path.iter()
            .try_fold(&self.located().value, |value, segment| match segment {
                PathSegment::Key(name) | PathSegment::Entry(name) => value.get(name),
                PathSegment::Index(index) => value.get(index),
            })
    }

    /// Reads the text again at first use.
    fn located(&self) -> &Located {
        self.located
            .get_or_init(|| match build(self.text, self.format, &self.limits, true) {
                Ok(Built { value, positions, .. }) => Located { value, positions },
                Err(_) => Located {
                    value: Value::Null,
                    positions: Positions::default(),
                },
            })
    }

    /// The boolean that an unquoted `yes` or `off` at this path stands for by YAML 1.1.
    pub(super) fn legacy_boolean(&self, path: &[PathSegment], text: &str) -> Option<bool> {
        let found = self.locate(path);
        if found.is_plain && found.depth == path.len() {
            scalar::legacy_boolean(text)
        } else {
            None
        }
    }
}

/// Paths of texts that older rules would read as booleans.
fn boolean_candidates(value: &Value, path: &mut Vec<PathSegment>, found: &mut Vec<Vec<PathSegment>>) {
    match value {
        Value::String(text) if text.len() > 1 && scalar::legacy_boolean(text).is_some() => {
            found.push(path.clone());
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                path.push(PathSegment::Index(index));
                boolean_candidates(value, path, found);
                path.pop();
            }
        }
        Value::Object(members) => {
            for (name, value) in members {
                path.push(PathSegment::Key(name.clone()));
                boolean_candidates(value, path, found);
                path.pop();
            }
        }
        _ => {}
    }
}

/// Whether unquoted text is read as text, by YAML 1.1 too.
pub(super) fn is_unquoted_text(text: &str) -> bool {
    scalar::legacy_boolean(text).is_none() && scalar::resolve(text).is_ok_and(|value| value.is_string())
}

fn build(text: &str, format: Format, limits: &Limits, records_positions: bool) -> Result<Built, ParseFault> {
    let builder = Builder::new(limits, records_positions);
    match format {
        Format::Json => builder.build(&mut json::JsonEvents::new(text)),
        Format::Yaml => builder.build(&mut yaml::YamlEvents::new(text, limits.max_depth)),
    }
}

fn decode<'s>(bytes: &'s [u8], limits: &Limits) -> Result<&'s str, ParseFault> {
    if bytes.len() > limits.max_bytes {
        let message = format!(
            "the document has {} bytes, more than the {} allowed",
            bytes.len(),
            limits.max_bytes
        );
        return Err(ParseFault::new(0, message));
    }
    let body = without_mark(bytes);
    std::str::from_utf8(body).map_err(|error| {
        let at = error.valid_up_to();
        let byte = body.get(at).copied().unwrap_or_default();
        let absolute = at + bytes.len() - body.len();
        ParseFault::new(at, format!("invalid UTF-8 at byte {absolute} (0x{byte:02x})"))
            .hint("save the file as UTF-8")
    })
}

/// The bytes behind a byte order mark; offsets count from there.
pub(super) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes)
}
