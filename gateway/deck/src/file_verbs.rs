//! What is done to files alone, without any server.

use crate::content::{self, Variables};
use crate::defaults::Schemas;
use crate::error::Error;
use crate::kinds::Kind;
use crate::state::State;
use crate::target::{self, Surroundings};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::io::Read;
use tidegate_config::declarative::to_yaml;

/// A document as text: YAML, or JSON.
pub(crate) fn text_of(root: Map<String, Value>, as_json: bool) -> String {
    let root = Value::Object(root);
    if as_json {
        format!("{root:#}\n")
    } else {
        to_yaml(&root)
    }
}

/// The merged files as one document with sorted keys.
///
/// # Errors
/// Everything that is wrong with any of them.
pub fn render_files(
    paths: &[String],
    stdin: &mut dyn Read,
    variables: Variables<'_>,
    as_json: bool,
) -> Result<String, Error> {
    let mut root = content::read_root(paths, stdin, variables)?;
    root.sort_keys();
    Ok(text_of(root, as_json))
}

/// Checks files as far as they can be checked without a server: names for variables, fields, types, references.
///
/// # Errors
/// Everything that is wrong with any file, or the first reference that leads nowhere.
pub fn validate_files(paths: &[String], stdin: &mut dyn Read) -> Result<(), Error> {
    let mut content = content::read(paths, stdin, Variables::Named)?;
    if content.info.lookup_tags.iter().next().is_some() {
        return Err(Error::input(
            "[default_lookup_tags] not supported for offline validation, use `gateway validate` instead",
        ));
    }
    let drafts = target::drafts(&mut content)?;
    let surroundings = Surroundings {
        current: &State::default(),
        lookups: &[],
        schemas: &Schemas::default(),
        info: &content.info,
        tags: &content.info.select_tags,
    };
    target::build(drafts, &surroundings).map(drop)
}

/// What is done to the tags of every entity.
#[derive(Debug, Clone)]
pub enum TagChange {
    /// These are added where they are missing.
    Add(Vec<String>),
    /// These go.
    Remove {
        /// The tags.
        tags: Vec<String>,
        /// They stay and all others go.
        keeps_only: bool,
        /// A list of tags that became empty stays as an empty list.
        keeps_empty: bool,
    },
}

/// A file with the tags of its entities changed.
///
/// # Errors
/// What is wrong with the file.
pub fn retag_file(
    path: &str,
    stdin: &mut dyn Read,
    change: &TagChange,
    as_json: bool,
) -> Result<String, Error> {
    let mut root = content::read_root(&[path.to_owned()], stdin, Variables::Kept)?;
    each_entity(&mut root, &mut |entity| retag(entity, change));
    Ok(text_of(root, as_json))
}

/// The tags of all entities of a file, sorted.
///
/// # Errors
/// What is wrong with the file.
pub fn tags_of_file(path: &str, stdin: &mut dyn Read) -> Result<Vec<String>, Error> {
    let mut root = content::read_root(&[path.to_owned()], stdin, Variables::Kept)?;
    let mut tags = BTreeSet::new();
    each_entity(&mut root, &mut |entity| {
        let own = entity.get("tags").and_then(Value::as_array).into_iter().flatten();
        tags.extend(own.filter_map(Value::as_str).map(str::to_owned));
    });
    Ok(tags.into_iter().collect())
}

fn retag(entity: &mut Map<String, Value>, change: &TagChange) {
    match change {
        TagChange::Add(tags) => {
            let own = entity.entry("tags").or_insert(Value::Null);
            if own.is_null() {
                *own = Value::Array(Vec::new());
            }
            if let Value::Array(own) = own {
                for tag in tags {
                    if !own.iter().any(|known| known == tag) {
                        own.push(Value::from(tag.as_str()));
                    }
                }
            }
        }
        TagChange::Remove {
            tags,
            keeps_only,
            keeps_empty,
        } => {
            let Some(Value::Array(own)) = entity.get_mut("tags") else {
                return;
            };
            own.retain(|tag| tags.iter().any(|named| tag == named) == *keeps_only);
            if own.is_empty() && !keeps_empty {
                entity.shift_remove("tags");
            }
        }
    }
}

