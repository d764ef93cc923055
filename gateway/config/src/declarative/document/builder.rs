//! Events to a JSON value: duplicate keys, anchors and aliases, merge keys, limits.

use super::Limits;
use super::events::{Event, Events, ParseFault, Style, Tag};
use super::positions::Positions;
use super::scalar::{self, scalar_value};
use super::shape::{depth_of, is_mergeable, nodes_of};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::HashMap;

/// Repeated keys and the like that are reported one by one. To find where a key stands first takes a search each.
const MAX_TEXT_FAULTS: usize = 100;

/// A document that could be read.
#[derive(Debug)]
pub(super) struct Built {
    pub value: Value,
    /// Empty unless asked for.
    pub positions: Positions,
    /// Faults that do not stop the reading: duplicate keys, unknown aliases.
    pub faults: Vec<ParseFault>,
    /// Further ones, only counted.
    pub omitted: usize,
    /// Some unquoted scalar would be a boolean by YAML 1.1.
    pub has_legacy_booleans: bool,
}

/// What an anchor names.
struct Anchored {
    value: Value,
    positions: Positions,
    nodes: usize,
}

/// A map or list that is still open.
struct Frame {
    container: Container,
    anchor: usize,
    offset: usize,
    /// Index of its own entry in the positions.
    entry: usize,
}

enum Container {
    List(Vec<Value>),
    Map {
        map: Map<String, Value>,
        key: Option<PendingKey>,
        merges: Vec<(Value, Positions)>,
    },
}

/// A key whose value comes next.
struct PendingKey {
    text: String,
    is_merge: bool,
    is_duplicate: bool,
    /// Length of the positions before the key.
    entry: usize,
}

pub(super) struct Builder<'l> {
    limits: &'l Limits,
    frames: Vec<Frame>,
    anchors: HashMap<usize, Anchored>,
    nodes: usize,
    alias_nodes: usize,
    positions: Positions,
    records_positions: bool,
    faults: Vec<ParseFault>,
    omitted: usize,
    has_legacy_booleans: bool,
}

impl<'l> Builder<'l> {
    pub(super) fn new(limits: &'l Limits, records_positions: bool) -> Self {
        Self {
            limits,
            frames: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
            alias_nodes: 0,
            positions: Positions::default(),
            records_positions,
            faults: Vec::new(),
            omitted: 0,
            has_legacy_booleans: false,
        }
    }

    /// Reads to the end. `Err` when the text cannot be read on: a syntax error or a limit.
    pub(super) fn build(mut self, events: &mut dyn Events<'_>) -> Result<Built, ParseFault> {
        let mut root = None;
        loop {
            let (event, offset) = events.next_event()?;
            if let Event::End = event {
                break;
            }
            if let Some(value) = self.step(event, offset)? {
                root = Some(value);
            }
        }
        Ok(Built {
            value: root.unwrap_or(Value::Null),
            positions: self.positions,
            faults: self.faults,
            omitted: self.omitted,
            has_legacy_booleans: self.has_legacy_booleans,
        })
    }

    /// Returns the root value once it is complete.
    fn step(&mut self, event: Event<'_>, offset: usize) -> Result<Option<Value>, ParseFault> {
        match event {
            Event::Map { anchor } => {
                let container = Container::Map {
                    map: Map::new(),
                    key: None,
                    merges: Vec::new(),
                };
                self.open(container, anchor, offset)?;
                Ok(None)
            }
            Event::List { anchor } => {
                self.open(Container::List(Vec::new()), anchor, offset)?;
                Ok(None)
            }
            Event::MapEnd | Event::ListEnd => self.close(),
            Event::Scalar {
                text,
                style,
                tag,
                anchor,
            } => {
                if self.expects_key() {
                    self.key(text, style, tag, anchor, offset)?;
                    return Ok(None);
                }
                self.count(1, offset)?;
                let is_plain = style == Style::Plain && tag.is_none();
                self.has_legacy_booleans |= is_plain && scalar::legacy_boolean(&text).is_some();
                let value =
                    scalar_value(text, style, tag).map_err(|message| ParseFault::new(offset, message))?;
                let start = self.positions.len();
                self.record(offset, is_plain);
                self.remember(anchor, &value, offset, start)?;
                Ok(self.place(value, start, offset))
            }
            Event::Alias { anchor } => self.alias(anchor, offset),
            Event::UnknownAlias { name } => {
                self.fault(ParseFault::new(
                    offset,
                    format!("unknown anchor '{name}' referenced"),
                ));
                if self.expects_key() {
                    self.key(name, Style::Text, None, 0, offset)?;
                    return Ok(None);
                }
                self.count(1, offset)?;
                let start = self.positions.len();
                self.record(offset, false);
                Ok(self.place(Value::Null, start, offset))
            }
            Event::End => Ok(None),
        }
    }

