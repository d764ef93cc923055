//! A key among the arguments of a query or of a form body. What is not the key stays byte for byte.

use super::Found;
use crate::query::{bytes_pairs, decode};

/// The values of an argument.
pub(super) fn find<'q>(query: &'q [u8], name: &str) -> Found<'q> {
    let mut values = bytes_pairs(query)
        .filter(|(given, _)| **given == *name.as_bytes())
        .map(|(_, value)| value);
    match (values.next(), values.next()) {
        (None, _) => Found::Absent,
        (Some(Some(key)), None) => Found::Key(key),
        // An argument without `=` is a flag.
        (Some(None), None) => Found::Other,
        (Some(_), Some(_)) => Found::Many,
    }
}

/// The query without the argument, others in their order and encoding; `None` when it is not there.
pub(super) fn without(query: &str, name: &str) -> Option<String> {
    let is_kept = |argument: &&str| {
        let given = argument.split_once('=').map_or(*argument, |(given, _)| given);
        *decode(given.as_bytes()) != *name.as_bytes()
    };
    let kept: Vec<&str> = query.split('&').filter(is_kept).collect();
    let is_changed = kept.len() < query.split('&').count();
    is_changed.then(|| kept.join("&"))
}
