//! Collects faults and warnings while a file is taken apart, and gives them their places at the end.

use super::document::{Document, Unreadable, without_mark};
use crate::diagnostics::{Diagnostic, Diagnostics, FaultyEntity, KongPlace, Lines};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use tidegate_model::entity_table::entity_type;
use tidegate_model::schema::PathSegment;

/// Shorthand for a step into a member.
pub(super) fn key(name: &str) -> PathSegment {
    PathSegment::Key(name.to_owned())
}

/// One fault, not yet located.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    /// Steps from the root of the document.
    path: Vec<PathSegment>,
    message: String,
    hint: Option<String>,
    /// Points at the key instead of the value: the field itself should not be there.
    at_key: bool,
    /// The line holds a secret and is not shown.
    is_secret: bool,
    is_entity_check: bool,
    replaces_entity: bool,
    /// Where Kong's `fields` has it, when this is not `path`.
    kong_path: Option<Vec<PathSegment>>,
    /// The entity at fault: its draft, and how many steps of `path` lead to it.
    entity: Option<EntityPlace>,
}

/// The entity that a fault belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct EntityPlace {
    pub(super) draft: usize,
    pub(super) collection: &'static str,
    pub(super) depth: usize,
}

impl Fault {
    pub(super) fn new(path: Vec<PathSegment>, message: impl Into<String>) -> Self {
        Self {
            path,
            message: message.into(),
            hint: None,
            at_key: false,
            is_secret: false,
            is_entity_check: false,
            replaces_entity: false,
            kong_path: None,
            entity: None,
        }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }

    pub(super) fn at_key(mut self) -> Self {
        self.at_key = true;
        self
    }

    pub(super) fn secret(mut self, is_secret: bool) -> Self {
        self.is_secret |= is_secret;
        self
    }

    /// The rule concerns the entity as a whole.
    pub(super) fn entity_check(mut self) -> Self {
        self.is_entity_check = true;
        self
    }

    /// Kong reports it elsewhere, with the text in place of the entity.
    pub(super) fn reported_at(mut self, path: Vec<PathSegment>) -> Self {
        self.kong_path = Some(path);
        self.replaces_entity = true;
        self
    }

    pub(super) fn of(mut self, entity: EntityPlace) -> Self {
        self.entity = Some(entity);
        self
    }
}

/// Everything that is wrong, and everything that is worth a warning.
#[derive(Debug)]
pub(super) struct Report {
    faults: Vec<Fault>,
    warnings: Vec<Fault>,
    omitted: usize,
    limit: usize,
}

impl Report {
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            faults: Vec::new(),
            warnings: Vec::new(),
            omitted: 0,
            limit,
        }
    }

    pub(super) fn fault(&mut self, fault: Fault) {
        if self.is_full() {
            self.omitted += 1;
        } else {
            self.faults.push(fault);
        }
    }

    pub(super) fn warn(&mut self, warning: Fault) {
        if self.warnings.len() < self.limit {
            self.warnings.push(warning);
        }
    }

    /// Further faults are only counted.
    pub(super) fn is_full(&self) -> bool {
        self.faults.len() >= self.limit
    }

    pub(super) fn has_faults(&self) -> bool {
        !self.faults.is_empty()
    }

    /// Faults with their places, in the order of the file.
    pub(super) fn into_diagnostics(self, name: &str, document: &Document<'_>) -> Diagnostics {
        let omitted = self.omitted;
        Diagnostics {
            omitted,
            ..locate(name, document, self.faults)
        }
    }

    /// Warnings with their places.
    pub(super) fn into_warnings(self, name: &str, document: &Document<'_>) -> Diagnostics {
        if self.warnings.is_empty() {
            return Diagnostics {
                source: name.to_owned(),
                ..Diagnostics::default()
            };
        }
        locate(name, document, self.warnings)
    }
}

fn locate(name: &str, document: &Document<'_>, faults: Vec<Fault>) -> Diagnostics {
    let lines = Lines::new(document.text().as_bytes());
    let mut entities: HashMap<usize, Arc<FaultyEntity>> = HashMap::new();
    let mut located: Vec<(usize, Diagnostic)> = faults
        .into_iter()
        .map(|fault| {
            let found = document.locate(&fault.path);
            let at_key = fault.at_key && found.depth == fault.path.len();
            let offset = if at_key {
                found.key.unwrap_or(found.value)
            } else {
                found.value
            };
            let entity = fault.entity.map(|place| {
                let entity = entities
                    .entry(place.draft)
                    .or_insert_with(|| Arc::new(faulty_entity(document, &fault.path, place)));
                (
                    Arc::clone(entity),
                    fault.path.get(place.depth..).unwrap_or_default().to_vec(),
                )
            });
            (offset, diagnostic(fault, offset, &lines, entity))
        })
        .collect();
    located.sort_by_key(|(offset, _)| *offset);
    let items = located.into_iter().map(|(_, diagnostic)| diagnostic).collect();
    Diagnostics {
        source: name.to_owned(),
        items,
        omitted: 0,
    }
}

