//! Entities as they were written, out of their nesting.

use crate::content::Content;
use crate::error::Error;
use crate::kinds::Kind;
use serde_json::{Map, Value};

/// An entity before its references are resolved.
#[derive(Debug)]
pub(crate) struct Draft {
    pub kind: Kind,
    pub body: Map<String, Value>,
    /// The field that points to the draft it was nested in, and the position of that one.
    pub parent: Option<(&'static str, usize)>,
}

/// All entities of the files, parents ahead of their children.
///
/// # Errors
/// A shared configuration that is not there.
pub(crate) fn drafts(content: &mut Content) -> Result<Vec<Draft>, Error> {
    let mut flattener = Flattener {
        plugin_configs: &content.plugin_configs,
        list: Vec::new(),
    };
    for kind in Kind::ALL.into_iter().filter(|kind| kind.stands_at_top()) {
        if let Some(list) = content.entities.shift_remove(kind.row().collection) {
            flattener.list(kind, list, None)?;
        }
    }
    Ok(flattener.list)
}

struct Flattener<'c> {
    plugin_configs: &'c Map<String, Value>,
    list: Vec<Draft>,
}

impl Flattener<'_> {
    fn list(&mut self, kind: Kind, list: Value, parent: Option<(&'static str, usize)>) -> Result<(), Error> {
        let Value::Array(list) = list else {
            return Ok(());
        };
        for entry in list {
            if let Value::Object(body) = entry {
                self.entry(kind, body, parent)?;
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        kind: Kind,
        mut body: Map<String, Value>,
        parent: Option<(&'static str, usize)>,
    ) -> Result<(), Error> {
        let at = self.list.len();
        let mut children = Vec::new();
        for (child, field) in kind.children() {
            if let Some(list) = body.shift_remove(child.row().collection) {
                children.push((*child, *field, list));
            }
        }
        let members = match kind {
            Kind::Consumer => body
                .shift_remove("groups")
                .map(|list| ("consumer", "consumer_group", list)),
            Kind::ConsumerGroup => body
                .shift_remove("consumers")
                .map(|list| ("consumer_group", "consumer", list)),
            _ => None,
        };
        if kind == Kind::Plugin {
            self.share_config(&mut body)?;
        }
        self.list.push(Draft { kind, body, parent });
        for (child, field, list) in children {
            self.list(child, list, Some((field, at)))?;
        }
        if let Some((own, other, Value::Array(list))) = members {
            self.list.extend(list.into_iter().map(|reference| Draft {
                kind: Kind::Membership,
                body: Map::from_iter([(other.to_owned(), reference)]),
                parent: Some((own, at)),
            }));
        }
        Ok(())
    }

    /// Lays a plugin's own configuration over the shared one that it names.
    fn share_config(&self, body: &mut Map<String, Value>) -> Result<(), Error> {
        let Some(Value::String(name)) = body.shift_remove("_config") else {
            return Ok(());
        };
        let Some(Value::Object(shared)) = self.plugin_configs.get(&name) else {
            return Err(Error::input(format!("_plugin_config {name:?} not found")).during("building state"));
        };
        let mut config = shared.clone();
        if let Some(Value::Object(own)) = body.shift_remove("config") {
            config.extend(own);
        }
        body.insert("config".to_owned(), Value::Object(config));
        Ok(())
    }
}