    fn expects_key(&self) -> bool {
        matches!(
            self.frames.last(),
            Some(Frame {
                container: Container::Map { key: None, .. },
                ..
            })
        )
    }

    fn is_full(&self) -> bool {
        self.faults.len() >= MAX_TEXT_FAULTS
    }

    fn fault(&mut self, fault: ParseFault) {
        if self.is_full() {
            self.omitted += 1;
        } else {
            self.faults.push(fault);
        }
    }

    fn count(&mut self, nodes: usize, offset: usize) -> Result<(), ParseFault> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > self.limits.max_nodes {
            let message = format!("the document holds more than {} values", self.limits.max_nodes);
            return Err(ParseFault::new(offset, message));
        }
        Ok(())
    }

    fn record(&mut self, offset: usize, is_plain: bool) {
        if self.records_positions {
            self.positions.push(offset, is_plain);
        }
    }

    fn open(&mut self, container: Container, anchor: usize, offset: usize) -> Result<(), ParseFault> {
        if self.expects_key() {
            return Err(ParseFault::new(
                offset,
                "a key must be a scalar, not a list or a map",
            ));
        }
        if self.frames.len() >= self.limits.max_depth {
            return Err(ParseFault::new(
                offset,
                format!("nested deeper than {} levels", self.limits.max_depth),
            ));
        }
        self.count(1, offset)?;
        let entry = self.positions.len();
        self.record(offset, false);
        self.frames.push(Frame {
            container,
            anchor,
            offset,
            entry,
        });
        Ok(())
    }

    fn close(&mut self) -> Result<Option<Value>, ParseFault> {
        let Some(frame) = self.frames.pop() else {
            return Ok(None);
        };
        let value = match frame.container {
            Container::List(list) => Value::Array(list),
            Container::Map { mut map, merges, .. } => {
                for (source, positions) in merges {
                    self.merge(&mut map, source, &positions, frame.offset)?;
                }
                Value::Object(map)
            }
        };
        if self.records_positions {
            self.positions.close(frame.entry);
        }
        self.remember(frame.anchor, &value, frame.offset, frame.entry)?;
        Ok(self.place(value, frame.entry, frame.offset))
    }

    /// Keeps a copy for later aliases. Copies count like aliases: nested anchors would multiply the document.
    fn remember(
        &mut self,
        anchor: usize,
        value: &Value,
        offset: usize,
        entry: usize,
    ) -> Result<(), ParseFault> {
        if anchor == 0 {
            return Ok(());
        }
        let nodes = nodes_of(value);
        self.spend_alias_nodes(nodes, offset)?;
        let positions = self.positions.copy_from(entry);
        self.anchors.insert(
            anchor,
            Anchored {
                value: value.clone(),
                positions,
                nodes,
            },
        );
        Ok(())
    }

    fn spend_alias_nodes(&mut self, nodes: usize, offset: usize) -> Result<(), ParseFault> {
        self.alias_nodes = self.alias_nodes.saturating_add(nodes);
        if self.alias_nodes > self.limits.max_alias_nodes {
            let message = format!(
                "anchors and aliases expand to more than {} values",
                self.limits.max_alias_nodes
            );
            return Err(ParseFault::new(offset, message));
        }
        Ok(())
    }

    fn key(
        &mut self,
        text: Cow<'_, str>,
        style: Style,
        tag: Option<Tag>,
        anchor: usize,
        offset: usize,
    ) -> Result<(), ParseFault> {
        let entry = self.positions.len();
        if anchor != 0 {
            self.remember(anchor, &Value::String(text.clone().into_owned()), offset, entry)?;
        }
        let is_merge = style == Style::Plain && tag.is_none() && text == "<<";
        let looks_for_first = self.records_positions && !self.is_full();
        let mut duplicate = None;
        if let Some(Frame {
            container: Container::Map { map, key, .. },
            entry: map_entry,
            ..
        }) = self.frames.last_mut()
        {
            let is_duplicate = !is_merge && map.contains_key(&*text);
            if is_duplicate {
                let mut fault = ParseFault::new(offset, format!("duplicate key '{text}'"));
                if looks_for_first {
                    let ordinal = map.keys().position(|known| *known == text);
                    fault.first_offset =
                        ordinal.and_then(|ordinal| self.positions.key_offset(*map_entry, ordinal));
                }
                duplicate = Some(fault);
            }
            *key = Some(PendingKey {
                text: text.into_owned(),
                is_merge,
                is_duplicate,
                entry,
            });
        }
        if let Some(fault) = duplicate {
            self.fault(fault);
        }
        self.record(offset, false);
        Ok(())
    }

    fn alias(&mut self, anchor: usize, offset: usize) -> Result<Option<Value>, ParseFault> {
        let is_key = self.expects_key();
        let Some(target) = self.anchors.get(&anchor) else {
            return Err(ParseFault::new(
                offset,
                "this alias refers to the value that contains it",
            ));
        };
        if is_key {
            let Value::String(text) = &target.value else {
                return Err(ParseFault::new(offset, "a key must be text"));
            };
            let text = text.clone();
            self.key(Cow::Owned(text), Style::Text, None, 0, offset)?;
            return Ok(None);
        }
        let nodes = target.nodes;
        if self.alias_nodes.saturating_add(nodes) > self.limits.max_alias_nodes {
            return self.spend_alias_nodes(nodes, offset).map(|()| None);
        }
        let value = target.value.clone();
        let start = self.positions.len();
        if self.records_positions {
            self.positions.append(&target.positions);
        }
        let depth = self.frames.len() + depth_of(&value);
        if depth > self.limits.max_depth {
            return Err(ParseFault::new(
                offset,
                format!("nested deeper than {} levels", self.limits.max_depth),
            ));
        }
        self.spend_alias_nodes(nodes, offset)?;
        self.count(nodes, offset)?;
        Ok(self.place(value, start, offset))
    }

    /// Puts a finished value where it belongs; `entry` is where its positions start.
    fn place(&mut self, value: Value, entry: usize, offset: usize) -> Option<Value> {
        let Some(frame) = self.frames.last_mut() else {
            return Some(value);
        };
        let mut is_bad_merge = false;
        match &mut frame.container {
            Container::List(list) => list.push(value),
            Container::Map { map, key, merges } => {
                let pending = key.take()?;
                if pending.is_merge {
                    is_bad_merge = !is_mergeable(&value);
                    merges.push((value, self.positions.copy_from(entry)));
                    self.positions.truncate(pending.entry);
                } else if pending.is_duplicate {
                    self.positions.truncate(pending.entry);
                } else {
                    map.insert(pending.text, value);
                }
            }
        }
        if is_bad_merge {
            self.fault(ParseFault::new(
                offset,
                "map merge requires map or sequence of maps as the value",
            ));
        }
        None
    }

    /// Adds what the map does not have yet; of several sources the first wins.
    fn merge(
        &mut self,
        into: &mut Map<String, Value>,
        source: Value,
        positions: &Positions,
        offset: usize,
    ) -> Result<(), ParseFault> {
        let sources = match source {
            Value::Array(list) => list
                .into_iter()
                .enumerate()
                .map(|(i, v)| (positions.element(0, i), v))
                .collect(),
            single => vec![(Some(0), single)],
        };
        for (index, source) in sources {
            let Value::Object(map) = source else { continue };
            for (ordinal, (key, value)) in map.into_iter().enumerate() {
                if into.contains_key(&key) {
                    continue;
                }
                self.count(1, offset)?;
                if self.records_positions {
                    self.positions
                        .append_member(positions, index.unwrap_or_default(), ordinal);
                }
                into.insert(key, value);
            }
        }
        Ok(())
    }
}