fn diagnostic(
    fault: Fault,
    offset: usize,
    lines: &Lines<'_>,
    entity: Option<(Arc<FaultyEntity>, Vec<PathSegment>)>,
) -> Diagnostic {
    let (line, column) = lines.line_column(offset);
    let kong = KongPlace {
        is_entity_check: fault.is_entity_check,
        replaces_entity: fault.replaces_entity,
        message: None,
        entity,
        path: fault.kong_path.unwrap_or_else(|| fault.path.clone()),
    };
    Diagnostic {
        path: show_path(&fault.path),
        line,
        column,
        message: fault.message,
        hint: fault.hint,
        excerpt: if fault.is_secret {
            None
        } else {
            lines.excerpt(offset)
        },
        kong,
    }
}

/// What the user wrote of an entity, without its children; a parent is named when its id is written.
fn faulty_entity(document: &Document<'_>, path: &[PathSegment], place: EntityPlace) -> FaultyEntity {
    let written = document.value_at(path.get(..place.depth).unwrap_or_default());
    let mut input = written
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_else(Map::new);
    for child in entity_type(place.collection)
        .into_iter()
        .flat_map(|entity| entity.children)
    {
        input.shift_remove(child.collection);
    }
    let parent_path = path.get(..place.depth.saturating_sub(2)).unwrap_or_default();
    if let [.., PathSegment::Key(parent), PathSegment::Index(_)] = parent_path {
        let mut children = entity_type(parent).into_iter().flat_map(|entity| entity.children);
        let child = children.find(|child| child.collection == place.collection);
        let id = document.value_at(parent_path).and_then(|parent| parent.get("id"));
        if let (Some(child), Some(id)) = (child, id) {
            input.insert(child.field.to_owned(), json!({ "id": id }));
        }
    }
    FaultyEntity {
        ordinal: place.draft,
        collection: place.collection,
        input,
    }
}

/// `services[2].routes[0].paths[1]`
pub(crate) fn show_path(path: &[PathSegment]) -> String {
    let mut text = String::new();
    for segment in path {
        match segment {
            PathSegment::Key(key) | PathSegment::Entry(key) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(key);
            }
            PathSegment::Index(index) => {
                text.push_str(&format!("[{index}]"));
            }
        }
    }
    text
}

/// Bytes behind a fault that an excerpt may show.
const SHOWN_BEHIND: usize = 1024;

/// Kong's words for a text that is no configuration.
pub(super) const PARSING_FAILED: &str = "failed parsing declarative configuration";

/// Faults of the text itself. Kong has one text for them, under `error`.
pub(super) fn syntax_diagnostics(name: &str, bytes: &[u8], unreadable: &Unreadable) -> Diagnostics {
    let (text, faults) = (without_mark(bytes), &unreadable.faults);
    // What lies behind the last fault is not looked at: the text may be refused for its size.
    let last = faults.iter().map(|fault| fault.offset).max().unwrap_or(0);
    let lines = Lines::new(text.get(..last.saturating_add(SHOWN_BEHIND)).unwrap_or(text));
    let items = faults
        .iter()
        .map(|fault| {
            let (line, column) = lines.line_column(fault.offset);
            let mut hint = fault.hint.clone();
            if let Some(first) = fault.first_offset {
                let (line, column) = lines.line_column(first);
                hint = Some(format!("it stands first at line {line}, column {column}"));
            }
            Diagnostic {
                path: String::new(),
                line,
                column,
                message: format!("{PARSING_FAILED}: {}", fault.message),
                hint,
                excerpt: lines.excerpt(fault.offset),
                kong: KongPlace {
                    path: vec![key("error")],
                    message: Some(format!("{PARSING_FAILED}: {line}:{column}: {}", fault.message)),
                    ..KongPlace::default()
                },
            }
        })
        .collect();
    Diagnostics {
        source: name.to_owned(),
        items,
        omitted: unreadable.omitted,
    }
}