/// Visits every entity of a document, parents ahead of their children.
fn each_entity(root: &mut Map<String, Value>, visit: &mut dyn FnMut(&mut Map<String, Value>)) {
    for kind in Kind::ALL.into_iter().filter(|kind| kind.stands_at_top()) {
        if let Some(list) = root.get_mut(kind.row().collection) {
            each_of_list(kind, list, visit);
        }
    }
}

fn each_of_list(kind: Kind, list: &mut Value, visit: &mut dyn FnMut(&mut Map<String, Value>)) {
    let entities = list.as_array_mut().into_iter().flatten();
    for entity in entities.filter_map(Value::as_object_mut) {
        visit(entity);
        for (child, _) in kind.children() {
            if let Some(list) = entity.get_mut(child.row().collection) {
                each_of_list(*child, list, visit);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{TagChange, render_files, retag_file, tags_of_file, validate_files};
    use crate::content::Variables;

    const FILE: &str = "_format_version: \"3.0\"\nservices:\n- name: s\n  host: h\n  port: ${{ env \"DECK_P\" | toInt }}\n  \
                        tags: [b]\n  routes:\n  - {name: r, paths: [/r], tags: [a, b]}\n";

    fn stdin() -> Vec<String> {
        vec!["-".to_owned()]
    }

    fn retagged(change: &TagChange) -> String {
        retag_file("-", &mut FILE.as_bytes(), change, false).expect("a good file")
    }

    #[test]
    fn variables_stay_in_a_merged_file() {
        let merged =
            render_files(&stdin(), &mut FILE.as_bytes(), Variables::Kept, false).expect("a good file");
        assert!(
            merged.contains("port: ${{ env \"DECK_P\" | toInt }}\n"),
            "{merged}"
        );
        let again = render_files(&stdin(), &mut merged.as_bytes(), Variables::Kept, false);
        assert_eq!(again.expect("a good file"), merged);
        let text = "services: [{name: 'a ''b'': ${{ env \"DECK_P\" }}'}]";
        let quoted =
            render_files(&stdin(), &mut text.as_bytes(), Variables::Kept, false).expect("a good file");
        assert!(
            quoted.contains("name: 'a ''b'': ${{ env \"DECK_P\" }}'\n"),
            "{quoted}"
        );
    }

    #[test]
    fn files_are_checked_without_values_and_servers() {
        assert!(validate_files(&stdin(), &mut FILE.as_bytes()).is_ok());
        let text = "_format_version: \"3.0\"\nplugins: [{name: cors, route: gone}]\n";
        let fault = validate_files(&stdin(), &mut text.as_bytes()).expect_err("a dangling reference");
        assert_eq!(
            fault.to_string(),
            "building state: route gone for plugin cors: entity not found"
        );
    }

    #[test]
    fn tags_are_listed_added_and_removed_at_every_depth() {
        let tags = tags_of_file("-", &mut FILE.as_bytes()).expect("a good file");
        assert_eq!(tags, ["a", "b"]);
        let added = retagged(&TagChange::Add(vec!["c".to_owned(), "b".to_owned()]));
        assert!(
            added.contains("  - b\n  - c\n") && added.contains("    - a\n    - b\n    - c\n"),
            "{added}"
        );
        let removed = |keeps_only, keeps_empty| {
            retagged(&TagChange::Remove {
                tags: vec!["b".to_owned()],
                keeps_only,
                keeps_empty,
            })
        };
        assert_eq!(removed(false, false).matches("tags:").count(), 1);
        assert_eq!(removed(false, true).matches("tags:").count(), 2);
        let kept = removed(true, false);
        assert!(
            !kept.contains("- a\n") && kept.matches("- b\n").count() == 2,
            "{kept}"
        );
    }
}
