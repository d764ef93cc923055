//! Rules for headers.

use super::Config;
use super::rules::{Rendered, Templates, Text};
use crate::entry;
use http::header::{Entry, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};
use tidegate_plugin::headers::private_copy;
use tidegate_plugin::{AccessCx, BuildError, Fault};

/// Header rules with interned names and, where possible, finished values.
#[derive(Debug)]
pub(super) struct HeaderRules {
    remove: Vec<HeaderName>,
    rename: Vec<(HeaderName, HeaderName)>,
    replace: Vec<(HeaderName, HeaderText)>,
    add: Vec<(HeaderName, HeaderText)>,
    append: Vec<(HeaderName, HeaderText)>,
}

#[derive(Debug)]
enum HeaderText {
    Constant(HeaderValue),
    Rendered(Text, String),
}

impl HeaderText {
    fn value(&self, rendered: &Rendered) -> Result<HeaderValue, Fault> {
        match self {
            Self::Constant(value) => Ok(private_copy(value)),
            Self::Rendered(text, path) => HeaderValue::from_bytes(text.get(rendered))
                .map_err(|_| Fault::plugin(format!("{path}: the rendered value cannot be a header"))),
        }
    }
}

impl HeaderRules {
    pub(super) fn new(config: &Config, templates: &mut Templates) -> Result<Self, BuildError> {
        let mut remove = Vec::new();
        for entry in &config.remove.headers {
            remove.push(entry::header_name(
                entry::split(entry).0,
                "config.remove.headers",
            )?);
        }
        let mut rename = Vec::new();
        for entry in &config.rename.headers {
            if let (old, Some(new)) = entry::split(entry) {
                let path = "config.rename.headers";
                rename.push((entry::header_name(old, path)?, entry::header_name(new, path)?));
            }
        }
        // Host is no ordinary header: it can only be replaced.
        remove.retain(|name| name != HOST);
        rename.retain(|(old, new)| old != HOST && new != HOST && old != new);
        let mut add = pairs(&config.add.headers, "config.add.headers", templates)?;
        add.retain(|(name, _)| name != HOST);
        let mut append = pairs(&config.append.headers, "config.append.headers", templates)?;
        append.retain(|(name, _)| name != HOST);
        let replace = pairs(&config.replace.headers, "config.replace.headers", templates)?;
        Ok(Self {
            remove,
            rename,
            replace,
            add,
            append,
        })
    }

    pub(super) fn apply(&self, rendered: &Rendered, x: &mut AccessCx<'_>) -> Result<(), Fault> {
        for name in &self.remove {
            x.request.headers.remove(name);
        }
        for (old, new) in &self.rename {
            move_all(&mut x.request.headers, old, new);
        }
        for (name, text) in &self.replace {
            if name == HOST {
                x.upstream.host_header = Some(text.value(rendered)?);
            } else if let Entry::Occupied(mut entry) = x.request.headers.entry(name) {
                entry.insert(text.value(rendered)?);
            }
        }
        for (name, text) in &self.add {
            if let Entry::Vacant(entry) = x.request.headers.entry(name) {
                entry.insert(text.value(rendered)?);
            }
        }
        for (name, text) in &self.append {
            let value = text.value(rendered)?;
            x.request.headers.append(name, value);
        }
        Ok(())
    }
}

/// Moves all lines of a header to another name, whose own lines go.
fn move_all(headers: &mut HeaderMap, old: &HeaderName, new: &HeaderName) {
    let Entry::Occupied(entry) = headers.entry(old) else {
        return;
    };
    let (_, lines) = entry.remove_entry_mult();
    let lines: smallvec::SmallVec<[HeaderValue; 2]> = lines.collect();
    headers.remove(new);
    for line in lines {
        headers.append(new, line);
    }
}

fn pairs(
    entries: &[String],
    path: &str,
    templates: &mut Templates,
) -> Result<Vec<(HeaderName, HeaderText)>, BuildError> {
    let mut pairs = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let (name, Some(value)) = entry::split(entry) else {
            continue;
        };
        let path = format!("{path}[{index}]");
        let name = entry::header_name(name, &path)?;
        let text = match templates.add(value, &path)? {
            Text::Constant(text) => match HeaderValue::from_bytes(&text) {
                Ok(value) => HeaderText::Constant(value),
                Err(_) => {
                    return Err(BuildError {
                        path,
                        message: "cannot be a header value".to_owned(),
                    });
                }
            },
            text @ Text::Rendered(_) => HeaderText::Rendered(text, path),
        };
        pairs.push((name, text));
    }
    Ok(pairs)
}
