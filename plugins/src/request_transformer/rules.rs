//! Rules in the form that requests need: names ready, constant values ready, templates numbered.

use super::{Config, values};
use crate::entry;
use crate::query::{ArgumentValue, Arguments};
use crate::template::{Scope, Template};
use tidegate_plugin::{BuildError, Fault};

/// A value of a rule.
#[derive(Debug, Clone)]
pub(super) enum Text {
    /// The same for every request.
    Constant(Box<[u8]>),
    /// Place of its template among the [`Templates`].
    Rendered(usize),
}

/// Rendered templates of one request.
pub(super) struct Rendered(Vec<Vec<u8>>);

impl Text {
    pub(super) fn get<'r>(&'r self, rendered: &'r Rendered) -> &'r [u8] {
        match self {
            Self::Constant(text) => text,
            Self::Rendered(place) => rendered.0.get(*place).map_or(&[], Vec::as_slice),
        }
    }
}

/// All templates of an instance that differ from request to request.
#[derive(Debug, Default)]
pub(super) struct Templates {
    list: Vec<(Template, String)>,
}

impl Templates {
    /// Parses a value found at `path`.
    pub(super) fn add(&mut self, source: &str, path: &str) -> Result<Text, BuildError> {
        // The table has checked the entry as it was written; what fails here came out of a vault and is not shown.
        let template = Template::parse(source).map_err(|error| BuildError {
            path: path.to_owned(),
            message: format!(
                "the value is not in supported format at character {}",
                error.position
            ),
        })?;
        if let Some(constant) = template.as_constant() {
            return Ok(Text::Constant(constant.into()));
        }
        self.list.push((template, path.to_owned()));
        Ok(Text::Rendered(self.list.len() - 1))
    }

    pub(super) fn render(&self, scope: &Scope<'_>) -> Result<Rendered, Fault> {
        let render = |(template, path): &(Template, String)| {
            template
                .render(scope)
                .map_err(|error| Fault::plugin(format!("{path}: {error}")))
        };
        self.list
            .iter()
            .map(render)
            .collect::<Result<_, _>>()
            .map(Rendered)
    }
}

/// A name with its value.
pub(super) type Pair = (Box<[u8]>, Text);

/// Rules for arguments of a query and for members of a body.
#[derive(Debug)]
pub(super) struct PairRules {
    pub(super) remove: Vec<Box<[u8]>>,
    pub(super) rename: Vec<Pair>,
    pub(super) replace: Vec<Pair>,
    pub(super) add: Vec<Pair>,
    pub(super) append: Vec<Pair>,
}

impl PairRules {
    /// The rules for the query; `None` when there is none.
    pub(super) fn of_query(config: &Config, templates: &mut Templates) -> Result<Option<Self>, BuildError> {
        let rules = Self {
            remove: config
                .remove
                .querystring
                .iter()
                .map(|name| name.as_bytes().into())
                .collect(),
            rename: pairs(&config.rename.querystring, "config.rename.querystring", templates)?,
            replace: pairs(
                &config.replace.querystring,
                "config.replace.querystring",
                templates,
            )?,
            add: pairs(&config.add.querystring, "config.add.querystring", templates)?,
            append: pairs(&config.append.querystring, "config.append.querystring", templates)?,
        };
        Ok(rules.or_none())
    }

    /// The rules for the body; `None` when there is none.
    pub(super) fn of_body(config: &Config, templates: &mut Templates) -> Result<Option<Self>, BuildError> {
        let rules = Self {
            remove: config
                .remove
                .body
                .iter()
                .map(|name| name.as_bytes().into())
                .collect(),
            rename: pairs(&config.rename.body, "config.rename.body", templates)?,
            replace: pairs(&config.replace.body, "config.replace.body", templates)?,
            add: pairs(&config.add.body, "config.add.body", templates)?,
            append: pairs(&config.append.body, "config.append.body", templates)?,
        };
        Ok(rules.or_none())
    }

    fn or_none(self) -> Option<Self> {
        let has_rules = !self.remove.is_empty()
            || [&self.rename, &self.replace, &self.add, &self.append]
                .iter()
                .any(|list| !list.is_empty());
        has_rules.then_some(self)
    }

    /// Edits arguments; true when something changed.
    pub(super) fn apply(&self, rendered: &Rendered, arguments: &mut Arguments) -> bool {
        let mut has_changed = false;
        for name in &self.remove {
            has_changed |= arguments.remove(name).is_some();
        }
        for (old, new) in values(&self.rename, rendered) {
            if let Some(found) = arguments.remove(old) {
                arguments.set(new, found);
                has_changed = true;
            }
        }
        for (name, value) in values(&self.replace, rendered) {
            if arguments.contains(name) {
                arguments.set(name, vec![ArgumentValue::Text(value.to_vec())]);
                has_changed = true;
            }
        }
        for (name, value) in values(&self.add, rendered) {
            if !arguments.contains(name) {
                arguments.set(name, vec![ArgumentValue::Text(value.to_vec())]);
                has_changed = true;
            }
        }
        for (name, value) in values(&self.append, rendered) {
            arguments.append(name, value.to_vec());
            has_changed = true;
        }
        has_changed
    }
}

/// Splits entries; one without a value says nothing.
fn pairs(entries: &[String], path: &str, templates: &mut Templates) -> Result<Vec<Pair>, BuildError> {
    let mut pairs = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        if let (name, Some(value)) = entry::split(entry) {
            pairs.push((
                name.as_bytes().into(),
                templates.add(value, &format!("{path}[{index}]"))?,
            ));
        }
    }
    Ok(pairs)
}
