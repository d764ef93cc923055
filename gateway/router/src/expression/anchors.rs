//! What an expression demands for certain, for the index: hosts, path prefixes, values of fields.
//!
//! Everything here may be wider than the expression, never narrower: the expression itself is evaluated on each
//! candidate that the index lets through.

use super::ast::{Field, IntegerOperator, Node, Predicate, Test, TextOperator};
use super::fold_case;
use smallvec::SmallVec;

/// More alternatives than this are not worth an entry each.
const MAX_ALTERNATIVES: usize = 256;

/// A host that an expression accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HostAnchor {
    Exact(String),
    Suffix(String),
    Prefix(String),
}

impl super::Expression {
    /// Hosts one of which the request must have; `None` for any.
    pub(crate) fn hosts(&self) -> Option<Vec<HostAnchor>> {
        alternatives(self.root(), &host_of)
    }

    /// Prefixes one of which the path must have; `None` for any.
    pub(crate) fn path_prefixes(&self) -> Option<Vec<Box<[u8]>>> {
        alternatives(self.root(), &prefix_of)
    }
}

/// A set that covers the node, from what single predicates are covered by.
fn alternatives<T>(node: &Node, of: &dyn Fn(&Predicate) -> Option<T>) -> Option<Vec<T>> {
    match node {
        Node::Test(predicate) => of(predicate).map(|one| vec![one]),
        Node::Not(_) => None,
        Node::All(parts) => parts
            .iter()
            .filter_map(|part| alternatives(part, of))
            .min_by_key(Vec::len),
        Node::Any(parts) => {
            let mut union = Vec::new();
            for part in parts {
                union.extend(alternatives(part, of)?);
                if union.len() > MAX_ALTERNATIVES {
                    return None;
                }
            }
            Some(union)
        }
    }
}

fn host_of(predicate: &Predicate) -> Option<HostAnchor> {
    if predicate.field != Field::Host {
        return None;
    }
    let Test::Text(operator, wanted) = &predicate.test else {
        return None;
    };
    // Hosts arrive in lower case: text with capitals matches nothing, which the expression will find out.
    let text = std::str::from_utf8(wanted).ok()?.to_owned();
    match operator {
        TextOperator::Equal => Some(HostAnchor::Exact(text)),
        TextOperator::EndsWith if text.starts_with('.') => Some(HostAnchor::Suffix(text)),
        TextOperator::StartsWith if text.ends_with('.') => Some(HostAnchor::Prefix(text)),
        _ => None,
    }
}

fn prefix_of(predicate: &Predicate) -> Option<Box<[u8]>> {
    if predicate.field != Field::Path || predicate.transforms.lower {
        return None;
    }
    match &predicate.test {
        Test::Text(TextOperator::Equal | TextOperator::StartsWith, wanted) => Some(wanted.clone()),
        Test::Matches(pattern) if !pattern.prefix().is_empty() => Some(pattern.prefix().into()),
        _ => None,
    }
}

/// Fields that must have one of a few values, in lower case. Only what stands in the outermost conjunction.
pub(crate) fn required_values(node: &Node) -> Vec<(Field, Vec<Box<[u8]>>)> {
    let parts = match node {
        Node::All(parts) => parts.as_slice(),
        other => std::slice::from_ref(other),
    };
    let mut found = Vec::new();
    for part in parts {
        let leaves = match part {
            Node::Any(leaves) => leaves.as_slice(),
            Node::All(_) => {
                found.extend(required_values(part));
                continue;
            }
            other => std::slice::from_ref(other),
        };
        let mut field = None;
        let values: Option<Vec<_>> = leaves
            .iter()
            .map(|leaf| {
                let (own, value) = equality(leaf)?;
                (*field.get_or_insert(own) == own).then_some(value)
            })
            .collect();
        if let (Some(field), Some(values)) = (field, values)
            && values.len() <= MAX_ALTERNATIVES
        {
            found.push((field.clone(), values));
        }
    }
    found
}

fn equality(node: &Node) -> Option<(&Field, Box<[u8]>)> {
    let Node::Test(predicate) = node else { return None };
    match &predicate.test {
        Test::Text(TextOperator::Equal, wanted)
            if !matches!(predicate.field, Field::Path | Field::Host | Field::Protocol) =>
        {
            let mut folded = SmallVec::new();
            fold_case(wanted, &mut folded);
            Some((&predicate.field, folded.as_slice().into()))
        }
        Test::Integer(IntegerOperator::Equal, port) if predicate.field == Field::DestinationPort => {
            let port = u16::try_from(*port).ok()?;
            Some((&predicate.field, port.to_be_bytes().into()))
        }
        _ => None,
    }
}
