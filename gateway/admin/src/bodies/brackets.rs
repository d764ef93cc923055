//! Names of form fields such as `a.b`, `hosts[]`, `hosts[2]` and `headers[x-a]` as paths into one tree.

use crate::arguments::Arguments;
use crate::errors::ApiError;
use std::collections::BTreeMap;

/// Levels that a name may have.
const MOST_LEVELS: usize = 32;

/// What a form says, before types.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Tree {
    #[default]
    Empty,
    Text(String),
    /// By position; gaps are closed.
    List(BTreeMap<usize, Self>),
    /// In order of appearance.
    Map(Vec<(String, Self)>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Position(usize),
    Next,
}

impl Tree {
    /// All arguments of a form. A name that comes again makes a list.
    pub(super) fn grow(arguments: &Arguments) -> Result<Vec<(String, Self)>, ApiError> {
        let mut root = Self::Map(Vec::new());
        for (name, value) in arguments.iter() {
            let steps = steps(name)?;
            root = root.with(&steps, value);
        }
        match root {
            Self::Map(members) => Ok(members),
            Self::Empty | Self::Text(_) | Self::List(_) => Ok(Vec::new()),
        }
    }

    fn with(self, steps: &[Step], value: &str) -> Self {
        match steps.split_first() {
            None => self.with_value(value),
            Some((Step::Key(key), rest)) => self.with_member(key, rest, value),
            Some((Step::Position(at), rest)) => self.with_item(Some(*at), rest, value),
            Some((Step::Next, rest)) => self.with_item(None, rest, value),
        }
    }

    fn with_value(self, value: &str) -> Self {
        match self {
            Self::Empty | Self::Map(_) => Self::Text(value.to_owned()),
            Self::Text(_) | Self::List(_) => self.with_item(None, &[], value),
        }
    }

    fn with_member(self, key: &str, rest: &[Step], value: &str) -> Self {
        let mut members = match self {
            Self::Map(members) => members,
            Self::List(items) => {
                let named = items.into_iter().map(|(at, item)| (at.to_string(), item));
                named.collect()
            }
            Self::Empty | Self::Text(_) => Vec::new(),
        };
        match members.iter_mut().find(|(known, _)| known == key) {
            Some((_, there)) => *there = std::mem::take(there).with(rest, value),
            None => members.push((key.to_owned(), Self::Empty.with(rest, value))),
        }
        Self::Map(members)
    }

    fn with_item(self, at: Option<usize>, rest: &[Step], value: &str) -> Self {
        let mut items = match self {
            Self::List(items) => items,
            text @ Self::Text(_) => BTreeMap::from([(1, text)]),
            // Names came first: a position is one more name.
            Self::Map(_) => {
                let name = at.map_or_else(String::new, |at| at.to_string());
                return self.with_member(&name, rest, value);
            }
            Self::Empty => BTreeMap::new(),
        };
        let next = items
            .last_key_value()
            .map_or(1, |(last, _)| last.saturating_add(1));
        let item = items.entry(at.unwrap_or(next)).or_default();
        *item = std::mem::take(item).with(rest, value);
        Self::List(items)
    }
}

/// `a.b[c][2]` in steps. What is not closed is part of the name.
fn steps(name: &str) -> Result<Vec<Step>, ApiError> {
    let mut steps = Vec::new();
    for part in name.split('.') {
        let (key, mut rest) = match part.find('[') {
            Some(at) if part.ends_with(']') => part.split_at(at),
            _ => (part, ""),
        };
        if !key.is_empty() || rest.is_empty() {
            steps.push(Step::Key(key.to_owned()));
        }
        while let Some((inside, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            steps.push(match inside.parse() {
                _ if inside.is_empty() => Step::Next,
                Ok(position) => Step::Position(position),
                Err(_) => Step::Key(inside.to_owned()),
            });
            rest = after;
        }
    }
    if steps.len() > MOST_LEVELS {
        return Err(ApiError::bad_request("Argument names are nested too deeply"));
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::{Arguments, MOST_LEVELS, Tree};

    fn grown(form: &str) -> String {
        show(&Tree::Map(
            Tree::grow(&Arguments::parse(form.as_bytes()).unwrap()).unwrap(),
        ))
    }

    fn show(tree: &Tree) -> String {
        match tree {
            Tree::Empty => "-".to_owned(),
            Tree::Text(text) => text.clone(),
            Tree::List(items) => {
                let items: Vec<_> = items.values().map(show).collect();
                format!("[{}]", items.join(" "))
            }
            Tree::Map(members) => {
                let members: Vec<_> = members
                    .iter()
                    .map(|(name, tree)| format!("{name}:{}", show(tree)))
                    .collect();
                format!("{{{}}}", members.join(" "))
            }
        }
    }

    #[test]
    fn names_lead_through_records_lists_and_maps() {
        let cases = [
            ("a.b=1&a.c.d=2", "{a:{b:1 c:{d:2}}}"),
            ("h[]=x&h[]=y", "{h:[x y]}"),
            ("h[2]=y&h[1]=x&h[9]=z", "{h:[x y z]}"),
            ("h=x&h=y&h=z", "{h:[x y z]}"),
            ("m[x-a][]=1&m[x-a][]=2&m[b]=3", "{m:{x-a:[1 2] b:3}}"),
            ("a.b[]=1&a.b[1].c=2", "{a:{b:[{c:2}]}}"),
            (
                "a[1].ip=i&a[1].port=2&a[2].port=3",
                "{a:[{ip:i port:2} {port:3}]}",
            ),
            ("m[1]=x&m[k]=y", "{m:{1:x k:y}}"),
            ("a[b=1&a]c[=2&=3", "{a[b:1 a]c[:2 :3}"),
        ];
        for (form, expected) in cases {
            assert_eq!(grown(form), expected, "{form}");
        }
    }

    #[test]
    fn names_of_too_many_levels_are_refused() {
        let name = vec!["a"; MOST_LEVELS].join(".");
        let grow = |form: String| Tree::grow(&Arguments::parse(form.as_bytes()).unwrap());
        assert!(grow(format!("{name}=1")).is_ok());
        assert!(grow(format!("{name}.a=1")).is_err());
        assert!(grow(format!("a{}=1", "[]".repeat(100_000))).is_err());
    }
}
